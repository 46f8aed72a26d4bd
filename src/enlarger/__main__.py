"""``enlarger`` and ``python -m enlarger``."""

from __future__ import annotations

import gc
import sys

from enlarger import __version__

GARBAGE_FROM = 50_000
"""New objects from which cycles of unused ones are looked for. Pixels are not kept by such cycles: arrays go when their last name does."""


def main() -> int:
    """Run the command line; the exit status. The version is answered without loading the rest, as scripts ask for it often."""
    if sys.argv[1:] == ["--version"]:
        sys.stdout.write(f"enlarger {__version__}\n")
        return 0
    # Loading makes tens of thousands of objects that all stay: looking through them for garbage takes a tenth of a second.
    gc.set_threshold(GARBAGE_FROM, 20, 20)
    from enlarger.interfaces.cli import main as run

    return run(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
