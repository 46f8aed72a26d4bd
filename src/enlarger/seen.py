"""Triage: what a source is, what ails it, and what to do about that. Frozen, typed, JSON-able."""

from __future__ import annotations

from typing import Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

Kind: TypeAlias = Literal["photo", "illustration", "pixel-art", "document", "line-art", "unknown"]
Advised: TypeAlias = Literal["upscale", "gently", "clean-first", "shrink-first", "regenerate"]
Answer: TypeAlias = Literal["yes", "partly", "no", "unknown"]


class Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Jpeg(Frozen):
    """What JPEG did. ``quality`` is libjpeg's 1 to 100, read from the file's ``tables`` or, where the file is none, found by ``content``
    (``found``). ``damage`` is by how much neighbours differ across block lines more than elsewhere, in steps of 255; ``grid`` is the
    first corner of a block, where blocks show."""

    quality: int | None = None
    found: Literal["tables", "content"] | None = None
    damage: float | None = None
    grid: tuple[int, int] | None = None


class Light(Frozen):
    """Luma, 0 to 1: its mean and median; ``low`` if it was taken in low light, or is as dark. ``black`` and ``white`` are the shares of
    samples at either end, per channel."""

    mean: float
    median: float
    low: bool
    black: tuple[float, ...]
    white: tuple[float, ...]


class Background(Frozen):
    """The share of the picture that is one plain colour, and that colour as ``#rrggbb`` if the share is 0.08 or more."""

    share: float
    colour: str | None


class PixelGrid(Frozen):
    """The side of the blocks that a pixel of the drawing was enlarged to, and where one begins. 1 x 1 if every pixel is its own."""

    width: int
    height: int
    x: int = 0
    y: int = 0


class Text(Frozen):
    """Rows of letters: whether there are some (``None`` if that cannot be told), the height of an x in pixels, and whether people can
    read letters of that height. Nothing is read."""

    present: bool | None
    x_height: float | None = None
    legible: bool | None = None


class Alpha(Frozen):
    """Transparency: ``binary`` is either-or, ``soft`` has something in between; ``clear`` is the share that is fully transparent."""

    kind: Literal["none", "binary", "soft"]
    clear: float = 0.0


class TriageMeasures(Frozen):
    """What was measured. ``None`` is said wherever a picture does not tell.

    ``noise`` is its standard deviation, white being 1. ``blur`` is the standard deviation in pixels of the Gaussian that makes edges as
    soft as the sharpest here (0.3 to 0.6 in sharp pictures). ``oversize`` is the factor by which the picture can be shrunk until it is
    as sharp as pixels can be: 2 for one that was enlarged twice. ``faces`` are counted where the detector is installed.
    """

    width: int
    height: int
    noise: float
    blur: float | None
    jpeg: Jpeg
    oversize: float | None
    light: Light
    background: Background
    pixel_grid: PixelGrid | None
    text: Text
    faces: int | None
    alpha: Alpha


class Questions(Frozen):
    """The four questions to ask before enlarging. Whether the composition is worth keeping only a person can say."""

    subject_clear: Answer
    edges_present: Answer
    text_intact: Answer
    composition_worth_keeping: Literal["only you can say"] = "only you can say"


class Advice(Frozen):
    """What to do: how far the picture holds up, whether to go 2x and look before going on (``fragile``), and with what.

    ``shrink_to`` is the size to bring it to first, where the verdict is ``shrink-first``; ``scale_limit`` counts from the source's size.
    """

    scale_limit: float
    fragile: bool
    recipe: str
    engine: str
    model: str
    shrink_to: tuple[int, int] | None = None
    questions: Questions


class Triage(Frozen):
    """What one source is and what to do with it. ``confidence`` (0 to 1) is that in ``kind``; ``reasons`` are sentences for people."""

    path: str
    kind: Kind
    confidence: float = Field(ge=0, le=1)
    measures: TriageMeasures
    verdict: Advised
    reasons: tuple[str, ...]
    advice: Advice
