"""Names of results, all settled before the first source is opened.

No two sources share a result, also not on disks that take ``A.png`` and ``a.png``, or two spellings of the same accent, for
one name.
"""

from __future__ import annotations

import hashlib
import os
import unicodedata
from collections.abc import Callable
from pathlib import Path

from enlarger.errors import UsageError
from enlarger.formats import FORMATS, format_named, format_of_suffix, possible_names
from enlarger.jobs import PICTURES, BatchJob, Found
from enlarger.manifest import absolute
from enlarger.sizes import mark


def named(found: list[Found], home: Path | None, kind: Callable[[Found], str]) -> list[BatchJob]:
    """The jobs with the names of their results. ``kind`` says a format for sources whose suffix tells none.

    ``NAME-4x.EXT``; all that would share one become ``NAME.OLDEXT-4x.EXT``, and if that is not enough get eight digits of
    their path and options. A source is never the name of a result. Raises :class:`UsageError` where results that the caller
    named clash with each other or with a source.
    """
    suffixes = [_suffix(one, kind) if one.output is None else "" for one in found]
    places: dict[Path, Path] = {}
    sources = {_key(one.source, places): one for one in found}
    while True:
        taken: dict[str, list[Found]] = {}
        outputs = [one.output or _output(one, suffix) for one, suffix in zip(found, suffixes, strict=True)]
        for one, output in zip(found, outputs, strict=True):
            for name in possible_names(output):
                taken.setdefault(_key(name, places), []).append(one)
        again: dict[int, Found] = {}
        for key, group in taken.items():
            if len(group) == 1 and key not in sources:
                continue
            free = [one for one in group if one.output is None and one.plainness < 2]
            again |= {id(one): one for one in free}
            if not free:
                _clash(group, key in sources)
        # Once each, however many of the names that a result may have are taken.
        for one in again.values():
            one.plainness += 1
        if not again:
            return [
                BatchJob(one.source, output, one.options, home or output.parent, one.size)
                for one, output in zip(found, outputs, strict=True)
            ]


def _clash(group: list[Found], with_source: bool) -> None:
    first, last = group[0], group[-1]
    name = str(last.output or last.source)
    if with_source:
        raise UsageError(f"the result {name} is itself a source", hint="choose another output", subject=last.where)
    others = f"{first.where} and {last.where}" if first.where else name
    raise UsageError(f"two results would have the name {name}", hint="choose another output for one of them", subject=others)


def _suffix(one: Found, kind: Callable[[Found], str]) -> str:
    """The result's suffix: the source's own where the format is the same."""
    own = one.source.suffix.lower()
    if one.options.format is not None:
        chosen = format_named(one.options.format)
    else:
        known = format_of_suffix(own)
        chosen = known or FORMATS["png"] if own in PICTURES else format_named(kind(one))
    return one.source.suffix if own in chosen.suffixes else chosen.suffixes[0]


def _output(one: Found, suffix: str) -> Path:
    extra = ""
    if one.plainness == 2:
        what = f"{absolute(one.source)}\n{one.options.model_dump_json()}"
        extra = "-" + hashlib.sha256(os.fsencode(what)).hexdigest()[:8]
    stem = one.source.name if one.plainness else one.source.stem
    return one.folder / f"{stem}{extra}-{mark(one.options)}{suffix}"


def _key(path: Path, places: dict[Path, Path]) -> str:
    """What the most forgiving disk compares: links in the folders resolved, case and spelling of accents ignored."""
    parent = path.parent
    if parent not in places:
        places[parent] = Path(os.path.realpath(parent))
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", str(places[parent] / path.name)).casefold())
