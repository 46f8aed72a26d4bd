"""Which kind of picture: a weighted sum of the features, the small net's among them; the weights lie in ``kinds.json`` to be read."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np
from numpy.typing import NDArray

from enlarger.looks.features import NAMES
from enlarger.seen import Kind

SURE = 0.5
"""Probability below which no kind is named."""

FARTHEST = 4.0
"""Deviations from the mean at which a feature stops counting for more."""


@dataclass(frozen=True)
class Model:
    """``kinds`` in the order of columns of ``weights`` ``(features + 1, kinds)``, the last row being what each starts with."""

    kinds: tuple[Kind, ...]
    mean: NDArray[np.float64]
    deviation: NDArray[np.float64]
    weights: NDArray[np.float64]

    def probabilities(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """``(..., features)`` to ``(..., kinds)``."""
        scaled = np.clip((values - self.mean) / self.deviation, -FARTHEST, FARTHEST)
        scores: NDArray[np.float64] = scaled @ self.weights[:-1] + self.weights[-1]
        scores = np.exp(scores - scores.max(-1, keepdims=True))
        result: NDArray[np.float64] = scores / scores.sum(-1, keepdims=True)
        return result


@cache
def model() -> Model:
    """The coefficients that come with the package."""
    told: dict[str, Any] = json.loads(files("enlarger.looks").joinpath("kinds.json").read_text("utf-8"))
    names, rows = [row["name"] for row in told["features"]], told["features"]
    if tuple(names) != NAMES:
        raise RuntimeError("kinds.json was made for other features; run benchmarks/triage.py --fit")
    weights = np.array([*(row["weights"] for row in rows), told["start"]])
    return Model(tuple(told["kinds"]), np.array([row["mean"] for row in rows]), np.array([row["deviation"] for row in rows]), weights)


def kind(values: NDArray[np.float64]) -> tuple[Kind, float]:
    """The likeliest kind and its probability; ``unknown`` where none is likelier than all the others together."""
    chances = model().probabilities(values)
    best = int(chances.argmax())
    confidence = float(chances[best])
    return (model().kinds[best] if confidence >= SURE else "unknown"), confidence
