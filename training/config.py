"""Nets as data: one frozen record per table of nets.toml."""

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from training.nets import Shape

FILE = Path(__file__).with_name("nets.toml")


@dataclass(frozen=True)
class Recipe:
    """How one net is made; nets.toml says what each word means."""

    name: str
    title: str
    scale: Literal[2, 3, 4]
    start: str
    steps: int
    decay: int
    channels: int = 64
    blocks: int = 16
    skip: Literal["nearest", "bicubic"] = "nearest"
    conditions: int = 0
    slopes: Literal["each", "one"] = "each"
    pictures: Literal["photos", "drawings"] = "photos"
    degradation: str = "clean"
    crop: int = 40
    batch: int = 16
    rate: float = 4e-4
    muon: float = 0.0
    warmup: int = 200
    loss: str = "l1"
    decay_loss: str = "l1"
    heighten: float = 0.0
    ema: float = 0.999
    lock: int = 0
    even: int = 0
    eight_bit: bool = False
    seed: int = 1

    @property
    def shape(self) -> Shape:
        return Shape(self.scale, self.channels, self.blocks, self.skip, self.conditions, self.slopes)


def recipes(file: Path = FILE) -> dict[str, Recipe]:
    """All nets by name; TypeError for a word that no recipe knows."""
    tables = tomllib.loads(file.read_text(encoding="utf-8"))
    return {name: Recipe(name=name, **table) for name, table in tables.items()}
