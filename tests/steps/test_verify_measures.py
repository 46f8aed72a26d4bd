"""The measures one by one, against what is known by other means."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import skimage.color
import skimage.data
import skimage.metrics
from numpy.typing import NDArray
from tests.steps.test_verify import enlarged, verified

from enlarger.codecs.vips import vips_of
from enlarger.image import Quantisation
from enlarger.measures import colour, consistency
from enlarger.measures.finding import median, quantile
from enlarger.measures.grid import BLOCK, Grid, cells, patches
from enlarger.measures.kernels import Falling, along_rows, down_columns


def floats(picture: Any) -> NDArray[np.float32]:
    return np.frombuffer(picture.write_to_memory(), np.float32).reshape(picture.height, picture.width, picture.bands)


@pytest.mark.parametrize(("size", "out"), [(400, 100), (303, 101), (200, 100), (150, 100)])
@pytest.mark.parametrize("kernel", ["cubic", "linear"])
def test_columns_are_reduced_as_libvips_does(size: int, out: int, kernel: str) -> None:
    rows = np.random.default_rng(0).random((size, 7, 3), dtype=np.float32) * 255
    expected = floats(vips_of(rows).reducev(size / out, kernel=kernel))
    assert np.abs(down_columns(rows, 0, size, out, kernel, 0, out) - expected).max() < 1e-3
    part = size * 25 // out, size * 68 // out
    assert np.abs(down_columns(rows[slice(*part)], part[0], size, out, kernel, 33, 60) - expected[33:60]).max() < 1e-3


@pytest.mark.parametrize(("size", "out"), [(400, 100), (303, 101), (150, 100), (100, 200)])
@pytest.mark.parametrize("strip", [1, 7, 64])
def test_rows_that_come_in_strips_fall_to_the_same(size: int, out: int, strip: int) -> None:
    rows = np.random.default_rng(0).random((size, 9, 3), dtype=np.float32) * 255
    expected = down_columns(rows, 0, size, out, "cubic", 0, out)
    falling, found, held = Falling(size, out, "cubic"), [], 0
    for y in range(0, size, strip):
        before = falling.ready
        falling.add(rows[y : y + strip])
        if falling.ready > before:
            found.append(falling.rows(before, falling.ready, slice(2, 7)))
            falling.forget(falling.ready)
        held = max(held, falling.held)
    assert np.abs(np.concatenate(found) - expected[:, 2:7]).max() < 1e-3
    assert held <= 24 + strip * out // size


@pytest.mark.parametrize("kernel", ["cubic", "linear"])
def test_rows_and_columns_are_enlarged_alike(kernel: str) -> None:
    rows = np.random.default_rng(0).random((9, 50, 1), dtype=np.float32) * 255
    down = down_columns(np.ascontiguousarray(rows[..., 0].T), 0, 50, 100, kernel, 0, 100)
    assert np.abs(along_rows(rows, 100, kernel)[..., 0] - down.T).max() < 1e-3


def test_blocks_cover_everything_once() -> None:
    for size in (1, 15, 31, 47, 48, 100, 4000):
        grid = Grid(size, 50, 4 * size, 200)
        assert grid.xs[0] == 0
        assert grid.xs[-1] == size
        assert all(b > a for a, b in zip(grid.xs, grid.xs[1:], strict=False))
        assert max(np.diff(grid.xs)) < 1.5 * BLOCK
        assert grid.sums(np.ones((50, size)), grid.whole).sum() == 50 * size


def test_neighbours_become_one_patch() -> None:
    mask = np.zeros((6, 7), bool)
    mask[0, 0] = mask[1, 1] = mask[1, 2] = mask[4, 5] = True
    assert sorted(corners for _, corners in patches(mask)) == [(0, 0, 2, 3), (4, 5, 5, 6)]


@pytest.mark.parametrize("shift", [(0.125, 0.0), (0.0, -0.25), (0.2, 0.2), (-0.02, 0.0)])
def test_a_shift_is_measured_to_a_fiftieth_of_a_pixel(shift: tuple[float, float]) -> None:
    source = skimage.data.coffee()[50:250, 100:340].copy()
    big = enlarged(source)
    moves = [(shift[1], 0), (shift[0], 1)]
    spectrum = np.fft.fft2(big.astype(float), axes=(0, 1))
    for move, axis in moves:
        shape = [1, 1, 1]
        shape[axis] = -1
        spectrum *= np.exp(-2j * np.pi * np.fft.fftfreq(big.shape[axis]) * 4 * move).reshape(shape)
    moved = np.fft.ifft2(spectrum, axes=(0, 1)).real.round().clip(0, 255).astype(np.uint8)
    found = verified(source, moved).measures["registration"]
    assert found.details["offset_x"] == pytest.approx(shift[0], abs=0.02)
    assert found.details["offset_y"] == pytest.approx(shift[1], abs=0.02)
    assert (found.verdict == "pass") == (np.hypot(*shift) < 0.1)


def test_a_stretch_is_measured() -> None:
    import PIL.Image

    source = skimage.data.coffee()[:256, :320].copy()
    big = PIL.Image.fromarray(enlarged(source))
    # What lies 0.3 % further from the left border than it should.
    bent = np.asarray(big.transform(big.size, PIL.Image.Transform.AFFINE, (1 / 1.003, 0, 0, 0, 1, 0), PIL.Image.Resampling.BICUBIC))
    found = verified(source, bent).measures["registration"]
    assert found.details["scale_x"] == pytest.approx(0.003, abs=0.0005)
    assert abs(found.details["scale_y"]) < 0.0005
    assert found.verdict != "pass"


def test_colour_difference_is_that_of_another_hand() -> None:
    rng = np.random.default_rng(3)
    x = rng.random((9, 11, 3), dtype=np.float32) * 255
    d = np.clip(x + rng.normal(0, 6, x.shape), 0, 255).astype(np.float32)
    expected = skimage.color.deltaE_ciede2000(skimage.color.rgb2lab(x / 255), skimage.color.rgb2lab(d / 255))
    assert np.abs(colour.delta_e(x, d)[0] - expected).max() < 0.1


def test_similarity_is_that_of_another_hand() -> None:
    truth = skimage.data.camera()[:128, :128].astype(np.float32)
    other = (truth + np.random.default_rng(4).normal(0, 12, truth.shape)).astype(np.float32)
    settings = {"data_range": 255, "win_size": 7, "gaussian_weights": False}
    expected = skimage.metrics.structural_similarity(truth, other, **settings)
    assert consistency.similarity(truth, other, 0.0).mean() == pytest.approx(expected, abs=0.03)


def test_what_stays_in_the_cells_of_a_jpeg_is_no_difference() -> None:
    rng = np.random.default_rng(5)
    table = tuple(int(v) for v in rng.integers(8, 60, 64))
    rounding = Quantisation(luma=table, chroma=table, offset=(3, 6))
    inside = (rng.random((8, 8)) - 0.5) * np.reshape(table, (8, 8)) * 0.98
    block = consistency.DCT.T @ inside @ consistency.DCT
    gap = np.zeros((30, 40), np.float32)
    # Rows begin at row 32 of the source, so blocks begin where (row + 32 - 6) and (column - 3) are multiples of 8.
    gap[6:14, 11:19] = block
    assert np.abs(consistency.outside(gap, rounding, 32)).max() < 1e-3
    gap[6:14, 11:19] = block * 4
    assert np.abs(consistency.outside(gap, rounding, 32)).max() > 5


def test_cells_are_means() -> None:
    values = np.arange(30, dtype=np.float32).reshape(5, 6)
    assert cells(values, 2)[0, 0] == pytest.approx(values[:2, :2].mean())
    assert cells(values, 2).shape == (3, 3)
    assert cells(values, 2)[2, 2] == pytest.approx(values[4, 4:].mean())


@pytest.mark.parametrize("shape", [(1,), (2,), (7,), (5, 5), (4, 9)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_quantiles_are_numpys(shape: tuple[int, ...], dtype: type[np.floating]) -> None:
    values = np.random.default_rng(3).normal(size=shape).astype(dtype)
    before = values.copy()
    for share in (0, 0.3, 0.5, 0.8, 1):
        assert quantile(values, share) == pytest.approx(float(np.quantile(values, share)), rel=1e-6)
    assert median(values) == quantile(values, 0.5)
    assert (values == before).all()
