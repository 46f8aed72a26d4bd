"""Pixel art: exact blocks, no colour that was not there, and the true pixels of what was enlarged before."""

from __future__ import annotations

import io

import numpy as np
import pytest
import skimage.data
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as Pillow
from pydantic import ValidationError

import enlarger
from enlarger.engines import find
from enlarger.engines.contract import CLAUSES, PICTURE_CLAUSES, check
from enlarger.engines.engine import Device, NoSettings
from enlarger.engines.pixel_grid import Axis, grid_of, true_grid
from enlarger.engines.pixelart import MODELS, Redrawer, Settings, scaled, steps_to
from enlarger.errors import DeviceError, EngineError, EngineMissingError, UsageError
from enlarger.image import Box, Samples, enlarged_size

EXACT = ("blocks", "scale2x")


def sprite(seed: int, side: int = 16) -> Samples:
    """A creature: mirrored, outlined, shaded, dithered and with eyes, on transparent ground; ``(side, side, 4)``."""
    random = np.random.default_rng(seed)
    half = side // 2
    body = np.zeros((side, side), bool)
    y, x = np.mgrid[:side, :half]
    distance = np.hypot((x - half + 0.5) / half, (y - side / 2 + 0.5) / (side / 2))
    body[:, :half] = distance + random.normal(0, 0.18, distance.shape) < 0.8
    body[:, half:] = body[:, half - 1 :: -1]
    around = np.pad(body, 1)
    inner = body & around[2:, 1:-1] & around[:-2, 1:-1] & around[1:-1, 2:] & around[1:-1, :-2]
    colours = random.integers(60, 230, (3, 3))
    picture = np.zeros((side, side, 4), np.uint8)
    picture[body] = (24, 20, 37, 255)
    picture[inner, :3] = colours[0]
    rows, columns = np.nonzero(inner)
    light = rows + columns < side - 2
    picture[rows[light], columns[light], :3] = colours[1]
    dithered = ((rows + columns) % 2 == 0) & (rows > side * 0.6)
    picture[rows[dithered], columns[dithered], :3] = colours[2]
    for eye in (side // 3, side - 1 - side // 3):
        picture[side // 2 - 1 : side // 2 + 1, eye] = 255
    return picture


def scene(seed: int, width: int = 48, height: int = 40) -> Samples:
    """Creatures over a rough ground with specks; ``(height, width, 3)``."""
    random = np.random.default_rng(seed)
    sky, ground, grass = random.integers(40, 220, (3, 3)).astype(np.uint8)
    picture = np.empty((height, width, 3), np.uint8)
    picture[:] = sky
    top = height * 2 // 3 + np.cumsum(random.integers(-1, 2, width)).clip(-4, 4)
    rows = np.arange(height)[:, None]
    picture[rows >= top] = ground
    picture[(rows >= top) & (rows < top + 2)] = grass
    picture[(random.random((height, width)) < 0.06) & (rows > top + 3)] = ground // 2
    for _ in range(3):
        one = sprite(int(random.integers(1000)))
        y, x = random.integers(0, height - 16), random.integers(0, width - 16)
        seen = one[..., 3] > 0
        picture[y : y + 16, x : x + 16][seen] = one[seen][:, :3]
    return picture


def blown_up(samples: Samples, side: int, seed: int) -> tuple[Samples, tuple[int, int, int, int]]:
    """``samples`` enlarged by blocks and cropped within the outer ones, and the grid that it then has."""
    random = np.random.default_rng(seed)
    big = samples.repeat(side, 0).repeat(side, 1)
    (top, left), (bottom, right) = random.integers(0, side, 2), random.integers(0, side, 2)
    big = np.ascontiguousarray(big[top : big.shape[0] - bottom, left : big.shape[1] - right])
    return big, (side, side, int(-left % side), int(-top % side))


def through_jpeg(samples: Samples, quality: int) -> Samples:
    file = io.BytesIO()
    Pillow.fromarray(samples).save(file, "JPEG", quality=quality)
    return np.asarray(Pillow.open(file))


def drawn(model: str, samples: Samples, scale: float, grid: object = "auto") -> Samples:
    size = enlarged_size(samples.shape[1], samples.shape[0], scale)
    answer = Redrawer(model, Settings(grid=grid))(samples, size, Box(0, 0, *size))
    return np.round(answer * np.iinfo(samples.dtype).max).astype(samples.dtype)


def colours(samples: Samples) -> set[tuple[int, ...]]:
    return {tuple(colour) for colour in samples.reshape(-1, samples.shape[2]).tolist()}


# --- what comes out -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", MODELS)
def test_the_contract_is_kept(model: str) -> None:
    engine = find("pixelart")
    row = next(m for m in engine.models() if m.id == model)
    assert check(engine, row, Device()) == tuple(name for name, _ in (*CLAUSES, *PICTURE_CLAUSES))
    assert row.exact


@pytest.mark.parametrize("scale", [2, 3, 4, 7])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_blocks_are_blocks(scale: int, dtype: type[np.uint8] | type[np.uint16]) -> None:
    source = sprite(1).astype(dtype) * (np.iinfo(dtype).max // 255)
    assert np.array_equal(drawn("blocks", source, scale), source.repeat(scale, 0).repeat(scale, 1))


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_no_colour_that_was_not_there(data: st.DataObject) -> None:
    """At any scale, whole or not, and with any bands; what is opaque or clear stays so."""
    side, bands = data.draw(st.integers(1, 20)), data.draw(st.integers(1, 4))
    source = np.random.default_rng(data.draw(st.integers(0, 99))).choice(np.array([0, 90, 255], np.uint8), (side, side + 3, bands))
    if bands in (2, 4):
        source[..., -1] = np.where(source[..., -1] > 80, 255, 0)
    scale, model = data.draw(st.floats(1, 9)), data.draw(st.sampled_from(EXACT))
    assert colours(drawn(model, source, scale)) <= colours(source)


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_boxes_do_not_show(data: st.DataObject) -> None:
    side, bands, model = data.draw(st.integers(2, 24)), data.draw(st.integers(1, 4)), data.draw(st.sampled_from(MODELS))
    source = np.random.default_rng(side).choice(np.array([0, 90, 255], np.uint8), (side, side + 5, bands)).repeat(2, 0).repeat(2, 1)
    size = data.draw(st.integers(source.shape[1], 150)), data.draw(st.integers(source.shape[0], 150))
    x, y = data.draw(st.integers(0, size[0] - 1)), data.draw(st.integers(0, size[1] - 1))
    box = Box(x, y, data.draw(st.integers(1, size[0] - x)), data.draw(st.integers(1, size[1] - y)))
    opened = Redrawer(model, Settings())
    assert np.abs(opened(source, size, box) - opened(source, size, Box(0, 0, *size))[box.slices()]).max() < 1e-5


def test_a_box_that_begins_in_the_pixel_before_the_one_under_its_middle() -> None:
    source = np.random.default_rng(22).choice(np.array([0, 90, 255], np.uint8), (22, 27, 1)).repeat(2, 0).repeat(2, 1)
    opened, size = Redrawer("edges", Settings()), (54, 71)
    whole = opened(source, size, Box(0, 0, *size))
    for y in range(71):
        assert np.abs(opened(source, size, Box(0, y, 54, 1)) - whole[y : y + 1]).max() < 1e-5


def pattern(text: str) -> Samples:
    return np.array([[ord(letter) for letter in row] for row in text.split()], np.uint8)[..., None]


def test_scale2x_by_hand() -> None:
    """A staircase: its inner corners are filled, its outer ones cut."""
    answer = drawn("scale2x", pattern("#... ##.. ###. ####"), 2)
    assert np.array_equal(answer, pattern("##...... ###..... ###..... #####... #####... #######. ######## ########"))


def test_scale3x_by_hand() -> None:
    """A lone pixel has nothing to cut; beside a diagonal one corner is filled, beside a slope of 1:2 the middle of a side too."""
    alone = pattern("..... ..... ..#.. ..... .....")
    assert np.array_equal(drawn("scale2x", alone, 3), alone.repeat(3, 0).repeat(3, 1))
    diagonal = drawn("scale2x", pattern("#... .#.. ..#. ...#"), 3)
    assert np.array_equal(diagonal[3:6, 6:9], pattern("... ... #.."))
    slope = drawn("scale2x", pattern("...... ##.... ######"), 3)
    assert np.array_equal(slope[3:6, 6:9], pattern("... ... ##."))
    turned = drawn("scale2x", pattern("...... ##.... ######").transpose(1, 0, 2), 3)
    assert np.array_equal(turned, slope.transpose(1, 0, 2))


def test_steps_go_to_the_scale_or_just_beyond() -> None:
    assert [steps_to(scale) for scale in (1, 1.5, 2, 3, 4, 5, 6, 8, 1000)] == [
        (), (2,), (2,), (3,), (2, 2), (3, 2), (3, 2), (2, 2, 2), (2,) * 6,
    ]  # fmt: skip
    twice = scaled(np.arange(12, dtype=np.uint32).reshape(3, 4) % 3, (2, 2))
    assert twice.shape == (12, 16)


def test_hidden_colour_neither_shows_nor_decides() -> None:
    """Two sprites that differ only under full transparency are drawn alike."""
    one = sprite(3)
    other = one.copy()
    clear = one[..., 3] == 0
    other[clear, :3] = np.random.default_rng(0).integers(0, 255, (int(clear.sum()), 3))
    for model in MODELS:
        first, second = drawn(model, one, 4), drawn(model, other, 4)
        assert np.array_equal(first[..., 3], second[..., 3]), model
        assert np.array_equal(first[first[..., 3] > 0], second[second[..., 3] > 0]), model


def test_edges_are_smooth_and_the_rest_is_untouched() -> None:
    source = np.zeros((12, 12, 3), np.uint8)
    source[np.tril_indices(12)] = 255  # a staircase at 45 degrees
    answer = drawn("edges", source, 8)
    rows, columns = np.mgrid[:96, :96]
    off = (columns - rows) / 8
    inner = (np.abs(rows - 47.5) < 30) & (np.abs(columns - 47.5) < 30)
    straight = (off < 0.35) | (off > 1.0)
    assert set(np.unique(answer[inner & straight])) == {0, 255}, "away from the line"
    assert np.array_equal(answer[inner & (off < 0.35)] == 255, np.ones((int((inner & (off < 0.35)).sum()), 3), bool))
    assert len(np.unique(answer)) > 3, "across the line"
    square = np.zeros((9, 9, 1), np.uint8)
    square[3:6, 3:6] = 200
    assert np.array_equal(drawn("edges", np.full_like(square, 7), 5), np.full((45, 45, 1), 7))
    assert len(np.unique(drawn("edges", square, 2.5))) > 2, "lines between pixels fall within pixels of the result"


def test_half_scales_do_not_move_the_picture() -> None:
    """At 2.5 every second line falls on the centre of a pixel: blocks on either side gain by turns."""
    under = Axis(40).under(0, 100, 100)
    centres = np.array([np.flatnonzero(under == block).mean() for block in range(40)])
    assert np.bincount(under).tolist() == [2, 3, 3, 2] * 10
    assert abs((centres - ((np.arange(40) + 0.5) * 2.5 - 0.5)).mean()) < 1e-9


# --- the true grid ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("side", range(2, 9))
@pytest.mark.parametrize("seed", range(4))
def test_the_grid_is_found(side: int, seed: int) -> None:
    for samples in (scene(seed), sprite(seed)):
        big, grid = blown_up(samples, side, seed)
        assert true_grid(big) == grid
        assert grid_of(big, side) == grid


@pytest.mark.parametrize("side", range(2, 9))
@pytest.mark.parametrize("quality", [90, 75])
def test_the_grid_is_found_under_jpeg(side: int, quality: int) -> None:
    for seed in range(4):
        big, grid = blown_up(scene(seed), side, seed)
        assert true_grid(through_jpeg(big, quality)) == grid


@pytest.mark.parametrize("name", ["astronaut", "chelsea", "coffee", "camera", "rocket", "page", "text", "brick"])
def test_photographs_have_no_grid(name: str) -> None:
    photograph = getattr(skimage.data, name)()
    for samples in (photograph, through_jpeg(photograph, 10)):
        assert true_grid(samples if samples.ndim == 3 else samples[..., None]) is None


def test_true_pixels_have_no_grid() -> None:
    for seed in range(20):
        for samples in (scene(seed), sprite(seed), sprite(seed, 32), through_jpeg(scene(seed), 90), np.full((30, 30, 3), seed, np.uint8)):
            assert true_grid(samples) is None


@pytest.mark.parametrize("model", MODELS)
def test_what_was_enlarged_before_is_redrawn_from_its_true_pixels(model: str) -> None:
    """4x of a sprite that was saved at 3x is 12x of the sprite; the size is that asked of the file."""
    source = scene(6)
    big = source.repeat(3, 0).repeat(3, 1)
    assert np.array_equal(drawn(model, big, 4), drawn(model, source, 12, "off"))
    assert np.array_equal(drawn(model, big, 4, 3), drawn(model, source, 12, "off"))
    assert np.array_equal(drawn("blocks", big, 4), drawn("blocks", big, 4, "off"))


def test_a_crop_within_a_block() -> None:
    source = scene(2).repeat(4, 0).repeat(4, 1)
    top, left = 3, 1
    for model in MODELS:
        whole, part = drawn(model, source, 2), drawn(model, np.ascontiguousarray(source[top:, left:]), 2)
        inner = slice(16, -16), slice(16, -16)
        assert np.array_equal(part[inner], whole[2 * top :, 2 * left :][inner]), model


def test_jpeg_is_cleaned_on_the_way() -> None:
    """Blocks of one colour again, near the true one."""
    source = scene(3)
    answer = drawn("blocks", through_jpeg(source.repeat(6, 0).repeat(6, 1), 90), 2)
    blocks = answer.reshape(40, 12, 48, 12, 3)
    assert np.array_equal(blocks.min((1, 3)), blocks.max((1, 3)))
    assert np.abs(blocks[:, 0, :, 0].astype(int) - source).mean() < 4
    assert len(colours(answer)) < 4 * len(colours(source))


# --- settings, and the way through the pipeline -------------------------------------------------------------------------


def test_settings_devices_and_models() -> None:
    assert Settings(grid="4").grid == 4
    for wrong in ("1", "65", "no", 2.5):
        with pytest.raises(ValidationError):
            Settings(grid=wrong)
    engine = find("pixelart")
    with pytest.raises(DeviceError, match="CPU only"):
        engine.device("gpu", None)
    first = engine.models()[0]
    with pytest.raises(DeviceError):
        engine.open(first, Device("gpu"), Settings())
    with pytest.raises(EngineMissingError, match="blocks, scale2x"):
        engine.open(first.model_copy(update={"id": "hq2x"}), Device(), Settings())
    with pytest.raises(EngineError, match="settings"):
        engine.open(first, Device(), NoSettings())


@pytest.mark.parametrize("box", [Box(0, 0, 0, 1), Box(-1, 0, 2, 2), Box(0, 0, 33, 1), Box(31, 31, 2, 1)])
def test_boxes_outside_are_refused(box: Box) -> None:
    with pytest.raises(EngineError, match="inside"):
        Redrawer("blocks", Settings())(sprite(0), (32, 32), box)
    with pytest.raises(EngineError, match="smaller"):
        Redrawer("blocks", Settings())(sprite(0), (15, 32), Box(0, 0, 1, 1))


def test_a_closed_engine_looks_again() -> None:
    opened = Redrawer("blocks", Settings())
    for seed in (1, 2):
        source = sprite(seed)
        assert np.allclose(opened(source, (32, 32), Box(0, 0, 32, 32))[::2, ::2], source / np.float32(255), atol=1e-6)
        opened.close()


@pytest.mark.parametrize("model", EXACT)
def test_the_pipeline_leaves_exact_answers_alone(model: str) -> None:
    source = scene(4)
    result = enlarger.enlarge(source, 2, model=model)
    assert np.array_equal(result.image, drawn(model, source, 2))
    assert result.report.fidelity is not None
    assert model != "blocks" or result.report.fidelity.verdict == "pass"


def test_the_setting_reaches_the_engine() -> None:
    big = scene(4).repeat(2, 0).repeat(2, 1)
    found, off = (enlarger.enlarge(big, 2, model="scale2x", settings={"grid": grid}).image for grid in ("auto", "off"))
    assert not np.array_equal(found, off)
    with pytest.raises(UsageError, match="grid"):
        enlarger.enlarge(big, 2, model="scale2x", settings={"grid": "1"})


@pytest.mark.parametrize("dial", [{"detail": 70}, {"detail": 20}, {"texture": 60}, {"resemblance": 80}])
def test_dials_that_would_change_exact_pixels_are_refused(dial: dict[str, int]) -> None:
    with pytest.raises(UsageError, match="exact") as caught:
        enlarger.enlarge(scene(1), 2, model="blocks", **dial)
    assert caught.value.subject == f"--{next(iter(dial))}"
