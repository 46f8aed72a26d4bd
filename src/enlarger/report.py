"""Plan and Report: what will run, and what ran. Both are frozen, typed and JSON-able."""

from __future__ import annotations

import json
from typing import Any, Literal

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


class Geometry(Record):
    """What part of the source is shown, how large, and what is around it.

    ``crop`` is ``x, y, width, height`` in source pixels; with ``crop_on`` ``"subject"`` its corner is known once the source is decoded.
    ``width`` and ``height`` are those of the picture, to which ``padding`` (left, top, right, bottom, in pixels of the result) is added in
    ``background``, ``#rrggbb`` or ``transparent``; a colour is behind what is transparent too, ``None`` is neither around nor behind.
    ``dpi`` goes into the file; ``None`` keeps the source's.
    """

    crop: tuple[int, int, int, int]
    crop_on: Literal["centre", "subject"] = "centre"
    width: int
    height: int
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)
    background: str | None = None
    dpi: float | None = None

    @property
    def size(self) -> tuple[int, int]:
        """Of the whole: the picture with its padding."""
        left, top, right, bottom = self.padding
        return self.width + left + right, self.height + top + bottom

    @property
    def scale(self) -> float:
        return self.width / self.crop[2]

    @property
    def reduces(self) -> bool:
        """Whether the source has more pixels already than was asked for."""
        return self.width < self.crop[2] or self.height < self.crop[3]


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
    native: dict[str, int | Literal["auto"]] = Field(
        default_factory=dict, description="Dials that the model carries out itself, as it gets them; auto: found when the source is seen."
    )
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


class Pause(Record):
    """Where a job stopped between stages: ``stage`` of them are done, ``picture`` is what they made, and ``plan`` the file to go on by."""

    stage: int
    picture: str
    sha256: str
    plan: str


class Protected(Record):
    """Where no net drew as it likes: ``kind`` is ``box``, ``text``, ``face`` (plainly enlarged there) or ``graphic`` (redrawn in its own
    colours); ``box`` is x, y, width, height in pixels of the result."""

    kind: str
    box: tuple[int, int, int, int]


class Prepared(Record):
    """A repair of the source before it was enlarged. ``strength`` is 0 to 100 where there is one; ``changed`` the RMS difference that it
    made, in 1/255, over all samples; ``share`` the share of pixels that differ."""

    name: str
    strength: int | None = None
    changed: float = 0.0
    share: float = 0.0
    seconds: float = 0.0
    said: str = ""


class Plan(Record):
    """The list of stages that will run, with every size computed before any pixel is touched.

    Without stages nothing is enlarged: the source is larger than asked, and reduced. ``scale`` is the picture's width over that of its
    part of the source.
    """

    schema_: str = Field(PLAN_SCHEMA, alias="schema")
    source: SourceInfo
    output: OutputInfo
    geometry: Geometry
    scale: float
    prepare: dict[str, str] = Field(default_factory=dict, description="Repairs of the source before it is enlarged, in their order.")
    stages: tuple[Stage, ...]
    estimate: Estimate
    alternatives: tuple[Alternative, ...] = ()
    options: dict[str, Any] = Field(default_factory=dict)
    recipe: str | None = Field(None, description="The recipe that some of the options come from.")
    paused: Pause | None = None

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True, serialize_by_alias=True)

    def unpadded(self) -> Plan:
        """The plan of the picture alone, which is an enlargement of its part of the source and nothing else."""
        size = {"width": self.geometry.width, "height": self.geometry.height}
        return self.model_copy(update={"output": self.output.model_copy(update=size)})


class Candidate(Record):
    """A format that ``--format auto`` thought of: what it came to in ``bytes``, or (``null``) what was ``said`` against trying it."""

    format: str
    quality: int | None = None
    lossless: bool = False
    bytes: int | None = None
    chosen: bool = False
    said: str = ""


class Choice(Record):
    """Why the file has the format it has. ``needs`` is what it must hold, ``flat`` the share of pixels that are like their neighbours."""

    needs: tuple[str, ...]
    flat: float
    candidates: tuple[Candidate, ...]
    said: str


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
    protected: tuple[Protected, ...] = Field((), description="Where no net drew as it likes, because that was asked for.")
    prepared: tuple[Prepared, ...] = Field((), description="What was repaired of the source before it was enlarged.")
    between: tuple[Fidelity, ...] = Field((), description="What verify found after each stage but the last, against the source.")
    choice: Choice | None = Field(None, description="How --format auto chose; null where the format was named.")
    warnings: tuple[Warning_, ...] = ()
    timings: dict[str, float] = Field(default_factory=dict, description="Seconds per step.")
    reproduce: Reproduce

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True, serialize_by_alias=True)

    def unpadded(self) -> Report:
        """The report of the picture alone: its size, and boxes in its own pixels."""
        left, top = self.plan.geometry.padding[:2]
        fidelity = self.fidelity
        if fidelity is not None:
            moved = (r.model_copy(update={"box": (r.box[0] - left, r.box[1] - top, *r.box[2:])}) for r in fidelity.regions)
            fidelity = fidelity.model_copy(update={"regions": tuple(moved)})
        right, bottom = self.plan.geometry.padding[2:]
        size = {"width": self.output.width - left - right, "height": self.output.height - top - bottom}
        return self.model_copy(update={"output": self.output.model_copy(update=size), "fidelity": fidelity})
