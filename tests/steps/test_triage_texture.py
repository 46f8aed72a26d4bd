"""Figures of how pictures look close up, on pictures whose figures are known."""

from __future__ import annotations

import numpy as np
import pytest
from skimage import data

from enlarger.looks.sample import sample
from enlarger.looks.texture import NAMES, texture
from enlarger.steps.decode import decode

RNG = np.random.default_rng(5)


def figures(picture: np.ndarray, ground: tuple[int, int, int] | None = None) -> dict[str, float]:
    return dict(zip(NAMES, texture(sample(decode(picture)), None if ground is None else np.array(ground, np.uint8)), strict=True))


def grey(plane: np.ndarray) -> np.ndarray:
    return np.repeat(plane[..., None], 3, 2).astype(np.uint8)


def test_plain_halves_have_plain_blocks_and_one_steep_edge() -> None:
    found = figures(grey(np.where(np.arange(160) < 80, 40, 200)[None].repeat(120, 0)))
    assert found["plain_blocks"] == 1
    assert found["steepness"] == pytest.approx(1)
    assert found["steepness_varies"] == pytest.approx(0)
    assert found["upright_edges"] == pytest.approx(1)
    assert found["main_colour"] == pytest.approx(0.5)
    assert found["palette"] == pytest.approx(1 / 12)


def test_a_soft_edge_is_less_steep() -> None:
    ramp = np.clip((np.arange(160) - 76) * 40 + 40, 40, 200)[None].repeat(120, 0)
    assert figures(grey(ramp))["steepness"] == pytest.approx(1 / 4, abs=0.1)


def test_noise_has_grain_and_many_colours() -> None:
    noise = RNG.integers(0, 256, (160, 160, 3)).astype(np.uint8)
    found, plain = figures(noise), figures(grey(np.full((160, 160), 90)))
    assert found["busy_blocks"] == 1
    assert found["many_coloured_blocks"] == 1
    assert found["colours_of_blocks"] == pytest.approx(1, abs=0.01)
    assert found["grain"] > 4
    assert found["hues"] == pytest.approx(1, abs=0.02)
    assert (plain["plain_blocks"], plain["edges"], plain["hues"]) == (1, 0, 0)
    assert plain["grain"] == pytest.approx(np.log2(0.1))


@pytest.mark.parametrize(("ink", "paper", "name"), [(20, 230, "dark_lines"), (230, 20, "bright_lines")])
def test_thin_lines_are_counted_by_their_ink(ink: int, paper: int, name: str) -> None:
    plane = np.full((128, 128), paper)
    plane[:, ::16] = ink
    found = figures(grey(plane))
    assert found[name] == pytest.approx(1 / 16 / 2, rel=0.15)
    assert found["dark_lines" if name == "bright_lines" else "bright_lines"] == 0


def test_ground_does_not_count() -> None:
    picture = np.full((320, 320, 3), 255, np.uint8)
    picture[80:240, 80:240] = data.astronaut()[100:260, 100:260]
    with_ground, without = figures(picture), figures(picture, (255, 255, 255))
    assert with_ground["plain_blocks"] > 0.7 > 0.2 > without["plain_blocks"]
    assert without["main_colour"] < with_ground["main_colour"]


@pytest.mark.parametrize("shape", [(8, 8), (9, 300), (300, 9), (16, 16)])
def test_small_and_narrow_pictures_have_finite_figures(shape: tuple[int, int]) -> None:
    found = figures(RNG.integers(0, 256, (*shape, 3)).astype(np.uint8))
    assert np.isfinite(list(found.values())).all()
