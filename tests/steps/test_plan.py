"""Plans are pure: sizes, stages, formats and choices follow from a header and options."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enlarger.engines.engine import Device
from enlarger.errors import EngineMissingError, FormatLimitError, OutOfMemoryError, UsageError
from enlarger.formats import FORMATS
from enlarger.image import Header, round_half_up
from enlarger.options import Options
from enlarger.report import Plan
from enlarger.steps.plan import default_output, make_plan, speed_factor


def header(width: int = 512, height: int = 512, *, format: str = "jpeg", channels: int = 3, alpha: bool = False, bits: int = 8) -> Header:
    return Header(name="a.jpg", format=format, width=width, height=height, channels=channels, alpha=alpha, bits=bits)


def planned(source: Header, output: str | None = None, **options: object) -> Plan:
    return make_plan(source, Options(**{"device": "cpu", "threads": 2, **options}), Path(output) if output else None)


@given(
    st.integers(1, 6000),
    st.integers(1, 6000),
    st.floats(1, 16),
    st.sampled_from(["realesrgan-x4plus", "realesr-animevideov3-x2", "enlarger-photo-x4", "lanczos3"]),
)
def test_every_plan_ends_at_the_rounded_size(width: int, height: int, scale: float, model: str) -> None:
    plan = planned(header(width, height, format="png"), scale=scale, model=model)
    last = plan.stages[-1]
    assert (last.out_width, last.out_height) == (plan.output.width, plan.output.height)
    assert (plan.output.width, plan.output.height) == (max(1, round_half_up(width * scale)), max(1, round_half_up(height * scale)))
    for one, two in zip(plan.stages, plan.stages[1:], strict=False):
        assert (one.out_width, one.out_height) == (two.width, two.height)
    for stage in plan.stages:
        if stage.scale:
            assert 1.011 * stage.width * stage.scale + 1 >= stage.out_width


@pytest.mark.parametrize(
    ("scale", "model", "stages"),
    [
        (4, "realesrgan-x4plus", [(2048, 4)]),
        (2.5, "realesrgan-x4plus", [(1280, 4)]),
        (1, "realesrgan-x4plus", [(512, 4)]),
        (8, "realesrgan-x4plus", [(2048, 4), (4096, 4)]),
        (16, "realesrgan-x4plus", [(2048, 4), (8192, 4)]),
        (9, "realesr-animevideov3-x3", [(1536, 3), (4608, 3)]),
        (7.5, "bicubic", [(3840, 0)]),
    ],
)
def test_big_jumps_are_staged(scale: float, model: str, stages: list[tuple[int, int]]) -> None:
    plan = planned(header(), scale=scale, model=model)
    assert [(s.out_width, s.scale) for s in plan.stages] == stages


@pytest.mark.parametrize("side", [200, 4000])
def test_auto_takes_our_own_net_at_any_size(side: int) -> None:
    assert [s.model for s in planned(header(side, side)).stages] == ["enlarger-photo-x4"]


def test_auto_stages_use_the_smallest_net_of_the_family_that_suffices() -> None:
    assert [s.model for s in planned(header(2000, 1500, format="png"), scale=8).stages] == [
        "enlarger-photo-x4",
        "enlarger-photo-x2",
    ]
    assert [s.model for s in planned(header(2000, 1500), scale=2).stages] == ["enlarger-photo-x2"]
    assert [s.model for s in planned(header(2000, 1500), scale=3).stages] == ["enlarger-photo-x4"]


def test_the_memory_allowed_bounds_the_tile() -> None:
    roomy = planned(header(2000, 1500), model="realesrgan-x4plus", memory="2GB")
    tight = planned(header(2000, 1500), model="realesrgan-x4plus", memory="1GB")
    assert len_tiles(tight) > len_tiles(roomy)
    assert tight.estimate.memory <= 10**9 + 60 * 10**6
    assert roomy.estimate.memory <= 2 * 10**9 + 60 * 10**6


def len_tiles(plan: Plan) -> int:
    return sum(stage.tiles for stage in plan.stages)


def test_x4plus_does_at_most_two_fifths_of_extra_work_at_the_default_memory() -> None:
    small = planned(header(100, 100), model="realesrgan-x4plus").stages[0]
    assert small.tiles == 1
    for side in (512, 1000, 1024, 3000, 8000):
        stage = planned(header(side, side), model="realesrgan-x4plus").stages[0]
        assert stage.halo == 33
        assert stage.seconds / (small.seconds * side * side / 10**4) <= 1.4


def test_too_little_memory_is_one_line() -> None:
    with pytest.raises(
        OutOfMemoryError, match=r"x4plus needs about .* GB for a tile with its halo, --memory allows 0\.2 GB; raise --memory"
    ):
        planned(header(1000, 1000), model="realesrgan-x4plus", memory="200MB")


def test_alpha_doubles_the_work() -> None:
    plain, clear = (
        planned(header(format="png"), model="realesrgan-x4plus"),
        planned(header(format="png", alpha=True), model="realesrgan-x4plus"),
    )
    assert clear.stages[0].seconds == pytest.approx(2 * plain.stages[0].seconds)


@pytest.mark.parametrize(
    ("source", "output", "asked", "expected"),
    [
        ("jpeg", None, None, "jpeg"),
        ("gif", None, None, "png"),
        ("array", None, None, "png"),
        ("jpeg", "x.PNG", None, "png"),
        ("png", "x.tif", "tif", "tiff"),
        ("png", "x.unknown", "webp", "webp"),
    ],
)
def test_output_format(source: str, output: str | None, asked: str | None, expected: str) -> None:
    assert planned(header(10, 10, format=source), output, format=asked).output.format == expected


def test_contradictions_and_unknown_suffixes_are_refused() -> None:
    with pytest.raises(UsageError, match=r"--format: jpeg contradicts the output's name x\.png; drop one of them"):
        planned(header(10, 10), "x.png", format="jpeg")
    with pytest.raises(
        UsageError, match=r"x.gif: cannot write files of this kind \(.gif\); end the name in .jpg, .png, .* or say --format"
    ):
        planned(header(10, 10), "x.gif")
    with pytest.raises(UsageError, match=r"--quality: png is lossless and has no quality; drop it or choose jpeg, webp or avif"):
        planned(header(10, 10, format="png"), quality=90)


@pytest.mark.parametrize(
    ("width", "format", "hint"),
    [
        (17000, "jpeg", "png or tiff or dz"),
        (4096, "webp", "jpeg or png or tiff or avif or dz"),
        (4097, "avif", "jpeg or png or tiff or dz"),
    ],
)
def test_format_limits_are_known_before_the_work(width: int, format: str, hint: str) -> None:
    with pytest.raises(FormatLimitError, match=f"is more than {format} can hold .*choose --format {hint}$"):
        planned(header(width, 10), format=format)


def test_unknown_engines_and_models_are_named_with_those_there_are() -> None:
    with pytest.raises(EngineMissingError, match=r"nothing: no such engine; installed engines are .*ncnn, .*resample"):
        planned(header(), engine="nothing")
    with pytest.raises(EngineMissingError, match=r"nothing: there is no such model; choose one of .*realesrgan-x4plus"):
        planned(header(), model="nothing")
    with pytest.raises(EngineMissingError, match=r"lanczos3: the engine ncnn has no such model; it has enlarger-photo"):
        planned(header(), engine="ncnn", model="lanczos3")


@pytest.mark.parametrize(
    ("bits", "depths"), [(8, {"jpeg": 8, "png": 8, "tiff": 8}), (16, {"jpeg": 8, "png": 16, "tiff": 16}), (32, {"png": 16, "tiff": 32})]
)
def test_depth_is_kept_where_the_format_can(bits: int, depths: dict[str, int]) -> None:
    assert {name: FORMATS[name].depth(bits) for name in depths} == depths


def test_default_name() -> None:
    def name(source: str, kind: str, **options: object) -> str:
        return str(default_output(Path(source), header(format=kind), Options(**options), None))

    assert name("a/photo.JPG", "jpeg") == "a/photo-4x.JPG"
    assert name("a/photo.gif", "gif") == "a/photo-4x.png"
    assert name("photo.jpeg", "jpeg", scale=2.5) == "photo-2.5x.jpeg"
    assert name("photo.jpg", "jpeg", format="webp") == "photo-4x.webp"
    assert name("really-a-png.jpg", "png") == "really-a-png-4x.png"


def test_a_plan_is_json_and_comes_back() -> None:
    plan = planned(header(), scale=8)
    assert Plan.model_validate_json(plan.model_dump_json()) == plan
    assert plan.model_dump()["schema"] == "enlarger.plan/1"


def test_more_threads_are_quicker_and_the_guess_never_asks_a_clock() -> None:
    assert speed_factor(Device("cpu", threads=2)) <= speed_factor(Device("cpu", threads=1))
    assert planned(header()) == planned(header())
