"""Subjects cut out by nets: fed as they were trained, believed where they are sure, refined by the picture's colours elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from skimage import data
from tests.onnx_models import NEEDS_ONNX, Played, matte

from enlarger import model_files
from enlarger.errors import EngineError, WeightsError
from enlarger.onnx_model import Model, open_model
from enlarger.options import Options
from enlarger.repairs.cutout import NoSubjectError, unit
from enlarger.repairs.matting import NETS, cut_out_by_net

RED = (200, 50, 60)


def subject(height: int = 400, width: int = 500) -> tuple[np.ndarray, np.ndarray]:
    """A red disc with teeth before a photograph, and its alpha."""
    y, x = np.mgrid[:height, :width]
    angle = np.arctan2(y - height / 2, x - width / 2)
    radius = np.hypot(y - height / 2, x - width / 2) - 14 * np.sign(np.sin(18 * angle))
    alpha = np.clip(120.5 - radius, 0, 1)
    ground = data.coffee()[:height, 60 : 60 + width].astype(float) * [0.4, 0.9, 0.9]
    mixed = np.array(RED) * alpha[..., None] + ground * (1 - alpha[..., None])
    return np.rint(mixed).astype(np.uint8), alpha


def reduced(alpha: np.ndarray, side: int) -> np.ndarray:
    """Means over areas, as a net of that side can see it at best, and softened as nets' answers are."""
    rows, columns = (np.linspace(0, n, side + 1).round().astype(int) for n in alpha.shape)
    small = np.add.reduceat(np.add.reduceat(alpha, rows[:-1], 0), columns[:-1], 1) / np.outer(np.diff(rows), np.diff(columns))
    wide = np.pad(small, 1, mode="edge")
    return sum(wide[i : i + side, j : j + side] for i in range(3) for j in range(3)) / 9  # type: ignore[return-value]


def sees(name: str, answer: np.ndarray | Callable[[np.ndarray], np.ndarray]) -> tuple[Model, Played]:
    side = NETS[name].side
    play = answer if callable(answer) else lambda image: answer.astype(np.float32)[None, None]
    session = Played([(1, 3, side, side)], play)
    return Model(session, name), session


def test_words_rows_and_nets_are_the_same() -> None:
    words = Options.model_fields["matte"].annotation.__args__  # type: ignore[union-attr]
    assert set(words) - {"plain"} == set(NETS)
    assert {file.id for file in model_files.FILES.values() if file.rembg} == set(NETS)


