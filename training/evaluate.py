"""What a net is worth: Set5, Set14 and the held-out photographs, as a table for people and JSON for programs."""

import argparse
import json
import os
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import torch

from training import ncnn_files, photos, weights
from training.damage import UNTOUCHED, Levels, deblock_level, denoise_level, jpeg
from training.metrics import psnr, psnr_y, ssim_y
from training.nets import Compact, enlarge_bytes
from training.resize import Bytes, enlarge, reduce, to_bytes

Enlarge = Callable[[Bytes], Bytes]
Scores = dict[str, float]
Pairs = Iterable[tuple[Bytes, Bytes]]
JPEG, NOISE = 40, 15.0  # what the damaged Set14 has


def samples_folder() -> Path:
    """Where set5/ and set14/ lie: the environment variable ENLARGER_SAMPLES."""
    return Path(os.environ["ENLARGER_SAMPLES"])


def published(folder: Path, scale: int) -> Iterator[tuple[Bytes, Bytes]]:
    """Pairs (small, large) of NNN_HR.png; the small one is made by D, which gives the published x4 pictures exactly."""
    for path in sorted(folder.glob("*_HR.png")):
        large = photos.open_rgb(path)
        height, width = (side // scale * scale for side in large.shape[:2])
        large = large[:height, :width]
        yield reduce(large, scale), large


def unseen(folder: Path, scale: int) -> Iterator[tuple[Bytes, Bytes]]:
    """Pairs from the held-out training photographs."""
    for _, picture in photos.held_out(folder):
        large = picture[: picture.shape[0] // scale * scale, : picture.shape[1] // scale * scale]
        yield reduce(large, scale), large


def with_jpeg(pictures: Pairs, quality: int) -> Pairs:
    """The small pictures through JPEG, 4:2:0."""
    for small, large in pictures:
        yield jpeg(small, quality), large


def with_noise(pictures: Pairs, sigma: float) -> Pairs:
    """The small pictures with even, coloured, seeded noise of `sigma` on the 0-255 scale."""
    for i, (small, large) in enumerate(pictures):
        yield to_bytes(small + np.random.default_rng([1, i]).normal(0, sigma, small.shape)), large


def measure(enlarge: Enlarge, pictures: Pairs, scale: int) -> Scores:
    """Means over the pictures: psnr_y, ssim_y (7 x 7 window) and ssim_gaussian against the truth, and consistency PSNR(x, D(y)) over all
    channels, at most 100 dB a picture."""
    rows = []
    for small, large in pictures:
        y = enlarge(small)
        consistency = min(psnr(small, reduce(y, scale)), 100.0)
        rows.append((psnr_y(y, large), ssim_y(y, large), ssim_y(y, large, gaussian=True), consistency))
    means = [round(float(mean), digits) for mean, digits in zip(np.mean(rows, axis=0), (3, 4, 4, 2), strict=True)]
    return dict(zip(("psnr_y", "ssim_y", "ssim_gaussian", "consistency"), means, strict=True)) | {"pictures": len(rows)}


def with_net(net: Compact, levels: Levels = UNTOUCHED) -> Enlarge:
    """`levels` is what the net is told of the damage, if it reads conditions."""
    was = net.training

    def answer(picture: Bytes) -> Bytes:
        net.eval()
        device = next(net.parameters()).device
        y = enlarge_bytes(net, torch.from_numpy(np.array(picture)).to(device), levels)
        net.train(was)
        return np.asarray(y.cpu())

    return answer


def everything(told: Callable[[Levels], Enlarge], scale: int, folder: Path | None) -> dict[str, Scores]:
    """Set5, Set14, Set14 with JPEG and with noise and, where the photographs are at hand, the held-out ones.

    `told` gives the net that is told the levels of the damage; for one that reads none it is the same net each time.
    """
    set5, set14 = (samples_folder() / name for name in ("set5", "set14"))
    scores = {
        "set5": measure(told(UNTOUCHED), published(set5, scale), scale),
        "set14": measure(told(UNTOUCHED), published(set14, scale), scale),
        f"set14_jpeg{JPEG}": measure(told((0.0, deblock_level(JPEG))), with_jpeg(published(set14, scale), JPEG), scale),
        f"set14_noise{NOISE:.0f}": measure(told((denoise_level(NOISE), 0.0)), with_noise(published(set14, scale), NOISE), scale),
    }
    if folder is not None:
        scores["held_out"] = measure(told(UNTOUCHED), unseen(folder, scale), scale)
    return scores


def table(rows: dict[str, dict[str, Scores]]) -> str:
    """Markdown; one line per net, PSNR-Y / SSIM-Y / consistency per set."""
    sets = list(next(iter(rows.values())))
    lines = ["| net | " + " | ".join(sets) + " |", "|---" * (len(sets) + 1) + "|"]
    for name, scores in rows.items():
        cells = [f"{scores[s]['psnr_y']:.2f} / {scores[s]['ssim_y']:.3f} / {scores[s]['consistency']:.1f}" for s in sets]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def bicubic(scale: int) -> Enlarge:
    """The plain enlargement that every net must beat."""
    return lambda picture: enlarge(picture, scale)


def told_nothing(scale: int, _levels: Levels) -> Enlarge:
    return bicubic(scale)


def write(rows: dict[str, dict[str, Scores]], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "evaluation.json").write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    (folder / "evaluation.md").write_text(table(rows) + "\n", encoding="utf-8")


def main() -> None:
    """Measures nets on Set5 and Set14 (folder ENLARGER_SAMPLES) and on the held-out photographs."""
    parser = argparse.ArgumentParser(prog="python -m training.evaluate", description=main.__doc__)
    parser.add_argument("nets", nargs="+", type=Path, help=".safetensors files, or .param files of ncnn with their .bin beside")
    parser.add_argument("--photos", type=Path, default=os.environ.get("ENLARGER_TRAINING"))
    parser.add_argument("--out", type=Path, help="folder for evaluation.json and evaluation.md")
    asked = parser.parse_args()
    rows: dict[str, dict[str, Scores]] = {}
    for path in asked.nets:
        net = ncnn_files.read(path, path.with_suffix(".bin")) if path.suffix == ".param" else weights.load(path)
        photographs = Path(asked.photos) if asked.photos else None
        rows.setdefault(f"bicubic x{net.shape.scale}", everything(partial(told_nothing, net.shape.scale), net.shape.scale, photographs))
        rows[path.stem] = everything(partial(with_net, net), net.shape.scale, photographs)
    print(table(rows))
    if asked.out:
        write(rows, asked.out)


if __name__ == "__main__":
    main()
