"""What triage measures, at known levels: blur, enlargement, JPEG, blocks of pixel art, letters, light, transparency."""

from __future__ import annotations

import io
import time

import numpy as np
import PIL.Image
import PIL.ImageDraw
import PIL.ImageFilter
import PIL.ImageFont
import pytest
from skimage import data

from enlarger.looks.compression import quality_of
from enlarger.seen import TriageMeasures
from enlarger.steps.damage import damage
from enlarger.steps.decode import decode
from enlarger.steps.triage import measure, triage

RNG = np.random.default_rng(11)
PHOTOS = ("astronaut", "coffee", "chelsea")


def sharp(name: str) -> PIL.Image.Image:
    """A photograph reduced until it is as sharp as pixels can be."""
    picture = PIL.Image.fromarray(getattr(data, name)())
    return picture.resize((picture.width * 2 // 3, picture.height * 2 // 3), PIL.Image.Resampling.LANCZOS)


def seen(picture: PIL.Image.Image | np.ndarray | bytes) -> TriageMeasures:
    return measure(decode(np.asarray(picture) if isinstance(picture, PIL.Image.Image) else picture))[0]


def jpeg(picture: PIL.Image.Image, quality: int) -> bytes:
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=quality)
    return file.getvalue()


@pytest.mark.parametrize("name", PHOTOS)
def test_blur_is_that_of_the_gaussian(name: str) -> None:
    assert (seen(sharp(name)).blur or 0) < 0.75
    for sigma in (1.0, 1.5, 2.5):
        soft = sharp(name).filter(PIL.ImageFilter.GaussianBlur(sigma))
        assert seen(soft).blur == pytest.approx(sigma, rel=0.3)


@pytest.mark.parametrize("sigma", [1.0, 2.0, 3.0])
def test_noise_does_not_pass_for_sharpness(sigma: float) -> None:
    soft = np.asarray(sharp("astronaut").filter(PIL.ImageFilter.GaussianBlur(sigma)))
    noisy = np.clip(soft + RNG.normal(0, 4, soft.shape), 0, 255).astype(np.uint8)
    assert seen(noisy).blur == pytest.approx(sigma, rel=0.35)


def test_blur_of_what_has_no_edges_is_not_told() -> None:
    ramp = np.linspace(40, 200, 300).astype(np.uint8)[None].repeat(200, 0)
    assert seen(ramp).blur is None
    assert seen(np.full((200, 200), 90, np.uint8)).blur is None


@pytest.mark.parametrize("kernel", [PIL.Image.Resampling.BICUBIC, PIL.Image.Resampling.LANCZOS])
@pytest.mark.parametrize("name", PHOTOS)
def test_pictures_that_were_enlarged_have_more_pixels_than_detail(name: str, kernel: PIL.Image.Resampling) -> None:
    part = sharp(name).crop((0, 0, 260, 200))
    before = seen(part).oversize
    assert before is not None
    assert before < 1.5
    found = []
    for factor in (2, 3):
        after = seen(part.resize((260 * factor, 200 * factor), kernel)).oversize
        assert after is not None
        assert factor * 0.7 <= after <= factor * 1.5 * before
        found.append(after)
    assert found[0] < found[1]


def test_noise_does_not_pass_for_detail() -> None:
    """Noise over a picture that was enlarged: either the same factor is seen, or nothing is said."""
    part = sharp("coffee").crop((0, 0, 260, 200)).resize((780, 600), PIL.Image.Resampling.BICUBIC)
    noisy = np.clip(np.asarray(part) + RNG.normal(0, 12, (600, 780, 3)), 0, 255).astype(np.uint8)
    found = seen(noisy).oversize
    assert found is None or found > 2


@pytest.mark.parametrize("quality", [25, 50, 75, 90])
@pytest.mark.parametrize("name", PHOTOS)
def test_jpeg_quality_by_tables_and_by_content(name: str, quality: int) -> None:
    file = jpeg(sharp(name), quality)
    told = seen(file).jpeg
    assert (told.quality, told.found) == (quality, "tables")
    once = PIL.Image.open(io.BytesIO(file))
    former = seen(once.crop((3, 5, once.width, once.height))).jpeg
    if quality <= 75:
        assert former.grid == (5, 3)
        assert former.found == "content"
        assert former.quality == pytest.approx(quality, abs=8)
    else:
        assert former.quality is None or former.quality == pytest.approx(quality, abs=5)


@pytest.mark.parametrize("name", PHOTOS)
def test_what_was_no_jpeg_is_not_called_one(name: str) -> None:
    assert seen(sharp(name)).jpeg.quality is None
    assert seen(RNG.integers(0, 256, (200, 200, 3), np.uint8)).jpeg.quality is None


def test_coarser_jpeg_has_more_damage() -> None:
    found = [seen(jpeg(sharp("coffee"), quality)).jpeg.damage for quality in (10, 30, 60)]
    assert None not in found
    assert found == sorted(found, reverse=True)  # type: ignore[type-var]


@pytest.mark.parametrize("quality", [1, 10, 49, 50, 51, 75, 95])
def test_tables_of_libjpeg_are_recognised(quality: int) -> None:
    with PIL.Image.open(io.BytesIO(jpeg(sharp("coffee"), quality))) as picture:
        assert quality_of(tuple(picture.quantization[0])) == quality


def sprite(side: int = 24) -> np.ndarray:
    """Random colours with a transparent rim, as games draw them."""
    body = RNG.integers(0, 4, (side, side))
    colours = np.array([[20, 20, 30, 255], [200, 60, 60, 255], [240, 200, 90, 255], [70, 120, 200, 255]], np.uint8)
    return colours[body]


@pytest.mark.parametrize("side", [2, 3, 4, 7])
def test_blocks_of_pixel_art_and_where_they_begin(side: int) -> None:
    big = sprite().repeat(side, 0).repeat(side, 1)[1:, side - 1 :]
    grid = seen(big).pixel_grid
    assert grid is not None
    assert (grid.width, grid.height, grid.x, grid.y) == (side, side, 1, side - 1)


def test_blocks_may_be_oblong_and_jpegs() -> None:
    grid = seen(sprite().repeat(4, 0).repeat(2, 1)).pixel_grid
    assert grid is not None
    assert (grid.width, grid.height) == (2, 4)
    big = PIL.Image.fromarray(sprite()[..., :3].repeat(8, 0).repeat(8, 1))
    grid = seen(jpeg(big, 92)).pixel_grid
    assert grid is not None
    assert (grid.width, grid.height) == (8, 8)


@pytest.mark.parametrize("picture", ["astronaut", "coffee", "coins", "page", "text"])
def test_other_pictures_have_no_blocks(picture: str) -> None:
    grid = seen(getattr(data, picture)()).pixel_grid
    assert grid is None or (grid.width, grid.height) == (1, 1)


def page(size: int, height: int = 700) -> PIL.Image.Image:
    sheet = PIL.Image.new("L", (700, height), 250)
    draw, font = PIL.ImageDraw.Draw(sheet), PIL.ImageFont.load_default(size)
    for y in range(30, height - 2 * size, round(1.5 * size)):
        draw.text((30, y), "some words of a line that never has an end, and nonsense no one reads " * 2, 20, font)
    return sheet


@pytest.mark.parametrize("size", [12, 16, 24, 40])
def test_height_of_letters(size: int) -> None:
    _, top, _, bottom = PIL.ImageFont.load_default(size).getbbox("x")
    found = seen(page(size)).text
    assert found.present
    assert found.x_height == pytest.approx(bottom - top, abs=max(1.5, 0.2 * (bottom - top)))
    assert found.legible == (found.x_height >= 6)


@pytest.mark.parametrize("picture", ["astronaut", "coffee", "chelsea", "rocket", "grass", "gravel", "coins"])
def test_photographs_have_no_text(picture: str) -> None:
    assert not seen(getattr(data, picture)()).text.present


def test_light_clipping_and_ground() -> None:
    dark = (np.asarray(sharp("coffee")) * 0.15).astype(np.uint8)
    assert seen(dark).light.low
    assert not seen(sharp("coffee")).light.low
    picture = np.full((200, 300, 3), 255, np.uint8)
    picture[50:150, 100:200] = RNG.integers(1, 250, (100, 100, 3))
    found = seen(picture)
    assert found.background.colour == "#ffffff"
    assert found.background.share == pytest.approx(5 / 6, abs=0.02)
    assert found.light.white == pytest.approx((5 / 6,) * 3, abs=0.02)
    assert max(found.light.black) < 0.01


def test_transparency() -> None:
    picture = np.dstack([np.asarray(sharp("astronaut")), np.full((341, 341), 255, np.uint8)])
    assert seen(picture).alpha.kind == "none"
    picture[:170, :, 3] = 0
    found = seen(picture).alpha
    assert found.kind == "binary"
    assert found.clear == pytest.approx(0.5, abs=0.02)
    picture[170:180, :, 3] = 128
    assert seen(picture).alpha.kind == "soft"
    assert seen(data.astronaut()).alpha.kind == "none"


def test_sixteen_bits_and_grey_are_seen_the_same() -> None:
    picture = np.asarray(sharp("coffee").convert("L"))
    one, other = seen(picture), seen(picture.astype(np.uint16) * 257)
    assert (one.blur, one.oversize, one.light, one.text) == (other.blur, other.oversize, other.light, other.text)


@pytest.mark.parametrize("shape", [(1, 1), (1, 500), (500, 1), (7, 9), (3000, 2), (40, 40, 4)])
@pytest.mark.parametrize("value", [0, 255])
def test_nothing_to_see_is_said_so(shape: tuple[int, ...], value: int) -> None:
    found = triage(decode(np.full(shape, value, np.uint8)))
    assert (found.kind, found.confidence) == ("unknown", 0)
    assert (found.measures.blur, found.measures.oversize, found.measures.jpeg.quality) == (None, None, None)


def test_large_pictures_take_no_longer() -> None:
    """Half a second for 4 MP; 40 MP must not take ten times as long. Generous limits, for machines that are busy."""
    picture = np.tile(np.asarray(sharp("coffee")), (15, 7, 1))
    four, forty = decode(picture[:2000, :2000]), decode(picture)
    known = {id(image): damage(image) for image in (four, forty)}
    triage(four, known[id(four)])
    spent = []
    for image in (four, forty):
        start = time.perf_counter()
        triage(image, known[id(image)])
        spent.append(time.perf_counter() - start)
    assert spent[0] < 2.5
    assert spent[1] < 4 * spent[0] + 0.5
