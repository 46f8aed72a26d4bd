"""The walk over tiles, with toy engines whose right answer is known for every pixel."""

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
from enlarger.errors import CancelledError, EngineError, OutOfMemoryError
from enlarger.image import Tile
from enlarger.journal import Done, Ledger, Work
from enlarger.steps.enlarge import enlarge_by_picture, enlarge_by_tiles, quantise
from enlarger.steps.tiles import Grid

MODEL = ModelSpec(id="toy", engine="toy", title="toy", purpose="tests", scale=2, halo=3)


def blocks(tile: Tile) -> Tile:
    """Every pixel twice: what is right at a pixel does not depend on the tile."""
    assert not tile.flags.writeable
    return np.repeat(np.repeat(tile, 2, 0), 2, 1)


def blur(tile: Tile) -> Tile:
    """A 7 x 7 mean with zeros beyond the border, like a net with a reach of 3, then every pixel twice."""
    padded = np.pad(tile, ((3, 3), (3, 3), (0, 0)))
    total = sum(padded[y : y + tile.shape[0], x : x + tile.shape[1]] for y in range(7) for x in range(7))
    return blocks_of(np.asarray(total, np.float32) / np.float32(49))


def blocks_of(tile: Tile) -> Tile:
    return np.repeat(np.repeat(tile, 2, 0), 2, 1)


class Toy:
    def __init__(self, answer: Callable[[Tile], Tile]) -> None:
        self.answer = answer

    def __call__(self, tile: Tile) -> Tile:
        return self.answer(tile)

    def close(self) -> None: ...


def run(samples: np.ndarray, grid: Grid, answer: Callable[[Tile], Tile], alpha: bool = False, model: ModelSpec = MODEL, **kw: Any) -> Any:
    with Canvas(samples.shape[1] * 2, samples.shape[0] * 2, samples.shape[2], kw.pop("dtype", np.uint8)) as canvas:
        tally = enlarge_by_tiles(samples, alpha, grid, model, Toy(answer), canvas, kw.pop("tick", lambda *_: None))
        assert canvas.complete
        return canvas.samples(), tally


