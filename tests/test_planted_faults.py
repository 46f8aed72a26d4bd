"""A check must be able to fail: faults planted in good results, each found by the right measure at the right place."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from numpy.typing import NDArray
from tests import planted

import enlarger
from enlarger.fidelity import Fidelity
from enlarger.steps.decode import decode
from enlarger.steps.verify import Verifier

SCALE = 4
TILE = 64


def verified(source: NDArray[np.uint8], result: NDArray[np.uint8]) -> Fidelity:
    """Quick, with tiles of :data:`TILE` source pixels, in strips of an odd height."""
    height, width = result.shape[:2]
    lines = range(TILE * SCALE, width, TILE * SCALE), range(TILE * SCALE, height, TILE * SCALE)
    verifier = Verifier(decode(source), width, height, tile_lines=lines)
    for y in range(0, height, 37):
        verifier.add(y, result[y : y + 37])
    return verifier.finish()


@cache
def good() -> dict[str, tuple[NDArray[np.uint8], NDArray[np.uint8]]]:
    """Source and a good result by kind of picture."""
    pictures = planted.pictures()
    with enlarger.Enlarger(enlarger.Options(scale=SCALE, model="enlarger-photo-x4")) as tool:
        return {kind: (source, planted.lock(source, tool.enlarge(source).image)) for kind, source in pictures.items()}


@pytest.mark.parametrize("kind", ["portrait", "product", "text"])
def test_a_good_result_passes(kind: str) -> None:
    fidelity = verified(*good()[kind])
    assert fidelity.verdict == "pass", fidelity.regions
    assert fidelity.regions == ()


@pytest.mark.parametrize("fault", planted.FAULTS, ids=lambda fault: fault.name)
def test_a_planted_fault_is_found(fault: planted.Fault) -> None:
    source, result = good()[fault.on]
    bad, place = fault.plant(result, SCALE)
    assert (bad != result).any()
    fidelity = verified(source, bad)
    named = {name for name, measure in fidelity.measures.items() if measure.verdict != "pass"}
    assert named & fault.measures, fidelity.measures
    if place is not None:
        boxes = [region.box for region in fidelity.regions if region.measure in fault.measures]
        assert any(planted.overlaps(box, place) for box in boxes), (place, boxes)
