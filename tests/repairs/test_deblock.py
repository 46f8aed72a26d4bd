"""Deblock: by how much JPEGs gain, that nothing leaves what the file says, and that tables are read as they lie."""

from __future__ import annotations

import numpy as np
import pytest
from tests.repairs.degraded import jpeg, noisy, pictures, psnr

from enlarger.image import Quantisation
from enlarger.pixels.jpeg_cells import outside_cells
from enlarger.repairs import parts
from enlarger.repairs.deblock import auto, deblocked, spectrum, tables

PICTURES = pictures()


@pytest.mark.parametrize("quality", [20, 40, 70])
@pytest.mark.parametrize("name", PICTURES)
def test_every_picture_gains(name: str, quality: int) -> None:
    clean = PICTURES[name]
    bad, table = jpeg(clean, quality)
    strength = auto(table)
    gain, blind = (psnr(clean, deblocked(bad, clean.shape[2], strength, known)) - psnr(clean, bad) for known in (table, None))
    assert gain > 0.15
    assert blind > 0


@pytest.mark.parametrize("quality", [85, 90, 95, 98])
@pytest.mark.parametrize("subsampling", [0, 2])
def test_good_files_are_not_made_worse(quality: int, subsampling: int) -> None:
    for clean in (*PICTURES.values(), noisy(PICTURES["chelsea"], 3)):
        bad, table = jpeg(clean, quality, subsampling)
        assert psnr(clean, deblocked(bad, clean.shape[2], auto(table), table)) > psnr(clean, bad) - 0.1


@pytest.mark.parametrize("quality", [20, 70])
@pytest.mark.parametrize("subsampling", [0, 1, 2])
@pytest.mark.parametrize("strength", [30, 100])
def test_nothing_leaves_the_cells(quality: int, subsampling: int, strength: int) -> None:
    """Up to rounding to whole samples, and where those end at black and white."""
    bad, table = jpeg((PICTURES["astronaut"] // 2 + 64).astype(np.uint8), quality, subsampling)
    done = deblocked(bad, 3, strength, table)
    planes = [samples.transpose(2, 0, 1).astype(np.float32) / 255 for samples in (bad, done)]
    out = outside_cells(planes[0], planes[1], table, 0, 0) * 255
    assert not np.array_equal(done, bad)
    assert float(np.sqrt(np.mean(out**2))) < 0.35


def test_without_the_file_s_tables_cells_are_left() -> None:
    """Or the test above would say nothing."""
    bad, table = jpeg(PICTURES["astronaut"], 90, 0)
    outs = []
    for known in (table, None):
        done = deblocked(bad, 3, 100, known)
        planes = [samples.transpose(2, 0, 1).astype(np.float32) / 255 for samples in (bad, done)]
        outs.append(float(np.sqrt(np.mean(outside_cells(planes[0], planes[1], table, 0, 0) ** 2))) * 255)
    assert outs[0] < 0.35
    assert outs[1] > 2


@pytest.mark.parametrize("name", ["astronaut", "chelsea", "coffee"])
def test_lines_of_blocks_go(name: str) -> None:
    bad, table = jpeg(PICTURES[name], 20)
    done = deblocked(bad, 3, auto(table), table)

    def excess(samples: np.ndarray) -> float:
        """By how much neighbours differ more along lines of blocks than elsewhere, edges aside."""
        step = np.minimum(np.abs(np.diff(samples[..., 1].astype(float), axis=1)), 12).mean(0)
        return float(step[7::8].mean() - np.delete(step, np.s_[7::8]).mean())

    assert excess(bad) > 0.5
    assert excess(done) < 0.35 * excess(bad)


@pytest.mark.parametrize("offset", [(0, 0), (5, 0), (3, 14)])
@pytest.mark.parametrize("subsampling", [0, 1, 2])
def test_blocks_may_begin_anywhere_and_cuts_do_not_show(offset: tuple[int, int], subsampling: int, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, table = jpeg(PICTURES["astronaut"], 40, subsampling)
    x, y = (16 - n if n else 0 for n in offset)
    bad = np.ascontiguousarray(whole[y:, x:151])
    known = Quantisation(table.luma, table.chroma, table.subsampling, offset)
    usual = deblocked(bad, 3, 80, known)
    monkeypatch.setattr(parts, "SIDE", 64)
    other = deblocked(bad, 3, 80, known)
    assert np.abs(usual.astype(int) - other).max() <= 1
    assert np.mean(usual != other) < 1e-3
    # Away from the border it is what the whole picture gives there: patches begin at every second pixel of the blocks.
    same = deblocked(whole, 3, 80, table)[y:, x:151]
    inner = np.s_[48:80, 48:80]
    assert np.abs(usual[inner].astype(int) - same[inner]).max() <= 1


@pytest.mark.parametrize("shape", [(1, 1, 3), (2, 70, 1), (37, 5, 4), (61, 83, 2)])
@pytest.mark.parametrize("known", [True, False])
def test_any_shape_and_alpha(shape: tuple[int, int, int], known: bool) -> None:
    channels = 1 if shape[2] < 3 else 3
    samples = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    done = deblocked(samples, channels, 60, tables(55) if known else None)
    assert (done.shape, done.dtype) == (samples.shape, samples.dtype)
    assert np.array_equal(done[..., channels:], samples[..., channels:])
    assert deblocked(samples, channels, 0, tables(55)) is samples


def test_strength_counts() -> None:
    bad, table = jpeg(PICTURES["chelsea"], 40)
    for known in (table, None):
        changed = [float(np.abs(deblocked(bad, 3, strength, known).astype(int) - bad).mean()) for strength in (0, 20, 50, 100)]
        assert changed == sorted(changed)
        assert changed[1] > 0


@pytest.mark.parametrize("quality", [1, 10, 25, 40, 70, 90, 100])
def test_tables_are_those_of_libjpeg(quality: int) -> None:
    _, table = jpeg(PICTURES["rocket"], quality)
    assert tables(quality) == table
    assert abs(auto(table) - min(100, (100 - quality) / 0.75)) <= 2
    assert auto(None) == 0


def test_the_spectrum_follows_the_steps() -> None:
    flat = (8,) * 64
    assert np.allclose(spectrum(flat), spectrum(flat)[0, 0])
    assert np.allclose(spectrum(flat, 2.0), 2 * spectrum(flat))
    steep = spectrum(tables(50).luma)
    assert steep[7, 7] > 3 * steep[0, 0]
