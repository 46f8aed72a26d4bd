"""Fidelity: what verify found out about a result. Frozen, typed, JSON-able; the schema is versioned."""

from __future__ import annotations

from typing import Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

FIDELITY_SCHEMA = "enlarger.fidelity/1"
COMPARISON_SCHEMA = "enlarger.comparison/1"

Verdict: TypeAlias = Literal["pass", "doubtful", "fail"]
RANK: dict[Verdict, int] = {"pass": 0, "doubtful": 1, "fail": 2}


class Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Measure(Frozen):
    """One thing that was measured. ``value`` is in ``unit``; ``reason`` and ``next_step`` are for people.

    ``limit`` is the value past which the verdict stops being ``pass`` (below or above it, whichever is worse for this
    measure); ``None`` where several values are judged together. ``details`` are further figures, by name.
    """

    verdict: Verdict
    value: float
    unit: str
    limit: float | None = None
    reason: str
    next_step: str = ""
    details: dict[str, float] = Field(default_factory=dict)


class Region(Frozen):
    """A place that stands out: ``box`` is ``x, y, width, height`` in output pixels, ``value`` in the unit of ``measure``."""

    box: tuple[int, int, int, int]
    verdict: Verdict
    measure: str
    value: float
    reason: str
    next_step: str = ""


class Fidelity(Frozen):
    """The verdict on a result, and what it rests on.

    ``measures`` by name; ``regions`` the worst first, at most a few dozen; ``not_checked`` says of each measure that did not
    run why. ``width`` and ``height`` are those of the result in pixels, ``scale`` horizontal and vertical.
    """

    schema_: str = Field(FIDELITY_SCHEMA, alias="schema")
    verdict: Verdict
    mode: Literal["quick", "full"]
    width: int
    height: int
    scale: tuple[float, float]
    measures: dict[str, Measure]
    regions: tuple[Region, ...] = ()
    not_checked: dict[str, str] = Field(default_factory=dict)

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True, serialize_by_alias=True)


def worst(verdicts: list[Verdict]) -> Verdict:
    """The gravest of ``verdicts``; ``pass`` where there is none."""
    return max(verdicts, key=RANK.__getitem__, default="pass")


class Entry(Frozen):
    """One of several results: ``name`` for people, ``score`` for ranking (higher is better)."""

    name: str
    score: float
    fidelity: Fidelity


class Comparison(Frozen):
    """Results of one source, the best first."""

    schema_: str = Field(COMPARISON_SCHEMA, alias="schema")
    source: str
    entries: tuple[Entry, ...]

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True, serialize_by_alias=True)