def picture(height: int, width: int, bands: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, bands), np.uint8)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 60), st.integers(1, 60), st.integers(1, 4), st.integers(1, 4), st.sampled_from([0, 1, 2]), st.integers(1, 3))
def test_tiled_equals_untiled_when_the_halo_covers_the_reach(
    width: int, height: int, columns: int, rows: int, feather: int, bands: int
) -> None:
    columns, rows = min(columns, max(1, width // 4)), min(rows, max(1, height // 4))
    samples = picture(height, width, 1 if bands == 2 else bands)
    whole, _ = run(samples, Grid(width, height, 1, 1, 3, 0), blur)
    # Feathered spans need the reach beyond the span, so the halo is the reach and the feather.
    tiled, tally = run(samples, Grid(width, height, columns, rows, 3 + feather, feather), blur)
    assert tally.computed == columns * rows
    assert np.abs(whole.astype(int) - tiled).max() <= 1


def test_without_halo_the_tiles_do_show() -> None:
    """The test above can fail: with too little halo it would."""
    samples = picture(40, 40, 3)
    whole, _ = run(samples, Grid(40, 40, 1, 1, 3, 0), blur)
    tiled, _ = run(samples, Grid(40, 40, 2, 2, 0, 0), blur)
    assert np.abs(whole.astype(int) - tiled).max() > 10


def test_feather_blends_linearly_between_neighbours() -> None:
    """Every tile answers its own constant; across the overlap the result climbs from one to the other."""
    values = iter([0.2, 0.6, 0.4, 0.8])
    grid = Grid(40, 40, 2, 2, halo=4, feather=4)
    result, _ = run(picture(40, 40, 3), grid, lambda tile: np.full((tile.shape[0] * 2, tile.shape[1] * 2, 3), next(values), np.float32))
    line = result[4, :, 0] / 255
    ramp = (np.arange(16) + 0.5) / 16
    np.testing.assert_allclose(line, [*[0.2] * 32, *(0.2 + 0.4 * ramp), *[0.6] * 32], atol=0.003)
    np.testing.assert_allclose(result[:, 4, 0] / 255, [*[0.2] * 32, *(0.2 + 0.2 * ramp), *[0.4] * 32], atol=0.003)
    centre = result[39:41, 39:41, 0].mean() / 255
    assert abs(centre - 0.5) < 0.02


def test_grey_goes_in_as_three_equal_channels_and_stays_one() -> None:
    def grey(tile: Tile) -> Tile:
        assert tile.shape[2] == 3
        assert (tile[:, :, :1] == tile).all()
        return blocks(tile)

    samples = picture(9, 7, 1)
    result, _ = run(samples, Grid(7, 9, 1, 1), grey)
    np.testing.assert_array_equal(result, blocks_of(samples))


def test_alpha_goes_through_the_net_and_flat_areas_stay_exact() -> None:
    def off(tile: Tile) -> Tile:
        return blocks(tile) * np.float32(0.9) + np.float32(0.05)

    samples = np.full((20, 20, 4), 100, np.uint8)
    samples[:, :10, 3], samples[:, 10:, 3] = 0, 255
    result, _ = run(samples, Grid(20, 20, 2, 2, 3), off, alpha=True)
    alpha = result[:, :, 3]
    assert (alpha[:, :18] == 0).all()
    assert (alpha[:, 22:] == 255).all()
    assert alpha[0, 19] == 13


@pytest.mark.parametrize("value", [0, 128, 255])
def test_constant_alpha_costs_no_call(value: int) -> None:
    calls = []

    def count(tile: Tile) -> Tile:
        calls.append(tile.shape)
        return blocks(tile)

    samples = picture(8, 8, 4)
    samples[:, :, 3] = value
    result, _ = run(samples, Grid(8, 8, 1, 1), count, alpha=True)
    assert len(calls) == 1
    assert (result[:, :, 3] == value).all()


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 5000), (3, 7), (33, 31)])
def test_small_pictures_are_padded_to_the_rules_of_the_net(height: int, width: int) -> None:
    rules = MODEL.model_copy(update={"min_side": 32, "multiple_of": 4})

    def strict(tile: Tile) -> Tile:
        assert tile.shape[0] >= 32
        assert tile.shape[1] >= 32
        assert tile.shape[0] % 4 == 0 == tile.shape[1] % 4
        return blocks(tile)

    samples = picture(height, width, 3)
    result, _ = run(samples, Grid(width, height, 1, 1), strict, model=rules)
    np.testing.assert_array_equal(result, blocks_of(samples))


def test_a_tile_that_does_not_fit_is_split_and_nothing_else_changes() -> None:
    def tight(tile: Tile) -> Tile:
        if tile.shape[0] * tile.shape[1] > 60 * 60:
            raise OutOfMemoryError("too large")
        return blur(tile)

    samples = picture(100, 120, 3)
    whole, _ = run(samples, Grid(120, 100, 1, 1, 3), blur)
    result, tally = run(samples, Grid(120, 100, 1, 1, 3), tight)
    assert tally.split > 0
    assert np.abs(whole.astype(int) - result).max() <= 1


def test_a_tile_that_never_fits_is_one_typed_error() -> None:
    def never(tile: Tile) -> Tile:
        raise MemoryError

    with pytest.raises(OutOfMemoryError, match=r"even a tile of 25 x 25 pixels does not fit into memory"):
        run(picture(100, 100, 3), Grid(100, 100, 1, 1), never)


