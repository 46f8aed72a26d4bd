"""What follows from what was seen: a verdict, its reasons in sentences, and advice."""

from __future__ import annotations

from dataclasses import dataclass, field

from enlarger.looks.lettering import LEGIBLE
from enlarger.seen import Advice, Advised, Answer, Kind, Questions, TriageMeasures

# Limits. Noise in steps of 255, blur in pixels, JPEG as libjpeg's quality; "some" asks for care, "much" for cleaning first.
NOISE_SOME, NOISE_MUCH, NOISE_HOPELESS = 3.5, 9.0, 40.0
JPEG_SOME, JPEG_MUCH, JPEG_HOPELESS = 72, 45, 8
BLOCKS_SOME, BLOCKS_MUCH = 1.0, 2.2
SOFT, BLURRED, HOPELESS_BLUR = 0.9, 1.6, 8.0
OVERSIZE = 1.6
SHARP = 0.5
SMALL, TINY = 200, 48
"""Pixels along the longer side, of real resolution, below which a photograph is small, and below which there is nothing to go by."""

BASE: dict[Kind, float] = {"photo": 4, "illustration": 6, "pixel-art": 16, "document": 4, "line-art": 8, "unknown": 3}
"""How far a flawless source of each kind holds up."""

RECIPES: dict[Kind, tuple[str, str, str]] = {
    "photo": ("photo", "ncnn", "enlarger-photo-x4"),
    "illustration": ("art", "ncnn", "enlarger-art-x4"),
    "line-art": ("art", "ncnn", "enlarger-art-x4"),
    "pixel-art": ("pixel-art", "pixelart", "blocks"),
    "document": ("document", "ncnn", "enlarger-photo-x4"),
    "unknown": ("photo", "ncnn", "enlarger-photo-x4"),
}
"""Recipe, engine and model per kind."""

RANK: dict[Advised, int] = {"upscale": 0, "gently": 1, "clean-first": 2, "shrink-first": 3, "regenerate": 4}


@dataclass
class _Case:
    """The verdict so far: it only gets graver; ``factor`` is what flaws leave of the scale."""

    verdict: Advised = "upscale"
    reasons: list[str] = field(default_factory=list)
    factor: float = 1.0

    def add(self, verdict: Advised, reason: str, factor: float = 1.0) -> None:
        if RANK[verdict] > RANK[self.verdict]:
            self.verdict = verdict
        self.reasons.append(reason)
        self.factor *= factor


def judge(kind: Kind, seen: TriageMeasures) -> tuple[Advised, tuple[str, ...], Advice]:
    """Verdict, reasons (the gravest finding need not come first) and advice."""
    case = _Case()
    oversize = _resolution(case, kind, seen)
    _compression(case, kind, seen)
    _noise(case, kind, seen)
    _light(case, kind, seen)
    _details(case, kind, seen)
    if not case.reasons:
        case.reasons.append("Clean and sharp: nothing stands against enlarging it.")
    limit = _limit(kind, seen, case.factor, oversize)
    if case.verdict == "upscale" and limit < 2:
        case.verdict = "gently"
    recipe, engine, model = _means(kind, seen, case.verdict)
    shrink = None
    if case.verdict == "shrink-first" and oversize is not None:
        shrink = max(1, round(seen.width / oversize[0])), max(1, round(seen.height / oversize[1]))
    fragile = case.verdict in ("gently", "clean-first") and kind != "pixel-art"
    questions = Questions(subject_clear=_subject(case.verdict, seen), edges_present=_edges(seen), text_intact=_letters(seen))
    advice = Advice(scale_limit=limit, fragile=fragile, recipe=recipe, engine=engine, model=model, shrink_to=shrink, questions=questions)
    return case.verdict, tuple(case.reasons), advice


def _resolution(case: _Case, kind: Kind, seen: TriageMeasures) -> tuple[float, float] | None:
    """Says whether there are more pixels than detail; by how much, across and down."""
    grid = seen.pixel_grid
    if grid is not None and grid.width * grid.height > 1:
        case.add("shrink-first", f"Every pixel of the drawing is a block of {grid.width} x {grid.height}: it was enlarged before.")
        return float(grid.width), float(grid.height)
    if kind == "pixel-art":
        if max(seen.width, seen.height) < 8:
            case.add("gently", "It is only a few pixels.")
        return None
    factor = seen.oversize if seen.oversize is not None and seen.oversize >= OVERSIZE else None
    blur = seen.blur
    real = max(seen.width, seen.height) / (factor or 1)
    tiny = TINY if kind in ("photo", "document", "unknown") else TINY / 2
    if real < tiny:
        size = f"{seen.width}x{seen.height}" if factor is None else f"about {round(seen.width / factor)}x{round(seen.height / factor)}"
        case.add("regenerate", f"There is too little to go by: its real resolution is {size} pixels.", 0.5)
        return None
    if blur is not None and blur > HOPELESS_BLUR:
        case.add("regenerate", f"It is blurred beyond repair: no edge is sharper than {blur:.0f} pixels.", 0.25)
        return None
    if factor is not None and (blur is None or blur > SOFT * 0.75):
        small = f"{round(seen.width / factor)}x{round(seen.height / factor)}"
        case.add("shrink-first", f"It has detail for about {small} only: it was enlarged before, or is out of focus by as much.")
        return factor, factor
    if blur is not None and blur > BLURRED:
        case.add("gently", f"Even its sharpest edges are soft (blur of {blur:.1f} pixels).", SHARP * 2 / blur)
    elif blur is not None and blur > SOFT:
        case.add("upscale", f"It is a little soft (blur of {blur:.1f} pixels).", 0.8)
    if real < SMALL and kind in ("photo", "unknown"):
        case.add("gently", "It is small: faces and fine detail will have to be guessed.", 0.75)
    return None


