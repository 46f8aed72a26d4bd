"""The words that regions of a picture are named by. Text to boxes, no pixels."""

from __future__ import annotations

import re
from collections.abc import Iterable

from enlarger.errors import UsageError

KINDS = ("text", "faces", "graphics")
"""What is looked for by its name."""

BOX = "a box as x,y,width,height"


Numbers = tuple[int, int, int, int]


def parse(words: str) -> tuple[set[str], list[Numbers]]:
    """``text``, ``faces``, ``graphics`` and boxes as ``x,y,width,height``, parted by commas, semicolons or spaces.

    Raises :class:`UsageError`.
    """
    kinds: set[str] = set()
    numbers: list[str] = []
    for word in split(words):
        if word in KINDS:
            kinds.add(word)
        elif word.isdecimal():
            numbers.append(word)
        else:
            raise UsageError(f"{word!r} is nothing to protect", hint=f"write {', '.join(KINDS)}, or {BOX}", subject="--protect")
    if not kinds or numbers:
        return kinds, boxes(numbers, "--protect")
    return kinds, []


def boxes(words: str | Iterable[str], subject: str) -> list[Numbers]:
    """Boxes from whole numbers, four each, parted as in :func:`parse`; at least one. Raises :class:`UsageError` about ``subject``."""
    parted = split(words) if isinstance(words, str) else list(words)
    if not parted or len(parted) % 4 or not all(re.fullmatch(r"[0-9]{1,7}", word) for word in parted):
        raise UsageError("a box is four whole numbers from 0 on", hint=f"write {BOX}, such as 40,30,200,60", subject=subject)
    numbers = [int(word) for word in parted]
    x, y, wide, high = (numbers[i::4] for i in range(4))
    if not all((*wide, *high)):
        raise UsageError("a box is at least one pixel wide and high", hint=f"write {BOX}, such as 40,30,200,60", subject=subject)
    return list(zip(x, y, wide, high, strict=True))


def split(words: str) -> list[str]:
    return [word for word in re.split(r"[;,\s]+", words) if word]
