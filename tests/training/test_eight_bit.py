"""Nets trained for 8-bit integers: what training rounds is what ncnn rounds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the extra `train` is not installed")
pytest.importorskip("safetensors", reason="the extra `train` is not installed")

from training.config import Recipe  # noqa: E402
from training.eight_bit import Rounded, ranges  # noqa: E402
from training.nets import Compact, Shape, near_the_skip  # noqa: E402
from training.train import Run, train  # noqa: E402

from training import export, ncnn_files, photos, weights  # noqa: E402

SHAPE = Shape(4, 16, 2, "bicubic", slopes="one")


@pytest.fixture
def net() -> Compact:
    torch.manual_seed(4)
    torch.set_num_threads(1)
    made = Compact(SHAPE)
    near_the_skip(made)
    made.leaks = (0.3, -0.05, 0.1)
    torch.nn.init.normal_(made.convolutions[-1].weight, std=0.03)
    return made.half().float().eval()  # as its file will hold it


def in_eight_bits(net: Compact) -> Compact:
    net.ranges = ranges(net, [torch.from_numpy(export.probe()[None])])
    return net


def test_rounding_passes_the_gradient_except_where_it_clips() -> None:
    x = torch.tensor([-0.26, 0.0, 0.1, 0.24, 40.0], requires_grad=True)
    whole = Rounded.apply(x, torch.tensor(0.25))
    assert whole.tolist() == [-1, 0, 0, 1, 127]
    (0.25 * whole).sum().backward()
    assert x.grad.tolist() == [1, 1, 1, 1, 0]


def test_ranges_cut_off_what_is_rare_and_nothing_else(net: Compact) -> None:
    random = torch.Generator().manual_seed(1)
    picture = torch.rand((1, 3, 64, 64), generator=random)
    found = ranges(net, [picture])
    assert len(found) == 3
    read: list[torch.Tensor] = []
    net.convolutions[1].register_forward_pre_hook(lambda _, given: read.append(given[0].abs()))
    with torch.inference_mode():
        net(picture)
    beyond = (read[0] > found[0]).float().mean()
    assert beyond < 0.01
    assert found[0] <= read[0].max()


def test_ncnn_answers_in_eight_bits_what_training_does(net: Compact, tmp_path: Path) -> None:
    pytest.importorskip("ncnn", reason="the base install brings it")
    x = export.probe()
    plain = export.with_torch(net, x)
    trained = export.with_torch(in_eight_bits(net), x)
    ncnn_files.write(net, tmp_path / "net.param", tmp_path / "net.bin")
    found = export.with_ncnn_in_eight_bits(tmp_path / "net.param", tmp_path / "net.bin", net.ranges, x)
    assert export.agreement(found, trained) > 70
    assert 30 < export.agreement(found, plain) < 65


def test_the_export_compares_integers_too_and_names_the_ranges(net: Compact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("onnx", "onnxscript", "onnxruntime", "ncnn"):
        pytest.importorskip(module, reason="the extra `train` is not installed")
    weights.save(in_eight_bits(net), tmp_path / "net.safetensors")
    found = export.export(tmp_path / "net.safetensors", tmp_path / "out", "net")
    assert set(found) == {"ncnn", "onnx", "ncnn in 8 bits"}
    assert f"up to {net.ranges[0]:.4g}" in (tmp_path / "out" / "net.md").read_text(encoding="utf-8")
    monkeypatch.setattr(export, "with_ncnn_in_eight_bits", lambda *_: export.with_torch(net, export.probe()) + np.float32(0.02))
    with pytest.raises(ValueError, match="8 bits is only"):
        export.export(tmp_path / "net.safetensors", tmp_path / "out", "net")


def test_ranges_stay_with_the_weights(net: Compact, tmp_path: Path) -> None:
    weights.save(in_eight_bits(net), tmp_path / "net.safetensors")
    loaded = weights.load(tmp_path / "net.safetensors")
    assert loaded.ranges == net.ranges
    assert loaded.leaks == net.leaks
    assert loaded.shape == SHAPE
    recipe = Recipe("next", "", 4, str(tmp_path / "net.safetensors"), 1, 0, channels=16, blocks=2, skip="bicubic", slopes="one")
    assert weights.start(recipe).ranges == net.ranges


def test_the_end_of_the_decay_is_trained_in_eight_bits_and_goes_on_after_a_pause(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    made = [random.integers(0, 255, (220, 220, 3), np.uint8)]
    cache = photos.Pictures(tmp_path / "cache", "made", "1", lambda: ((p, 1.0) for p in made))
    recipe = Recipe("tiny", "", 4, "nothing", 8, 6, 8, 1, "bicubic", slopes="one", crop=8, batch=2, warmup=2, muon=0.01, eight_bit=True)
    whole = Run(recipe, tmp_path / "whole")
    train(whole, cache, measure=False)
    assert len(whole.net.ranges) == 2
    assert not torch.load(tmp_path / "whole" / "stable.pt", weights_only=True)["ranges"]
    first = Run(recipe, tmp_path / "halves")
    train_until(first, cache, 7)
    assert first.step == 7
    second = Run(recipe, tmp_path / "halves")
    second.load(second.state)
    assert second.net.ranges == first.net.ranges == whole.net.ranges
    train(second, cache, measure=False)
    for one, other in zip(whole.average.parameters(), second.average.parameters(), strict=True):
        assert torch.equal(one, other)


def train_until(run: Run, cache: photos.Pictures, step: int) -> None:
    """Trains and stops after `step`, as a signal would."""
    taken = run.one_step

    def counted(pictures: photos.Pictures) -> float:
        loss = taken(pictures)
        run.stop = run.step >= step
        return loss

    run.one_step = counted  # type: ignore[method-assign]
    train(run, cache, measure=False)