def _compression(case: _Case, kind: Kind, seen: TriageMeasures) -> None:
    quality, damage = seen.jpeg.quality, seen.jpeg.damage
    if kind == "pixel-art" and quality is None:
        return
    former = " (it was a JPEG before)" if seen.jpeg.found == "content" else ""
    if quality is not None and quality <= JPEG_HOPELESS:
        case.add("regenerate", f"JPEG has left little of it: quality {quality}{former}.", 0.25)
    elif (quality is not None and quality <= JPEG_MUCH) or (damage is not None and damage >= BLOCKS_MUCH):
        said = f"quality {quality}{former}" if quality is not None else "its blocks show"
        case.add("clean-first", f"JPEG has damaged it: {said}.", 0.5)
    elif (quality is not None and quality <= JPEG_SOME) or (damage is not None and damage >= BLOCKS_SOME):
        said = f"quality {quality}{former}" if quality is not None else "its blocks show faintly"
        case.add("gently", f"JPEG has left traces: {said}.", 0.75)


def _noise(case: _Case, kind: Kind, seen: TriageMeasures) -> None:
    noise = seen.noise * 255
    if kind == "pixel-art":
        return
    if noise >= NOISE_HOPELESS:
        case.add("regenerate", f"There is more noise than picture (deviation {noise:.0f} of 255).", 0.25)
    elif noise >= NOISE_MUCH:
        case.add("clean-first", f"It is very noisy (deviation {noise:.0f} of 255).", 0.5)
    elif noise >= NOISE_SOME:
        case.add("gently", f"It is noisy (deviation {noise:.1f} of 255).", 0.75)


def _light(case: _Case, kind: Kind, seen: TriageMeasures) -> None:
    if kind not in ("photo", "unknown"):
        return
    if seen.light.low:
        case.add("gently", "It was taken in low light: shadows hold little detail.", 0.75)
    for shares, word in ((seen.light.white, "highlights"), (seen.light.black, "shadows")):
        lost = min(shares)
        # A plain white ground is meant to be white.
        plain = seen.background.share if seen.background.colour in ("#ffffff", "#000000") else 0.0
        if lost - plain > 0.1:
            case.add("upscale", f"{lost:.0%} of it is clipped {word}, which nothing brings back.")


def _details(case: _Case, kind: Kind, seen: TriageMeasures) -> None:
    text = seen.text
    if text.present and text.legible is False and text.x_height is not None:
        case.add("gently", f"Its text is too small to be sure of every letter (an x is {text.x_height:.0f} pixels high).", 0.5)
    if seen.faces and min(seen.width, seen.height) < 2 * SMALL and kind == "photo":
        case.add("gently", "It shows faces at a low resolution: look at them before you go on.", 0.75)
    if kind == "unknown":
        case.add("gently", "It is not clear what kind of picture this is.")


def _limit(kind: Kind, seen: TriageMeasures, factor: float, oversize: tuple[float, float] | None) -> float:
    """How far it holds up, counted from its own size: whole numbers from 2 on, else halves."""
    limit = BASE[kind] * factor
    if oversize is not None:
        # Pixel art that is enlarged by whole blocks may have any size; what is soft has spent part of its limit already.
        limit = limit if kind == "pixel-art" else limit / max(oversize)
    limit = max(1.0, min(limit, 16.0))
    return float(int(limit)) if limit >= 2 else int(limit * 2) / 2


def _means(kind: Kind, seen: TriageMeasures, verdict: Advised) -> tuple[str, str, str]:
    recipe, engine, model = RECIPES[kind]
    if kind == "document" and seen.text.legible is False:
        return recipe, "resample", "lanczos3"
    if kind == "photo":
        if verdict in ("clean-first", "regenerate") or (seen.light.low and seen.noise * 255 >= NOISE_SOME):
            return "restore", "ncnn", "enlarger-restore-x4"
        if (seen.background.colour is not None and seen.background.share >= 0.35) or seen.alpha.clear >= 0.2:
            return "catalog", engine, model
    return recipe, engine, model


def _edges(seen: TriageMeasures) -> Answer:
    if seen.pixel_grid is not None and seen.pixel_grid.width > 1:
        return "yes"
    if seen.blur is None:
        return "unknown"
    return "yes" if seen.blur <= BLURRED else "partly" if seen.blur <= 2 * BLURRED else "no"


def _subject(verdict: Advised, seen: TriageMeasures) -> Answer:
    """As far as sharpness, light and noise tell; what the subject is nobody asks here."""
    edges = _edges(seen)
    if verdict == "regenerate":
        return "no"
    if edges in ("unknown", "no"):
        return edges
    return "partly" if edges == "partly" or seen.light.low or seen.noise * 255 >= NOISE_MUCH else "yes"


def _letters(seen: TriageMeasures) -> Answer:
    """``unknown`` also where there is no text."""
    if not seen.text.present or seen.text.x_height is None:
        return "unknown"
    return "yes" if seen.text.x_height >= 1.4 * LEGIBLE else "partly" if seen.text.legible else "no"
