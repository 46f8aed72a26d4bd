"""HTML that is escaped by construction: only :class:`Html` goes into a page as it is, every other string is text."""

from __future__ import annotations

import html
import json
import math
import unicodedata
from typing import Any, TypeAlias


class Html(str):
    """Markup that is known to be whole and safe."""

    __slots__ = ()


Content: TypeAlias = "Html | str | int | float | None"

VOID = ("img", "input")


def text(value: object) -> str:
    """``value`` for people: characters that do not show, or that turn the direction of what follows, become visible escapes."""
    whole = str(value)
    return whole if whole.isprintable() else "".join(_visible(letter) for letter in whole)


def _visible(letter: str) -> str:
    # Cc, Cf: control and direction; Cs: halves of a pair, which come from file names that are no UTF-8; Zl, Zp: line ends.
    if unicodedata.category(letter) in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp") and letter not in "\n\u200d":
        return f"\\u{ord(letter):04x}"
    return letter


def escaped(value: Content) -> Html:
    """``value`` as markup; ``None`` is nothing."""
    if value is None:
        return Html("")
    return value if isinstance(value, Html) else Html(html.escape(text(value), quote=True))


def tag(name: str, *content: Content, **attributes: str | int | float | bool | None) -> Html:
    """An element. ``class_`` is ``class``, ``aria_label`` is ``aria-label``; ``True`` has no value, ``False`` and ``None`` are left out."""
    words = [name]
    for key, value in attributes.items():
        if value is not None and value is not False:
            own = key.rstrip("_").replace("_", "-")
            words.append(own if value is True else f'{own}="{escaped(value)}"')
    inside = "".join(escaped(part) for part in content)
    return Html(f"<{' '.join(words)}>{inside}" + ("" if name in VOID else f"</{name}>"))


def joined(*parts: Content) -> Html:
    return Html("".join(escaped(part) for part in parts))


def json_for_script(data: object) -> Html:
    """``data`` as JSON in plain ASCII that no HTML parser can leave early, whatever its strings hold; NaN and infinity as ``null``."""
    written = json.dumps(_finite(data), ensure_ascii=True, allow_nan=False, separators=(",", ":"), default=str)
    for letter in "<>&":
        written = written.replace(letter, f"\\u{ord(letter):04x}")
    return Html(written)


def _finite(data: Any) -> Any:
    if isinstance(data, float):
        return data if math.isfinite(data) else None
    if isinstance(data, dict):
        return {str(key): _finite(value) for key, value in data.items()}
    if isinstance(data, (list, tuple)):
        return [_finite(value) for value in data]
    return data
