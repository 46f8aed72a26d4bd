"""A small critic that says which of two answers to a source looks photographed: the part of a loss that no formula for texture covers.

It sees the answer folded to the source's size (the inverse of the pixel shuffle, so that a grid of the shuffle is the first thing it can
see) beside the source itself, and gives one number per neighbourhood of about 15 source pixels. Truth and answer are compared in pairs
(A. Jolicoeur-Martineau 2018, relativistic), since each answer has its truth; spectral norm (T. Miyato et al. 2018) keeps the critic from
growing steep. Both were chosen for being stable at batches of 16 and cheap: the critic costs about a third of the net it criticises.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import parametrize
from torch.nn.utils.parametrizations import spectral_norm


class Critic(nn.Module):
    """(answer (n, 3, h * scale, w * scale), source (n, 3, h, w)), both in [0, 1] -> (n, 1, h', w'), larger where it looks like a truth."""

    def __init__(self, scale: int, channels: int = 48) -> None:
        super().__init__()
        self.scale = scale
        widths = [3 * scale**2 + 3, channels, channels, 2 * channels]
        walk = zip(widths, widths[1:], (1, 2, 1), strict=False)
        self.convolutions = nn.ModuleList(spectral_norm(nn.Conv2d(a, b, 3, stride)) for a, b, stride in walk)
        self.last = spectral_norm(nn.Conv2d(widths[-1], 1, 1))

    def forward(self, answer: Tensor, source: Tensor) -> Tensor:
        nearest = F.interpolate(source, scale_factor=self.scale)
        y = torch.cat([F.pixel_unshuffle(4 * (answer - nearest), self.scale), 2 * source - 1], dim=1)
        with parametrize.cached(), torch.autocast(y.device.type, enabled=False):
            weights = [convolution.weight for convolution in (*self.convolutions, self.last)]  # the norm in fp32, once per pass
            with torch.autocast(y.device.type, dtype=torch.bfloat16):
                for convolution, _ in zip(self.convolutions, weights, strict=False):
                    y = F.leaky_relu(convolution(y), 0.2)
                y = self.last(y)
        marks: Tensor = y.float()
        return marks


class Adversary:
    """The critic with its optimiser."""

    def __init__(self, scale: int, rate: float, device: torch.device) -> None:
        self.critic = Critic(scale).to(device)
        self.optimiser = torch.optim.AdamW(self.critic.parameters(), lr=rate, betas=(0.5, 0.99), weight_decay=1e-4)

    def loss(self, y: Tensor, truth: Tensor, source: Tensor) -> Tensor:
        """For the net: small where the critic takes the answer for the truth. The critic itself learns nothing from it."""
        self.critic.requires_grad_(False)
        with torch.no_grad():
            wanted = self.critic(truth, source)
        margin = self.critic(y, source) - wanted
        self.critic.requires_grad_(True)
        return F.softplus(-margin).mean()

    def learn(self, y: Tensor, truth: Tensor, source: Tensor, rate: float) -> float:
        """One step of the critic. Returns its loss: 0.69 when it cannot tell them apart, 0 when it always can."""
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        wanted, given = self.critic(torch.cat([truth, y.detach()]), torch.cat([source, source])).chunk(2)
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
