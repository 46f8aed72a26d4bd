"""Noise at known levels, and JPEG tables as another hand reads them."""

from __future__ import annotations

import io

import numpy as np
import PIL.Image
import pytest
from skimage import data, transform

from enlarger.files.jpeg import ZIGZAG
from enlarger.image import Quantisation
from enlarger.steps.damage import noise
from enlarger.steps.decode import decode

RNG = np.random.default_rng(5)


def small(name: str) -> np.ndarray:
    """A clean picture: reduced until nothing of its own noise is left."""
    picture = getattr(data, name)()
    reduced = transform.resize(picture, (picture.shape[0] // 3, picture.shape[1] // 3), order=3, anti_aliasing=True, preserve_range=True)
    return np.clip(np.rint(reduced), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("name", ["astronaut", "coffee", "chelsea", "rocket"])
def test_noise_is_found_and_only_where_there_is_some(name: str) -> None:
    clean = small(name)[..., 1]
    assert noise(clean) <= 0.8 / 255
    for sigma in (3, 6, 12):
        noisy = np.clip(np.rint(clean + RNG.normal(0, sigma, clean.shape)), 0, 255).astype(np.uint8)
        assert noise(noisy) * 255 == pytest.approx(sigma, rel=0.25)


def test_sixteen_bits_are_the_same_noise() -> None:
    plane = np.clip(128 + RNG.normal(0, 5, (100, 100)), 0, 255)
    assert noise((plane * 257).astype(np.uint16)) == pytest.approx(noise(plane.astype(np.uint8)), rel=0.05)


@pytest.mark.parametrize("shape", [(1, 1), (9, 9), (3, 400)])
def test_small_pictures_have_no_noise_to_speak_of(shape: tuple[int, int]) -> None:
    assert noise(np.full(shape, 77, np.uint8)) == 0


def test_large_pictures_are_looked_at_in_bands() -> None:
    plane = np.clip(np.rint(100 + RNG.normal(0, 4, (2500, 1500))), 0, 255).astype(np.uint8)
    assert noise(plane) * 255 == pytest.approx(4, rel=0.15)


def jpeg(array: np.ndarray, **options: object) -> bytes:
    file = io.BytesIO()
    PIL.Image.fromarray(array).save(file, "JPEG", **options)
    return file.getvalue()


@pytest.mark.parametrize(("subsampling", "factors"), [(0, (1, 1)), (1, (2, 1)), (2, (2, 2))])
def test_quantisation_is_read_from_the_file(subsampling: int, factors: tuple[int, int]) -> None:
    file = jpeg(small("astronaut"), quality=40, subsampling=subsampling)
    with PIL.Image.open(io.BytesIO(file)) as picture:
        tables = picture.quantization  # Pillow gives them in rows
    found = decode(file).jpeg
    assert found is not None
    assert found.luma == tuple(tables[0])
    assert found.chroma == tuple(tables[1])
    assert found.subsampling == factors
    assert sorted(ZIGZAG) == list(range(64))


def test_only_jpegs_have_it() -> None:
    file = io.BytesIO()
    PIL.Image.fromarray(small("coffee")).save(file, "PNG")
    assert decode(file.getvalue()).jpeg is None


def test_turned_pictures_have_turned_tables() -> None:
    own = Quantisation(tuple(range(1, 65)), tuple(range(1, 65)), (2, 1))
    turned = own.upright(6, 100, 60)
    assert turned.luma[:3] == (1, 9, 17)
    assert turned.subsampling == (1, 2)
    assert turned.offset == (100 % 8, 0)
    assert own.upright(1, 100, 60) == own
    with pytest.raises(ValueError, match="64"):
        Quantisation((1,), (1,))
