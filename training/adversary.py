"""A small critic that says which of two answers to a source looks photographed: the part of a loss that no formula for texture covers.

It sees what the answer adds to the plain enlargement, beside that enlargement, and gives one number per neighbourhood of 18 pixels. Truth
and answer are compared in pairs (A. Jolicoeur-Martineau 2018, relativistic), since each answer has its truth; spectral norm (T. Miyato et
al. 2018) keeps the critic from growing steep. Both were chosen for being stable at batches of 16 and cheap. Each step shows it the pictures
moved by a few pixels of its own: a critic that knows where the net's pixel shuffle begins draws the shuffle's grid into the answers.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import parametrize
from torch.nn.utils.parametrizations import spectral_norm

from training.resize import matrix

SHIFT = 4  # pixels


def enlarged(source: Tensor, scale: int) -> Tensor:
    """U on a batch, without rounding: (n, 3, h, w) -> (n, 3, h * scale, w * scale)."""
    h, w = source.shape[-2:]
    up, right = (torch.from_numpy(matrix(side, side * scale)).to(source.device) for side in (h, w))
    return up @ source @ right.T


class Critic(nn.Module):
    """(answer, plain enlargement), (n, 3, h, w) each, in [0, 1] -> (n, 1, h', w'), larger where the answer looks like a truth."""

    def __init__(self, channels: int = 24) -> None:
        super().__init__()
        widths = [6, channels, 2 * channels, 4 * channels]
        walk = zip(widths, widths[1:], ((4, 2), (4, 2), (3, 1)), strict=False)  # 4 by 2: no pixel counts more than its neighbour
        self.convolutions = nn.ModuleList(spectral_norm(nn.Conv2d(a, b, *size)) for a, b, size in walk)
        self.last = spectral_norm(nn.Conv2d(widths[-1], 1, 1))

    def forward(self, answer: Tensor, plain: Tensor) -> Tensor:
        y = torch.cat([4 * (answer - plain), 2 * plain - 1], dim=1)
        with parametrize.cached(), torch.autocast(y.device.type, enabled=False):
            weights = [convolution.weight for convolution in (*self.convolutions, self.last)]  # the norm in fp32, once per pass
            with torch.autocast(y.device.type, dtype=torch.bfloat16):
                for convolution, _ in zip(self.convolutions, weights, strict=False):
                    y = F.leaky_relu(convolution(y), 0.2)
                y = self.last(y)
        marks: Tensor = y.float()
        return marks


class Adversary:
    """The critic with its optimiser. Pictures are given as (answer, truth, source); `at` is how far down and right they are moved."""

    def __init__(self, scale: int, rate: float, device: torch.device) -> None:
        self.scale = scale
        self.critic = Critic().to(device)
        self.optimiser = torch.optim.AdamW(self.critic.parameters(), lr=rate, betas=(0.5, 0.99), weight_decay=1e-4)

    def _seen(self, source: Tensor, at: tuple[int, int], *pictures: Tensor) -> list[Tensor]:
        top, left = at
        return [picture[..., top:, left:] for picture in (enlarged(source, self.scale), *pictures)]

    def loss(self, y: Tensor, truth: Tensor, source: Tensor, at: tuple[int, int] = (0, 0)) -> Tensor:
        """For the net: small where the critic takes the answer for the truth. The critic itself learns nothing from it."""
        plain, y, truth = self._seen(source, at, y, truth)
        self.critic.requires_grad_(False)
        with torch.no_grad():
            wanted = self.critic(truth, plain)
        margin = self.critic(y, plain) - wanted
        self.critic.requires_grad_(True)
        return F.softplus(-margin).mean()

    def learn(self, y: Tensor, truth: Tensor, source: Tensor, rate: float, at: tuple[int, int] = (0, 0)) -> float:
        """One step of the critic. Returns its loss: 0.69 when it cannot tell them apart, 0 when it always can."""
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        plain, y, truth = self._seen(source, at, y.detach(), truth)
        wanted, given = self.critic(torch.cat([truth, y]), torch.cat([plain, plain])).chunk(2)
        loss = F.softplus(given - wanted).mean()
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimiser.step()
        self.optimiser.zero_grad(set_to_none=True)
        return loss.item()

    def state(self) -> dict[str, object]:
        return {"critic": self.critic.state_dict(), "optimiser": self.optimiser.state_dict()}

    def load(self, state: dict[str, dict[str, object]]) -> None:
        self.critic.load_state_dict(state["critic"])
        self.optimiser.load_state_dict(state["optimiser"])
