"""python -m training.glance --pictures DIR --run DIR: the small net by which triage glances at a picture (looks/glance.py).

DIR of the pictures is what benchmarks/triage.py makes: SIDE/KIND/NAME-NNN.*; only the side `tune` is read. The run folder keeps
what the frozen part of the net answers, which takes longest. Written are glance.param and glance.bin for ncnn, into the package
unless --out says otherwise, and `glance.json` beside the pictures: what nets that had never seen a picture's source say of it,
which benchmarks/triage.py --fit weighs.
"""

import argparse
import io
import json
import sys
import time
import zlib
from collections import Counter
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch.nn import functional as F

from enlarger.looks.glance import DEVIATION, KINDS, MIDDLE, SIDE, VIEWS, cut, part, squared, whole
from enlarger.looks.sample import Bytes, Sample, sample
from enlarger.steps.decode import decode
from training import lite

ROOT = Path(__file__).parents[1]
SEEN = 5  # times that every picture is prepared: as it is seen in use, and as it may be seen too
PARTS = 3  # of the sources, one of which is left out in turn
EPOCHS, BATCH, RATE, DECAY = 5, 32, 4e-4, 0.05
DRAWN = (2.0, 2.0, 1.0, 1.0, 1.0)  # how often each kind is drawn: photographs and illustrations are many, and hardest to tell apart
SMOOTHING, DROPPED = 0.05, 0.3

Halves = NDArray[np.float16]


def otherwise(seen: Sample, random: np.random.Generator) -> list[Bytes]:
    """Both views as they might be too: less of the picture, another part of it, mirrored, compressed."""
    pixels = seen.crops[0].pixels if len(seen.crops) == 1 else seen.sparse
    share = random.uniform(0.6, 1)
    height, width = (max(8, int(share * n)) for n in pixels.shape[:2])
    y, x = (int(random.uniform(0, 1 - share) * n) for n in pixels.shape[:2])
    views = [squared(pixels[y : y + height, x : x + width])]
    pixels = seen.crops[int(random.integers(len(seen.crops)))].pixels
    views.append(cut(pixels, *(int(random.integers(max(1, n - SIDE + 1))) for n in pixels.shape[:2])))
    if random.random() < 0.5:
        views = [np.ascontiguousarray(view[:, ::-1]) for view in views]
    return [compressed(view, int(random.integers(30, 95))) if random.random() < 0.3 else view for view in views]


def compressed(view: Bytes, quality: int) -> Bytes:
    buffer = io.BytesIO()
    Image.fromarray(view).save(buffer, "JPEG", quality=quality)
    with Image.open(buffer) as image:
        return np.asarray(image)


def begun(net: lite.Lite, path: Path, kept: Path) -> Halves:
    """(SEEN, views, channels, h, w): what the frozen part answers to a picture; kept until the picture changes."""
    if kept.exists() and kept.stat().st_mtime_ns > path.stat().st_mtime_ns:
        return np.load(kept)
    seen = sample(decode(path))
    random = np.random.default_rng(zlib.crc32(path.name.encode()))
    views = [[whole(seen), part(seen)], *(otherwise(seen, random) for _ in range(SEEN - 1))]
    x = torch.from_numpy(np.array(views)).flatten(0, 1).permute(0, 3, 1, 2).float()
    with torch.inference_mode():
        answer = net.begun((x - MIDDLE) / DEVIATION).half().numpy()
    answer = answer.reshape(SEEN, len(VIEWS), *answer.shape[1:])
    kept.parent.mkdir(parents=True, exist_ok=True)
    np.save(kept, answer)
    return answer


def chances(kinds: NDArray[np.int64], sources: list[str]) -> NDArray[np.float64]:
    """How likely each picture is drawn: every source of a kind as the root of its size, kinds as `DRAWN` says."""
    pairs = list(zip(kinds.tolist(), sources, strict=True))
    sizes = Counter(pairs)
    share = np.array([sizes[pair] ** -0.5 for pair in pairs])
    return share / np.bincount(kinds, share, len(KINDS))[kinds] * np.array(DRAWN)[kinds]


