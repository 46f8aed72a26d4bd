"""Muon, for the kernels of convolutions: every step turns a kernel equally far in all its directions, also in those of small gradients.

K. Jordan and others 2024, "Muon: an optimizer for hidden layers in neural networks": the averaged gradient of a matrix is brought near
the closest matrix whose singular values are all one, by five rounds of a quintic Newton-Schulz iteration. A kernel is the matrix
(outputs, inputs * height * width). PyTorch's own `torch.optim.Muon` takes matrices only.
"""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

QUINTIC = (3.4445, -4.7750, 2.0315)
ROUNDS = 5
MOMENTUM = 0.95


def orthogonal(matrix: Tensor) -> Tensor:
    """About U V^T where `matrix` is U S V^T: singular values come out between 0.7 and 1.2."""
    a, b, c = QUINTIC
    tall = matrix.shape[0] > matrix.shape[1]
    x = (matrix.T if tall else matrix) / (matrix.norm() + 1e-7)
    for _ in range(ROUNDS):
        square = x @ x.T
        x = a * x + (b * square + c * square @ square) @ x
    return x.T if tall else x


class Muon(Optimizer):
    """For parameters of two or more dimensions, the first of which counts the outputs. Nesterov's momentum, no decay of weights."""

    def __init__(self, parameters: Iterable[Tensor], lr: float) -> None:
        super().__init__(parameters, {"lr": lr})

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            for kernel in group["params"]:
                if kernel.grad is None:
                    continue
                state = self.state[kernel]
                if not state:
                    state["average"] = torch.zeros_like(kernel)
                average = state["average"].lerp_(kernel.grad, 1 - MOMENTUM)
                turn = orthogonal(kernel.grad.lerp(average, MOMENTUM).flatten(1))
                rows, columns = turn.shape
                kernel.add_(turn.view_as(kernel), alpha=-group["lr"] * max(1, rows / columns) ** 0.5)
