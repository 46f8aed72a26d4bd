"""Pictures out of the folders of fetched packages, as triage_sources.toml lists them; for triage_pictures.py."""

from __future__ import annotations

import gzip
import random
import re
import struct
import sys
import tomllib
import zlib
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import PIL.ImageDraw
import PIL.ImageFilter

sys.path.insert(0, str(Path(__file__).parent))
from triage_drawn import drawings, manuals

LIST = Path(__file__).with_name("triage_sources.toml")
READ = (".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tga", ".xpm", ".ppm")
LONGEST = 1600
"""Pixels along the longer side past which a picture is reduced, as whole wallpapers would only take time."""


PACKAGE_OF = {
    **dict.fromkeys(("photos-0", "small-0", "cut-out-0", "tiny-0"), "CID22"),
    **dict.fromkeys(("minetest", "units", "sheets"), "minetest-data and units of wesnoth-1.16-data"),
    **dict.fromkeys(("heir", "suns", "hammer", "guard", "orcs", "liberty"), "campaigns of Wesnoth"),
    **dict.fromkeys(("tuxmath", "tuxtype"), "tuxmath-data and tuxtype-data"),
    **dict.fromkeys(("animals", "laid", "stamps", "cartoons"), "tuxpaint-stamps-default"),
    **dict.fromkeys(("openclipart", "openclipart-line"), "openclipart-png"),
    **dict.fromkeys(("openmoji", "openmoji-black"), "npm:openmoji"),
    **dict.fromkeys(("tabler", "tabler-ink"), "npm:@tabler/icons"),
    **dict.fromkeys(("scans", "poor-scans"), "scans"),
}
"""Where the sources of triage_pictures.py come from; one that is not here is a source of its own."""


def origin(path: Path) -> str:
    """What a picture's source was made from: all that shares it is left out at once."""
    name = path.name.rsplit("-", 1)[0].split(".")[0]
    return PACKAGE_OF.get(name) or next((row["from"] for row in rows() if row["name"] == name), name)


@cache
def rows() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = tomllib.loads(LIST.read_text("utf-8"))["source"]
    return found


def folder_of(cache: Path, package: str) -> Path:
    """Where a package lies unpacked; ``npm:`` and ``pypi:`` stand before those of npm and PyPI, and may end in a version."""
    origin, _, name = package.rpartition(":")
    return (cache / {"": "x", "npm": "n", "pypi": "p"}[origin] / name.strip("@").replace("/", "-")).resolve()


def resources(packed: Path) -> None:
    """Unpack Qt's compiled resources into a folder beside them; layout as rcc's own source (qtbase/src/tools/rcc) writes it.

    Raises ``ValueError`` where a file is packed with Zstandard.
    """
    raw = packed.read_bytes()
    version, tree, data, names = struct.unpack_from(">4I", raw, 4)
    size = 22 if version >= 2 else 14

    def walk(node: int, folder: Path) -> None:
        at, flags = struct.unpack_from(">IH", raw, tree + node * size)
        length = struct.unpack_from(">H", raw, names + at)[0]
        name = raw[names + at + 6 : names + at + 6 + 2 * length].decode("utf-16-be")
        if flags & 2:
            count, first = struct.unpack_from(">II", raw, tree + node * size + 6)
            for child in range(first, first + count):
                walk(child, folder / name)
            return
        if flags & 4:
            raise ValueError(f"{packed}: {name} is packed with Zstandard")
        start = data + struct.unpack_from(">I", raw, tree + node * size + 10)[0]
        body = raw[start + 4 : start + 4 + struct.unpack_from(">I", raw, start)[0]]
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(zlib.decompress(body[4:]) if flags & 1 else body)

    walk(0, packed.with_suffix(""))


def listed(cache: Path, row: dict[str, Any]) -> list[Path]:
    """The files that a row of the list names, sorted."""
    home, of, but = folder_of(cache, row["from"]), re.compile(row["of"]), re.compile(row.get("but", "(?!)"))
    names = ((str(path.relative_to(home)), path) for path in home.rglob("*") if path.is_file() and not path.is_symlink())
    return [path for name, path in sorted(names) if of.search(name) and not but.search(name)]


def source(cache: Path, row: dict[str, Any], rng: random.Random) -> Iterator[PIL.Image.Image]:
    """The pictures of one row."""
    how, count, paths = row.get("as", "picture"), row["count"], listed(cache, row)
    if how == "vector":
        drawn = vectors(paths, cache / "shots", row["name"], rng, count, tuple(row["sizes"]))
        yield from map(trimmed, drawn) if row.get("trim") else drawn
    elif how == "page":
        rng.shuffle(paths)
        yield from manuals(paths[:count], cache / "shots", rng, 4, name=row["name"])
    else:
        takes = all_of(sized(row.get("least", 100), row.get("most", 10**5)), TESTS[row.get("takes", "any")])
        if how == "window":
            yield from windows([path for path in paths if path.suffix in READ], rng, count, row["tile"])
            return
        for picture in opened(paths, rng, count, takes):
            yield sprite(picture, rng) if how == "sprite" else reduced(picture, rng)


