"""python -m enlarger"""
def main() -> int:
    raise SystemExit("not built yet")
