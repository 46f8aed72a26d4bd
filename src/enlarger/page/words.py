"""What the page says: verdicts, measures and figures in words for people."""

from __future__ import annotations

import math
from pathlib import PurePath

from enlarger.fidelity import Fidelity, Measure
from enlarger.report import OutputInfo, Report, SourceInfo

TITLES = {
    "registration": ("Position", "Does every detail lie where the source has it?"),
    "consistency": ("Likeness", "Made small again, is the result the source?"),
    "colour": ("Colour", "Are the colours those of the source?"),
    "white": ("White and black", "Do pure white and pure black stay pure?"),
    "seams": ("Seams", "Can one see where parts of the picture were put together?"),
    "texture": ("Fine detail", "Is there as much fine detail as the source lets one expect?"),
    "noise": ("Flat areas", "Are areas that are flat in the source still flat?"),
    "ringing": ("Edges", "Are edges free of bright and dark halos?"),
    "instability": ("Stability", "Does the same come out when the source is turned or mirrored?"),
    "text": ("Text", "Does it still read the same?"),
    "faces": ("Faces", "Are the faces those of the source?"),
}
VERDICTS = {"pass": "Passed", "doubtful": "Doubtful", "fail": "Failed", "unchecked": "Not checked"}
MARKS = {"pass": "\u2713", "doubtful": "?", "fail": "\u2715", "unchecked": "\u2013"}
DIALS = {
    "resemblance": "0 the engine\u2019s raw answer, 50 locked to the source, 100 closest to it",
    "detail": "how much fine detail shows; 50 as the engine made it",
    "texture": "how much natural grain is restored; up to 50 none",
    "creativity": "how much may be invented",
}
STEPS = {
    "plan": "Planning",
    "decode": "Reading the source",
    "triage": "Looking at what ails it",
    "enlarge": "Enlarging",
    "engine": "of which the engine",
    "prepare": "Repairing the source",
    "lock": "Colour lock and dials",
    "protect": "Keeping nets off",
    "polish": "Sharpening and grain",
    "verify": "Checking",
    "encode": "Writing and reading back",
    "report": "This report",
    "total": "Total",
}


def title(name: str) -> str:
    return TITLES[name][0] if name in TITLES else name.replace("_", " ").replace("-", " ").capitalize()


def verdict_of(fidelity: Fidelity | None) -> str:
    return fidelity.verdict if fidelity is not None else "unchecked"


def headline(fidelity: Fidelity | None) -> str:
    """The verdict in one sentence."""
    if fidelity is None:
        return "Not checked."
    bad = [title(name).lower() for name, measure in fidelity.measures.items() if measure.verdict == fidelity.verdict]
    named = listed(bad)
    if fidelity.verdict == "pass":
        return "True to its source in all that was measured." if fidelity.measures else "Nothing could be measured."
    if fidelity.verdict == "doubtful":
        return f"Worth a second look: {named}." if bad else "Worth a second look."
    return f"Not true to its source: {named}." if bad else "Not true to its source."


def explanation(fidelity: Fidelity | None) -> str:
    if fidelity is None:
        return "Verify did not run, so nothing here says whether the result is true to its source. The pictures let you judge yourself."
    count, passed = len(fidelity.measures), sum(m.verdict == "pass" for m in fidelity.measures.values())
    of = "All" if passed == count else f"{number(passed).capitalize()} of"
    done = f"{of} {number(count)} measures passed." if count != 1 else f"The one measure {'passed' if passed else 'did not pass'}."
    left = len(fidelity.not_checked)
    rest = f" {number(left).capitalize()} {'was' if left == 1 else 'were'} not checked; why is said below." if left else ""
    return (done if count else "Nothing could be measured.") + rest


def number(count: int) -> str:
    words = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
    return words[count] if count < len(words) else str(count)


def listed(words: list[str]) -> str:
    return " and ".join(filter(None, (", ".join(words[:-1]), *words[-1:])))


def figure(measure: Measure) -> str:
    """The value with its unit, in as many digits as mean something."""
    return f"{rounded(measure.value)} {unit(measure.unit)}".strip()


def limit(measure: Measure) -> str:
    if measure.limit is None:
        return ""
    return f"limit {rounded(measure.limit)}"


def unit(name: str) -> str:
    return {"source px": "source pixels", "1/255": "of 255"}.get(name, name)


def rounded(value: float) -> str:
    if not math.isfinite(value):
        return "\u221e" if value > 0 else "\u2013\u221e" if value < 0 else "not a number"
    if value != 0 and abs(value) < 0.005:
        return "under 0.01" if value > 0 else "about 0"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}".rstrip("0").rstrip(".")


def size(pixels: tuple[int, int]) -> str:
    return f"{pixels[0]:,} \u00d7 {pixels[1]:,}".replace(",", "\u202f")


def length(count: int | None) -> str:
    """Bytes for people; kB is 1000 bytes."""
    if not count:
        return ""
    for name, unit in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if count >= unit:
            return f"{count / unit:.3g} {name}" if count < 100 * unit else f"{count / unit:.0f} {name}"
    return f"{count} bytes"


def seconds(value: float) -> str:
    if value >= 120:
        return f"{value // 60:.0f} min {value % 60:.0f} s"
    return f"{value:.1f} s" if value >= 10 else f"{value:.2f} s"


def times(report: Report) -> str:
    return f"{report.plan.scale:.3g}\u00d7"


def name_of(report: Report) -> str:
    """The source without its folders."""
    return PurePath(report.source.name.replace("\\", "/")).name or report.source.name or "a picture"


def depth(of: SourceInfo | OutputInfo) -> str:
    what = "grey" if of.channels == 1 else "colour"
    return f"{'32-bit float' if of.bits == 32 else f'{of.bits}-bit'} {what}{' with transparency' if of.alpha else ''}"
