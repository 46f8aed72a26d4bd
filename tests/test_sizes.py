"""Every way to ask for a size: what it means, what contradicts it, and that each ends at exactly the planned pixels."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from enlarger.errors import UsageError
from enlarger.image import Header
from enlarger.layout import lay_out
from enlarger.options import Options
from enlarger.report import Geometry
from enlarger.sizes import IDEOGRAM, mark
from enlarger.steps.passes import STRETCH, steps
from enlarger.steps.plan import make_plan

T = TypeVar("T")


def laid(across: int, down: int, /, **options: object) -> Geometry:
    return lay_out(across, down, Options(**options))


def tried(work: Callable[[], T]) -> T | str:
    """What ``work`` gives, or what it says when it refuses."""
    try:
        return work()
    except UsageError as error:
        return str(error)


@pytest.mark.parametrize(
    ("source", "options", "size"),
    [
        ((1000, 667), {}, (4000, 2668)),
        ((1000, 667), {"scale": 2.5}, (2500, 1668)),
        ((1000, 667), {"width": 3000}, (3000, 2001)),
        ((1000, 667), {"height": 2001}, (3000, 2001)),
        ((1000, 667), {"long_edge": 3000}, (3000, 2001)),
        ((667, 1000), {"long_edge": 3000}, (2001, 3000)),
        ((1000, 667), {"short_edge": 2001}, (3000, 2001)),
        ((667, 1000), {"short_edge": 2001}, (2001, 3000)),
        ((1000, 500), {"megapixels": 8}, (4000, 2000)),
        ((1000, 500), {"to": "2k"}, (2048, 1024)),
        ((500, 1000), {"to": "4K"}, (1920, 3840)),
        ((1000, 500), {"to": "8k"}, (7680, 3840)),
        ((1000, 500), {"to": "16k"}, (15360, 7680)),
        ((3000, 2000), {"print": "60x40cm"}, (7086, 4724)),
        ((3000, 2000), {"print": "600 x 400 mm", "dpi": 254}, (6000, 4000)),
        ((3000, 2000), {"print": "24x16in", "dpi": 300}, (7200, 4800)),
        ((1000, 1000), {"width": 3000, "height": 2000}, (2000, 2000)),
        ((1000, 1000), {"width": 3000, "height": 2000, "fit": "cover"}, (3000, 3000)),
        ((1000, 1000), {"width": 3000, "height": 2000, "fit": "crop"}, (3000, 2000)),
        ((1000, 1000), {"width": 3000, "height": 2000, "fit": "pad"}, (3000, 2000)),
        ((1000, 1000), {"aspect": "3:2", "fit": "crop", "scale": 2}, (2000, 1334)),
        ((1000, 1000), {"aspect": "3:2", "fit": "pad", "scale": 2}, (3000, 2000)),
        ((1000, 1000), {"aspect": "3:2", "fit": "bounds", "width": 3000}, (2000, 2000)),
        ((1000, 1000), {"aspect": "2:3", "fit": "crop", "to": "4k"}, (2560, 3840)),
        ((1500, 1000), {"aspect": "3:2", "width": 3000}, (3000, 2000)),
        ((1000, 1000), {"aspect": "2:1", "fit": "pad", "megapixels": 8}, (4000, 2000)),
        # The two examples of Ideogram's page.
        ((1500, 1500), {"aspect": "ideogram"}, (2048, 2048)),
        ((1700, 1200), {"aspect": "ideogram"}, (2304, 1536)),
        ((1000, 500), {"padding": 40, "scale": 2}, (2080, 1080)),
        ((1000, 500), {"padding": "10%", "scale": 2}, (2500, 1250)),
        ((1000, 500), {"padding": "10%", "width": 2500}, (2500, 1250)),
        ((1000, 500), {"padding": "40px", "width": 2080}, (2080, 1080)),
    ],
)
def test_what_sizes_mean(source: tuple[int, int], options: dict[str, object], size: tuple[int, int]) -> None:
    assert laid(*source, **options).size == size


def test_print_says_its_dpi_and_dpi_alone_is_only_written_down() -> None:
    assert laid(300, 200, print="10x10cm").dpi == 300
    assert laid(300, 200, print="10x10cm", dpi=150).dpi == 150
    alone = laid(300, 200, dpi=150)
    assert (alone.dpi, alone.size) == (150, (1200, 800))
    assert laid(300, 200).dpi is None


def test_padding_is_as_asked_on_every_side_and_a_fit_divides_the_rest() -> None:
    assert laid(100, 50, scale=2, padding=7).padding == (7, 7, 7, 7)
    fitted = laid(1000, 667, width=3000, height=3000, fit="pad", padding="5%")
    assert (fitted.width, fitted.height, fitted.padding) == (2700, 1801, (150, 599, 150, 600))


def test_a_crop_is_cut_from_the_middle_of_the_source() -> None:
    assert laid(1000, 500, aspect="1:1", fit="crop").crop == (250, 0, 500, 500)
    assert laid(500, 1000, aspect="1:1", fit="crop").crop == (0, 250, 500, 500)


def test_a_source_with_more_pixels_is_reduced_and_known_to_be() -> None:
    assert laid(5000, 4000, to="4k").reduces
    assert laid(5000, 4000, to="4k").size == (3840, 3072)
    assert not laid(3840, 2000, to="4k").reduces


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"scale": 2, "width": 100}, "--width: contradicts --scale; keep one of them"),
        ({"scale": 4, "to": "4k"}, "--to: contradicts --scale"),
        ({"width": 100, "to": "4k"}, "--to: contradicts --width"),
        ({"width": 1, "height": 2, "long_edge": 3}, "--long-edge: contradicts --height"),
        ({"print": "6x4in", "megapixels": 3}, "--print: contradicts --megapixels"),
        ({"aspect": "ideogram", "scale": 2}, "--aspect: contradicts --scale"),
        ({"aspect": "3:2", "print": "6x4in"}, "--aspect: contradicts --print, which has an aspect of its own; drop one of them"),
        ({"aspect": "3:2", "width": 30, "height": 20}, "--aspect: contradicts --width with --height"),
        ({"fit": "crop", "width": 30}, "--fit: there is nothing to fit into; give --width and --height, --print or --aspect"),
        ({"aspect": "3:2", "fit": "cover"}, "--fit: cover needs a size beside the aspect"),
        ({"crop_on": "subject"}, "--crop-on: nothing is cropped; say --fit crop"),
        ({"print": "60x40"}, "--print: '60x40' is no size of paper; write 60x40cm, 24x16in or 600x400mm"),
        ({"print": "0x40cm"}, "--print: '0x40cm' is no size of paper"),
        ({"aspect": "wide"}, "--aspect: 'wide' is no aspect; write 3:2, 16:9, 1:1 or ideogram"),
        ({"aspect": "300:1"}, "--aspect: '300:1' is more than 100:1"),
        ({"padding": "lots"}, "--padding: 'lots' is no padding; write 40px or 5%"),
        ({"padding": "50%"}, "--padding: 50% on each side leaves hardly a picture"),
        ({"background": "puce"}, "--background: 'puce' is no background; write #RRGGBB, white, black, transparent or the name of a"),
        ({"to": "9k"}, "--to: input should be '2k', '4k', '8k' or '16k', not '9k'"),
        ({"width": 0}, "--width: input should be greater than or equal to 1"),
        ({"stages": 4}, "--stages: input should be 'auto', 'gentle', '0', '1', '2' or '3', not '4'"),
    ],
)
def test_what_cannot_be_meant_is_one_line(options: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        Options(**options)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("source", "options", "message"),
    [
        ((400, 300), {"to": "16k"}, "--to: 15360x11520 is 38.4 times the source's 400x300; 16 times is the most"),
        ((400, 300), {"aspect": "3:2"}, "--aspect: 400x300 is not 3:2; say --fit crop to cut off what is too much, or --fit pad"),
        ((400, 300), {"width": 20, "padding": 10}, "--padding: leaves no room for the picture"),
    ],
)
def test_what_does_not_suit_the_source_is_one_line(source: tuple[int, int], options: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        laid(*source, **options)
    assert str(caught.value).startswith(message)


def test_a_size_takes_the_place_of_another_but_a_scale_that_was_said_is_no_default() -> None:
    assert Options.of(Options(scale=2), to="4k").to == "4k"
    assert Options.of(Options(to="4k"), scale=4).to is None
    again = Options(**Options(width=300).asked())
    assert (again.width, again.scale) == (300, 4.0)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, "4x"),
        ({"scale": 2.5}, "2.5x"),
        ({"to": "8k"}, "8k"),
        ({"width": 300}, "w300"),
        ({"width": 300, "height": 200}, "300x200"),
        ({"print": "60x40cm"}, "60x40cm"),
        ({"megapixels": 12.5}, "12.5mp"),
        ({"aspect": "3:2", "fit": "pad"}, "4x-3to2"),
        ({"aspect": "ideogram"}, "ideogram"),
    ],
)
def test_names_of_results(options: dict[str, object], expected: str) -> None:
    assert mark(Options(**options)) == expected


# --- any source, any wish ---------------------------------------------------------------------------------------------

SIDE = st.integers(1, 4000)
FITS = st.sampled_from(["crop", "pad", "bounds", "cover"])
SIZE = st.one_of(
    st.builds(lambda s: {"scale": s}, st.floats(1, 16)),
    st.builds(lambda n: {"width": n}, st.integers(50, 9000)),
    st.builds(lambda n: {"height": n}, st.integers(50, 9000)),
    st.builds(lambda n: {"long_edge": n}, st.integers(50, 9000)),
    st.builds(lambda n: {"short_edge": n}, st.integers(50, 9000)),
    st.builds(lambda n: {"megapixels": n}, st.floats(0.01, 80)),
    st.builds(lambda n: {"to": n}, st.sampled_from(["2k", "4k", "8k", "16k"])),
    st.builds(
        lambda w, h, d, f: {"print": f"{w}x{h}cm", "dpi": d, "fit": f}, st.integers(5, 90), st.integers(5, 90), st.integers(50, 300), FITS
    ),
    st.builds(lambda w, h, f: {"width": w, "height": h, "fit": f}, st.integers(50, 9000), st.integers(50, 9000), FITS),
    st.builds(
        lambda a, b, n, f: {"aspect": f"{a}:{b}", "long_edge": n, "fit": f},
        st.integers(1, 21),
        st.integers(1, 21),
        st.integers(99, 9000),
        FITS,
    ),
    st.builds(lambda a, b, f: {"aspect": f"{a}:{b}", "fit": f}, st.integers(1, 21), st.integers(1, 21), st.sampled_from(["crop", "pad"])),
    st.just({"aspect": "ideogram"}),
)
PADDING = st.sampled_from([{}, {"padding": "7px"}, {"padding": "3.5%"}])


@settings(deadline=None, max_examples=300)
@given(SIDE, SIDE, SIZE, PADDING)
def test_every_wish_ends_at_exactly_what_was_asked(width: int, height: int, wish: dict[str, object], padding: dict[str, str]) -> None:
    options = Options(**wish, **padding)
    found = tried(lambda: lay_out(width, height, options))
    if isinstance(found, str):
        assert "16 times is the most" in found or "no room" in found
        return
    x, y, wide, high = found.crop
    assert x >= 0
    assert y >= 0
    assert 1 <= wide <= width - x
    assert 1 <= high <= height - y
    assert min(found.width, found.height) >= 1
    assert min(found.padding) >= 0
    fit = wish.get("fit", "crop" if wish.get("aspect") == "ideogram" else None)
    if fit != "crop":
        assert found.crop == (0, 0, width, height)
    size = found.size
    across, down = {"7px": (7, 7), "3.5%": (round(size[0] * 0.035), round(size[1] * 0.035))}.get(options.padding or "", (0, 0))
    assert found.padding[0] >= across - 1
    assert found.padding[1] >= down - 1
    exact = fit in ("crop", "pad")
    if wish.keys() >= {"width", "height"}:
        frame = int(str(wish["width"])), int(str(wish["height"]))
        checks = {
            "crop": size == frame,
            "pad": size == frame,
            "bounds": size[0] <= frame[0] and size[1] <= frame[1] and (size[0] == frame[0] or size[1] == frame[1]),
            "cover": size[0] >= frame[0] and size[1] >= frame[1] and (size[0] == frame[0] or size[1] == frame[1]),
        }
        assert checks[str(fit)]
    elif "width" in wish:
        assert size[0] == wish["width"]
    elif "height" in wish:
        assert size[1] == wish["height"]
    elif "to" in wish:
        assert size[0 if width >= height else 1] == {"2k": 2048, "4k": 3840, "8k": 7680, "16k": 15360}[str(wish["to"])]
    elif "long_edge" in wish and "aspect" in wish and exact:
        assert max(size) == wish["long_edge"]
    elif "long_edge" in wish and "aspect" not in wish:
        assert size[0 if width >= height else 1] == wish["long_edge"]
    elif "short_edge" in wish:
        assert size[0 if width <= height else 1] == wish["short_edge"]
    elif wish.get("aspect") == "ideogram":
        assert size in IDEOGRAM.values()
    elif "megapixels" in wish and min(found.width, found.height) > 30:
        assert math.isclose(size[0] * size[1] / 1e6, float(str(wish["megapixels"])), rel_tol=0.05)


@settings(deadline=None)
@given(
    st.integers(1, 4000),
    st.integers(1, 4000),
    st.floats(1, 16),
    st.sampled_from([[4], [2], [2, 3, 4], [3], None]),
    st.sampled_from(["auto", "gentle", "1", "2", "3"]),
)
def test_every_staging_ends_at_exactly_the_size(width: int, height: int, scale: float, scales: list[int] | None, wanted: str) -> None:
    out = max(1, round(width * scale)), max(1, round(height * scale))
    found = tried(lambda: steps((width, height), out, scales, wanted))
    if isinstance(found, str):
        assert scales is not None
        assert max(out[0] / width, out[1] / height) > scales[-1] ** int(wanted)
        assert "allow more stages" in found
        return
    assert found[-1].size == out
    assert wanted in ("auto", "gentle") or len(found) == int(wanted)
    before = width, height
    for step in found:
        assert step.size[0] >= before[0]
        assert step.size[1] >= before[1]
        if scales is not None:
            assert step.scale in scales
            # A pixel of rounding on a side, and the hundredth that is stretched.
            assert step.size[0] <= before[0] * step.scale * STRETCH + 1
            assert step.size[1] <= before[1] * step.scale * STRETCH + 1
        before = step.size


@pytest.mark.parametrize(
    ("scale", "wanted", "expected"),
    [
        (4, "auto", [400]),
        (8, "auto", [400, 800]),
        (16, "auto", [400, 1600]),
        (4, "gentle", [200, 400]),
        (8, "gentle", [200, 400, 800]),
        (3, "gentle", [200, 300]),
        (8, "2", [400, 800]),
        (16, "3", [400, 800, 1600]),
        (4, "2", [200, 400]),
        (3, "2", [173, 300]),
        (4.02, "auto", [402]),
        (4.2, "auto", [400, 420]),
    ],
)
def test_how_jumps_are_divided(scale: float, wanted: str, expected: list[int]) -> None:
    side = round(100 * scale)
    assert [s.size[0] for s in steps((100, 100), (side, side), [2, 4], wanted)] == expected


def test_a_plan_says_where_the_picture_lies_and_in_what() -> None:
    header = Header(name="a.jpg", format="jpeg", width=300, height=200, channels=3, alpha=False, bits=8)
    plan = make_plan(header, Options(engine="resample", width=900, height=900, fit="pad"), None)
    assert (plan.output.width, plan.output.height) == (900, 900)
    assert (plan.stages[-1].out_width, plan.stages[-1].out_height) == (900, 600)
    assert (plan.geometry.padding, plan.geometry.background) == ((0, 150, 0, 150), "#ffffff")
    with pytest.raises(UsageError, match="--background: jpeg holds no transparency; choose --format png or webp"):
        make_plan(header, Options(padding=3, background="transparent"), None)
    grey = Header(name="a.png", format="png", width=300, height=200, channels=1, alpha=False, bits=8)
    with pytest.raises(UsageError, match="--background: the picture is grey, and #ff0000 is not; choose white, black or a grey"):
        make_plan(grey, Options(padding=3, background="#FF0000"), None)


@pytest.mark.parametrize("word", ["", "#12", "#12345g", "102030", "mauve", "##123456", "#１２３", "#fA0"])
def test_what_is_no_background_is_refused_in_one_line(word: str) -> None:
    with pytest.raises(UsageError) as caught:
        Options(background=word)
    assert "\n" not in str(caught.value)
