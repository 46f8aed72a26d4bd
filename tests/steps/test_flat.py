"""Flat areas: found where they are and nowhere else, and resampled without a trace."""

import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from enlarger.canvas import Canvas
from enlarger.engines.engine import ModelSpec
from enlarger.errors import OutOfMemoryError
from enlarger.image import Box, Tile
from enlarger.journal import Done, Ledger, Work
from enlarger.steps import flat as flat_module
from enlarger.steps.enlarge import Tally, enlarge_by_tiles
from enlarger.steps.flat import CELL, FlatMap, flat_map
from enlarger.steps.tiles import Grid

HALO = 6
MODEL = ModelSpec(id="toy", engine="toy", title="toy", purpose="tests", scale=2, halo=HALO)


def reaching(tile: Tile) -> Tile:
    """A 7 x 7 mean that goes on beyond the border, like a net with a reach of 3, and a tint; then every pixel twice."""
    padded = np.pad(tile, ((3, 3), (3, 3), (0, 0)), mode="edge")
    total = sum(padded[y : y + tile.shape[0], x : x + tile.shape[1]] for y in range(7) for x in range(7))
    mean = np.asarray(total, np.float32) / np.float32(49)
    return np.repeat(np.repeat(mean, 2, 0), 2, 1)


class Toy:
    def __init__(self, answer: Callable[[Tile], Tile] = reaching) -> None:
        self.answer = answer
        self.seen = 0

    def __call__(self, tile: Tile) -> Tile:
        self.seen += tile.shape[0] * tile.shape[1]
        return self.answer(tile)

    def close(self) -> None: ...


def run(
    samples: np.ndarray, grid: Grid, flat: FlatMap | None, engine: Toy | None = None, alpha: bool = False, **kw: Any
) -> tuple[np.ndarray, Tally]:
    with Canvas(samples.shape[1] * 2, samples.shape[0] * 2, samples.shape[2], samples.dtype) as canvas:
        tally = enlarge_by_tiles(samples, alpha, grid, MODEL, engine or Toy(), canvas, lambda *_: None, flat=flat, **kw)
        assert canvas.complete
        return canvas.samples().copy(), tally


def shot(height: int, width: int, box: Box, ground: int = 255, bands: int = 3, dtype: type = np.uint8) -> np.ndarray:
    """Texture in ``box`` on plain ground."""
    samples = np.full((height, width, bands), ground, np.uint8)
    samples[box.slices()] = np.random.default_rng(0).integers(0, 200, (box.height, box.width, bands), np.uint8)
    return samples.astype(dtype) * (257 if dtype is np.uint16 else 1)


def known(samples: np.ndarray, alpha: bool = False, halo: int = HALO, noise: tuple[float, ...] = ()) -> FlatMap:
    found = flat_map(samples, alpha, halo, noise)
    assert found is not None
    return found


# --- the map ----------------------------------------------------------------------------------------------------------


