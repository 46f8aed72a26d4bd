"""``enlarger`` and ``python -m enlarger``."""

from __future__ import annotations

import atexit
import gc
import os
import sys
from typing import NoReturn

from enlarger import __version__

GARBAGE_FROM = 50_000
"""New objects from which cycles of unused ones are looked for. Pixels are not kept by such cycles: arrays go when their last name does."""


def main() -> int:
    """Run the command line; the exit status. The version is answered without loading the rest, as scripts ask for it often."""
    if sys.argv[1:] == ["--version"]:
        sys.stdout.write(f"enlarger {__version__}\n")
        return 0
    # Loading makes tens of thousands of objects that all stay: looking through them for garbage is a tenth of the start.
    gc.set_threshold(GARBAGE_FROM, 20, 20)
    # Our products of matrices are small: BLAS's own threads, which spin while they wait, take a tenth of the processor for nothing.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    # Pydantic would look through every installed package for plugins of its own; none has any business here.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    from enlarger.interfaces.cli import main as run

    return run(sys.argv[1:])


def script() -> NoReturn:
    """What the command ``enlarger`` is: :func:`main`, and out at once.

    Every file is closed by then. Taking interpreter and libraries apart, object by object, would take as long as writing a JPEG of 4 MP.
    """
    status = main()
    atexit._run_exitfuncs()  # what the interpreter would call on its way out
    try:
        sys.stdout.flush()
    except OSError as error:
        status = status or 1
        if not isinstance(error, BrokenPipeError):  # then nobody is left to tell
            sys.stderr.write(f"enlarger: what was to be said could not be written ({error.strerror})\n")
    sys.stderr.flush()
    os._exit(status)


if __name__ == "__main__":
    script()
