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

from enlarger import regions, sizes
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
        raise ValueError(f"{value!r} is not an amount of bytes; write 2GB, 500MB or 80kB")
    return int(float(match[1]) * SIZE_UNITS[unit])


Bytes = Annotated[int, BeforeValidator(parse_bytes)]


Strength = Annotated[int, Field(ge=0, le=100)] | Literal["auto"] | None
"""Of a repair: 0 to 100, or as strong as the source needs it."""


FOR_ENLARGING = {"resemblance", "detail", "texture", "creativity", "style", "self_ensemble", "protect"}
"""What says how to enlarge, and would be ignored where nothing is."""


class Options(BaseModel):
    """What to do with one source. Immutable; unknown names are errors.

    ``Options(scale=2, engine="ncnn")``; the first thing wrong raises one :class:`enlarger.errors.UsageError`, however the
    options arrive.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    scale: float = Field(4.0, description="How many times wider and higher the result is: any number from 1 to 16.")
    width: int | None = Field(None, ge=1, le=10**6, description="Width of the result in pixels; the height follows, or give both.")
    height: int | None = Field(None, ge=1, le=10**6, description="Height of the result in pixels; the width follows, or give both.")
    long_edge: int | None = Field(None, ge=1, le=10**6, description="Longer side of the result in pixels.")
    short_edge: int | None = Field(None, ge=1, le=10**6, description="Shorter side of the result in pixels.")
    megapixels: float | None = Field(None, gt=0, le=10**6, description="Area of the result in millions of pixels.")
    to: Literal["2k", "4k", "8k", "16k"] | None = Field(None, description="A longer side of 2048, 3840, 7680 or 15360 pixels.")
    print: str | None = Field(None, description="Paper, as 60x40cm, 24x16in or 600x400mm, at --dpi (300 unless given).")
    dpi: float | None = Field(None, ge=1, le=10_000, description="Dots per inch: of --print, and written into the file.")
    aspect: str | None = Field(None, description="Shape of the result, as 3:2; ideogram is the nearest of that service's, and its size.")
    fit: Literal["crop", "pad", "bounds", "cover"] | None = Field(
        None, description="Into another shape: crop what is too much, pad with background, stay in bounds (the default), or cover."
    )
    crop_on: Literal["centre", "subject"] | None = Field(None, description="What a crop keeps: the centre, or what draws the eye.")
    padding: str | None = Field(None, description="Border on every side, as 40px or 5%; part of an exact size, on top of a scale.")
    background: str | None = Field(
        None,
        description="Around the picture and behind what is transparent: #RRGGBB, white, black, transparent (the source's way), a picture.",
    )
    stages: Literal["auto", "gentle", "0", "1", "2", "3"] = Field(
        "auto", description="Passes to enlarge in; auto takes one up to 4x, two up to 16x, gentle steps of 2x; 0 enlarges nothing."
    )
    engine: str = Field("auto", description="Who enlarges: auto, or a name from `enlarger engines`.")
    model: str = Field("auto", description="Which weights or kernel: auto, or an id from `enlarger models`.")
    device: str = Field("auto", description="Where to compute: cpu, gpu, gpu:N, or auto (a real GPU when there is one).")
    threads: int | None = Field(None, ge=1, le=1024, description="CPU threads; by default all that the process may use.")
    memory: Bytes = Field(2 * 10**9, ge=10**8, description="Memory that a tile may make the engine use, such as 2GB or 500MB.")
    tile: int | None = Field(None, ge=16, le=16384, description="Side of a tile in source pixels, less its halo; by default what fits.")
    format: str | None = Field(
        None,
        description="jpeg, png, webp, tiff, avif, dz (DeepZoom) or auto (the smallest that holds it all); by default by name or source.",
    )
    quality: int | None = Field(None, ge=1, le=100, description="Quality of JPEG, WebP (100: lossless), AVIF and DeepZoom tiles, 1 to 100.")
    max_size: Annotated[int | None, BeforeValidator(parse_bytes)] = Field(
        None, ge=100, description="Most that the file may weigh, as 500kB: the highest quality that fits."
    )
    strip: Literal["private", "all"] | None = Field(
        None, description="Metadata that stays out: private (place, names, serial numbers, notes, previews), or all but profile and dpi."
    )
    srgb: bool = Field(False, description="Convert to sRGB by the source's profile, for the web.")
    allow_truncated: bool = Field(False, description="Take what decodes of a truncated source and say how much is missing.")
    sandbox: bool = Field(False, description="Decode in a process of its own, limited to 20 s and 1 GB: for pictures from strangers.")
    resemblance: int = Field(50, ge=0, le=100, description="Closeness to the source: 0 the raw answer, 50 locked to it, 100 closest.")
    detail: int = Field(50, ge=0, le=100, description="How much fine detail shows, above the source's own; 50 as the engine made it.")
    texture: int = Field(50, ge=0, le=100, description="How much natural grain is restored where the result is too smooth; to 50 none.")
    creativity: int | None = Field(None, ge=0, le=100, description="How much a generative engine may invent; others refuse it.")
    denoise: Strength = Field(None, description="How strong the noise is that is taken off: 0 to 100, or auto, as the source has it.")
    deblock: Strength = Field(None, description="How strong the JPEG damage is that is taken off: 0 to 100, or auto.")
    deblur: Strength = Field(None, description="How much of a small blur is taken back: 0 to 100, or auto.")
    remove_object: str | None = Field(
        None, description="What is filled from around it: boxes as x,y,width,height (parted by ;), or a mask, a file that is white there."
    )
    fill: Literal["patches", "lama"] = Field(
        "patches", description="Who fills what --remove-object marks: patches of what is around it, or lama, a net that is fetched."
    )
    remove_background: bool = Field(False, description="Cut the subject out of a plain ground; what is behind it is --background.")
    matte: Literal[
        "plain", "u2net", "u2netp", "u2net_human_seg", "silueta", "isnet-general-use", "birefnet-general", "birefnet-general-lite"
    ] = Field("plain", description="Who cuts out: plain for plain grounds, or for any ground a net of rembg's, which is fetched.")
    keep_shadow: bool = Field(False, description="With --remove-background: keep the shadow on the ground.")
    protect: str | None = Field(
        None, description="Where no net may draw as it likes: text, faces, graphics and boxes as x,y,width,height, parted by ;."
    )
    sharpen: int = Field(0, ge=0, le=100, description="Sharpen the finished picture, within what is there around each place.")
    grain: int = Field(0, ge=0, le=100, description="Film grain over the finished picture; white and black stay.")
    style: Literal["faithful", "natural", "crisp"] | None = Field(
        None, description="A word for the dials: faithful (closest, four passes), natural (texture 75), crisp (detail 75)."
    )
    self_ensemble: bool = Field(False, description="Mean of four passes over turned and inverted tiles: truer, four times as long.")
    seed: int = Field(0, ge=0, lt=2**63, description="Of everything random: grain, and where a fill is looked for.")
    skip_flat: bool = Field(True, description="Resample flat areas instead of running the net on them, where the colours are locked.")
    verify: Literal["off", "quick", "full"] = Field("quick", description="Measure the result against the source: off, quick or full.")
    on_doubt: Literal["warn", "repair", "stop"] = Field(
        "warn", description="Where verify has doubts: say so, blend doubtful regions toward the source, or write nothing."
    )
    recipe: str | None = Field(None, description="A named set of options from `enlarger recipes`; what is said beside it goes before.")
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

    @field_validator("stages", "padding", mode="before")
    @classmethod
    def _number_as_text(cls, value: Any) -> Any:
        return str(value) if isinstance(value, int) and not isinstance(value, bool) else value

    @field_validator("to", mode="before")
    @classmethod
    def _any_case(cls, value: Any) -> Any:
        return value.lower() if isinstance(value, str) else value

    @field_validator("print")
    @classmethod
    def _paper(cls, value: str | None) -> str | None:
        if value is None:
            return None
        paper = sizes.parse_paper(value)
        return f"{paper.width:g}x{paper.height:g}{paper.unit}"

    @field_validator("aspect")
    @classmethod
    def _aspect(cls, value: str | None) -> str | None:
        if value is None or value.lower() == "ideogram":
            return value and value.lower()
        across, down = sizes.parse_aspect(value)
        return f"{across:g}:{down:g}"

    @field_validator("padding")
    @classmethod
    def _padding(cls, value: str | None) -> str | None:
        return value if value is None else "{:g}{}".format(*sizes.parse_padding(value))

    @field_validator("background")
    @classmethod
    def _background(cls, value: str | None) -> str | None:
        return value if value is None or sizes.is_file(value) else sizes.parse_background(value)

    @field_validator("device")
    @classmethod
    def _device_known(cls, value: str) -> str:
        if not re.fullmatch(r"auto|cpu|gpu(:\d{1,3})?", value):
            raise ValueError("device must be cpu, gpu, gpu:N or auto")
        return value

    @field_validator("format")
    @classmethod
    def _format_known(cls, value: str | None) -> str | None:
        if value is None:
            return None
        try:
            return format_named(value).name
        except UsageError as error:
            raise ValueError(f"{error.message}; {error.hint}") from error

    def _settled(self) -> Options:
        """A style sets its dials, and a recipe what it names; what was asked for beside them stays."""
        asked = set(self.model_fields_set)
        if self.style is not None:
            for name in STYLES[self.style].keys() - asked:
                object.__setattr__(self, name, STYLES[self.style][name])
                asked.add(name)
        if self.stages == "0" and (idle := sorted(asked & FOR_ENLARGING)):
            raise UsageError("without stages nothing is enlarged, so it would do nothing", hint="drop it", subject=sizes.flag(idle[0]))
        if self.stages == "0" and not sizes.asked_sizes(self):
            object.__setattr__(self, "scale", 1.0)
        if self.recipe is not None:
            vain = FOR_ENLARGING if self.stages == "0" else set()
            for name, value in _of_recipe(self.recipe, resized=bool(sizes.asked_sizes(self))).items():
                if name in vain:
                    continue
                # Of a quality and a size of the file, the caller's goes before the recipe's.
                if name not in asked and {"quality": "max_size", "max_size": "quality"}.get(name) not in asked:
                    object.__setattr__(self, name, value)
        if self.on_doubt != "warn" and self.verify == "off":
            raise UsageError(f"{self.on_doubt} needs verify", hint="drop --verify off", subject="--on-doubt")
        if self.protect is not None:
            regions.parse(self.protect)
        if self.fill != "patches" and self.remove_object is None:
            raise UsageError("nothing is to be filled", hint="say --remove-object what", subject="--fill")
        if self.matte != "plain" and not self.remove_background:
            raise UsageError("nothing is to be cut out", hint="say --remove-background too", subject="--matte")
        if self.matte != "plain" and self.keep_shadow:
            raise UsageError(
                f"{self.matte} tells no shadow from the ground", hint="drop it, or take --matte plain", subject="--keep-shadow"
            )
        if self.keep_shadow and not self.remove_background:
            raise UsageError("shadows are kept where the ground goes", hint="say --remove-background too", subject="--keep-shadow")
        if self.backdrop is not None and not self.remove_background:
            raise UsageError(
                f"{self.backdrop} is a picture, which goes behind a subject that is cut out",
                hint="say --remove-background too, or name a colour",
                subject="--background",
            )
        if self.max_size is not None and self.quality is not None:
            raise UsageError("either a quality or a size of the file", hint="drop one of --quality and --max-size", subject="--max-size")
        sizes.check(self)
        return self

    @property
    def ground(self) -> str | None:
        """The background, where it is a colour."""
        return None if self.background is None or sizes.is_file(self.background) else self.background

    @property
    def backdrop(self) -> str | None:
        """The background, where it is the file of a picture."""
        return self.background if self.background is not None and sizes.is_file(self.background) else None

    def asked(self) -> dict[str, Any]:
        """What was asked for, to be handed on: ``Options(**asked)`` is the same, and does not take a default for a wish."""
        return self.model_dump(exclude_unset=True)

    def resolved(self) -> dict[str, Any]:
        """What differs from the defaults once styles and recipes are applied: ``Options(**resolved)`` does the same without them."""
        kept = set(STYLES[self.style]) if self.style is not None else set()
        dump = self.model_dump(exclude={"recipe"})
        return {
            name: value
            for name, value in dump.items()
            if name in kept or value != type(self).model_fields[name].get_default(call_default_factory=True)
        }

    @classmethod
    def of(cls, options: Options | None = None, **changes: Any) -> Options:
        """``options`` (or the defaults) with ``changes``, checked anew; a size takes the place of another. Raises :class:`UsageError`."""
        had = options.asked() if options is not None else {}
        if any(changes.get(name) is not None for name in sizes.SIZES):
            had = {name: value for name, value in had.items() if name not in sizes.SIZES}
        return cls(**{**had, **changes})


def _of_recipe(name: str, *, resized: bool) -> dict[str, Any]:
    """The options of a recipe; without its sizes where the caller has ``resized``."""
    from enlarger.recipes import recipe_named

    recipe = recipe_named(name)
    try:
        values = Options(**recipe.options)
    except UsageError as error:
        error.subject = f"recipe {name} in {recipe.path}: {error.subject}" if recipe.path else f"recipe {name}: {error.subject}"
        raise
    named = {*recipe.options, *(STYLES[values.style] if values.style is not None else ())}
    dropped = {*sizes.SIZES, *sizes.PLACING} if resized else set()
    return {field: getattr(values, field) for field in named - dropped}


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