def train(stems: list[Halves], kinds: NDArray[np.int64], share: NDArray[np.float64], seed: int = 1) -> lite.Lite:
    """A net that has seen these pictures. Both views are taught, each by itself and together."""
    torch.manual_seed(seed)
    net = lite.started(len(VIEWS), len(KINDS))
    groups = [{"params": net.learnt(), "lr": RATE}, {"params": list(net.heads.parameters()), "lr": 5 * RATE}]
    optimiser = torch.optim.AdamW(groups, weight_decay=DECAY)
    steps = EPOCHS * len(stems) // BATCH
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, [RATE, 5 * RATE], total_steps=steps + 1, pct_start=0.15)
    random, began, losses = np.random.default_rng(seed), time.monotonic(), []
    for step in range(steps):
        drawn = random.choice(len(stems), BATCH, p=share / share.sum())
        ways = random.integers(SEEN, size=(BATCH, len(VIEWS)))
        x = np.stack([stems[i][way, view] for i, of in zip(drawn, ways, strict=True) for view, way in enumerate(of)])
        truth = torch.from_numpy(kinds[drawn])
        with torch.autocast("cpu", dtype=torch.bfloat16):
            seen = F.dropout(net.seen(torch.from_numpy(x).float()), DROPPED)
            said = [head(seen[view :: len(VIEWS)]) for view, head in enumerate(net.heads)]
        said = [one.float() for one in said]
        alone = sum(F.cross_entropy(one, truth, label_smoothing=SMOOTHING) for one in said)
        loss = alone / len(said) + F.cross_entropy(sum(said), truth, label_smoothing=SMOOTHING)  # type: ignore[arg-type]
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(net.parameters(), 5.0)
        optimiser.step()
        schedule.step()
        losses.append(loss.item())
        if step % 50 == 49:
            print(f"step {step + 1} of {steps}, {time.monotonic() - began:.0f} s, loss {np.mean(losses[-50:]):.3f}", flush=True)
    return net.eval()


@torch.inference_mode()
def answers(net: lite.Lite, stem: Halves) -> list[float]:
    """What both views say of a picture as it is seen in use, in the order of looks.glance.NAMES."""
    seen = net.seen(torch.from_numpy(stem[0]).float())
    said = [head(seen[view]) for view, head in enumerate(net.heads)]
    return [float(value) for one in said for value in one - one.mean()]


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m training.glance", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pictures", type=Path, required=True)
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=ROOT / "src/enlarger/looks")
    asked = parser.parse_args()
    sys.path.insert(0, str(ROOT / "benchmarks"))
    from triage_folders import origin

    paths = sorted(path for path in (asked.pictures / "tune").glob("*/*.*") if not path.name.startswith("."))
    kinds, sources = np.array([KINDS.index(path.parent.name) for path in paths]), [origin(path) for path in paths]  # type: ignore[arg-type]
    frozen = lite.started(len(VIEWS), len(KINDS)).eval()
    stems = [begun(frozen, path, asked.run / "stems" / path.parent.name / f"{path.name}.npy") for path in paths]
    share = chances(kinds, sources)
    names = sorted(set(sources))
    np.random.default_rng(1).shuffle(names)
    fold = np.array([names.index(source) % PARTS for source in sources])
    left_out: dict[str, list[float]] = {}
    for left in range(PARTS):
        taught, other = np.flatnonzero(fold != left), np.flatnonzero(fold == left)
        net = train([stems[i] for i in taught], kinds[taught], share[taught])
        said = [answers(net, stems[i]) for i in other]
        left_out |= {f"{paths[i].parent.name}/{paths[i].name}": one for i, one in zip(other, said, strict=True)}
        best = np.array(said).reshape(-1, len(VIEWS), len(KINDS)).sum(1).argmax(1)
        right = [f"{kind} {(best[kinds[other] == k] == k).mean():.1%}" for k, kind in enumerate(KINDS) if (kinds[other] == k).any()]
        print(f"part {left + 1} of {PARTS}, sources never seen: {', '.join(right)}", flush=True)
    (asked.pictures / "glance.json").write_text(json.dumps(left_out), encoding="utf-8")
    lite.write(train(stems, kinds, share), VIEWS, SIDE, asked.out / "glance.param", asked.out / "glance.bin")


if __name__ == "__main__":
    main()
