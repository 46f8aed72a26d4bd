"""The photographs: which, from where, under which licence, and crops of them. Decoded once into one flat file that is mapped afterwards."""

import json
import tomllib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from training.resize import Bytes, reduce

LIST = Path(__file__).with_name("photos.toml")


@dataclass(frozen=True)
class PhotoSet:
    """One row of photos.toml: the pictures of one source under one licence."""

    name: str
    title: str
    source: str
    licence: str
    attribution: str
    share: float
    halved: float
    held_out: tuple[str, ...]
    files: tuple[str, ...]


def photo_sets() -> list[PhotoSet]:
    rows = tomllib.loads(LIST.read_text(encoding="utf-8"))["set"]
    return [PhotoSet(**row | {"held_out": tuple(row["held_out"]), "files": tuple(row["files"])}) for row in rows]


def open_rgb(path: Path) -> Bytes:
    """(h, w, 3) uint8, encoded values as they are in the file."""
    with Image.open(path) as picture:
        return np.asarray(picture.convert("RGB"))


def held_out(photos: Path) -> Iterator[tuple[str, Bytes]]:
    """Name and picture of what no net has seen; large ones by their middle 768 x 768 only, so that measuring stays quick."""
    for photo_set in photo_sets():
        for name in photo_set.held_out:
            picture = open_rgb(photos / photo_set.name / name)
            top, left = (max(0, side - 768) // 2 for side in picture.shape[:2])
            yield f"{photo_set.name}/{name}", picture[top : top + 768, left : left + 768]


@dataclass(frozen=True)
class Entry:
    """Where one picture lies in the cache, and how likely a crop comes from it."""

    offset: int
    height: int
    width: int
    chance: float


class Pictures:
    """Pictures as one mapped file of bytes, NAME.bin, with NAME.json beside it; made when missing or not made from what is `wanted`.

    `pictures` yields each with its chance, in any unit, that a crop comes from it.
    """

    def __init__(self, folder: Path, name: str, wanted: str, pictures: Callable[[], Iterable[tuple[Bytes, float]]]) -> None:
        index = folder / f"{name}.json"
        if not (index.exists() and json.loads(index.read_text(encoding="utf-8"))["list"] == wanted):
            self._make(folder, name, wanted, pictures())
        rows = json.loads(index.read_text(encoding="utf-8"))["entries"]
        self.entries = [Entry(**row) for row in rows]
        self.bytes = np.memmap(folder / f"{name}.bin", dtype=np.uint8, mode="r")
        self._until = np.cumsum([entry.chance for entry in self.entries])

    @staticmethod
    def _make(folder: Path, name: str, wanted: str, pictures: Iterable[tuple[Bytes, float]]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        rows: list[dict[str, int | float]] = []
        partial = folder / f"{name}.partial"
        with partial.open("wb") as file:
            for pixels, chance in pictures:
                rows.append({"offset": file.tell(), "height": pixels.shape[0], "width": pixels.shape[1], "chance": chance})
                file.write(np.ascontiguousarray(pixels).data)
        partial.replace(folder / f"{name}.bin")
        whole = sum(row["chance"] for row in rows)
        for row in rows:
            row["chance"] /= whole
        (folder / f"{name}.json").write_text(json.dumps({"list": wanted, "entries": rows}), encoding="utf-8")

    def crop(self, random: np.random.Generator, size: int) -> Bytes:
        """A random (size, size, 3) crop, flipped and turned at random. A view of the file where it can be."""
        fitting = int(np.searchsorted(self._until, random.random() * self._until[-1], side="right"))
        entry = self.entries[min(fitting, len(self.entries) - 1)]
        picture = self.bytes[entry.offset : entry.offset + entry.height * entry.width * 3].reshape(entry.height, entry.width, 3)
        top, left = (int(random.integers(0, side - size + 1)) for side in (entry.height, entry.width))
        crop = picture[top : top + size, left : left + size]
        if random.random() < 0.5:
            crop = crop[:, ::-1]
        return np.rot90(crop, int(random.integers(4)))


class Cache(Pictures):
    """All training photographs of photos.toml: `cache.bin` and `cache.json`, made when missing or when the list changed."""

    def __init__(self, photos: Path, folder: Path) -> None:
        super().__init__(folder, "cache", LIST.read_text(encoding="utf-8"), lambda: _listed(photos))


def _listed(photos: Path) -> Iterator[tuple[Bytes, float]]:
    """Each set has its share; within it large pictures have more, and some are there at half their size too."""
    for photo_set in photo_sets():
        sizes = []
        for name in photo_set.files:
            with Image.open(photos / photo_set.name / name) as file:
                sizes.append(file.width * file.height)
        for name, size in zip(photo_set.files, sizes, strict=True):
            picture = open_rgb(photos / photo_set.name / name)
            chance = photo_set.share * size / sum(sizes)
            yield picture, chance * (1 - photo_set.halved)
            if photo_set.halved:
                yield reduce(picture, 2), chance * photo_set.halved


def detail(crop: Bytes) -> float:
    """How much there is to learn in a crop: mean absolute step between neighbouring pixels of the green channel, on the 0-255 scale."""
    green = crop[::2, ::2, 1].astype(np.int16)
    return float(np.abs(np.diff(green, axis=0)).mean() + np.abs(np.diff(green, axis=1)).mean())


def crops(cache: Pictures, random: np.random.Generator, count: int, size: int, spare: float = 0.5) -> Bytes:
    """(count, size, size, 3) uint8. `spare` more are drawn than needed and those with the least detail (sky, blur) left out."""
    drawn = [cache.crop(random, size) for _ in range(count + int(count * spare))]
    drawn.sort(key=detail, reverse=True)
    return np.stack(drawn[:count])
