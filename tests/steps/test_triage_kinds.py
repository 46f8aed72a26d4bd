"""Kinds, verdicts and advice on pictures that anyone can make."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import PIL.Image
import PIL.ImageDraw
import PIL.ImageFilter
import pytest
from skimage import data
from tests.steps.test_triage_measures import RNG, jpeg, page, sharp, sprite

import enlarger
from enlarger.face_finder import Face
from enlarger.looks import faces
from enlarger.looks.features import NAMES
from enlarger.looks.kind import model
from enlarger.looks.verdict import judge
from enlarger.seen import Alpha, Background, Jpeg, Light, PixelGrid, Text, Triage, TriageMeasures
from enlarger.steps.decode import decode


def inspected(picture: PIL.Image.Image | np.ndarray) -> Triage:
    return enlarger.inspect(np.asarray(picture))


def outlines() -> PIL.Image.Image:
    """Black outlines on white, drawn large and reduced, so that they are smooth."""
    sheet = PIL.Image.new("L", (1600, 1600), 255)
    draw = PIL.ImageDraw.Draw(sheet)
    for i in range(6):
        draw.ellipse((120 * i + 100, 90 * i + 80, 120 * i + 700, 90 * i + 600), outline=0, width=24)
        draw.line((100, 150 * i + 300, 1500, 900 - 60 * i), fill=0, width=24)
    return sheet.resize((400, 400), PIL.Image.Resampling.LANCZOS)


def cartoon() -> PIL.Image.Image:
    """Plain areas of strong colours with dark outlines."""
    sheet = PIL.Image.new("RGB", (1600, 1600), (130, 200, 250))
    draw = PIL.ImageDraw.Draw(sheet)
    for i, colour in enumerate(((240, 80, 60), (250, 200, 40), (90, 180, 80), (150, 90, 200), (240, 150, 180), (200, 120, 60))):
        x, y = 230 * (i % 3) + 200, 600 * (i // 3) + 160
        draw.ellipse((x, y, x + 520, y + 560), fill=colour, outline=(30, 20, 20), width=20)
        draw.ellipse((x + 150, y + 160, x + 240, y + 260), fill=(250, 250, 250), outline=(30, 20, 20), width=12)
    return sheet.resize((400, 400), PIL.Image.Resampling.LANCZOS)


@pytest.mark.parametrize("name", ["astronaut", "coffee", "chelsea", "rocket", "camera"])
def test_photographs(name: str) -> None:
    found = inspected(getattr(data, name)())
    assert found.kind == "photo"
    assert found.confidence > 0.5


@pytest.mark.parametrize(
    ("picture", "kind"),
    [(page(14), "document"), (page(26), "document"), (outlines(), "line-art"), (cartoon(), "illustration"), (sprite(), "pixel-art")],
    ids=["small print", "large print", "outlines", "cartoon", "sprite"],
)
def test_drawn_pictures(picture: PIL.Image.Image | np.ndarray, kind: str) -> None:
    assert inspected(picture).kind == kind


def test_a_scanned_page_is_a_document() -> None:
    assert inspected(data.page()).kind == "document"


def test_sprites_that_were_enlarged_are_to_be_shrunk_to_their_pixels() -> None:
    found = inspected(sprite(20).repeat(5, 0).repeat(5, 1))
    assert (found.kind, found.verdict) == ("pixel-art", "shrink-first")
    assert found.advice.shrink_to == (20, 20)
    assert found.advice.recipe == "pixel-art"
    assert "5 x 5" in found.reasons[0]


def test_verdicts_follow_damage() -> None:
    clean = sharp("astronaut")
    assert inspected(clean).verdict == "upscale"
    noisy = np.clip(np.asarray(clean) + RNG.normal(0, 15, (341, 341, 3)), 0, 255).astype(np.uint8)
    assert inspected(noisy).verdict == "clean-first"
    assert inspected(noisy).advice.recipe == "restore"
    some = np.clip(np.asarray(clean) + RNG.normal(0, 6, (341, 341, 3)), 0, 255).astype(np.uint8)
    assert inspected(some).verdict == "gently"
    assert inspected(some).advice.fragile
    assert enlarger.inspect(jpeg(clean, 25)).verdict == "clean-first"
    assert enlarger.inspect(jpeg(clean, 5)).verdict == "regenerate"
    double = clean.resize((682, 682), PIL.Image.Resampling.BICUBIC)
    found = inspected(double)
    assert found.verdict == "shrink-first"
    assert found.advice.shrink_to is not None
    assert found.advice.shrink_to[0] == pytest.approx(341, rel=0.25)
    assert found.advice.scale_limit < inspected(clean).advice.scale_limit
    assert inspected(sharp("rocket").resize((30, 30))).verdict == "regenerate"


def test_products_on_white_are_for_the_catalogue() -> None:
    picture = np.full((800, 800, 3), 255, np.uint8)
    picture[200:541, 200:541] = np.asarray(sharp("coffee").resize((341, 341)))
    found = inspected(picture)
    assert found.kind == "photo"
    assert found.advice.recipe == "catalog"


def test_advice_names_what_there_is() -> None:
    installed = {(row.engine, row.id) for row in enlarger.list_models()}
    seen = [inspected(p) for p in (sharp("coffee"), page(14), outlines(), cartoon(), sprite())]
    assert {(one.advice.engine, one.advice.model) for one in seen} <= installed


FLAWLESS = TriageMeasures(
    width=1000,
    height=800,
    noise=0,
    blur=0.4,
    jpeg=Jpeg(),
    oversize=1,
    light=Light(mean=0.5, median=0.5, low=False, black=(0, 0, 0), white=(0, 0, 0)),
    background=Background(share=0.01, colour=None),
    pixel_grid=PixelGrid(width=1, height=1),
    text=Text(present=False),
    faces=None,
    alpha=Alpha(kind="none"),
)


def test_the_gravest_flaw_decides_and_all_are_told() -> None:
    verdict, reasons, advice = judge("photo", FLAWLESS)
    assert (verdict, advice.scale_limit, advice.fragile, len(reasons)) == ("upscale", 4, False, 1)
    worn = FLAWLESS.model_copy(update={"noise": 10 / 255, "jpeg": Jpeg(quality=60, found="tables"), "blur": 1.8})
    verdict, reasons, advice = judge("photo", worn)
    assert verdict == "clean-first"
    assert len(reasons) == 3
    assert advice.scale_limit == 1
    assert advice.questions.subject_clear == "partly"


@pytest.mark.parametrize("height", [4.0, 7.0, 12.0])
def test_text_decides_on_documents(height: float) -> None:
    text = Text(present=True, x_height=height, legible=height >= 6)
    verdict, _, advice = judge("document", FLAWLESS.model_copy(update={"text": text}))
    assert (verdict, advice.questions.text_intact, advice.engine) == {
        4.0: ("gently", "no", "resample"),
        7.0: ("upscale", "partly", "ncnn"),
        12.0: ("upscale", "yes", "ncnn"),
    }[height]


def test_what_is_not_known_is_said() -> None:
    silent = FLAWLESS.model_copy(update={"blur": None, "oversize": None, "pixel_grid": None})
    verdict, reasons, advice = judge("unknown", silent)
    assert verdict == "gently"
    assert "not clear" in reasons[-1]
    assert advice.questions.edges_present == advice.questions.subject_clear == "unknown"
    assert advice.questions.composition_worth_keeping == "only you can say"


def test_coefficients_are_those_of_the_features() -> None:
    assert model().weights.shape == (len(NAMES) + 1, 5)
    chances = model().probabilities(np.zeros((3, len(NAMES))))
    np.testing.assert_allclose(chances.sum(1), 1)


def test_paths_bytes_and_arrays_are_the_same(tmp_path_factory: pytest.TempPathFactory) -> None:
    picture = np.asarray(sharp("coffee"))
    path = tmp_path_factory.mktemp("inspect") / "coffee.png"
    PIL.Image.fromarray(picture).save(path)
    found = [enlarger.inspect(source) for source in (path, path.read_bytes(), picture)]
    assert found[0].path == str(path)
    assert len({one.model_copy(update={"path": ""}).model_dump_json() for one in found}) == 1
    assert set(json.loads(found[0].model_dump_json())) == {"path", "kind", "confidence", "measures", "verdict", "reasons", "advice"}


def test_the_report_of_an_enlargement_has_it() -> None:
    report = enlarger.enlarge(np.asarray(sharp("coffee").crop((0, 0, 80, 60))), 2, engine="resample", model="lanczos3").report
    assert report.triage is not None
    assert report.triage["measures"]["width"] == 80
    assert set(report.triage) == {"kind", "confidence", "measures", "verdict", "reasons", "advice"}


def test_faces_are_counted_where_the_detector_is_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(faces, "missing", lambda: "not installed")
    assert inspected(sharp("astronaut")).measures.faces is None
    shapes = []

    def detect(session: object, picture: np.ndarray) -> list[Face]:
        shapes.append(picture.shape)
        return [Face(score, (0, 0, 9, 9), np.zeros((5, 2), np.float32)) for score in (0.9, 0.8, 0.5)]

    monkeypatch.setattr(faces, "missing", lambda: "")
    monkeypatch.setattr(faces, "model_path", lambda: Path("model.onnx"))
    monkeypatch.setattr(faces, "_session", lambda path: None)
    monkeypatch.setattr(faces, "detect", detect)
    assert inspected(data.astronaut()[:, :, :1].repeat(3, 1)).measures.faces == 2
    assert shapes == [(170, 512, 3)]
    assert inspected(page(14)).measures.faces is None


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_what_faces_are_looked_for_in_is_the_whole_picture_reduced(dtype: type) -> None:
    picture = np.zeros((900, 1300, 3), dtype)
    picture[:450] = np.iinfo(dtype).max
    small = faces.reduced(decode(picture))
    assert small.shape == (300, 433, 3)
    assert small.dtype == np.uint8
    assert (small[:150] == 255).all()
    assert (small[150:] == 0).all()
