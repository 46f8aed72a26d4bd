"""Muon: turns are orthogonal, and kernels that only it moves learn."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="the extra `train` is not installed")

from training.muon import Muon, orthogonal  # noqa: E402


@pytest.mark.parametrize("shape", [(12, 40), (40, 12), (16, 16)])
def test_turns_have_singular_values_near_one_and_the_directions_of_the_matrix(shape: tuple[int, int]) -> None:
    random = torch.Generator().manual_seed(2)
    left, _ = torch.linalg.qr(torch.randn((shape[0], min(shape)), generator=random))
    right, _ = torch.linalg.qr(torch.randn((shape[1], min(shape)), generator=random))
    matrix = left @ torch.diag(torch.logspace(0, -1.5, min(shape))) @ right.T
    turned = orthogonal(matrix)
    values = torch.diagonal(left.T @ turned @ right)
    assert values.min() > 0.6
    assert values.max() < 1.3
    assert (turned - left @ torch.diag(values) @ right.T).abs().max() < 1e-3


def test_what_gradients_hardly_show_is_learnt_as_fast() -> None:
    """One direction of the source is a hundred times as weak as the other; descent along gradients would not see it."""
    wanted = torch.tensor([[1.0, -1.0], [0.5, 2.0]])
    source = torch.diag(torch.tensor([1.0, 0.01]))
    kernel = torch.nn.Parameter(torch.zeros(2, 2))
    optimiser = Muon([kernel], lr=0.05)
    for step in range(150):
        optimiser.param_groups[0]["lr"] = 0.05 * (1 - step / 150)
        loss = ((kernel - wanted) @ source).square().sum()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert (kernel - wanted).abs().max() < 0.15


def test_an_interrupted_run_goes_on_the_same() -> None:
    def run(pause: bool) -> torch.Tensor:
        kernel = torch.nn.Parameter(torch.ones(3, 2, 3, 3))
        optimiser = Muon([kernel], lr=0.1)
        for step in range(6):
            if pause and step == 3:
                kept = optimiser.state_dict()
                optimiser = Muon([kernel], lr=0.1)
                optimiser.load_state_dict(kept)
            random = torch.Generator().manual_seed(step)
            kernel.grad = torch.randn(kernel.shape, generator=random)
            optimiser.step()
        return kernel.detach()

    assert torch.equal(run(pause=False), run(pause=True))
