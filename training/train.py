"""The loop: warm up, hold the rate for as long as wanted, bring it down at the end; average the weights; go on where it stopped.

Every step draws its crops from a generator seeded by (seed, step), so an interrupted run ends with the weights of an uninterrupted one.
"""

import copy
import json
import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from training import evaluate, weights
from training.config import Recipe
from training.degrade import pairs
from training.eight_bit import ranges
from training.losses import LOSSES, heightened, locked
from training.muon import Muon
from training.nets import Compact
from training.photos import Pictures

EIGHT_BIT_SHARE = 3  # the last third of the decay is trained in eight bits, where the recipe says so: the steps take longer
SAVE_EVERY = 180.0  # seconds
SET5_EVERY = 500  # steps
SET14_EVERY = 900.0  # seconds


class Ahead:
    """Batches of pairs, made in a thread while the net works on the one before. A batch depends on the recipe's seed and its step alone."""

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe
        self.thread = ThreadPoolExecutor(1, "pairs")
        self.coming: dict[tuple[int, int], Future[tuple[Tensor, Tensor]]] = {}

    def __call__(self, cache: Pictures, step: int) -> tuple[Tensor, Tensor]:
        """The pairs of `step`; those of the next one are begun."""
        wanted = self.coming.pop((id(cache), step), None) or self.thread.submit(self._make, cache, step)
        self.coming = {(id(cache), step + 1): self.thread.submit(self._make, cache, step + 1)}
        return wanted.result()

    def _make(self, cache: Pictures, step: int) -> tuple[Tensor, Tensor]:
        r = self.recipe
        random = np.random.default_rng([r.seed, step])
        return pairs(cache, random, r.degradation, r.scale, r.crop, r.batch, r.conditions)


