"""The page of a report: whole in itself, hostile names harmless, small whatever the size, true pixels, places well chosen."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import io
import re
from html.parser import HTMLParser
from typing import Any

import numpy as np
import PIL.Image
import PIL.ImageDraw
import pytest
from numpy.typing import NDArray
from tests.pictures import SRGB, pixels

import enlarger
from enlarger.fidelity import Fidelity, Measure, Region
from enlarger.image import Box, Image
from enlarger.page import MOST, draw, pictures, places, words
from enlarger.page.markup import Html, json_for_script, tag
from enlarger.report import Report
from enlarger.steps import verify
from enlarger.steps.decode import decode

HOSTILE = (
    "</script><script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "<!--<script>",
    "]]>&amp;'$title ${body} $$",
    "gnp.\u202egpj.exe",
    "nul\x00 esc\x1b[31m line\nfeed",
    "not utf-8 \udcff",
)


class Parsed(HTMLParser):
    """Elements with their attributes, text that shows, and the text of scripts and styles."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.raw: dict[str, list[str]] = {"script": [], "style": []}
        self.shown: list[str] = []
        self._open = ""
        self.feed(page)
        self.close()

    def handle_starttag(self, name: str, attributes: list[tuple[str, str | None]]) -> None:
        self.elements.append((name, dict(attributes)))
        if name in self.raw:
            self.raw[name].append("")
            self._open = name

    def handle_endtag(self, name: str) -> None:
        self._open = "" if name == self._open else self._open

    def handle_data(self, text: str) -> None:
        if self._open:
            self.raw[self._open][-1] += text
        else:
            self.shown.append(text)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.shown).split())

    def all(self, name: str) -> list[dict[str, str | None]]:
        return [attributes for element, attributes in self.elements if element == name]