@pytest.mark.parametrize("feather", [0, 2])
def test_resumed_runs_give_the_same_samples_whatever_is_missing(feather: int, tmp_path: Path) -> None:
    """For every set of tiles that a killed run may have left, and every damaged one, the result is that of one run."""
    samples, grid = picture(40, 50, 3), Grid(50, 40, 3, 2, 4, feather)
    whole, _ = run(samples, grid, edgy)
    for kept in range(2 ** len(grid)):
        folder = tmp_path / str(kept)
        with Work(folder, "k") as work, Canvas(100, 80, 3, np.uint8, file=work.canvas(0)) as canvas:
            for tile in grid:
                box = tile.owned.scaled(2)
                if kept >> tile.index & 1:
                    canvas.write(box, whole[box.slices()])
                    work.add(Done(0, tile.index, zlib.crc32(np.ascontiguousarray(whole[box.slices()]).data)))
        with Work(folder, "k") as work, Canvas(100, 80, 3, np.uint8, file=work.canvas(0)) as canvas:
            tally = enlarge_by_tiles(samples, False, grid, MODEL, Toy(edgy), canvas, lambda *_: None, ledger=Ledger(work, 0))
            assert canvas.complete
            np.testing.assert_array_equal(canvas.samples(), whole)
            assert tally.done_before == kept.bit_count()
            assert tally.computed == len(grid) - kept.bit_count()


def edgy(tile: Tile) -> Tile:
    """Like a net that reaches further than its halo: the answer depends on where the tile begins and ends."""
    return np.clip(blur(tile) + np.float32(0.001) * np.float32(tile.sum() % 7), 0, 1)


def test_damaged_tiles_are_made_again(tmp_path: Path) -> None:
    samples, grid = picture(40, 50, 3), Grid(50, 40, 3, 2, 4, 2)
    with Work(tmp_path / "w", "k") as work:
        for damage in (False, True):
            with Canvas(100, 80, 3, np.uint8, file=work.canvas(0)) as canvas:
                if damage:
                    canvas.write(grid.tile(4).owned.scaled(2)._replace(width=1, height=1), np.full((1, 1, 3), 77, np.uint8))
                    canvas._covered = 0
                tally = enlarge_by_tiles(samples, False, grid, MODEL, Toy(edgy), canvas, lambda *_: None, ledger=Ledger(work, 0))
                result = canvas.samples().copy()
            assert tally.done_before == (5 if damage else 0)
    np.testing.assert_array_equal(result, run(samples, grid, edgy)[0])


def test_splits_are_pinned_so_that_a_neighbour_made_again_is_the_same(tmp_path: Path) -> None:
    """Tile 0 was split for want of memory; when tile 1 asks for its right end again there is room, and it is split all the same."""
    samples, grid = picture(80, 160, 3), Grid(160, 80, 2, 1, 4, 2)
    room = [1000]

    def tight(tile: Tile) -> Tile:
        if tile.shape[0] * tile.shape[1] > room[0]:
            raise MemoryError
        return edgy(tile)

    def go(stop_after: int, name: str) -> np.ndarray:
        def tick(share: float, *_: object) -> None:
            if stop_after and share >= stop_after / 2 - 0.1:
                raise CancelledError("stop")

        with Work(tmp_path / name, "k") as work, Canvas(320, 160, 3, np.uint8, file=work.canvas(0)) as canvas:
            enlarge_by_tiles(samples, False, grid, MODEL, Toy(tight), canvas, tick, ledger=Ledger(work, 0))
            return canvas.samples().copy()

    def first_tight(name: str, stop: int) -> np.ndarray | None:
        room[0] = 3000
        calls = [0]

        def tick(share: float, *_: object) -> None:
            room[0] = 10**9  # the second tile has room
            calls[0] += 1
            if calls[0] == stop:
                raise CancelledError("stop")

        with Work(tmp_path / name, "k") as work, Canvas(320, 160, 3, np.uint8, file=work.canvas(0)) as canvas:
            try:
                tally = enlarge_by_tiles(samples, False, grid, MODEL, Toy(tight), canvas, tick, ledger=Ledger(work, 0))
            except CancelledError:
                return None
            assert tally.split > 0
            return canvas.samples().copy()

    uninterrupted = first_tight("one", stop=0)
    assert first_tight("two", stop=1) is None
    room[0] = 10**9
    np.testing.assert_array_equal(go(0, "two"), uninterrupted)