@pytest.mark.parametrize(
    ("name", "mean", "deviation"),
    [("u2net", (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)), ("isnet-general-use", (0.5, 0.5, 0.5), (1.0, 1.0, 1.0))],
)
def test_a_net_is_fed_as_it_was_trained(name: str, mean: tuple[float, ...], deviation: tuple[float, ...]) -> None:
    picture, alpha = subject()
    side = NETS[name].side
    model, session = sees(name, reduced(alpha, 320) if side == 320 else np.kron(reduced(alpha, 256), np.ones((4, 4))))
    cut_out_by_net(picture // 2, name, model)
    (fed,) = session.calls[0]
    assert fed.shape == (1, 3, side, side)
    seen = fed[0].transpose(1, 2, 0) * deviation + mean
    assert seen.max() == pytest.approx(1, abs=1e-5), "what is dark is made as bright as it can be, as in rembg"
    middle = seen[side // 2, side // 2]
    assert middle[1:] / middle[0] == pytest.approx((25 / 100, 30 / 100), abs=0.01)


def test_the_outline_is_the_pictures_not_the_nets() -> None:
    picture, alpha = subject()
    coarse = reduced(alpha, 320)
    # Coarser still: as for a picture four times as large.
    coarse = np.kron(coarse.reshape(80, 4, 80, 4).mean((1, 3)), np.ones((4, 4)))
    made = unit(cut_out_by_net(picture, "u2net", sees("u2net", coarse)[0]).alpha)
    rows, columns = (np.arange(n) * 320 // n for n in alpha.shape)
    naive = coarse[rows[:, None], columns]
    assert made.shape == alpha.shape
    assert np.abs(made - alpha).mean() < 0.35 * np.abs(naive - alpha).mean()
    assert (made[140:260, 190:310] == 1).all()
    assert (made[:40, :60] == 0).all()


def test_where_colours_say_nothing_the_net_is_followed() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (300, 300, 3)).astype(np.uint8)
    y, x = np.mgrid[:320, :320]
    share = np.clip((100 - np.hypot(y - 160, x - 160)) / 8 + 0.5, 0, 1)
    made = unit(cut_out_by_net(noise, "u2net", sees("u2net", share)[0]).alpha)
    wanted = share[np.arange(300)[:, None] * 320 // 300, np.arange(300) * 320 // 300]
    assert np.abs(made - wanted).mean() < 0.02


@pytest.mark.parametrize(("bands", "dtype"), [(1, np.uint8), (3, np.uint16), (4, np.uint8)])
def test_every_kind_of_samples(bands: int, dtype: type) -> None:
    picture, alpha = subject()
    share = reduced(alpha, 320)
    samples = (picture[..., :1] if bands == 1 else picture).astype(dtype) * (257 if dtype == np.uint16 else 1)
    if bands == 4:
        samples = np.concatenate((samples, np.full((*alpha.shape, 1), 255, np.uint8)), 2)
    cut = cut_out_by_net(samples, "u2net", sees("u2net", share)[0], alpha=bands == 4)
    assert cut.alpha.dtype == dtype
    assert np.abs(unit(cut.alpha) - alpha).mean() < 0.02


def test_own_alpha_is_kept_and_the_net_not_asked() -> None:
    picture, alpha = subject()
    samples = np.concatenate((picture, np.rint(alpha * 255).astype(np.uint8)[..., None]), 2)
    model, session = sees("u2net", np.zeros((320, 320)))
    assert (cut_out_by_net(samples, "u2net", model, alpha=True).alpha == samples[..., 3]).all()
    assert session.calls == []


def test_logits_are_made_shares() -> None:
    picture, alpha = subject()
    share = np.kron(reduced(alpha, 256), np.ones((4, 4)))
    cut = cut_out_by_net(picture, "birefnet-general-lite", sees("birefnet-general-lite", 20 * share - 10)[0])
    assert np.abs(unit(cut.alpha) - alpha).mean() < 0.02
    with pytest.raises(EngineError, match="no shares between 0 and 1"):
        cut_out_by_net(picture, "u2net", sees("u2net", 20 * reduced(alpha, 320) - 10)[0])


def test_doubts_are_told() -> None:
    picture, alpha = subject()
    whole = cut_out_by_net(picture, "u2net", sees("u2net", reduced(alpha, 320))[0])
    vague = cut_out_by_net(picture, "u2net", sees("u2net", np.clip(0.6 * reduced(alpha, 320) ** 0.3 + np.linspace(0, 0.4, 320), 0, 1))[0])
    assert whole.reasons == ()
    assert vague.confidence < 0.5 < whole.confidence
    assert any("half transparent" in reason for reason in vague.reasons)
    with pytest.raises(NoSubjectError, match=r"a\.png: u2net sees no subject"):
        cut_out_by_net(picture, "u2net", sees("u2net", 0.3 * reduced(alpha, 320))[0], source="a.png")


def test_models_of_another_kind_are_refused() -> None:
    picture, _ = subject()
    with pytest.raises(WeightsError, match="it wants 1x3x64x64 instead of 1x3x320x320"):
        cut_out_by_net(picture, "u2net", Model(Played([(1, 3, 64, 64)], lambda image: image), "u2net"))
    with pytest.raises(EngineError, match="answered 1x3x320x320"):
        cut_out_by_net(picture, "u2net", sees("u2net", lambda image: image)[0])


@NEEDS_ONNX
@pytest.mark.parametrize(("name", "sigmoid"), [("u2net", True), ("birefnet-general-lite", False)])
def test_a_file_cuts_out(name: str, sigmoid: bool, tmp_path: Path) -> None:
    """The model sees what is redder than green by its normalised channels."""
    picture, alpha = subject()
    path = matte(tmp_path / "net.onnx", NETS[name].side, gain=6, shift=-9, sigmoid=sigmoid)
    cut = cut_out_by_net(picture, name, open_model(path, name))
    assert np.abs(unit(cut.alpha) - alpha).mean() < 0.02
    assert cut.confidence > 0.5
