"""python -m training.mean A B --share S --out C: weights between two nets of one run (M. Wortsman et al. 2022, model soups).

Two states of a run, each with its rate brought to zero, lie in the same basin; between them is often a little better than either.
"""

import argparse
from pathlib import Path

import torch

from training import weights
from training.nets import Compact


def between(a: Compact, b: Compact, share: float) -> Compact:
    """`a` moved by `share`, 0 to 1, of the way to `b`. ValueError for nets of different shapes."""
    if a.shape != b.shape:
        raise ValueError(f"between {a.shape} and {b.shape} there is no net")
    net = Compact(a.shape)
    with torch.no_grad():
        for made, ours, theirs in zip(net.parameters(), a.parameters(), b.parameters(), strict=True):
            made.copy_(ours.lerp(theirs, share))
    return net


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m training.mean", description=__doc__)
    parser.add_argument("nets", nargs=2, type=Path, help=".safetensors files of nets")
    parser.add_argument("--share", type=float, default=0.5, help="how much of the second, 0 to 1")
    parser.add_argument("--out", type=Path, required=True)
    asked = parser.parse_args()
    if not 0 <= asked.share <= 1:
        parser.error("--share is from 0 to 1")
    first, second = (weights.load(path) for path in asked.nets)
    weights.save(
        between(first, second, asked.share), asked.out, mean_of=", ".join(path.stem for path in asked.nets), share=str(asked.share)
    )


if __name__ == "__main__":
    main()