def test_nan_is_done_again_by_the_fallback_and_never_written(tmp_path: Path) -> None:
    samples, grid = picture(40, 50, 3), Grid(50, 40, 3, 2, 4, 2)

    def sick(tile: Tile) -> Tile:
        answer = edgy(tile)
        if tile[0, 0, 0] == tile_of_two:
            answer[0, 0, 0] = np.nan
        return answer

    tile_of_two = (samples[grid.tile(2).read.slices()].astype(np.float32) * np.float32(1 / 255))[0, 0, 0]
    with Work(tmp_path / "w", "k") as work, Canvas(100, 80, 3, np.uint8, file=work.canvas(0)) as canvas:
        tally = enlarge_by_tiles(
            samples, False, grid, MODEL, Toy(sick), canvas, lambda *_: None, ledger=Ledger(work, 0), fallback=lambda: Toy(edgy)
        )
        np.testing.assert_array_equal(canvas.samples(), run(samples, grid, edgy)[0])
        assert tally.fallback == 1
        assert [entry.tile for entry in work.done.values() if entry.fallback] == [2]


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_nan_and_infinity_are_never_written(bad: float) -> None:
    def broken(tile: Tile) -> Tile:
        answer = blocks(tile)
        answer[3, 3, 1] = bad
        return answer

    with pytest.raises(EngineError, match="NaN or infinity"):
        run(picture(8, 8, 3), Grid(8, 8, 1, 1), broken)


@pytest.mark.parametrize("answer", [lambda t: t, lambda t: blocks(t).astype(np.float64), lambda t: blocks(t)[:, :, :1]])
def test_an_answer_of_another_shape_or_kind_is_refused(answer: Callable[[Tile], Tile]) -> None:
    with pytest.raises(EngineError, match=r"the engine answered .* where \(16, 16, 3\) float32 was due"):
        run(picture(8, 8, 3), Grid(8, 8, 1, 1), answer)


def test_ticks_climb_to_one_and_can_cancel() -> None:
    shares: list[float] = []
    run(picture(20, 20, 3), Grid(20, 20, 2, 2), blocks, tick=lambda share, *_: shares.append(share))
    assert len(shares) == 4
    assert shares == sorted(shares)
    assert shares[-1] == 1

    def stop(share: float, *_: object) -> None:
        raise CancelledError("stopped")

    with pytest.raises(CancelledError):
        run(picture(20, 20, 3), Grid(20, 20, 2, 2), blocks, tick=stop)


def test_a_picture_engine_is_asked_for_every_strip_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("enlarger.steps.tiles.STRIP_PIXELS", 100)
    samples = picture(17, 13, 3)
    asked = []

    class Whole:
        def __call__(self, source: np.ndarray, size: tuple[int, int], box: Any) -> Tile:
            asked.append(box)
            return blocks_of(source.astype(np.float32) / 255)[box.slices()]

        def close(self) -> None: ...

    with Canvas(26, 34, 3, np.uint8) as canvas:
        enlarge_by_picture(samples, Whole(), canvas, lambda *_: None)
        assert canvas.complete
        np.testing.assert_array_equal(canvas.samples(), blocks_of(samples))
    assert len(asked) > 5


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_quantising_rounds_half_up_and_clips(dtype: type) -> None:
    top = np.iinfo(dtype).max
    values = np.array([-1, 0, 0.49 / top, 0.51 / top, 1 - 0.51 / top, 1 - 0.49 / top, 1, 2], np.float32).reshape(1, -1, 1)
    assert quantise(values, np.dtype(dtype)).ravel().tolist() == [0, 0, 0, 1, top - 1, top, top, top]


def test_quantising_does_not_care_for_layout() -> None:
    planes = np.random.default_rng(1).random((3, 50, 41), np.float32)
    expected = np.floor(planes.transpose(1, 2, 0) * 255 + 0.5).astype(np.uint8)
    np.testing.assert_array_equal(quantise(planes.transpose(1, 2, 0), np.dtype(np.uint8)), expected)
