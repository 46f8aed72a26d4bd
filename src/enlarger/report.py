"""Plan and Report: what will run, and what ran. Both are frozen, typed and JSON-able."""

from __future__ import annotations

import json
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from enlarger.fidelity import Fidelity

PLAN_SCHEMA = "enlarger.plan/1"
REPORT_SCHEMA = "enlarger.report/1"


class Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    def to_json(self) -> str:
        """As indented JSON in ASCII: names of files need not be UTF-8, which pydantic's own writer refuses."""
        return json.dumps(self.model_dump(by_alias=True), indent=2)


class SourceInfo(Record):
    """What came in. ``channels`` counts colour channels (1 grey, 3 RGB); ``bits`` is 8, 16 or 32 (float)."""

    name: str
    format: str
    width: int
    height: int
    channels: int
    alpha: bool
    bits: int
    frames: int = 1
    bytes: int = 0
    sha256: str = ""


class OutputInfo(Record):
    """What goes out. ``path`` is ``None`` while the result is only in memory; ``bytes`` and ``sha256`` are known once written."""

    path: str | None
    format: str
    quality: int | None
    width: int
    height: int
    channels: int
    alpha: bool
    bits: int
    bytes: int | None = None
    sha256: str | None = None


class Stage(Record):
    """One enlarging pass: ``width`` x ``height`` in, ``out_width`` x ``out_height`` out.

    A net works at its own whole ``scale`` and the answer is reduced when out is smaller than that. ``columns`` x ``rows`` tiles
    of about ``tile_width`` x ``tile_height`` source pixels, each seen with ``halo`` pixels of context, blended over ``feather``.
    """

    engine: str
    model: str
    device: str
    threads: int
    scale: int
    width: int
    height: int
    out_width: int
    out_height: int
    tile_width: int
    tile_height: int
    columns: int
    rows: int
    halo: int
    feather: int
    weights_sha256: tuple[str, ...] = ()
    seconds: float = Field(0.0, description="Estimate for this stage.")

    @property
    def tiles(self) -> int:
        return self.columns * self.rows


class Estimate(Record):
    """What the plan expects: seconds of work, peak memory, temporary and final disk in bytes. ``seconds`` is a guess."""

    seconds: float
    memory: int
    disk_temporary: int
    disk_output: int


class Alternative(Record):
    """A model that was not taken by ``auto``, and why one might want it."""

    engine: str
    model: str
    seconds: float
    reason: str


class Plan(Record):
    """The list of stages that will run, with every size computed before any pixel is touched."""

    schema_: str = Field(PLAN_SCHEMA, alias="schema")
    source: SourceInfo
    output: OutputInfo
    scale: float
    stages: tuple[Stage, ...]
    estimate: Estimate
    alternatives: tuple[Alternative, ...] = ()
    options: dict[str, Any] = Field(default_factory=dict)

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True, serialize_by_alias=True)


class Tiles(Record):
    """Tiles of all stages: ``done_before`` were found on the canvas, ``flat`` needed no net, ``split`` did not fit
    at first, ``fallback`` were made again on the CPU. ``flat_pixels`` of the source were resampled
    in tiles of this run."""

    total: int
    done_before: int = 0
    computed: int = 0
    flat: int = 0
    flat_pixels: int = 0
    split: int = 0
    fallback: int = 0


class Warning_(Record):
    """A named warning."""

    code: str
    message: str


class Reproduce(Record):
    """All it takes to get the same bytes again: the command, the versions, the machine and the weights."""

    command: str
    enlarger: str
    libraries: dict[str, str]
    machine: dict[str, str]


class Report(Record):
    """What was done to one source."""

    schema_: str = Field(REPORT_SCHEMA, alias="schema")
    source: SourceInfo
    output: OutputInfo
    plan: Plan
    tiles: Tiles
    triage: dict[str, Any] | None = None
    fidelity: Fidelity | None = Field(None, description="What verify measured on what was delivered; null when it did not run.")
    warnings: tuple[Warning_, ...] = ()
    timings: dict[str, float] = Field(default_factory=dict, description="Seconds per step.")
    reproduce: Reproduce

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True, serialize_by_alias=True)
