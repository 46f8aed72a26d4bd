"""Small ONNX models made by the tests: they want and answer what the known ones do, by rules that can be checked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

_MISSING = [extra for extra, module in (("onnx", "onnxruntime"), ("train", "onnx")) if find_spec(module) is None]
NEEDS_ONNX = pytest.mark.skipif(bool(_MISSING), reason=f"extras that are not installed: {', '.join(_MISSING)}")
"""For tests of the path through onnxruntime; what does not need it is tested by :class:`Played`, everywhere."""

Shape = tuple[int | str, ...]


class Played:
    """A session of onnxruntime's kind whose model is a function."""

    def __init__(self, shapes: Sequence[Shape], answer: Callable[..., np.ndarray], type_: str = "tensor(float)") -> None:
        self.shapes, self.answer, self.type, self.calls = shapes, answer, type_, []

    def get_inputs(self) -> list[Any]:
        from types import SimpleNamespace

        return [SimpleNamespace(name=f"in{i}", shape=list(shape), type=self.type) for i, shape in enumerate(self.shapes)]

    def get_outputs(self) -> list[Any]:
        from types import SimpleNamespace

        return [SimpleNamespace(name="out")]

    def run(self, outputs: list[str], fed: dict[str, np.ndarray]) -> list[np.ndarray]:
        assert outputs == ["out"]
        for name, array, shape in zip(fed, fed.values(), self.shapes, strict=True):
            assert all(isinstance(n, str) or n == m for n, m in zip(shape, array.shape, strict=True)), (name, array.shape, shape)
        self.calls.append(list(fed.values()))
        return [self.answer(*fed.values())]


def mean_of_known(image: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """As big-lama's export composes its answer: what is known as it is, in the hole the mean of what is known; 0..255."""
    known = 1 - mask
    mean = (image * known).sum((2, 3), keepdims=True) / known.sum((2, 3), keepdims=True)
    return ((image * known + mean * mask) * 255).astype(np.float32)


def lama(path: Path, height: int | str = 512, width: int | str = 512, *, scale: float = 255.0, spoilt: float | None = None) -> Path:
    """Writes a model that answers as :func:`mean_of_known`; with ``spoilt`` (NaN) that is added to the answer."""
    from onnx import TensorProto, helper, save

    def number(name: str, value: float) -> Any:
        return helper.make_node("Constant", [], [name], value=helper.make_tensor(name, TensorProto.FLOAT, [1], [value]))

    nodes = [
        number("one", 1.0),
        number("scale", scale),
        number("added", 0.0 if spoilt is None else spoilt),
        helper.make_node("Sub", ["one", "mask"], ["known"]),
        helper.make_node("Mul", ["image", "known"], ["kept"]),
        helper.make_node("ReduceSum", ["kept", "axes"], ["total"], keepdims=1),
        helper.make_node("ReduceSum", ["known", "axes"], ["count"], keepdims=1),
        helper.make_node("Div", ["total", "count"], ["mean"]),
        helper.make_node("Mul", ["mean", "mask"], ["new"]),
        helper.make_node("Add", ["kept", "new"], ["whole"]),
        helper.make_node("Mul", ["whole", "scale"], ["scaled"]),
        helper.make_node("Add", ["scaled", "added"], ["output"]),
    ]
    axes = helper.make_tensor("axes", TensorProto.INT64, [2], [2, 3])
    ports = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", n, height, width]) for name, n in (("image", 3), ("mask", 1))]
    output = helper.make_tensor_value_info("output", TensorProto.FLOAT, ["batch", 3, height, width])
    graph = helper.make_graph(nodes, "mean of what is known", ports, [output], [axes])
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)
    return path


def matte(path: Path, side: int | str = 320, *, gain: float = 4.0, shift: float = -1.0, sigmoid: bool = True) -> Path:
    """Writes a model that sees what is redder than it is green, in shares (or logits): sigmoid(gain * (red - green) + shift)."""
    from onnx import TensorProto, helper, numpy_helper, save

    nodes = [
        helper.make_node("Conv", ["input", "weight", "bias"], ["sum"], kernel_shape=[1, 1]),
        helper.make_node("Sigmoid" if sigmoid else "Identity", ["sum"], ["output"]),
    ]
    weight = numpy_helper.from_array(np.array([gain, -gain, 0], np.float32).reshape(1, 3, 1, 1), "weight")
    bias = numpy_helper.from_array(np.array([shift], np.float32), "bias")
    port = helper.make_tensor_value_info("input", TensorProto.FLOAT, [1, 3, side, side])
    output = helper.make_tensor_value_info("output", TensorProto.FLOAT, [1, 1, side, side])
    graph = helper.make_graph(nodes, "red things", [port], [output], [weight, bias])
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)
    return path