@settings(max_examples=20, deadline=None)
@given(st.integers(20, 150), st.integers(20, 150), st.integers(0, 149), st.integers(0, 149), st.integers(0, 20), st.integers(1, 4))
def test_flat_is_what_a_net_sees_no_change_in(height: int, width: int, y: int, x: int, halo: int, step: int) -> None:
    """Against the definition: a single pixel that stands out by ``step`` of 255 is in no flat cell's halo; far from it all is flat."""
    samples = np.full((height, width, 3), 100, np.uint8)
    y, x = min(y, height - 1), min(x, width - 1)
    samples[y, x, 1] += step
    found = flat_map(samples, False, halo)
    cells = np.zeros((-(-height // CELL), -(-width // CELL)), bool) if found is None else found.cells
    for (row, column), value in np.ndenumerate(cells):
        dy = max(row * CELL - y, y - (row + 1) * CELL + 1, 0)
        dx = max(column * CELL - x, x - (column + 1) * CELL + 1, 0)
        if step <= 2:
            assert value
        elif value:
            assert max(dx, dy) > halo


def test_far_from_everything_all_is_flat() -> None:
    samples = shot(200, 300, Box(120, 80, 30, 40))
    cells = known(samples).cells
    assert cells[:7].all()
    assert cells[-7:].all()
    assert cells[:, :12].all()
    assert cells[:, -16:].all()
    assert not cells[10:15, 15:18].any()
    assert flat_map(shot(200, 300, Box(0, 0, 300, 200)), False, HALO) is None


def test_small_flat_patches_stay_with_the_net() -> None:
    samples = shot(200, 200, Box(0, 0, 200, 200))
    samples[60:100, 60:100] = 128  # less than a halo on both sides and four cells
    assert flat_map(samples, False, HALO) is None
    samples[40:120, 40:120] = 128
    assert flat_map(samples, False, HALO) is not None


def test_a_slow_gradient_is_flat_and_a_steep_one_is_not() -> None:
    slope = np.linspace(100, 140, 800)[:, None, None] * np.ones((1, 64, 3))
    assert flat_map(slope.astype(np.uint8), False, HALO) is not None
    assert flat_map(slope[::8].astype(np.uint8), False, HALO) is None


def test_the_map_does_not_depend_on_how_it_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    samples = shot(333, 211, Box(60, 100, 50, 90))
    whole = known(samples).cells
    monkeypatch.setattr(flat_module, "BAND", 1)
    np.testing.assert_array_equal(known(samples).cells, whole)


def test_sixteen_bits_and_eight_agree() -> None:
    box = Box(60, 50, 40, 30)
    np.testing.assert_array_equal(known(shot(150, 160, box, dtype=np.uint16)).cells, known(shot(150, 160, box)).cells)


def test_noise_is_discounted_up_to_one_level() -> None:
    rng = np.random.default_rng(3)

    def noisy(sigma: float, step: float = 0) -> np.ndarray:
        plain = np.full((256, 256, 3), 128.0)
        plain[:, 100:] += step
        return np.clip(plain + rng.normal(0, sigma, plain.shape) + 0.5, 0, 255).astype(np.uint8)

    assert flat_map(noisy(0.9), False, 18) is None
    assert known(noisy(0.9), halo=18, noise=(0.9 / 255,) * 3).cells.mean() > 0.95
    assert flat_map(noisy(1.5), False, 18, (1.5 / 255,) * 3) is None
    # A faint edge that the range of noisy pixels hides, but their means show.
    assert not known(noisy(0.9, step=5), halo=18, noise=(0.9 / 255,) * 3).cells[:, 11:14].any()


def test_what_is_clear_is_flat_whatever_colour_hides_there() -> None:
    samples = shot(120, 200, Box(0, 0, 200, 120), bands=4)
    samples[:, :, 3] = 255
    assert flat_map(samples, True, HALO) is None
    samples[:, :100, 3] = 0
    cells = known(samples, alpha=True).cells
    assert cells[:, :10].all()
    assert not cells[:, 12:].any()


# --- what the net does ------------------------------------------------------------------------------------------------


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 280), st.integers(0, 280), st.integers(1, 60), st.integers(1, 60)), max_size=5), st.data())
def test_parts_hold_all_that_is_not_flat_once(boxes: list[tuple[int, int, int, int]], data: st.DataObject) -> None:
    samples = np.full((300, 300, 1), 200, np.uint8)
    for x, y, width, height in boxes:
        samples[y : y + height : 2, x : x + width] = 10
    found = known(samples)
    grid = Grid(300, 300, 2, 2, HALO, data.draw(st.sampled_from([0, 3])))
    needed = np.repeat(np.repeat(~found.cells, CELL, 0), CELL, 1)[:300, :300]
    for tile in grid:
        held = np.zeros((300, 300), int)
        for part in found.parts(tile.span, grid):
            held[part.box.slices()] += 1
            assert part.read == Box(
                min(part.read.x, part.box.x),
                min(part.read.y, part.box.y),
                max(part.read.right, part.box.right) - part.read.x,
                max(part.read.bottom, part.box.bottom) - part.read.y,
            )
        assert held.max() <= 1
        assert (held[tile.span.slices()] >= needed[tile.span.slices()]).all()
        assert held.sum() == held[tile.span.slices()].sum()


