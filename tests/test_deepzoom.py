"""DeepZoom: an index and tiles that together are the result."""

import xml.etree.ElementTree as Xml
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow
from skimage import data

import enlarger
from enlarger.codecs import deepzoom

OPTIONS = {"engine": "resample"}


def put_together(path: Path, width: int, height: int) -> np.ndarray:
    """The top level, from its tiles."""
    top = max(int(p.name) for p in deepzoom.files_of(path).iterdir())
    whole = None
    for tile in (deepzoom.files_of(path) / str(top)).iterdir():
        x, y = (int(n) * deepzoom.TILE for n in tile.stem.split("_"))
        pixels = np.asarray(Pillow.open(tile))
        left, above = min(x, deepzoom.OVERLAP), min(y, deepzoom.OVERLAP)
        core = pixels[above : above + deepzoom.TILE, left : left + deepzoom.TILE]
        if whole is None:
            whole = np.zeros((height, width, *pixels.shape[2:]), np.uint8)
        whole[y : y + core.shape[0], x : x + core.shape[1]] = core
    assert whole is not None
    return whole


@pytest.mark.parametrize("alpha", [False, True])
def test_the_tiles_are_the_result(alpha: bool, tmp_path: Path) -> None:
    array = data.astronaut()[:200, :300]
    if alpha:
        array = np.dstack([array, np.full(array.shape[:2], 200, np.uint8)])
    expected = enlarger.enlarge(array, 3, **OPTIONS).image
    report = enlarger.enlarge(array, 3, output=tmp_path / "a.dzi", **OPTIONS).report
    size = Xml.parse(tmp_path / "a.dzi").getroot()[0]
    assert (size.get("Width"), size.get("Height")) == ("900", "600")
    found = put_together(tmp_path / "a.dzi", 900, 600)
    assert np.abs(found.astype(int) - expected).mean() < (0.1 if alpha else 2.5)
    assert report.output.bytes == sum(p.stat().st_size for p in tmp_path.rglob("*") if p.is_file())
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.dzi", "a_files"]


@pytest.mark.parametrize(("width", "height"), [(1, 1), (1, 300), (700, 2), (508, 509), (255, 254)])
def test_any_size(width: int, height: int, tmp_path: Path) -> None:
    array = np.full((height, width), 77, np.uint8)
    enlarger.enlarge(array, 1, output=tmp_path / "a.dzi", **OPTIONS)
    assert np.abs(put_together(tmp_path / "a.dzi", width, height).astype(int) - 77).max() <= 1


def test_former_tiles_are_kept_unless_overwriting_is_asked_for(tmp_path: Path) -> None:
    array = np.full((600, 600), 77, np.uint8)
    enlarger.enlarge(array, 1, output=tmp_path / "a.dzi", **OPTIONS)
    with pytest.raises(enlarger.OutputExistsError):
        enlarger.enlarge(array, 1, output=tmp_path / "a.dzi", **OPTIONS)
    (tmp_path / "a.dzi").unlink()
    with pytest.raises(enlarger.OutputExistsError, match="the file or its folder of tiles exists already"):
        enlarger.enlarge(array[:10, :10], 1, output=tmp_path / "a.dzi", **OPTIONS)
    enlarger.enlarge(array[:10, :10], 1, output=tmp_path / "a.dzi", overwrite=True, **OPTIONS)
    assert put_together(tmp_path / "a.dzi", 10, 10).shape == (10, 10)


def test_a_missing_tile_is_found_before_anything_gets_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    check = deepzoom._check

    def lose_one(index: Path, tiles: Path, *more: object) -> None:
        (tiles / "10" / "1_1.jpg").unlink()
        check(index, tiles, *more)  # type: ignore[arg-type]

    monkeypatch.setattr(deepzoom, "_check", lose_one)
    with pytest.raises(enlarger.OutputError, match="level 10 of the written tiles is not whole"):
        enlarger.enlarge(np.zeros((600, 600), np.uint8), 1, output=tmp_path / "a.dzi", **OPTIONS)
    assert not (tmp_path / "a.dzi").exists()
    assert not (tmp_path / "a_files").exists()


def test_it_needs_an_output() -> None:
    with pytest.raises(enlarger.UsageError, match=r"--format: DeepZoom is many files and needs an output; give --output NAME\.dzi"):
        enlarger.enlarge(np.zeros((6, 6), np.uint8), 1, format="dz", **OPTIONS)


@pytest.fixture
def many(tmp_path: Path) -> Path:
    """Two pictures, one below the other's folder."""
    for number, name in enumerate(("one.png", "deep/two.png")):
        path = tmp_path / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Pillow.fromarray(data.astronaut()[number * 60 : number * 60 + 50, :300]).save(path)
    return tmp_path / "in"


def test_many_are_made_and_found_done_again(many: Path) -> None:
    out = many / "out"
    rows = enlarger.enlarge_many([many], out, 2, format="dz", **OPTIONS)
    assert [row.status for row in rows] == ["done", "done"]
    assert put_together(out / "one-2x.dzi", 600, 100).shape == (100, 600, 3)
    assert {p.name for p in (out / "deep").iterdir()} == {"two-2x.dzi", "two-2x_files"}
    size = sum(p.stat().st_size for p in [out / "one-2x.dzi", *(out / "one-2x_files").rglob("*")] if p.is_file())
    assert next(row for row in rows if row.output == "one-2x.dzi").output_bytes == size
    assert [row.status for row in enlarger.enlarge_many([many], out, 2, format="dz", **OPTIONS)] == ["skipped", "skipped"]
    assert [plan for _, plan in enlarger.Batch([many], out, scale=2, format="dz", **OPTIONS).plan()] == [None, None]


def test_a_pyramid_that_lost_a_tile_is_somebodys_and_stays(many: Path) -> None:
    out = many / "out"
    enlarger.enlarge_many([many], out, 2, format="dz", **OPTIONS)
    lost = next((out / "one-2x_files").rglob("1_0.jpg"))
    lost.unlink()
    again = {Path(row.source or "").name: row for row in enlarger.enlarge_many([many], out, 2, format="dz", **OPTIONS)}
    assert again["two.png"].status == "skipped"
    assert (again["one.png"].status, again["one.png"].error) == ("error", "OutputExistsError")
    forced = enlarger.enlarge_many([many], out, 2, format="dz", overwrite=True, **OPTIONS)
    assert sorted(row.status for row in forced) == ["done", "skipped"]
    assert lost.exists()


def test_what_changed_replaces_its_own_pyramid(many: Path) -> None:
    out = many / "out"
    enlarger.enlarge_many([many], out, 2, format="dz", **OPTIONS)
    rows = enlarger.enlarge_many([many], out, 2, format="dz", quality=40, **OPTIONS)
    assert [row.status for row in rows] == ["done", "done"]


def test_tiles_are_never_sources(many: Path, tmp_path: Path) -> None:
    enlarger.enlarge(many / "one.png", 2, output=many / "big.dzi", **OPTIONS)
    batch = enlarger.Batch([many], tmp_path / "out", scale=2, **OPTIONS)
    assert sorted(job.source.name for job in batch.jobs) == ["one.png", "two.png"]
