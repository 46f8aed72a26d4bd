"""Verify as a whole: strips, depths, damage that need not come back, bad calls, the map."""

from __future__ import annotations

from typing import Any

import numpy as np
import PIL.Image
import pytest
import skimage.data
from numpy.typing import NDArray
from tests.planted import lock

import enlarger
from enlarger.errors import InputError
from enlarger.fidelity import Fidelity
from enlarger.measures.noise import noise_of
from enlarger.steps.decode import decode
from enlarger.steps.verify import Verifier


def enlarged(source: NDArray[Any], scale: float = 4) -> NDArray[np.uint8]:
    """A good result: Lanczos by Pillow, locked."""
    size = round(source.shape[1] * scale), round(source.shape[0] * scale)
    planes = [np.asarray(PIL.Image.fromarray(source[..., i]).resize(size, PIL.Image.Resampling.LANCZOS)) for i in range(source.shape[2])]
    return lock(source, np.stack(planes, -1))


def verified(source: NDArray[Any], result: NDArray[Any], strip: int = 64, **settings: Any) -> Fidelity:
    verifier = Verifier(decode(source), result.shape[1], result.shape[0], **settings)
    for y in range(0, len(result), strip):
        verifier.add(y, result[y : y + strip])
    return verifier.finish()


@pytest.fixture(scope="module")
def source() -> NDArray[np.uint8]:
    return skimage.data.astronaut()[:160, 100:290].copy()