def test_two_things_far_apart_are_two_parts() -> None:
    samples = shot(400, 400, Box(10, 10, 40, 40))
    samples[340:390, 340:390] = 0
    samples[350:360, 350:360] = 90
    assert len(known(samples).parts(Box(0, 0, 400, 400), Grid(400, 400, 1, 1, HALO))) == 2


def test_weights_climb_beside_what_is_flat_and_do_not_depend_on_the_box() -> None:
    found = known(shot(200, 200, Box(90, 90, 40, 40)))
    whole = found.weight(Box(0, 0, 200, 200), 2)[:, :, 0]
    flat = np.repeat(np.repeat(found.cells, 2 * CELL, 0), 2 * CELL, 1)
    assert (whole[flat] == 0).all()
    assert (whole[2 * 90 : 2 * 130, 2 * 90 : 2 * 130] == 1).all()
    assert np.abs(np.diff(whole, axis=0)).max() < 0.1
    box = Box(61, 75, 53, 38)
    np.testing.assert_allclose(found.weight(box, 2)[:, :, 0], whole[box.scaled(2).slices()], atol=1e-6)
    inside = [found.pixels(Box(x, 0, 1, 200)) for x in range(200)]
    np.testing.assert_array_equal(inside, flat[::2, ::2].sum(0))


# --- the walk ---------------------------------------------------------------------------------------------------------


@settings(max_examples=15, deadline=None)
@given(st.integers(1, 3), st.integers(1, 3), st.sampled_from([0, 3]), st.sampled_from([1, 3, 4]), st.integers(0, 130), st.integers(0, 130))
def test_the_result_is_that_of_the_full_run(columns: int, rows: int, feather: int, bands: int, x: int, y: int) -> None:
    samples = shot(190, 170, Box(x, y, 40, 60), bands=bands)
    grid = Grid(170, 190, columns, rows, HALO, feather)
    whole, _ = run(samples, Grid(170, 190, 1, 1, HALO), None, alpha=bands == 4)
    result, tally = run(samples, grid, known(samples, bands == 4), alpha=bands == 4)
    assert np.abs(whole.astype(int) - result).max() <= 1
    assert tally.flat_pixels > 0
    assert tally.computed == len(grid)


def test_a_tinting_net_leaves_no_step() -> None:
    """A net that darkens all by 4 levels: from the object to the ground the tint fades, it does not end."""
    samples = shot(200, 200, Box(80, 80, 40, 40), ground=200)
    result, _ = run(samples, Grid(200, 200, 2, 2, HALO), known(samples), Toy(lambda tile: reaching(tile) - np.float32(4 / 255)))
    line = result[200, : 2 * 60, 0].astype(int)
    assert line[0] == 200
    assert np.abs(np.diff(line)).max() <= 1
    near = 2 * (80 - HALO) + 4
    assert result[200, near - 2, 0] < 200


def test_a_flat_picture_costs_no_call() -> None:
    samples = np.full((150, 140, 3), 77, np.uint8)
    engine = Toy()
    result, tally = run(samples, Grid(140, 150, 2, 3, HALO, 3), known(samples), engine)
    assert engine.seen == 0
    assert (tally.flat, tally.flat_pixels) == (6, 140 * 150)
    assert (result == 77).all()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("value", [0, 255])
def test_black_and_white_stay_exact(value: int, dtype: type) -> None:
    samples = shot(200, 200, Box(80, 80, 40, 40), ground=value, dtype=dtype)
    result, _ = run(
        samples, Grid(200, 200, 2, 2, HALO), known(samples), Toy(lambda tile: reaching(tile) * np.float32(0.98) + np.float32(0.01))
    )
    flat = np.repeat(np.repeat(known(samples).cells, 2 * CELL, 0), 2 * CELL, 1)
    assert (result[flat] == value * (257 if dtype is np.uint16 else 1)).all()


