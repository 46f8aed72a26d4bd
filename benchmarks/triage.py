"""Triage against truth: kinds on pictures whose kind is known, damage at known levels, and the time it takes.

``python benchmarks/triage.py --cache FOLDER --photos FOLDER --more-photos FOLDER [--fit] [--fresh] [--write]``

Pictures are fetched and drawn by triage_pictures.py (tools of Debian, npm and PyPI, Chromium) into the cache; photographs are folders of
sharp ones that you have. The first pictures come from those of ``--photos`` in many ways, and from ``--more-photos`` as they are.
``python -m training.glance`` makes the small net from the side for tuning, ``--fit`` then ``looks/kinds.json``; ``--write`` puts the
tables into docs/triage.md.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import random
import statistics
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import PIL.ImageDraw
import PIL.ImageFilter
import PIL.ImageFont
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).parent))
import common
import triage_drawn as drawn
import triage_folders as folders
import triage_pictures as pictures

from enlarger.image import Image
from enlarger.looks import glance, lattice, lettering
from enlarger.looks.features import NAMES, WORDED, worded
from enlarger.looks.kind import FARTHEST, SURE, Model, model
from enlarger.looks.sample import sample
from enlarger.steps.damage import noise
from enlarger.steps.decode import decode
from enlarger.steps.triage import measure, triage

ROOT = Path(__file__).parents[1]
COEFFICIENTS = ROOT / "src/enlarger/looks/kinds.json"
PAGE = ROOT / "docs/triage.md"
NET = ("glance.py", "glance.param", "glance.bin", "sample.py")
MAKERS = ("features.py", "texture.py", "sample.py", "lattice.py", "lettering.py", "light.py")
KINDS = glance.KINDS
RIDGE, STEPS, RATE = 1e-2, 1000, 0.05
PHOTOS_FIRST = 3.0
"""How much more photographs weigh than each other kind: people bring more, and lose more by advice that is meant for drawings."""


def in_words(path: Path) -> list[float]:
    picture = decode(path)
    looked = sample(picture)
    grain = noise(picture.samples[..., 0 if picture.channels == 1 else 1])
    return worded(looked, grain, lattice.lattice(looked.crops), lettering.lettering(looked.crops))


def at_a_glance(path: Path) -> list[float]:
    return glance.glance(sample(decode(path)))


def features(cache: Path, paths: list[Path]) -> NDArray[np.float64]:
    """Those of each picture, in the order of NAMES."""
    return np.hstack([figures(cache, paths, in_words, MAKERS), figures(cache, paths, at_a_glance, NET)])


def figures(cache: Path, paths: list[Path], shown: Callable[[Path], list[float]], makers: tuple[str, ...]) -> NDArray[np.float64]:
    """What ``shown`` says of each picture; kept in the cache until the files that it comes from change."""
    code = b"".join((ROOT / "src/enlarger/looks" / name).read_bytes() for name in sorted(makers))
    kept_at = cache / f"figures-{hashlib.sha256(code).hexdigest()[:12]}.npz"
    kept: dict[str, NDArray[np.float64]] = {}
    if kept_at.exists():
        with np.load(kept_at) as told:
            kept = {name: told["values"][i] for i, name in enumerate(told["names"].tolist())}
    names = [f"{path.relative_to(cache)} {path.stat().st_mtime_ns}" for path in paths]
    missing = [i for i, name in enumerate(names) if name not in kept]
    for i in missing:
        kept[names[i]] = np.array(shown(paths[i]), np.float64)
    if missing:
        np.savez_compressed(kept_at, names=np.array(list(kept)), values=np.array(list(kept.values())))
    return np.array([kept[name] for name in names])


def fit(values: NDArray[np.float64], kinds: NDArray[np.int64], origins: list[str]) -> Model:
    """Multinomial logistic regression with a ridge, by Adam, on the figures in words, beside what the net says.

    Every kind weighs the same, and in it every origin as the root of its size. Both parts speak with equal weight: fitted together, the
    regression trusted figures that know a source rather than a kind (the left-out sources were told worse).
    """
    mean, deviation = values.mean(0), values.std(0) + 1e-3
    every = np.clip((values - mean) / deviation, -FARTHEST, FARTHEST)
    scaled = np.c_[every[:, : len(WORDED)], np.ones(len(values))]
    pairs = list(zip(kinds.tolist(), origins, strict=True))
    sizes = Counter(pairs)
    share = np.array([sizes[pair] ** -0.5 for pair in pairs])
    share /= np.bincount(kinds, share, len(KINDS))[kinds]
    share *= np.where(kinds == 0, PHOTOS_FIRST, 1.0)
    share /= share.sum()
    truth, weights = np.eye(len(KINDS))[kinds], np.zeros((scaled.shape[1], len(KINDS)))
    first, second = np.zeros_like(weights), np.zeros_like(weights)
    for i in range(1, STEPS + 1):
        scores = scaled @ weights
        chances = np.exp(scores - scores.max(1, keepdims=True))
        chances /= chances.sum(1, keepdims=True)
        slope = scaled.T @ ((chances - truth) * share[:, None])
        slope[:-1] += RIDGE * weights[:-1]
        first, second = 0.9 * first + 0.1 * slope, 0.999 * second + 0.001 * slope**2
        weights -= RATE * (first / (1 - 0.9**i)) / (np.sqrt(second / (1 - 0.999**i)) + 1e-9)
    # What a view of the net says for a kind counts as it is, and for no other kind.
    said = np.tile(np.eye(len(KINDS)), (len(glance.VIEWS), 1))
    heard = said * deviation[len(WORDED) :, None]
    start = weights[-1] + mean[len(WORDED) :] @ said
    return Model(KINDS, mean, deviation, np.vstack([weights[:-1], heard, start]))  # type: ignore[arg-type]


def left_out(values: NDArray[np.float64], kinds: NDArray[np.int64], origins: list[str]) -> NDArray[np.float64]:
    """Probabilities of each picture by a fit without all that comes from where it comes from."""
    chances, where = np.zeros((len(values), len(KINDS))), np.array(origins)
    for origin in sorted(set(origins)):
        own = where == origin
        chances[own] = fit(values[~own], kinds[~own], where[~own].tolist()).probabilities(values[own])
    return chances


def tempered(fitted: Model, chances: NDArray[np.float64], kinds: NDArray[np.int64]) -> Model:
    """The same with scores divided by what makes ``chances``, of sources that were left out, likeliest: on new sources it is less sure."""
    scores = np.log(np.maximum(chances, 1e-12))
    share = 1 / np.bincount(kinds, minlength=len(KINDS))[kinds]

    def loss(heat: float) -> float:
        powers = np.exp((scores - scores.max(1, keepdims=True)) / heat)
        return float(-(share * np.log(powers[np.arange(len(kinds)), kinds] / powers.sum(1))).sum())

    return replace(fitted, weights=fitted.weights / min(np.arange(1, 4.01, 0.05).tolist(), key=loss))


def left(chances: NDArray[np.float64], kinds: NDArray[np.int64], origins: list[str]) -> dict[str, list[float]]:
    """Of each kind the share that is right with its source left out: of all pictures, and the mean over sources."""
    right, where = (chances.argmax(1) == kinds) & (chances.max(1) >= SURE), np.array(origins)
    told = {}
    for number, kind in enumerate(KINDS):
        own = kinds == number
        each = [float(right[own & (where == origin)].mean()) for origin in sorted(set(where[own]))]
        told[kind] = [round(float(right[own].mean()), 3), round(statistics.mean(each), 3), int(own.sum()), len(each)]
    return told


def save(fitted: Model, told_left: dict[str, list[float]]) -> None:
    rows = [
        {"name": name, "mean": round(m, 5), "deviation": round(d, 5), "weights": [round(v, 4) for v in w]}
        for name, m, d, w in zip(NAMES, fitted.mean.tolist(), fitted.deviation.tolist(), fitted.weights[:-1].tolist(), strict=True)
    ]
    told = {
        "about": "What each feature, in deviations from its mean, adds to the score of each kind. Made by benchmarks/triage.py --fit.",
        "left_out": told_left,
        "kinds": KINDS,
        "start": [round(v, 4) for v in fitted.weights[-1].tolist()],
        "features": rows,
    }
    lines = json.dumps(told, indent=1).replace("\n   ", " ").replace("\n  ]", " ]").replace("\n  }", " }")
    COEFFICIENTS.write_text(lines + "\n", "utf-8")


def confusion(paths: list[Path], values: NDArray[np.float64], fitted: Model) -> tuple[str, float]:
    """A table in Markdown, and the share that is right."""
    counts, right = np.zeros((len(KINDS), len(KINDS) + 1), int), 0
    for path, row in zip(paths, values, strict=True):
        chances = fitted.probabilities(row)
        best = int(chances.argmax())
        known = KINDS.index(path.parent.name)
        counts[known, best if chances[best] >= SURE else len(KINDS)] += 1
        right += best == known and chances[best] >= SURE
    head = "| is \\ said | " + " | ".join([*KINDS, "unknown"]) + " | right |\n|" + "---|" * (len(KINDS) + 3) + "\n"
    rows = (
        f"| {kind} | {' | '.join(map(str, row))} | {row[i] / row.sum():.0%} |"
        for i, (kind, row) in enumerate(zip(KINDS, counts, strict=True))
        if row.any()
    )
    return head + "\n".join(rows), right / len(paths)


def rates(paths: list[Path], values: NDArray[np.float64]) -> list[common.Row]:
    """Of each kind the percentage that is right, on the fresh side (if it is measured) and with sources left out."""
    chances = model().probabilities(values)
    said = np.where(chances.max(1) >= SURE, chances.argmax(1), -1) if len(values) else np.empty(0)
    rows = []
    for number, kind in enumerate(KINDS):
        own = [i for i, path in enumerate(paths) if path.parent.name == kind]
        if own:
            right = 100 * float((said[own] == number).mean())
            rows.append(common.row(f"fresh: {kind} right", "%", [right], better="higher", target=95.0, note=f"of {len(own)}"))
    for kind, (of_all, _, count, _) in json.loads(COEFFICIENTS.read_text("utf-8"))["left_out"].items():
        rows.append(common.row(f"left out: {kind} right", "%", [100 * of_all], better="higher", target=95.0, note=f"of {count}"))
    return rows


# --- damage at known levels -----------------------------------------------------------------------------------------------


def bases(folder: Path, count: int = 8) -> list[PIL.Image.Image]:
    """Sharp, clean photographs: reduced by two, so that neither noise nor compression is left of them; 800 x 640 of each."""
    paths = [p for p in sorted(folder.iterdir()) if p.suffix in (".webp", ".png", ".jpg") and pictures.photographed(p)]
    found = []
    for path in paths[:: max(1, len(paths) // count)][:count]:
        with PIL.Image.open(path) as opened:
            whole = opened.convert("RGB")
        found.append(whole.resize((whole.width // 2, whole.height // 2), PIL.Image.Resampling.LANCZOS).crop((0, 0, 800, 640)))
    return found


def jpeg(picture: PIL.Image.Image, quality: int) -> bytes:
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=quality)
    return out.getvalue()


def noisy(picture: PIL.Image.Image, sigma: float) -> PIL.Image.Image:
    values = np.asarray(picture, np.float32) + np.random.default_rng(1).normal(0, sigma, (picture.height, picture.width, 3))
    return PIL.Image.fromarray(np.clip(np.rint(values), 0, 255).astype(np.uint8))


def once_jpeg(picture: PIL.Image.Image, quality: int, i: int) -> Image:
    """A JPEG that was decoded, cut anywhere, and came as something else."""
    opened = PIL.Image.open(io.BytesIO(jpeg(picture, quality)))
    return decode(np.asarray(opened.crop((i * 3 % 8, i * 5 % 8, opened.width, opened.height))))


def enlarged(picture: PIL.Image.Image, factor: float, kernel: PIL.Image.Resampling, quality: int | None) -> Image:
    part = picture.crop((0, 0, 500, 400))
    part = part.resize((round(500 * factor), round(400 * factor)), kernel)
    return decode(np.asarray(part)) if quality is None else decode(jpeg(part, quality))


def levels(found: list[float | None]) -> str:
    """Median, and what the middle 80 % lie between."""
    known = [value for value in found if value is not None]
    if not known:
        return "nothing said"
    low, middle, high = np.percentile(known, (10, 50, 90))
    missed = f", {len(found) - len(known)} of {len(found)} not told" if len(known) < len(found) else ""
    return f"{middle:.3g} ({low:.3g} to {high:.3g}{missed})"


def damages(sharp: list[PIL.Image.Image]) -> str:
    """The tables of blur, noise, JPEG and enlargement."""

    def said(makes: Callable[[PIL.Image.Image, int], Image], what: Callable[[Any], float | None]) -> str:
        return levels([what(measure(makes(p, i))[0]) for i, p in enumerate(sharp)])

    lines = ["| Gaussian blur, px | `blur` | under noise of 4/255 |", "|---|---|---|"]
    for sigma in (0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0):
        soft = PIL.ImageFilter.GaussianBlur(sigma)
        plain = said(lambda p, i, f=soft: decode(np.asarray(p.filter(f))), lambda m: m.blur)
        lines.append(f"| {sigma:g} | {plain} | {said(lambda p, i, f=soft: decode(np.asarray(noisy(p.filter(f), 4))), lambda m: m.blur)} |")
    lines += ["", "| white noise, of 255 | `noise` x 255 |", "|---|---|"]
    for sigma in (0.0, 2.0, 5.0, 10.0, 20.0):
        lines.append(f"| {sigma:g} | {said(lambda p, i, s=sigma: decode(np.asarray(noisy(p, s))), lambda m: m.noise * 255)} |")
    lines += [
        "",
        "| JPEG quality | from the tables | by content, saved as PNG | `damage` of blocks | grid found |",
        "|---|---|---|---|---|",
    ]
    for quality in (20, 30, 50, 70, 80, 90, 95):
        direct = said(lambda p, i, q=quality: decode(jpeg(p, q)), lambda m: m.jpeg.quality)
        seen = [measure(once_jpeg(p, quality, i))[0].jpeg for i, p in enumerate(sharp)]
        right = sum(one.grid == (-(i * 3) % 8, -(i * 5) % 8) for i, one in enumerate(seen))
        lines.append(
            f"| {quality} | {direct} | {levels([s.quality for s in seen])} | {levels([s.damage for s in seen])} | {right} of {len(seen)} |"
        )
    none = [measure(decode(np.asarray(p)))[0].jpeg.quality for p in sharp]
    lines += [f"| none | | {levels(none)} | | |"]
    lines += ["", "| enlarged before by | kernel | `oversize` | then JPEG 85 |", "|---|---|---|---|"]
    for name in ("BILINEAR", "BICUBIC", "LANCZOS"):
        kernel = PIL.Image.Resampling[name]
        for factor in (1.0, 1.5, 2.0, 3.0, 4.0):
            clean, after = (said(lambda p, i, f=factor, k=kernel, q=q: enlarged(p, f, k, q), lambda m: m.oversize) for q in (None, 85))
            lines.append(f"| {factor:g} | {name.lower()} | {clean} | {after} |")
    return "\n".join(lines)


def letters() -> str:
    """x-heights of Pillow's own drawing against what triage says."""
    lines = ["| x-height of the font, px | `text.x_height`, over fonts |", "|---|---|"]
    for height in (5, 6, 8, 10, 14, 20, 30):
        found = []
        for name in drawn.FONTS:
            size = next(s for s in range(4, 90) if x_height(name, s) >= height)
            found.append(measure(decode(page(name, size)))[0].text.x_height)
        lines.append(f"| {height} | {levels(found)} |")
    return "\n".join(lines)


