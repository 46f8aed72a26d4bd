"""inspect(): triage of one source, before anything is done with it; and which pictures are meant by paths, folders and globs."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from enlarger.errors import EnlargerError
from enlarger.jobs import MAGIC, Filter, collect
from enlarger.options import Options
from enlarger.seen import Triage
from enlarger.steps.decode import decode
from enlarger.steps.triage import triage

if TYPE_CHECKING:
    from enlarger.steps.decode import Source

NOWHERE = Path(os.devnull) / "nowhere"
"""Walking folders asks where results go; here there are none."""


def inspect(source: Source) -> Triage:
    """What ``source`` is, what ails it and what to do: a path, bytes of a file, an array, a PIL picture or an Image.

    Nothing is written or fetched. Raises subclasses of :class:`InputError`.
    """
    return triage(decode(source))


def find_pictures(
    paths: Iterable[str | os.PathLike[str]], *, include: Iterable[str] = (), exclude: Iterable[str] = ()
) -> tuple[list[Path], list[EnlargerError]]:
    """The files that ``paths`` mean, each once: files as they are, pictures below folders, what globs match; and what cannot be read.

    As :func:`enlarge_many` walks them: hidden files, links to folders and results of earlier runs are left out, unless named.
    """
    chosen = Filter(tuple(include), tuple(exclude))
    found: dict[Path, None] = {}
    failed: list[EnlargerError] = []
    for path in map(Path, paths):
        if path.is_dir() or (not os.path.lexists(path) and any(c in str(path) for c in MAGIC)):
            walked = collect([path], NOWHERE, Options(), chosen)
            found |= dict.fromkeys(item.source for item in walked.found)
            failed += [error for _, error in walked.failed]
        else:
            found[path] = None
    return list(found), failed
