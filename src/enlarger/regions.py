"""The words that regions of a picture are named by. Text to boxes, no pixels."""

from __future__ import annotations

import re

from enlarger.errors import UsageError

KINDS = ("text", "faces", "graphics")
"""What is looked for by its name."""


def parse(words: str) -> tuple[set[str], list[tuple[int, int, int, int]]]:
    """``text``, ``faces``, ``graphics`` and boxes as ``x,y,width,height``, parted by commas, semicolons or spaces.

    Raises :class:`UsageError`.
    """
    kinds: set[str] = set()
    numbers: list[int] = []
    for word in re.split(r"[;,\s]+", words.strip()):
        if word in KINDS:
            kinds.add(word)
        elif re.fullmatch(r"\d{1,7}", word):
            numbers.append(int(word))
        else:
            raise UsageError(
                f"{word!r} is nothing to protect", hint="write text, faces, graphics, or a box as x,y,width,height", subject="--protect"
            )
    x, y, wide, high = (numbers[i::4] for i in range(4))
    if len(numbers) % 4 or not all((*wide, *high)):
        raise UsageError("a box is four numbers", hint="write x,y,width,height, such as 40,30,200,60", subject="--protect")
    return kinds, list(zip(x, y, wide, high, strict=True))