def x_height(name: str, size: int) -> int:
    _, top, _, bottom = PIL.ImageFont.truetype(f"{name}.ttf", size).getbbox("x")
    return int(bottom - top)


def page(name: str, size: int) -> NDArray[np.uint8]:
    sheet = PIL.Image.new("L", (900, 900), 255)
    draw, font = PIL.ImageDraw.Draw(sheet), PIL.ImageFont.truetype(f"{name}.ttf", size)
    for i, y in enumerate(range(30, 850, round(1.5 * size))):
        draw.text((30, y), " ".join(drawn.WORDS[i * 20 :][:60]), 0, font)
    return np.asarray(sheet)


def pixel_blocks(cache: Path) -> str:
    """Sprites enlarged by whole blocks and cut anywhere: how many are told rightly, with phase."""
    units = cache / "x/wesnoth-1.16-data/usr/share/games/wesnoth/1.16/data/core/images/units"
    sprites = list(pictures.files(units, random.Random(3), 60, pictures.sized(60, 100)))
    lines = ["| block | right, with phase | said to be 1 | not told |", "|---|---|---|---|"]
    for side in (1, 2, 3, 4, 6, 8):
        right = one = silent = 0
        for i, sprite in enumerate(sprites):
            width, height = sprite.width * side, sprite.height * side
            big = sprite.resize((width, height), PIL.Image.Resampling.NEAREST).crop((i % side, i * 3 % side, width, height))
            said = measure(decode(np.asarray(big)))[0].pixel_grid
            truth = (side, side, -i % side, -i * 3 % side)
            right += said is not None and (said.width, said.height, said.x, said.y) == truth
            one += said is not None and said.width == 1 and side > 1
            silent += said is None
        lines.append(f"| {side} | {right} of {len(sprites)} | {one} | {silent} |")
    return "\n".join(lines)


