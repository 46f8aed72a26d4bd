"""Cutting out: known alpha comes back from plain, shaded and noisy ground; what cannot be cut is refused in one line."""

from __future__ import annotations

import io

import numpy as np
import PIL.Image
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage import data

from enlarger.errors import InputError
from enlarger.repairs.background import cut_out
from enlarger.repairs.cutout import NoSubjectError, NotPlainError, foreground, unit
from enlarger.repairs.ground import connected, fitted, lab, labelled

RNG = np.random.default_rng(8)
RED = np.array([170.0, 40, 50])


def disc(side: int = 160, radius: float = 45, soft: float = 1, at: tuple[float, float] = (80, 80)) -> np.ndarray:
    """Alpha of a disc whose edge is ``soft`` pixels wide."""
    y, x = np.mgrid[:side, :side] + 0.5
    return np.clip((radius - np.hypot(y - at[1], x - at[0])) / soft + 0.5, 0, 1)


def ground(kind: str, side: int = 160) -> np.ndarray:
    y, x = np.mgrid[:side, :side] / side
    plain = {
        "white": 255.0,
        "grey": 200.0,
        "shaded": 235 - 40 * y - 10 * x,
        "vignette": 245 - 70 * ((x - 0.5) ** 2 + (y - 0.5) ** 2),
        "black": 6.0,
    }
    return np.broadcast_to(np.asarray(plain[kind])[..., None] * np.ones((side, side, 1)), (side, side, 3)).copy()