def test_work_falls_with_the_flat_share() -> None:
    samples = shot(512, 512, Box(150, 150, 200, 200))
    grid = Grid(512, 512, 2, 2, HALO)
    full, spared = Toy(), Toy()
    run(samples, grid, None, full)
    _, tally = run(samples, grid, known(samples), spared)
    assert full.seen > 3 * spared.seen
    assert tally.flat_pixels > 0.75 * 512 * 512


def test_grain_is_smoothed_where_the_net_is_spared() -> None:
    rng = np.random.default_rng(5)
    noise = (0.8 / 255,) * 3
    samples = np.clip(np.full((256, 256, 3), 120.0) + rng.normal(0, 0.8, (256, 256, 3)) + 0.5, 0, 255).astype(np.uint8)
    samples = samples.astype(np.uint16) * 257
    result, _ = run(samples, Grid(256, 256, 2, 2, HALO), known(samples, noise=noise))
    assert result.std() < 0.3 * samples.std()


def test_a_busy_picture_gives_the_same_bytes_with_and_without() -> None:
    samples = shot(200, 400, Box(0, 0, 250, 200))
    grid = Grid(400, 200, 4, 2, HALO)
    whole, _ = run(samples, grid, None)
    result, _ = run(samples, grid, known(samples))
    np.testing.assert_array_equal(result[:, :400], whole[:, :400])


@pytest.mark.parametrize("feather", [0, 3])
def test_resumed_runs_give_the_same_samples_whatever_is_missing(feather: int, tmp_path: Path) -> None:
    samples = shot(140, 180, Box(50, 40, 40, 50))
    grid, flat = Grid(180, 140, 3, 2, HALO, feather), known(samples)
    whole, _ = run(samples, grid, flat, Toy(edgy))
    for kept in range(0, 2 ** len(grid), 3):
        with Work(tmp_path / str(kept), "k") as work, Canvas(360, 280, 3, np.uint8, file=work.canvas(0)) as canvas:
            for tile in grid:
                box = tile.owned.scaled(2)
                if kept >> tile.index & 1:
                    canvas.write(box, whole[box.slices()])
                    work.add(Done(0, tile.index, zlib.crc32(np.ascontiguousarray(whole[box.slices()]).data)))
        with Work(tmp_path / str(kept), "k") as work, Canvas(360, 280, 3, np.uint8, file=work.canvas(0)) as canvas:
            tally = enlarge_by_tiles(samples, False, grid, MODEL, Toy(edgy), canvas, lambda *_: None, ledger=Ledger(work, 0), flat=flat)
            np.testing.assert_array_equal(canvas.samples(), whole)
            assert tally.done_before == kept.bit_count()


def edgy(tile: Tile) -> Tile:
    """Like a net that reaches further than its halo: the answer depends on where the tile begins and ends."""
    return np.clip(reaching(tile) + np.float32(0.001) * np.float32(tile.sum() % 7), 0, 1)


def test_a_part_that_does_not_fit_is_split() -> None:
    def tight(tile: Tile) -> Tile:
        if tile.shape[0] * tile.shape[1] > 60 * 60:
            raise OutOfMemoryError("too large")
        return reaching(tile)

    samples = shot(200, 240, Box(60, 50, 100, 90))
    grid = Grid(240, 200, 1, 1, HALO)
    whole, _ = run(samples, grid, None)
    result, tally = run(samples, grid, known(samples), Toy(tight))
    assert tally.split > 0
    assert np.abs(whole.astype(int) - result).max() <= 1


def test_nan_in_a_part_is_done_again_by_the_fallback() -> None:
    def sick(tile: Tile) -> Tile:
        return reaching(tile) * np.float32(np.nan)

    samples = shot(140, 180, Box(20, 20, 40, 50))
    grid, flat = Grid(180, 140, 2, 1, HALO), known(samples)
    result, tally = run(samples, grid, flat, Toy(sick), fallback=Toy)
    assert tally.fallback == 1
    np.testing.assert_array_equal(result, run(samples, grid, flat)[0])