def seconds(folder: Path) -> str:
    """Of triage alone, decoding excluded, for 4 MP."""
    with PIL.Image.open(next(p for p in sorted(folder.iterdir()) if pictures.photographed(p))) as opened:
        picture = decode(np.asarray(opened.convert("RGB").resize((2448, 1634))))
    spent, worked = [], []
    for _ in range(7):
        start, busy = time.perf_counter(), time.process_time()
        triage(picture)
        spent.append(time.perf_counter() - start)
        worked.append(time.process_time() - busy)
    size = f"{picture.width}x{picture.height}"
    told = f"{statistics.median(spent):.2f} s ({min(spent):.2f} to {max(spent):.2f}) for {size}, decoding excluded"
    return f"{told}; {min(worked):.2f} s of processor time"


def told(paths: list[Path], values: NDArray[np.float64]) -> str:
    table, right = confusion(paths, values, model())
    return f"{table}\n\n{right:.1%} of {len(paths)} are right.\n"


def without() -> str:
    """What the coefficients' file says of sources that were left out."""
    rows = json.loads(COEFFICIENTS.read_text("utf-8"))["left_out"].items()
    body = "\n".join(f"| {kind} | {sources} | {count} | {of_all:.0%} | {by:.0%} |" for kind, (of_all, by, count, sources) in rows)
    return "| kind | sources | pictures | right, of all pictures | right, mean over sources |\n|---|---|---|---|---|\n" + body


