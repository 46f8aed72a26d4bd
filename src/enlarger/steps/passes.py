"""Passes: how a jump in size is divided into stages. Pure integers.

A net makes whole steps of its own; what is asked for beyond that takes another stage, and the last is reduced to the exact size. Where only
rounding, or a hundredth, is missing, the answer is stretched instead: another pass of a net would cost more than it brings.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from enlarger.errors import UsageError
from enlarger.image import round_half_up

STRETCH = 1.01
"""By how much at most a net's answer is stretched to the size that was asked for."""

USUAL, GENTLE = 4, 2
"""Largest step of a kernel, and the step that fragile sources get."""

Size = tuple[int, int]


class Step(NamedTuple):
    """One stage: the net's own ``scale`` (0: a kernel), and the size that it delivers."""

    scale: int
    size: Size


def steps(source: Size, out: Size, scales: Sequence[int] | None, wanted: str = "auto") -> list[Step]:
    """The stages from ``source`` to ``out``, both ``width, height``; ``scales`` are those of the nets, rising, ``None`` for a kernel.

    ``wanted`` is ``auto`` (a net takes its largest steps first, a kernel a single one), ``gentle`` (steps of 2, for sources whose damage a
    net would take for detail), or how many. Raises :class:`UsageError` where that many stages cannot do it.
    """
    whole = max(out[0] / source[0], out[1] / source[1])
    factors = _factors(whole, scales, wanted)
    result, size, done = [], source, 1.0
    for i, factor in enumerate(factors):
        done *= factor
        last = i + 1 == len(factors)
        before = size
        size = out if last else (min(out[0], round_half_up(source[0] * done)), min(out[1], round_half_up(source[1] * done)))
        need = max(size[0] / before[0], size[1] / before[1])
        result.append(Step(_net(need, scales) if scales is not None else 0, size))
    return result


def _factors(whole: float, scales: Sequence[int] | None, wanted: str) -> list[float]:
    if wanted not in ("auto", "gentle"):
        count = int(wanted)
        if scales is not None and whole > scales[-1] ** count * STRETCH:
            raise UsageError(
                f"{count} of {scales[-1]}x make {scales[-1] ** count}x at most, and {whole:.3g}x are needed",
                hint="allow more stages, or say auto",
                subject="--stages",
            )
        return _divided(whole, count, USUAL if scales is None else scales[-1])
    if scales is None and wanted == "auto":
        return [whole]
    factors: list[float] = []
    while not factors or whole > STRETCH:
        factor = GENTLE if wanted == "gentle" or scales is None else _net(whole, scales)
        factors.append(min(whole, factor))
        whole /= factor
    return factors


def _net(need: float, scales: Sequence[int]) -> int:
    """The smallest net that suffices, else the largest."""
    return next((s for s in scales if s * STRETCH >= need), scales[-1])


def _divided(whole: float, count: int, most: int) -> list[float]:
    """``count`` factors: the largest whole steps first that leave at least 2x to each of the others, else all equal."""
    factors: list[float] = []
    for others in reversed(range(count)):
        fitting = [step for step in (most, GENTLE) if whole / step * STRETCH >= GENTLE**others]
        factor = whole if others == 0 else fitting[0] if fitting else whole ** (1 / (others + 1))
        factors.append(factor)
        whole /= factor
    return factors