def on(kind: str, alpha: np.ndarray, colour: np.ndarray = RED, noise: float = 0) -> np.ndarray:
    mixed = colour * alpha[..., None] + ground(kind, len(alpha)) * (1 - alpha[..., None])
    return np.clip(np.rint(mixed + np.random.default_rng(1).normal(0, noise, mixed.shape)), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("kind", ["white", "grey", "shaded", "vignette", "black"])
@pytest.mark.parametrize("noise", [0, 2])
def test_alpha_of_a_disc_comes_back(kind: str, noise: float) -> None:
    alpha = disc()
    made = cut_out(on(kind, alpha, noise=noise))
    assert made.alpha.dtype == np.uint8
    assert made.alpha.shape == alpha.shape
    assert np.abs(unit(made.alpha) - alpha).max() < 0.25
    assert np.abs(unit(made.alpha) - alpha).mean() < 0.003
    assert made.confidence > 0.7


def test_soft_edges_stay_soft() -> None:
    alpha = disc(soft=14)
    made = unit(cut_out(on("grey", alpha)).alpha)
    assert np.abs(made - alpha).mean() < 0.01
    between = (alpha > 0.25) & (alpha < 0.75)
    assert np.abs(made - alpha)[between].mean() < 0.12


def test_holes_are_holes() -> None:
    ring = disc(radius=50) * (1 - disc(radius=20))
    made = cut_out(on("shaded", ring))
    assert np.abs(unit(made.alpha) - ring).mean() < 0.004
    assert any("holes" in reason for reason in made.reasons)


def test_a_label_stays_where_holes_are_not_wanted() -> None:
    ring = disc(radius=50) * (1 - disc(radius=20))
    made = cut_out(on("white", ring), holes=False)
    assert np.abs(unit(made.alpha) - disc(radius=50)).mean() < 0.004
    assert made.reasons == ()


def test_white_on_white_is_no_hole() -> None:
    """The brightest place of a white thing on white ground: it fades into it without an outline."""
    y, x = np.mgrid[:160, :160] + 0.5
    light = 255 - np.clip((np.hypot(x - 80, y - 80) - 15) * 2, 0, 60)
    samples = np.repeat(np.where(disc() > 0.5, light, 255).round().astype(np.uint8)[..., None], 3, 2)
    assert np.abs(unit(cut_out(samples).alpha) - disc()).mean() < 0.01


def test_jpeg_leaves_no_crumbs() -> None:
    alpha = disc()
    out = io.BytesIO()
    PIL.Image.fromarray(on("grey", alpha)).save(out, "jpeg", quality=85)
    made = unit(cut_out(np.asarray(PIL.Image.open(out))).alpha)
    assert (made[disc(radius=55) == 0] == 0).all()
    assert (made[disc(radius=35) == 1] == 1).all()


def test_grey_and_16_bit_are_cut_like_8_bit_colour() -> None:
    alpha = disc()
    eight = on("shaded", alpha, np.array([60.0] * 3))
    made = unit(cut_out(eight).alpha)
    assert np.abs(unit(cut_out(eight[..., :1]).alpha) - made).max() < 1.5 / 255
    deep = cut_out(eight.astype(np.uint16) * 257).alpha
    assert deep.dtype == np.uint16
    assert np.abs(unit(deep) - made).max() < 1.5 / 255


def test_large_pictures_are_cut_at_their_own_size(monkeypatch: pytest.MonkeyPatch) -> None:
    from enlarger.repairs import cutout

    monkeypatch.setattr(cutout, "WORKING", 80)
    alpha = disc(320, 90, 1, (160, 160))
    made = unit(cut_out(on("vignette", alpha)).alpha)
    assert made.shape == alpha.shape
    assert np.abs(made - alpha).mean() < 0.006
    assert 0.3 < float(((made > 0.02) & (made < 0.98)).sum()) / float(((alpha > 0.02) & (alpha < 0.98)).sum()) < 4


def test_a_shadow_is_ground_and_can_be_kept() -> None:
    alpha = disc(at=(80, 70))
    y, x = np.mgrid[:160, :160]
    dark = 0.3 * np.exp(-(((x - 80) / 45) ** 2) - ((y - 136) / 22) ** 2)
    samples = np.rint(RED * alpha[..., None] + 230 * (1 - dark[..., None]) * (1 - alpha[..., None])).astype(np.uint8)
    made = cut_out(samples, keep_shadow=True)
    assert unit(made.alpha)[125:145, 50:110].mean() < 0.02
    assert made.shadow is not None
    assert np.abs(unit(made.shadow) - dark)[disc(radius=52, at=(80, 70)) == 0].max() < 0.08
    assert cut_out(samples).shadow is None


def lit(alpha: np.ndarray, light: np.ndarray, ground: np.ndarray | float) -> np.ndarray:
    mixed = light[..., None] * alpha[..., None] + np.broadcast_to(ground, (*alpha.shape, 1)) * (1 - alpha[..., None])
    return np.rint(np.clip(mixed, 0, 255)).astype(np.uint8).repeat(3, 2)


def test_a_light_thing_on_white_is_not_taken_for_its_own_shadow() -> None:
    """Grey, softly shaded and without colour, as white as the ground in one corner: all that a shadow is, but for its hard rim."""
    y, x = np.mgrid[:200, :200]
    alpha = ((np.abs(x - 100) < 60) & (np.abs(y - 100) < 60)).astype(float)
    made = unit(cut_out(lit(alpha, 290 - 0.55 * x - 0.25 * y, 255)).alpha)
    assert np.abs(made - alpha).mean() < 0.03


def test_gaps_between_hairs_are_ground_also_in_jpeg() -> None:
    y, x = np.mgrid[:240, :240]
    angle, radius = np.arctan2(y - 120, x - 120), np.hypot(y - 120, x - 120)
    hairs = (radius < 100) & (np.cos(70 * angle) > 0.3 - 0.006 * (80 - radius))
    alpha = ((radius < 55) | hairs).astype(float)
    out = io.BytesIO()
    PIL.Image.fromarray(lit(alpha, np.full(x.shape, 60.0), 250)).save(out, "jpeg", quality=70)
    made = unit(cut_out(np.asarray(PIL.Image.open(out))).alpha)
    among = (radius > 60) & (radius < 85)
    assert made[among & ~hairs].mean() < 0.15
    assert made[among & hairs].mean() > 0.95


def test_holes_are_found_where_a_shadow_is_beside_them() -> None:
    y, x = np.mgrid[:240, :240]
    alpha = np.clip(80.5 - np.hypot(y - 125, x - 120), 0, 1) * np.clip(np.hypot(y - 125, x - 120) - 25.5, 0, 1)
    dark = 0.35 * np.exp(-(((x - 125) / 60) ** 2) - ((y - 215) / 18) ** 2)
    made = unit(cut_out(lit(alpha, np.full(x.shape, 90.0), 247 * (1 - dark[..., None]))).alpha)
    assert made[np.hypot(y - 125, x - 120) < 22].mean() < 0.02


def test_own_alpha_is_kept() -> None:
    alpha = np.rint(disc() * 255).astype(np.uint8)
    samples = np.concatenate((on("grey", disc()), alpha[..., None]), 2)
    made = cut_out(samples, alpha=True)
    assert (made.alpha == alpha).all()
    assert "already" in made.reasons[0]
    samples[..., 3] = 255
    assert np.abs(unit(cut_out(samples, alpha=True).alpha) - disc()).mean() < 0.003


def test_what_hardly_differs_lowers_confidence() -> None:
    plain = cut_out(on("grey", disc())).confidence
    faint = cut_out(on("grey", disc(), np.array([188.0, 188, 188])))
    assert faint.confidence < plain - 0.2
    assert any("hardly differs" in reason for reason in faint.reasons)


def busy() -> dict[str, tuple[np.ndarray, type[InputError]]]:
    return {
        "a photograph": (data.astronaut(), NotPlainError),
        "grass": (np.repeat(data.grass()[:200, :200, None], 3, 2), NotPlainError),
        "white noise": (RNG.integers(0, 255, (90, 90, 3), np.uint8), NotPlainError),
        "empty ground": (on("shaded", disc() * 0), NoSubjectError),
        "noisy ground": (on("grey", disc() * 0, noise=2), NoSubjectError),
        "one pixel of dirt": (on("grey", disc(radius=1)), NoSubjectError),
        "too small": (np.full((9, 9, 3), 255, np.uint8), NoSubjectError),
    }


@pytest.mark.parametrize("what", busy())
def test_what_cannot_be_cut_is_refused(what: str) -> None:
    samples, error = busy()[what]
    with pytest.raises(error) as caught:
        cut_out(samples, name="a.png")
    assert str(caught.value).startswith("a.png: ")
    assert "\n" not in str(caught.value)


def test_the_old_ground_leaves_the_edge() -> None:
    """Of a red disc on white, soft edges are pink; cut out they must be red, and what is opaque must not change."""
    alpha = disc(soft=6).astype(np.float32)
    samples = on("white", alpha)
    clean = foreground(samples, alpha)
    soft = (alpha > 0.2) & (alpha < 1)
    assert np.abs(samples.astype(float) - RED)[soft].mean() > 20
    assert np.abs(clean.astype(float) - RED)[soft].mean() < 4
    assert (clean[alpha == 1] == samples[alpha == 1]).all()


@settings(max_examples=20, deadline=None)
@given(st.data())
def test_foreground_takes_any_alpha(draw: st.DataObject) -> None:
    height, width, bands = (draw.draw(st.integers(1, 30)) for _ in range(3))
    bands = 1 if bands < 15 else 3
    dtype = draw.draw(st.sampled_from([np.uint8, np.uint16]))
    rng = np.random.default_rng(draw.draw(st.integers(0, 50)))
    samples = rng.integers(0, np.iinfo(dtype).max, (height, width, bands), dtype, endpoint=True)
    alpha = np.clip(rng.normal(0.5, 0.6, (height, width)), 0, 1).astype(np.float32)
    clean = foreground(samples, alpha)
    assert (clean.dtype, clean.shape) == (samples.dtype, samples.shape)
    assert (clean[alpha == 1] == samples[alpha == 1]).all()


def test_the_same_picture_gives_the_same_alpha() -> None:
    samples = on("shaded", disc(), noise=2)
    assert (cut_out(samples).alpha == cut_out(samples).alpha).all()


def test_a_robust_fit_does_not_follow_a_third() -> None:
    y, x = np.mgrid[:60, :80].astype(np.float32)
    plane = np.stack([100 + x - 0.5 * y] * 3, -1)
    soiled = plane.copy()
    soiled[20:40, :80] = 20
    made, noise, share = fitted(soiled, np.ones((60, 80), bool), 1, plane + 3)
    assert np.abs(made - plane).max() < 1
    assert noise < 5
    assert 0.6 < share < 0.72


def test_lab_is_lab() -> None:
    made = lab(np.array([[[255, 255, 255], [0, 0, 0], [255, 0, 0]]], np.float32))[0]
    assert np.abs(made - [[100, 0, 0], [0, 0, 0], [53.24, 80.09, 67.2]]).max() < 0.3


def test_regions() -> None:
    mask = np.array([[1, 1, 0, 1], [0, 0, 0, 1], [1, 0, 1, 1]], bool)
    assert len(np.unique(labelled(mask))) == 4
    seeds = np.zeros_like(mask)
    seeds[0, 3] = seeds[1, 0] = True
    assert connected(mask, seeds).tolist() == [[False, False, False, True], [False, False, False, True], [False, False, True, True]]
