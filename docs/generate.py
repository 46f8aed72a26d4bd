"""Writes what is derived from the code: docs/cli.md from the CLI's own help, docs/report.schema.json from Report,
tests/api_surface.json from ``enlarger.__all__``.

``python docs/generate.py`` writes all, ``--check`` only says which of them are stale (exit status 1). tests/test_docs.py
and tests/test_report_schema.py call these functions and compare.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
WIDTH = 100

HEAD = """# The command line

Generated from `enlarger --help` and the help of each command by `python docs/generate.py`; do not edit by hand.
"""


def commands() -> list[str]:
    """Names of the commands, in the order in which the CLI declares them."""
    from enlarger.interfaces.cli import app

    return [name for name in app if not name.startswith("-")]


def help_of(*words: str) -> str:
    """What ``enlarger WORDS --help`` prints: plain text, :data:`WIDTH` columns, no colours, whatever terminal this runs in."""
    plain = {"COLUMNS": str(WIDTH), "NO_COLOR": "1", "TERM": "dumb", "PYTHONUTF8": "1", "LC_ALL": "C.UTF-8"}
    forced = ("FORCE_COLOR", "CLICOLOR_FORCE", "TTY_COMPATIBLE", "TTY_INTERACTIVE")
    environment = {name: value for name, value in os.environ.items() if name not in forced} | plain
    command = [sys.executable, "-m", "enlarger", *words, "--help"]
    done = subprocess.run(command, env=environment, capture_output=True, encoding="utf-8", check=True, timeout=60)
    return "\n".join(line.rstrip() for line in done.stdout.strip("\n").splitlines())


def cli_page() -> str:
    """docs/cli.md as it should be."""
    sections = [HEAD]
    for words in ([], *([name] for name in commands())):
        sections.append(f"## `{' '.join(['enlarger', *words])}`\n\n```text\n{help_of(*words)}\n```\n")
    return "\n".join(sections)


def report_schema() -> str:
    """docs/report.schema.json as it should be: the JSON Schema (draft 2020-12) of a report."""
    from enlarger.report import REPORT_SCHEMA, Report

    about = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": REPORT_SCHEMA}
    return json.dumps(about | {k: v for k, v in Report.model_json_schema(by_alias=True).items() if k != "title"}, indent=2) + "\n"


def api_surface() -> str:
    """tests/api_surface.json as it should be."""
    import enlarger

    return json.dumps(sorted(enlarger.__all__), indent=2) + "\n"


def main() -> int:
    check = sys.argv[1:] == ["--check"]
    if sys.argv[1:] and not check:
        sys.exit(f"usage: {sys.argv[0]} [--check]")
    stale = 0
    written = {"docs/cli.md": cli_page(), "docs/report.schema.json": report_schema(), "tests/api_surface.json": api_surface()}
    for name, text in written.items():
        path = ROOT / name
        if not path.exists() or path.read_text("utf-8") != text:
            stale += 1
            sys.stdout.write(f"{name} {'is stale' if check else 'written'}\n")
            if not check:
                path.write_text(text, "utf-8")
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
