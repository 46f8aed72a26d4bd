"""Options: all that a caller may ask for, in one frozen model. CLI flags, REST fields and forms derive from it."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ModelWrapValidatorHandler,
    ValidationError,
    field_validator,
    model_validator,
)

from enlarger.errors import UsageError
from enlarger.formats import format_named

MIN_SCALE, MAX_SCALE = 1.0, 16.0
SIZE_UNITS = {"": 1, "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12, "kib": 2**10, "mib": 2**20, "gib": 2**30, "tib": 2**40}


STYLES: dict[str, dict[str, Any]] = {
    "faithful": {"resemblance": 100, "self_ensemble": True},
    "natural": {"texture": 75},
    "crisp": {"detail": 75},
}
"""Words for people who dislike numbers, and the dials they stand for."""


def parse_bytes(value: Any) -> Any:
    """``"2GB"``, ``"500 MB"``, ``"1GiB"`` or a number to bytes (kB = 1000 bytes); anything else is left to pydantic."""
    if not isinstance(value, str):
        return value
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([kmgt]?i?b?)\s*", value, re.IGNORECASE)
    unit = match and match[2].lower()
    if unit in ("k", "m", "g", "t"):
        unit += "b"
    if match is None or unit not in SIZE_UNITS:
        raise ValueError(f"{value!r} is not an amount of memory; write 2GB or 500MB")
    return int(float(match[1]) * SIZE_UNITS[unit])


Bytes = Annotated[int, BeforeValidator(parse_bytes)]


class Options(BaseModel):
    """What to do with one source. Immutable; unknown names are errors.

    ``Options(scale=2, engine="ncnn")``; the first thing wrong raises one :class:`enlarger.errors.UsageError`, however the
    options arrive.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    scale: float = Field(4.0, description="How many times wider and higher the result is: any number from 1 to 16.")
    engine: str = Field("auto", description="Who enlarges: auto, or a name from `enlarger engines`.")
    model: str = Field("auto", description="Which weights or kernel: auto, or an id from `enlarger models`.")
    device: str = Field("auto", description="Where to compute: cpu, gpu, gpu:N, or auto (a real GPU when there is one).")
    threads: int | None = Field(None, ge=1, le=1024, description="CPU threads; by default all that the process may use.")
    memory: Bytes = Field(2 * 10**9, ge=10**8, description="Memory that a tile may make the engine use, such as 2GB or 500MB.")
    tile: int | None = Field(None, ge=16, le=16384, description="Side of a tile in source pixels, less its halo; by default what fits.")
    format: str | None = Field(
        None, description="jpeg, png, webp, tiff, avif or dz (DeepZoom); by default by the output's name or the source."
    )
    quality: int | None = Field(None, ge=1, le=100, description="Quality of JPEG, WebP (100: lossless), AVIF and DeepZoom tiles, 1 to 100.")
    allow_truncated: bool = Field(False, description="Take what decodes of a truncated source and say how much is missing.")
    sandbox: bool = Field(False, description="Decode in a process of its own, limited to 20 s and 1 GB: for pictures from strangers.")
    resemblance: int = Field(50, ge=0, le=100, description="Closeness to the source: 0 the raw answer, 50 locked to it, 100 closest.")
    detail: int = Field(50, ge=0, le=100, description="How much fine detail shows, above the source's own; 50 as the engine made it.")
    texture: int = Field(50, ge=0, le=100, description="How much natural grain is restored where the result is too smooth; to 50 none.")
    creativity: int | None = Field(None, ge=0, le=100, description="How much a generative engine may invent; others refuse it.")
    style: Literal["faithful", "natural", "crisp"] | None = Field(
        None, description="A word for the dials: faithful (closest, four passes), natural (texture 75), crisp (detail 75)."
    )
    self_ensemble: bool = Field(False, description="Mean of four passes over turned and inverted tiles: truer, four times as long.")
    seed: int = Field(0, ge=0, lt=2**63, description="Of everything random: the grain of texture.")
    skip_flat: bool = Field(True, description="Resample flat areas instead of running the net on them, where the colours are locked.")
    verify: Literal["off", "quick", "full"] = Field("quick", description="Measure the result against the source: off, quick or full.")
    on_doubt: Literal["warn", "repair", "stop"] = Field(
        "warn", description="Where verify has doubts: say so, blend doubtful regions toward the source, or write nothing."
    )
    settings: dict[str, str] = Field(default_factory=dict, description="Settings of the engine itself, as --set NAME=VALUE.")

    @model_validator(mode="wrap")
    @classmethod
    def _one_line(cls, values: Any, handler: ModelWrapValidatorHandler[Options]) -> Options:
        try:
            return handler(values)._settled()
        except ValidationError as error:
            raise _usage_error(error) from error

    @field_validator("scale")
    @classmethod
    def _scale_in_range(cls, value: float) -> float:
        if not math.isfinite(value) or not MIN_SCALE <= value <= MAX_SCALE:
            raise ValueError(f"scale must be a number from {MIN_SCALE:g} to {MAX_SCALE:g}")
        return value

    @field_validator("device")
    @classmethod
    def _device_known(cls, value: str) -> str:
        if not re.fullmatch(r"auto|cpu|gpu(:\d{1,3})?", value):
            raise ValueError("device must be cpu, gpu, gpu:N or auto")
        return value

    @field_validator("format")
    @classmethod
    def _format_known(cls, value: str | None) -> str | None:
        if value is None or value == "auto":
            return None
        try:
            return format_named(value).name
        except UsageError as error:
            raise ValueError(f"{error.message}; {error.hint}") from error

    def _settled(self) -> Options:
        """A style sets its dials; what was asked for beside it stays."""
        if self.style is not None:
            for name, value in STYLES[self.style].items():
                if name not in self.model_fields_set:
                    object.__setattr__(self, name, value)
        if self.on_doubt != "warn" and self.verify == "off":
            raise UsageError(f"{self.on_doubt} needs verify", hint="drop --verify off", subject="--on-doubt")
        return self

    @classmethod
    def of(cls, options: Options | None = None, **changes: Any) -> Options:
        """``options`` (or the defaults) with ``changes``, checked anew. Raises :class:`UsageError`."""
        return cls(**{**(options.model_dump(exclude_defaults=True) if options is not None else {}), **changes})


