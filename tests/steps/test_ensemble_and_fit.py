"""Self-ensemble and fit: small steps between a net's answer and what is locked."""

from __future__ import annotations

import numpy as np
import PIL.Image
import pytest
from skimage import data

from enlarger.codecs.vips import each_rows, vips_of
from enlarger.image import Tile
from enlarger.steps.ensemble import PASSES, Ensemble
from enlarger.steps.fit import fitted

RNG = np.random.default_rng(4)


class Net:
    """Doubles a tile; ``lean`` adds what no mirroring, turning or inverting leaves as it is."""

    def __init__(self, lean: float) -> None:
        self.lean, self.calls, self.closed = lean, 0, False

    def __call__(self, tile: Tile) -> Tile:
        assert not tile.flags.writeable
        assert tile.flags.c_contiguous
        self.calls += 1
        answer = tile.repeat(2, 0).repeat(2, 1)
        return answer + np.float32(self.lean) * np.linspace(0, 1, answer.shape[1], dtype=np.float32)[None, :, None]

    def close(self) -> None:
        self.closed = True


def tile(height: int, width: int) -> Tile:
    made = RNG.random((height, width, 3), np.float32)
    made.flags.writeable = False
    return made


def test_a_net_that_does_not_err_is_left_as_it_is() -> None:
    net, seen = Net(0), tile(7, 12)
    assert np.abs(Ensemble(net)(seen) - seen.repeat(2, 0).repeat(2, 1)).max() < 1e-6
    assert net.calls == len(PASSES)


def test_what_a_net_leans_to_is_averaged_out() -> None:
    net, seen = Net(0.2), tile(9, 9)
    plain = seen.repeat(2, 0).repeat(2, 1)
    # Of four leanings two are taken away again: mean |(2x - 1) + (2y - 1)| / 4 over that of x is a third.
    assert np.abs(Ensemble(net)(seen) - plain).mean() < 0.4 * np.abs(net(seen) - plain).mean()
    Ensemble(net).close()
    assert net.closed


def test_fitted_is_exact_in_size_and_as_pillow_has_it() -> None:
    samples = np.ascontiguousarray(data.astronaut()[100:180, 200:300])
    assert fitted(samples, 100, 80) is samples
    small = fitted(samples, 63, 55)
    assert (small.shape, small.dtype) == ((55, 63, 3), np.uint16)
    other = np.asarray(PIL.Image.fromarray(samples).resize((63, 55), PIL.Image.Resampling.LANCZOS)).astype(float)
    assert np.abs(small / 257 - other)[3:-3, 3:-3].max() < 2.5
    assert np.array_equal(fitted(np.full((40, 40, 1), 255, np.uint8), 30, 30), np.full((30, 30, 1), 65535, np.uint16))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_rows_come_in_order_and_whole(dtype: type[np.uint8] | type[np.uint16]) -> None:
    samples = RNG.integers(0, np.iinfo(dtype).max, (3001, 700, 3), dtype)
    seen: list[tuple[int, np.ndarray]] = []
    each_rows(vips_of(samples), lambda y, rows: seen.append((y, rows)))
    assert len(seen) > 1
    assert [y for y, _ in seen] == list(np.cumsum([0, *(len(rows) for _, rows in seen[:-1])]))
    assert np.array_equal(np.concatenate([rows for _, rows in seen]), samples)


def test_what_the_taker_raises_comes_out() -> None:
    def take(y: int, rows: np.ndarray) -> None:
        if y:
            raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough"):
        each_rows(vips_of(np.zeros((3000, 700, 3), np.uint8)), take)