def fidelity(width: int, height: int, **changes: Any) -> Fidelity:
    """One that doubts."""
    good = Measure(verdict="pass", value=0.01, unit="1/255", limit=1.0, reason="no seams")
    bad = Measure(verdict="doubtful", value=31.0, unit="dB", limit=40.0, reason="a place differs", next_step="look", details={"x": np.inf})
    place = Region(box=(width // 2, height // 2, 32, 32), verdict="doubtful", measure="consistency", value=3.4, reason="it differs here")
    given: dict[str, Any] = {
        "verdict": "doubtful",
        "mode": "quick",
        "width": width,
        "height": height,
        "scale": (4.0, 4.0),
        "measures": {"seams": good, "consistency": bad},
        "regions": (place,),
        "not_checked": {"faces": "only in full mode"},
    }
    return Fidelity(**given | changes)


def made(array: NDArray[Any], scale: float = 4, **changes: Any) -> tuple[Report, Image, NDArray[Any]]:
    """A real report, its source and its result."""
    result = enlarger.enlarge(array, scale, engine="resample", verify="off")
    return result.report.model_copy(update=changes), decode(array), result.image.reshape(*result.image.shape[:2], -1)


def noise(height: int, width: int) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)


def pictures_of(page: str) -> dict[str, PIL.Image.Image]:
    """Embedded pictures by their alt text."""
    found = {}
    for image in Parsed(page).all("img"):
        kind, _, data = str(image["src"]).partition(",")
        assert kind == "data:image/webp;base64"
        found[str(image["alt"])] = PIL.Image.open(io.BytesIO(base64.b64decode(data)))
    return found


def test_it_asks_for_nothing_and_runs_only_its_own_script() -> None:
    report, source, result = made(pixels())
    page = draw(report.model_copy(update={"fidelity": fidelity(256, 192)}), source, result, np.ones((48, 64), np.float32))
    parsed = Parsed(page)
    policy = next(m["content"] for m in parsed.all("meta") if m.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None
    for directive, texts in (("style-src", parsed.raw["style"]), ("script-src", parsed.raw["script"][1:])):
        hashes = [f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'" for text in texts]
        assert len(hashes) == 1
        assert f"{directive} {hashes[0]};" in policy
    assert policy.startswith("default-src 'none'; img-src data:;")
    assert [a for _, a in parsed.elements if any(name == "style" or name.startswith("on") for name in a)] == []
    addresses = [a[name] for _, a in parsed.elements for name in ("src", "href", "action", "data") if a.get(name)]
    assert [address for address in addresses if not str(address).startswith("data:")] == []
    assert "http" not in parsed.raw["style"][0] + parsed.raw["script"][1]
    assert "url(" not in parsed.raw["style"][0]


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_strings_are_only_text(name: str) -> None:
    report, source, result = made(pixels())
    measure = Measure(verdict="fail", value=1, unit=name, reason=name, next_step=name, details={name: 1.0})
    region = Region(box=(0, 0, 9, 9), verdict="fail", measure=name, value=1, reason=name, next_step=name)
    judged = fidelity(256, 192, verdict="fail", measures={name: measure}, regions=(region,), not_checked={name: name})
    hostile = report.model_copy(
        update={
            "source": report.source.model_copy(update={"name": name}),
            "output": report.output.model_copy(update={"path": name}),
            "plan": report.plan.model_copy(update={"options": {name: name, "settings": {name: name}}}),
            "fidelity": judged,
            "warnings": (enlarger.report.Warning_(code=name, message=name),),
            "reproduce": report.reproduce.model_copy(update={"command": name, "machine": {name: name}}),
        }
    )
    plain = Parsed(draw(report.model_copy(update={"fidelity": fidelity(256, 192)}), source, result))
    page = draw(hostile, source, result)
    page.encode("utf-8")
    parsed = Parsed(page)
    assert len(parsed.all("script")) == len(plain.all("script")) == 2
    assert {element for element, _ in parsed.elements} <= {element for element, _ in plain.elements} | {"ul", "li"}
    assert {key for _, a in parsed.elements for key in a} == {key for _, a in plain.elements for key in a}
    assert not set(page).intersection("\x00\x1b\u202e")
    again = parsed.raw["script"][0]
    assert "<" not in again
    if "\udcff" not in name:
        assert Report.model_validate_json(again) == hostile


def test_the_report_in_the_page_is_the_report() -> None:
    report, source, result = made(pixels())
    judged = fidelity(256, 192)
    finite = judged.model_copy(update={"measures": {"seams": judged.measures["seams"]}})
    whole = report.model_copy(update={"fidelity": finite})
    assert Report.model_validate_json(Parsed(draw(whole, source, result)).raw["script"][0]) == whole


def test_json_has_no_number_that_is_none() -> None:
    assert json_for_script({"a": [np.inf, float("nan"), 1.5], "<": "&"}) == '{"a":[null,null,1.5],"\\u003c":"\\u0026"}'


def test_markup_is_escaped_unless_it_is_markup() -> None:
    assert tag("p", "<b>", Html("<b></b>"), title='"', hidden=True, id=None) == '<p title="&quot;" hidden>&lt;b&gt;<b></b></p>'


def test_what_the_page_says() -> None:
    report, source, result = made(pixels())
    text = Parsed(draw(report.model_copy(update={"fidelity": fidelity(256, 192)}), source, result)).text
    for said in ("Worth a second look: likeness.", "A place differs.", "Next: look.", "It differs here.", "Only in full mode."):
        assert said in text
    assert report.reproduce.command in text
    assert report.plan.stages[0].model in text
    assert report.source.sha256 in text
    assert "resemblance 50" in text


def test_not_checked_is_said_and_not_taken_for_good() -> None:
    report, source, result = made(pixels())
    text = Parsed(draw(report.model_copy(update={"fidelity": None}), source, result)).text
    assert "Not checked." in text
    assert "Passed" not in text


def test_every_measure_has_a_title_and_a_question() -> None:
    _, source, result = made(pixels())
    verifier = verify.Verifier(source, result.shape[1], result.shape[0])
    verifier.add(0, result)
    judged = verifier.finish()
    assert set(judged.measures) | set(judged.not_checked) | set(verify.WHY_NOT) <= set(words.TITLES)


@pytest.mark.parametrize(("bands", "dtype"), [(1, np.uint8), (2, np.uint8), (3, np.uint16), (4, np.uint16), (4, np.uint8)])
def test_crops_and_previews_show_the_pixels(bands: int, dtype: Any) -> None:
    report, source, result = made(pixels(96, 128, bands, dtype))
    shown = pictures_of(draw(report, source, result))
    wanted = np.round(result / np.iinfo(dtype).max * 255)
    after = np.asarray(shown["<array>, the result"].convert("RGBA"), float)
    before = np.asarray(shown["<array>, the source plainly enlarged"].convert("RGBA"), float)
    assert after.shape == before.shape == (*result.shape[:2], 4)
    colours = 3 if bands > 2 else 1
    opaque = wanted[..., -1] > 100 if bands in (2, 4) else np.ones(wanted.shape[:2], bool)
    assert np.abs(after[..., :colours] - wanted[..., :colours])[opaque].mean() < 4
    assert np.abs(after - before)[opaque].mean() < 6
    crop = next(v for k, v in shown.items() if k.startswith("Crop 1") and k.endswith("result"))
    box = places.automatic(pictures.View(source, result, 512, 384).luma(), 512, 384)[0].box
    exact = np.asarray(crop.convert("RGBA"), float)
    assert exact.shape[:2] == (box.height, box.width)
    cut = wanted[box.slices()]
    assert np.abs(exact[..., :colours] - cut[..., :colours])[cut[..., -1] > 0 if bands in (2, 4) else ...].max() <= 1


def test_a_page_of_noise_is_small_enough() -> None:
    report, source, _ = made(noise(600, 600))
    spots = [Region(box=(500 * i, 300 * i, 50, 50), verdict="fail", measure="seams", value=1, reason="x") for i in range(8)]
    judged = fidelity(2400, 2400, verdict="fail", regions=tuple(spots))
    loud = noise(2400, 2400)
    page = draw(report.model_copy(update={"fidelity": judged}), source, loud, loud[:600, :600, 0].astype(np.float32))
    assert len(page.encode()) < MOST
    assert len(Parsed(page).all("img")) == 3 + 2 * (3 + places.REGIONS)


def test_a_large_result_is_read_once_in_strips_and_crops() -> None:
    report, source, _ = made(pixels(48, 64))
    width, height = 12800, 9600
    large = report.model_copy(update={"output": report.output.model_copy(update={"width": width, "height": height})})
    asked: list[Box] = []

    def read(box: Box) -> NDArray[np.uint8]:
        asked.append(box)
        assert box.right <= width
        assert box.bottom <= height
        return np.full((box.height, box.width, 3), 40, np.uint8)

    page = draw(large, source, read)
    assert max(box.area * 3 for box in asked) <= 2 * pictures.STRIP_BYTES
    assert sum(box.area for box in asked) < 1.05 * width * height
    after = pictures_of(page)["<array>, the result"]
    assert after.size == (1600, 1200)
    assert np.abs(np.asarray(after, float) - 40).max() <= 2


@pytest.mark.parametrize("shape", [(1, 1, 3), (1, 300, 3), (300, 1, 1), (5, 7, 4)])
def test_odd_sizes(shape: tuple[int, int, int]) -> None:
    report, source, result = made(pixels(*shape))
    page = draw(report, source, result, np.zeros(shape[:2], np.float32))
    assert len(pictures_of(page)) >= 5


def test_more_opaque_where_less_is_vouched_for() -> None:
    shown = pictures.heat(np.linspace(0, pictures.HOT, 256, dtype=np.float32)[None].repeat(8, 0), 10**6)
    data = base64.b64decode(shown.uri.partition(",")[2])
    opacity = np.asarray(PIL.Image.open(io.BytesIO(data)).convert("RGBA"))[4, :, 3].astype(int)
    assert opacity[0] <= 8
    assert opacity[-1] >= 200
    assert (np.diff(opacity[::16]) >= 0).all()


def scene() -> NDArray[np.float32]:
    """A label top left, a shadow bottom left, a bright disc to the right, on grey."""
    canvas = PIL.Image.new("L", (600, 400), 120)
    pen = PIL.ImageDraw.Draw(canvas)
    pen.rectangle((20, 20, 160, 90), fill=235)
    pen.text((28, 26), "ROAST No. 4\nArabica 250 g\nbest before 11/27\nkeep it dry", fill=30)
    pen.ellipse((430, 120, 560, 250), fill=250)
    luma = np.asarray(canvas, np.float32).copy()
    luma[250:, :250] = np.linspace(10, 120, 250, dtype=np.float32)[None]
    return luma


def test_places_are_found_where_they_are() -> None:
    edge, text, shadow = places.automatic(scene(), 2400, 1600)
    assert (text.title, shadow.title) == ("Small text or strokes", "Shadow")
    assert text.box.x < 160 * 4
    assert text.box.y < 90 * 4
    assert shadow.box.x < 200 * 4
    assert shadow.box.bottom > 250 * 4
    assert edge.box.right > 430 * 4


def test_known_faces_come_first() -> None:
    face = Region(box=(1000, 400, 300, 400), verdict="pass", measure="faces", value=0, reason="a face")
    eyes = places.automatic(scene(), 2400, 1600, (face,))[0]
    assert eyes.title == "Eyes"
    assert (eyes.box.x + 200, eyes.box.y + 150) == (1150, 560)


def test_places_in_doubt_are_the_worst_and_named_once() -> None:
    regions = [Region(box=(i * 500, 0, 100, 100), verdict="fail", measure="seams", value=1, reason=f"r{i}") for i in range(9)]
    fine = Region(box=(0, 400, 100, 100), verdict="pass", measure="faces", value=1, reason="a face")
    near = Region(box=(20, 20, 100, 100), verdict="fail", measure="colour", value=1, reason="tint")
    found = places.doubted(fidelity(4800, 800, regions=(fine, regions[0], near, *regions[1:])))
    assert [place.why for place in found] == ["r0; tint", "r1", "r2", "r3", "r4", "r5"]
    assert all(place.box.right <= 4800 and place.box.bottom <= 800 for place in found)


def test_page_parts_are_in_the_package() -> None:
    style, script = (re.sub(r"\s", "", text) for text in (Parsed(draw(*made(pixels()))).raw[name][-1] for name in ("style", "script")))
    assert len(style) > 1000
    assert script.startswith('"usestrict"')


@pytest.mark.parametrize("profile", [SRGB, b"junk", SRGB[:-40]])
@pytest.mark.parametrize("bands", [1, 3, 4])
def test_colours_are_shown_through_the_profile_where_it_fits(bands: int, profile: bytes) -> None:
    """A profile of sRGB changes nothing, one that is damaged or for another kind of picture is left alone."""
    _, source, result = made(pixels(24, 32, bands))
    tagged = dataclasses.replace(source, metadata=dataclasses.replace(source.metadata, icc=profile))
    view, own = (pictures.View(image, result, 128, 96).after(128, 96).numpy().astype(int) for image in (tagged, source))
    assert np.abs(view.reshape(96, 128, -1)[..., :3] - own.reshape(96, 128, -1)[..., :3]).max() <= 2


def test_crop_padding_and_what_was_judged_between_stand_on_the_page() -> None:
    source = np.ascontiguousarray(pixels(96, 128))
    result = enlarger.enlarge(source, 4, engine="resample", stages=2, aspect="1:1", fit="crop", padding=9)
    page = draw(result.report, result._source, np.asarray(result._samples), result.invention)
    assert "96 × 96 of the source, from 16, 0, on its centre" in page
    assert "left 9, top 9, right 9, bottom 9, #ffffff; neither shown nor judged" in page
    assert "After stage 1" in page