def _usage_error(error: ValidationError) -> UsageError:
    """The first complaint of pydantic as one line that names the option as the command line spells it."""
    first = error.errors()[0]
    name = str(first["loc"][0]) if first["loc"] else "options"
    flag = "--" + name.replace("_", "-")
    if first["type"] == "extra_forbidden":
        return UsageError("unknown option", hint=f"known options are {', '.join(Options.model_fields)}", subject=name)
    if first["type"] == "value_error":
        message = str(first["ctx"]["error"])
    else:
        message = f"{first['msg'][:1].lower()}{first['msg'][1:]}, not {first['input']!r}"
    return UsageError(message, subject=flag)


@dataclass(frozen=True, slots=True)
class Dials:
    """What an engine does not do itself: 0 to 100 each; 50 changes nothing, and resemblance 0 is the engine's raw answer."""

    resemblance: int = 50
    detail: int = 50
    texture: int = 50
    seed: int = 0

    @property
    def raw(self) -> bool:
        """Whether the engine's answer is delivered as it is."""
        return self.resemblance == 0 and not self.mixes

    @property
    def mixes(self) -> bool:
        """Whether the added part is weighed, for which the base is needed."""
        return self.resemblance > 50 or self.detail != 50 or self.texture > 50

    @property
    def between(self) -> Dials:
        """For all stages but the last: locked, if anything is."""
        return Dials(resemblance=min(self.resemblance, 50))