@pytest.fixture(scope="module")
def result(source: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return enlarged(source)


def test_strips_of_any_height_give_the_same(source: NDArray[np.uint8], result: NDArray[np.uint8]) -> None:
    whole = verified(source, result, len(result))
    assert whole.verdict == "pass"
    for strip in (1, 37):
        other = verified(source, result, strip)
        assert other.verdict == "pass"
        for name, measure in whole.measures.items():
            assert other.measures[name].value == pytest.approx(measure.value, rel=1e-3, abs=1e-4), name


def test_bands_give_the_same_as_one(source: NDArray[np.uint8], result: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch) -> None:
    """A large picture is judged in bands; context must hide where they meet."""
    whole = verified(source, result)
    monkeypatch.setattr("enlarger.measures.pairing.BAND_PIXELS", 1)
    monkeypatch.setattr("enlarger.measures.pairing.PIECE_PIXELS", 1)
    monkeypatch.setattr("enlarger.measures.pairing.MOST_SAMPLES", 1)
    banded = verified(source, result)
    for name, measure in whole.measures.items():
        assert banded.measures[name].value == pytest.approx(measure.value, rel=0.01, abs=1e-3), name


def test_sixteen_bits_are_judged_like_eight(source: NDArray[np.uint8], result: NDArray[np.uint8]) -> None:
    eight, sixteen = verified(source, result), verified(source, result.astype(np.uint16) * 257)
    assert sixteen.verdict == "pass"
    assert sixteen.measures["consistency"].value == pytest.approx(eight.measures["consistency"].value, abs=0.1)


def test_grey_and_alpha(source: NDArray[np.uint8]) -> None:
    grey = source[..., 1:2]
    assert verified(grey, enlarged(grey)).verdict == "pass"
    alpha = np.zeros_like(grey)
    alpha[20:120, 30:150] = 255
    see_through = np.concatenate([source, alpha], axis=2)
    fidelity = verified(see_through, enlarged(see_through))
    assert fidelity.verdict == "pass", fidelity.measures
    assert fidelity.measures["consistency"].details["alpha"] > 35


def test_what_nobody_sees_is_not_judged(source: NDArray[np.uint8]) -> None:
    alpha = np.zeros((*source.shape[:2], 1), np.uint8)
    alpha[:, :96] = 255
    see_through = np.concatenate([source, alpha], axis=2)
    good = enlarged(see_through)
    hidden = good.copy()
    hidden[:, 110 * 4 :, :3] = 77
    assert verified(see_through, hidden).verdict == "pass"
    seen = good.copy()
    seen[100:300, 40:200, :3] = 77
    assert verified(see_through, seen).verdict == "fail"


@pytest.mark.parametrize("shape", [(1, 1), (3, 70), (70, 3), (17, 33), (49, 50)])
def test_small_pictures(source: NDArray[np.uint8], shape: tuple[int, int]) -> None:
    part = source[40 : 40 + shape[0], 40 : 40 + shape[1]].copy()
    fidelity = verified(part, np.rint(enlarged(part)).astype(np.uint8))
    assert fidelity.verdict == "pass", fidelity.measures
    assert "registration" in fidelity.not_checked or min(shape) > 3


@pytest.mark.parametrize("scale", [1, 1.5, 2, 2.7, 3])
def test_any_scale(source: NDArray[np.uint8], scale: float) -> None:
    fidelity = verified(source, enlarged(source, scale))
    assert fidelity.verdict == "pass", fidelity.measures
    assert ("texture" in fidelity.measures) == (scale >= 2)


def test_noise_need_not_come_back(source: NDArray[np.uint8], result: NDArray[np.uint8]) -> None:
    noisy = (source + np.random.default_rng(1).normal(0, 8, source.shape)).round().clip(0, 255).astype(np.uint8)
    tolerant, strict = verified(noisy, result), verified(noisy, result, noise=0.0)
    assert tolerant.verdict == "pass", tolerant.measures
    assert tolerant.measures["consistency"].details["after_damage"] > strict.measures["consistency"].details["after_damage"] + 4


@pytest.mark.parametrize("sigma", [0, 2, 5, 12])
def test_noise_is_estimated(sigma: float) -> None:
    y, x = np.mgrid[:256, :256]
    calm = np.stack([90 + 0.2 * x + 0.1 * y] * 3, -1)
    noisy = (calm + np.random.default_rng(2).normal(0, sigma, calm.shape)).round().clip(0, 255).astype(np.uint8)
    assert noise_of(decode(noisy)) == pytest.approx(sigma, rel=0.2)


def test_memory_does_not_grow_with_the_height(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("enlarger.measures.pairing.BAND_PIXELS", 4_000)
    source = np.full((4000, 40, 3), 120, np.uint8)
    source[::7, ::5] = 200
    verifier = Verifier(decode(source), 160, 16000)
    strip = np.full((160, 160, 3), 120, np.uint8)
    held = []
    for y in range(0, 16000, 160):
        verifier.add(y, strip)
        held.append(verifier._pairing.held + sum(len(part) for part in verifier._pairing._waiting))
    assert max(held[len(held) // 2 :]) <= 1.1 * max(held[: len(held) // 2])


def test_bad_calls(source: NDArray[np.uint8], result: NDArray[np.uint8]) -> None:
    with pytest.raises(InputError, match="smaller than the source"):
        Verifier(decode(source), source.shape[1] - 1, source.shape[0])
    verifier = Verifier(decode(source), result.shape[1], result.shape[0])
    verifier.add(0, result[:10])
    with pytest.raises(ValueError, match="row 20 came, row 10 was expected"):
        verifier.add(20, result[20:])
    with pytest.raises(ValueError, match="10 of 640 rows"):
        verifier.finish()


def ranks(values: NDArray[Any]) -> NDArray[np.float64]:
    order = np.empty(values.size)
    order[np.argsort(values, axis=None, kind="stable")] = np.arange(values.size)
    return order


def rank_correlation(a: NDArray[Any], b: NDArray[Any]) -> float:
    return float(np.corrcoef(ranks(a), ranks(b))[0, 1])


def test_the_invention_map_ranks_errors_better_than_contrast() -> None:
    """On pictures whose high resolution is known; contrast is the deviation within 5 x 5 source pixels."""
    gains = []
    for name in ("astronaut", "coffee", "rocket", "chelsea"):
        truth = getattr(skimage.data, name)()
        truth = truth[: truth.shape[0] // 4 * 4, : truth.shape[1] // 4 * 4]
        height, width = truth.shape[0] // 4, truth.shape[1] // 4
        source = np.asarray(PIL.Image.fromarray(truth).resize((width, height), PIL.Image.Resampling.BICUBIC))
        result = enlarger.enlarge(source, 4, model="enlarger-photo-x4").image
        verifier = Verifier(decode(source), *result.shape[1::-1])
        verifier.add(0, result)
        error = np.abs(result.astype(float).mean(2) - truth.mean(2)).reshape(height, 4, width, 4).mean((1, 3))
        windows = np.lib.stride_tricks.sliding_window_view(np.pad(source.mean(2), 2, mode="edge"), (5, 5))
        found = verifier.invention_map()
        assert found.shape == (height, width)
        gains.append(rank_correlation(found, error) - rank_correlation(windows.std(axis=(2, 3)), error))
    assert np.mean(gains) > 0.05, gains


def test_noise_that_was_asked_to_go_need_not_come_back(source: NDArray[np.uint8], result: NDArray[np.uint8]) -> None:
    """Even where the estimate finds none, as in a picture without a quiet place."""
    noisy = (source + np.random.default_rng(1).normal(0, 15, source.shape)).round().clip(0, 255).astype(np.uint8)

    def judged(**told: float) -> str:
        verifier = Verifier(decode(noisy), result.shape[1], result.shape[0], noise=0.0, **told)
        verifier.add(0, result)
        return verifier.finish().measures["consistency"].verdict

    assert judged() != "pass"
    assert judged(taken=15.0) == "pass"