class Run:
    """One net in training, with everything needed to stop and go on. `folder` holds state.pt, log.jsonl and NAME.safetensors (fp16 EMA)."""

    def __init__(self, recipe: Recipe, folder: Path, device: str = "cpu") -> None:
        torch.manual_seed(recipe.seed)
        self.recipe, self.folder, self.device = recipe, folder, torch.device(device)
        self.net = weights.start(recipe).train().to(self.device)
        self.average = copy.deepcopy(self.net).eval().requires_grad_(False)
        kernels = [p for p in self.net.parameters() if recipe.muon and p.ndim == 4]
        others = [p for p in self.net.parameters() if not (recipe.muon and p.ndim == 4)]
        self.optimisers: list[tuple[torch.optim.Optimizer, float]] = [
            (torch.optim.AdamW(others, lr=recipe.rate, weight_decay=1e-4, fused=True), recipe.rate)
        ]
        if kernels:
            self.optimisers.append((Muon(kernels, recipe.muon), recipe.muon))
        self.faithful = copy.deepcopy(self.net).eval().requires_grad_(False) if recipe.heighten else None
        self.step = 0
        self.seconds = 0.0
        self.decay_from = max(recipe.steps - recipe.decay, 0)
        self.decay = recipe.decay
        self.stop = False
        self.ahead = Ahead(recipe)
        folder.mkdir(parents=True, exist_ok=True)

    @property
    def state(self) -> Path:
        return self.folder / "state.pt"

    @property
    def last_step(self) -> int:
        return self.decay_from + self.decay

    def save(self, path: Path) -> None:
        partial = path.with_suffix(".partial")
        state = {
            "recipe": asdict(self.recipe),
            "net": self.net.state_dict(),
            "average": self.average.state_dict(),
            "ranges": self.net.ranges,
            "leaks": self.net.leaks,
            "uneven": self.net.uneven,
            "optimisers": [optimiser.state_dict() for optimiser, _ in self.optimisers],
            "step": self.step,
            "seconds": self.seconds,
            "decay_from": self.decay_from,
            "decay": self.decay,
        }
        torch.save(state, partial)
        partial.replace(path)
        notes = {"name": self.recipe.name, "step": str(self.step), "start": self.recipe.start}
        if not self.average.uneven:  # such a net would be another one in its file
            weights.save(self.average, self.folder / f"{self.recipe.name}.safetensors", **notes)

    def load(self, path: Path) -> None:
        """Goes on from `path`. A decay that has begun is kept; before that, the recipe's number of steps counts, so it may be changed."""
        state: dict[str, Any] = torch.load(path, weights_only=True, map_location=self.device)
        self.net.load_state_dict(state["net"])
        self.average.load_state_dict(state["average"])
        for net in (self.net, self.average):
            net.ranges, net.leaks, net.uneven = state["ranges"], state["leaks"], state["uneven"]
        for (optimiser, _), kept in zip(self.optimisers, state["optimisers"], strict=True):
            optimiser.load_state_dict(kept)
        self.step, self.seconds = state["step"], state["seconds"]
        if self.step > state["decay_from"]:
            self.decay_from, self.decay = state["decay_from"], state["decay"]
        else:
            self.decay_from = max(self.decay_from, self.step)

    def finish_from_here(self, decay: int) -> None:
        """Begins to bring the rate down now, over `decay` steps."""
        if self.step < self.decay_from:
            self.decay_from, self.decay = self.step, decay

    def into_eight_bits(self, cache: Pictures) -> None:
        """From now on the net is trained as it will run; what its convolutions read of the next batches decides their ranges."""
        seen = [self.ahead(cache, self.step + i)[0].to(self.device) for i in range(8)]
        self.net.ranges = self.average.ranges = ranges(self.average, seen)

    def share(self) -> float:
        """Of the recipe's rates, at this step."""
        warm = min(1.0, (self.step + 1) / self.recipe.warmup)
        done = max(0, self.step - self.decay_from) / max(1, self.decay)
        return warm * (0.5 + 0.5 * float(np.cos(np.pi * min(1.0, done))))

    def one_step(self, cache: Pictures) -> float:
        """Returns the loss."""
        recipe = self.recipe
        for net in (self.net, self.average):
            if net.uneven:
                net.even_out(min(1.0, (self.step + 1) / max(1, recipe.even)))
        x, truth = (pixels.to(self.device) for pixels in self.ahead(cache, self.step))
        for optimiser, rate in self.optimisers:
            for group in optimiser.param_groups:
                group["lr"] = rate * self.share()
        with torch.autocast(self.device.type, dtype=torch.bfloat16):
            y: Tensor = self.net(x)
        y = y.float()
        source = x[:, :3]
        if self.faithful is not None:
            with torch.no_grad(), torch.autocast(self.device.type, dtype=torch.bfloat16):
                known = self.faithful(x).float()
            # Twice, as the lock, which comes behind every net in use, takes back a part of what was made stronger.
            for _ in range(2):
                known = locked(heightened(known, truth, recipe.heighten), source, 3)
            truth = known
        if recipe.lock:
            y = locked(y, source, recipe.lock)
        loss = LOSSES[recipe.decay_loss if self.step >= self.decay_from else recipe.loss](y, truth)
        loss.backward()  # type: ignore[no-untyped-call]
        for optimiser, _ in self.optimisers:
            optimiser.step()
        self.net.zero_grad(set_to_none=True)
        self._follow()
        self.step += 1
        return loss.item()

    def _follow(self) -> None:
        """The average takes a step toward the weights; a short memory at first, so that it does not remember the start."""
        keep = min(self.recipe.ema, (self.step + 1) / (self.step + 10))
        with torch.no_grad():
            torch._foreach_lerp_(list(self.average.parameters()), list(self.net.parameters()), 1 - keep)

    def note(self, **row: object) -> None:
        row = {"step": self.step, "minutes": round(self.seconds / 60, 2), **row}
        with (self.folder / "log.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
        print(json.dumps(row), flush=True)


def scores(net: Compact, name: str) -> dict[str, float]:
    pictures = evaluate.published(evaluate.samples_folder() / name, net.shape.scale)
    found = evaluate.measure(evaluate.with_net(net), pictures, net.shape.scale)
    return {f"{name}_{key}": value for key, value in found.items() if key != "pictures"}


def train(run: Run, cache: Pictures, *, minutes: float | None = None, measure: bool = True) -> None:
    """Trains to the last step. With `minutes` of training (pauses not counted) the decay begins when it will just be done by then.

    A file RUN/finish, with a number of steps in it, starts the decay at once. State is saved every three minutes and when the loop ends,
    which `run.stop` asks for after the step at hand.
    """
    saved = measured = time.monotonic()
    losses: list[float] = []
    while run.step < run.last_step and not run.stop:
        begun = time.monotonic()
        if minutes is not None and run.step < run.decay_from and run.step > 50:
            share = run.recipe.decay / run.recipe.steps
            if run.seconds >= minutes * 60 * (1 - share):
                run.finish_from_here(int(run.step * share / (1 - share)))
        asked = run.folder / "finish"
        if asked.exists():
            run.finish_from_here(int(asked.read_text() or run.recipe.decay))
            asked.unlink()
        if run.step == run.decay_from and run.decay:
            run.save(run.folder / "stable.pt")
            run.note(decay_over=run.decay)
        if run.recipe.eight_bit and not run.net.ranges and run.step >= run.last_step - run.decay // EIGHT_BIT_SHARE:
            run.into_eight_bits(cache)
            run.note(ranges=[round(largest, 3) for largest in run.net.ranges])
        losses.append(run.one_step(cache))
        now = time.monotonic()
        run.seconds += min(now - begun, 10.0)
        if run.step % 100 == 0:
            run.note(loss=round(float(np.mean(losses)), 5), rate=round(run.recipe.rate * run.share(), 7))
            losses.clear()
        if measure and run.step % SET5_EVERY == 0:
            run.note(**scores(run.average, "set5"))
        if measure and now - measured > SET14_EVERY:
            measured = now
            run.note(**scores(run.average, "set14"))
        if now - saved > SAVE_EVERY:
            saved = now
            run.save(run.state)
    run.save(run.state)