def derived(cache: Path, row: dict[str, Any], how: str, rng: random.Random) -> Iterator[PIL.Image.Image]:
    """What else is made of a row's pictures, so that neither a plain ground nor its absence tells drawings from photographs."""
    whole = [picture.convert("RGBA") for picture in source(cache, {**row, "count": row.get("derive", row["count"])}, rng)]
    if how == "cut":
        yield from (cut_out(reduced(picture, rng, rng.randint(120, 700)).convert("RGB"), rng) for picture in whole)
    elif how == "tiny":
        yield from (reduced(picture, rng, rng.randint(28, 90)) for picture in whole)
    elif how == "inside":
        yield from filter(None, (inside(picture) for picture in whole))
    else:
        yield from (scene(whole, rng) for _ in range(max(4, len(whole) // 2)))


def cut_out(picture: PIL.Image.Image, rng: random.Random) -> PIL.Image.Image:
    """A part of a photograph as products are shown: a rounded shape on white, or on nothing."""
    width, height = picture.size
    mask = PIL.Image.new("L", picture.size, 0)
    draw = PIL.ImageDraw.Draw(mask)
    for _ in range(rng.randint(1, 4)):
        x, y = rng.uniform(0.2, 0.5) * width, rng.uniform(0.2, 0.5) * height
        draw.ellipse((x, y, x + rng.uniform(0.2, 0.4) * width, y + rng.uniform(0.2, 0.4) * height), fill=255)
    mask = mask.filter(PIL.ImageFilter.GaussianBlur(rng.choice((0.7, 1, 2))))
    if rng.random() < 0.3:
        mask = mask.point([255 * (v > 127) for v in range(256)])
    picture.putalpha(mask)
    if rng.random() < 0.5:
        return PIL.Image.alpha_composite(PIL.Image.new("RGBA", picture.size, "white"), picture).convert("RGB")
    return picture


def inside(picture: PIL.Image.Image) -> PIL.Image.Image | None:
    """The middle of what is drawn, without the ground around it; ``None`` where that is small or has holes."""
    alpha = picture.getchannel("A") if picture.getextrema()[3][0] < 255 else PIL.Image.eval(picture.convert("L"), lambda v: 255 * (v < 250))
    left, top, right, bottom = alpha.getbbox() or (0, 0, 0, 0)
    across, down = (right - left) // 4, (bottom - top) // 4
    part = picture.crop((left + across, top + down, right - across, bottom - down))
    if min(part.size) < 48 or part.getextrema()[3][0] < 200:
        return None
    return part.convert("RGB")


def scene(figures: list[PIL.Image.Image], rng: random.Random) -> PIL.Image.Image:
    """Several figures before a ground whose colour changes from top to bottom: nothing of it is plain."""
    width, height = rng.choice(((400, 300), (640, 480), (500, 500), (300, 420)))
    ends = np.array([[rng.randrange(256) for _ in range(3)] for _ in range(2)], np.float32)
    ramp = np.linspace(0, 1, height, dtype=np.float32)[:, None, None]
    ground = np.broadcast_to(ends[0] * (1 - ramp) + ends[1] * ramp, (height, width, 3))
    whole = PIL.Image.fromarray(np.rint(ground).astype(np.uint8)).convert("RGBA")
    for _ in range(rng.randint(4, 12)):
        figure = rng.choice(figures).copy()
        side = rng.randint(height // 3, height)
        figure.thumbnail((side, side), PIL.Image.Resampling.LANCZOS)
        whole.alpha_composite(
            figure, (rng.randrange(max(1, width - figure.width // 2)), rng.randrange(max(1, height - figure.height // 2)))
        )
    return whole.convert("RGB")


def opened(paths: list[Path], rng: random.Random, count: int, takes: Callable[[Path], bool]) -> Iterator[PIL.Image.Image]:
    """``count`` of the files that are pictures and that ``takes`` accepts, drawn by ``rng``."""
    paths = [path for path in paths if path.suffix.lower() in READ]
    rng.shuffle(paths)
    for path in paths:
        if count == 0:
            return
        if takes(path):
            with PIL.Image.open(path) as picture:
                yield picture.convert("RGBA" if picture.has_transparency_data else "RGB")
            count -= 1


def files(folder: Path, rng: random.Random, count: int, takes: Callable[[Path], bool] = lambda path: True) -> Iterator[PIL.Image.Image]:
    """``count`` pictures below ``folder`` that ``takes`` accepts, drawn by ``rng``."""
    names = (".png", ".jpg", ".jpeg", ".webp")
    yield from opened(
        sorted(p for p in folder.rglob("*") if p.suffix.lower() in names and p.is_file() and not p.is_symlink()), rng, count, takes
    )


def reduced(picture: PIL.Image.Image, rng: random.Random, side: int = 0) -> PIL.Image.Image:
    if side or max(picture.size) > LONGEST:
        side = side or rng.randint(700, LONGEST)
        picture.thumbnail((side, side), PIL.Image.Resampling.LANCZOS)
    return picture


def vectors(paths: list[Path], cache: Path, name: str, rng: random.Random, count: int, sizes: tuple[int, ...]) -> Iterator[PIL.Image.Image]:
    """SVGs drawn by Chromium on white, each at one of ``sizes``."""
    plain = []
    for path in paths:
        if path.suffix == ".svgz":
            # Chromium opens no packed SVGs from files.
            flat = cache / f"{name}-{path.stem}.svg"
            flat.write_bytes(gzip.decompress(path.read_bytes()))
            path = flat
        if path.suffix == ".svg":
            plain.append(path)
    yield from drawings(plain, cache, name, rng, min(count, len(plain)), sizes)


def trimmed(picture: PIL.Image.Image) -> PIL.Image.Image:
    """Without the white around it, but for four pixels."""
    left, top, right, bottom = PIL.Image.eval(picture.convert("L"), lambda v: 255 - v).getbbox() or (0, 0, *picture.size)
    return picture.crop((max(0, left - 4), max(0, top - 4), min(picture.width, right + 4), min(picture.height, bottom + 4)))


def windows(paths: list[Path], rng: random.Random, count: int, tile: int) -> Iterator[PIL.Image.Image]:
    """Windows of 3 x 2 to 8 x 6 tiles out of sheets of tiles, as sprites; such as show something."""
    sheets = []
    for path in paths:
        try:
            with PIL.Image.open(path) as picture:
                if min(picture.size) >= 2 * tile or min(picture.size) * 3 >= max(picture.size):
                    sheets.append(picture.convert("RGBA"))
        except (OSError, ValueError):
            # Some old XPMs are beyond Pillow.
            continue
    for _ in range(40 * count):
        if count == 0 or not sheets:
            return
        sheet = rng.choice(sheets)
        width, height = tile * rng.randint(3, 8), tile * rng.randint(2, 6)
        x, y = rng.randrange(0, max(1, sheet.width - width + 1), tile), rng.randrange(0, max(1, sheet.height - height + 1), tile)
        part = sheet.crop((x, y, min(sheet.width, x + width), min(sheet.height, y + height)))
        samples = np.asarray(part)
        if samples[..., 3].mean() > 60 and samples[..., :3].std((0, 1)).max() > 12 and min(part.size) >= 16:
            yield sprite(part, rng)
            count -= 1


def sprite(picture: PIL.Image.Image, rng: random.Random) -> PIL.Image.Image:
    """A sprite as people keep them: as it is, enlarged by whole blocks, or several on a plain ground."""
    side = rng.choice((1, 1, 2, 3, 4, 6, 8))
    while min(picture.size) * side < 32:
        side += 1
    picture = picture.resize((picture.width * side, picture.height * side), PIL.Image.Resampling.NEAREST)
    if picture.mode == "RGBA" and rng.random() < 0.5:
        ground = PIL.Image.new("RGBA", picture.size, rng.choice(("white", "black", "#4060a0", "#70a050")))
        picture = PIL.Image.alpha_composite(ground, picture).convert("RGB")
    return picture


# --- which files are taken --------------------------------------------------------------------------------------------


def all_of(*tests: Callable[[Path], bool]) -> Callable[[Path], bool]:
    return lambda path: all(test(path) for test in tests)


def sized(least: int, most: int = 10**5) -> Callable[[Path], bool]:
    def takes(path: Path) -> bool:
        with PIL.Image.open(path) as picture:
            return least <= min(picture.size) and max(picture.size) <= most

    return takes


def coloured(path: Path) -> bool:
    """Large enough, in several colours: what is one silhouette or an outline is another kind, or none."""
    return seen_in_colour(path, 100)


def seen_in_colour(path: Path, least: int = 1) -> bool:
    with PIL.Image.open(path) as picture:
        if min(picture.size) < least:
            return False
        pixels = np.asarray(picture.convert("RGBA"), np.int16).reshape(-1, 4)
    seen = pixels[pixels[:, 3] > 127, :3]
    return len(seen) > 0.2 * len(pixels) and float((np.ptp(seen, axis=1) > 40).mean()) > 0.3


def window(path: Path) -> bool:
    """A window of a program in which little is coloured: no picture lies in it."""
    with PIL.Image.open(path) as picture:
        pixels = np.asarray(picture.convert("RGB"), np.int16).reshape(-1, 3)
    return float((np.ptp(pixels, axis=1) > 50).mean()) < 0.1 and len(np.unique(pixels[::5], axis=0)) < 4000


TESTS: dict[str, Callable[[Path], bool]] = {"any": lambda path: True, "coloured": seen_in_colour, "window": window}