def tables(args: argparse.Namespace, paths: list[Path], values: NDArray[np.float64]) -> dict[str, Callable[[], str]]:
    """Name and maker of each table's Markdown."""
    makers: dict[str, Callable[[], str]] = {
        "left": without,
        "damage": lambda: damages(bases(args.more_photos[0])),
        "letters": letters,
        "grid": lambda: pixel_blocks(args.cache),
        "time": lambda: seconds(args.more_photos[0]),
    }
    if args.fresh:
        makers["fresh"] = lambda: told(paths, values)
    return {name: make for name, make in makers.items() if name in (args.only or makers)}


def refit(cache: Path, paths: list[Path]) -> None:
    """Coefficients anew. What the net says of pictures that it was trained on is too sure: nets speak that had never seen their sources."""
    kinds, origins = np.array([KINDS.index(path.parent.name) for path in paths]), [folders.origin(path) for path in paths]  # type: ignore[arg-type]
    unseen = json.loads((cache / "pictures/glance.json").read_text("utf-8"))
    heard = [unseen[f"{path.parent.name}/{path.name}"] for path in paths]
    values = np.hstack([figures(cache, paths, in_words, MAKERS), heard])
    chances = left_out(values, kinds, origins)
    save(tempered(fit(values, kinds, origins), chances, kinds), left(chances, kinds, origins))
    model.cache_clear()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--photos", type=Path, action="append", required=True)
    parser.add_argument("--more-photos", type=Path, action="append", required=True)
    parser.add_argument("--fit", action="store_true")
    parser.add_argument("--fresh", action="store_true", help="measure the fresh side too: once, after everything is fixed")
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--only", action="append", help="a table of docs/triage.md to make; all, unless told otherwise")
    args = parser.parse_args()
    made = pictures.make(args.cache, args.photos, args.more_photos)
    if args.fit:
        refit(args.cache, [path for path in made if "tune" in path.parts])
    paths = [path for path in made if "fresh" in path.parts] if args.fresh else []
    values = features(args.cache, paths) if paths else np.empty((0, len(NAMES)))
    if args.write and args.fresh:
        common.save(
            "triage",
            common.machine(),
            rates(paths, values),
            ["fresh: measured once, after everything was fixed; left out: each source by a fit, and a net, without it"],
        )
    text = PAGE.read_text("utf-8") if args.write else ""
    for name, make in tables(args, paths, values).items():
        table = make()
        print(f"{name}\n{table}\n")
        begin, end = f"<!-- {name} -->\n", f"<!-- /{name} -->"
        if args.write:
            text = text[: text.index(begin) + len(begin)] + table + "\n" + text[text.index(end) :]
            PAGE.write_text(text, "utf-8")


if __name__ == "__main__":
    main()
