"""DeepZoom: ``NAME.dzi`` and a folder ``NAME_files`` of tiles in levels, for viewers on the web.

See "Deep Zoom File Format Overview" (Microsoft). Level ``ceil(log2(longest side))`` is the picture itself, every level below
half of it.
"""

from __future__ import annotations

import math
import shutil
import xml.etree.ElementTree as Xml
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from enlarger.codecs.vips import pyvips
from enlarger.errors import OutputError
from enlarger.image import Metadata, Notice
from enlarger.pyramid import files_of, measured

TILE, OVERLAP = 254, 1
NAMESPACE = "{http://schemas.microsoft.com/deepzoom/2008}"


def write(picture: Any, base: Path, quality: int, *, alpha: bool) -> tuple[int, str]:
    """Write ``picture`` to ``base.dzi`` and ``base_files`` and check them; their bytes and a SHA-256 over all of them in order.

    Tiles are JPEG of ``quality``, or PNG where there is alpha. Raises ``pyvips.Error`` and :class:`OutputError`.
    """
    suffix = ".png" if alpha else f".jpg[Q={quality},subsample-mode={'off' if quality >= 90 else 'auto'}]"
    picture.dzsave(str(base), suffix=suffix, tile_size=TILE, overlap=OVERLAP, keep="icc")
    index = base.with_name(f"{base.name}.dzi")
    tiles = base.with_name(f"{base.name}_files")
    # It names the moment of writing, which would make the same run differ from itself, and no viewer reads it.
    (tiles / "vips-properties.xml").unlink(missing_ok=True)
    _check(index, tiles, picture.width, picture.height, ".png" if alpha else ".jpg", picture.bands)
    return measured(index)


def _check(index: Path, tiles: Path, width: int, height: int, suffix: str, bands: int) -> None:
    """The index names the size, every level has all its tiles, and those in the last corner are as large as they must be."""
    size = Xml.parse(index).getroot().find(f"{NAMESPACE}Size")
    if size is None or (size.get("Width"), size.get("Height")) != (str(width), str(height)):
        raise OutputError("the written index does not name the size of the result", subject=str(index))
    for level, wide, high in levels(width, height):
        columns, rows = math.ceil(wide / TILE), math.ceil(high / TILE)
        found = sum(1 for p in (tiles / str(level)).iterdir() if p.suffix == suffix)
        last = pyvips.Image.new_from_file(str(tiles / str(level) / f"{columns - 1}_{rows - 1}{suffix}"), fail_on="error")
        expected = tuple(n - (parts - 1) * TILE + (OVERLAP if parts > 1 else 0) for n, parts in ((wide, columns), (high, rows)))
        if found != columns * rows or (last.width, last.height) != expected or (last.bands > 2) != (bands > 2):
            raise OutputError(f"level {level} of the written tiles is not whole", subject=str(tiles))


def levels(width: int, height: int) -> Iterator[tuple[int, int, int]]:
    """Number, width and height of every level, the largest first."""
    top = math.ceil(math.log2(max(width, height)))
    for level in range(top, -1, -1):
        yield level, width, height
        width, height = max(1, math.ceil(width / 2)), max(1, math.ceil(height / 2))


def publish(base: Path, path: Path) -> None:
    """Give what :func:`write` made its names, tiles first: whoever sees ``path`` finds its tiles. Former tiles go."""
    tiles = files_of(path)
    if tiles.exists():
        shutil.rmtree(tiles)
    base.with_name(f"{base.name}_files").rename(tiles)
    base.with_name(f"{base.name}.dzi").replace(path)


def lost(metadata: Metadata) -> Iterator[Notice]:
    """What tiles do not carry."""
    for name in ("exif", "xmp", "iptc", "dpi"):
        if getattr(metadata, name):
            yield Notice(f"{name}-lost", f"DeepZoom tiles carry no {name if name == 'dpi' else name.upper()}")
