"""``enlarger`` and ``python -m enlarger``."""

from __future__ import annotations

import sys

from enlarger import __version__


def main() -> int:
    """Run the command line; the exit status. The version is answered without loading the rest, as scripts ask for it often."""
    if sys.argv[1:] == ["--version"]:
        sys.stdout.write(f"enlarger {__version__}\n")
        return 0
    from enlarger.interfaces.cli import main as run

    return run(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
