"""python -m training NAME --photos DIR --run DIR [--minutes M | --steps N]: trains one net of nets.toml, or goes on where it stopped."""

import argparse
import os
import signal
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch

from training import evaluate
from training.config import recipes
from training.drawings import Drawings
from training.photos import Cache
from training.train import Run, train


def main() -> None:
    known = recipes()
    parser = argparse.ArgumentParser(prog="python -m training", description=__doc__)
    parser.add_argument("name", choices=sorted(known))
    photos = os.environ.get("ENLARGER_TRAINING")
    parser.add_argument("--photos", type=Path, default=photos, help="folder of the photo sets (or ENLARGER_TRAINING)")
    parser.add_argument("--run", type=Path, required=True, help="folder outside the repository for the state of this run")
    parser.add_argument("--cache", type=Path, help="folder for the decoded photographs (default: RUN/../cache)")
    parser.add_argument("--minutes", type=float, help="end after so many minutes of training")
    parser.add_argument("--steps", type=int, help="end after so many steps instead of the recipe's")
    parser.add_argument("--decay", type=int, help="lower the rate over so many steps instead of the recipe's")
    parser.add_argument("--start", help="first weights instead of the recipe's, for example a .safetensors file of another run")
    parser.add_argument("--extend", action="store_true", help="go back to where the decay began and train on from there")
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--threads", type=int, default=int(os.environ.get("OMP_NUM_THREADS", "2")))
    asked = parser.parse_args()
    recipe = known[asked.name]
    if asked.photos is None and recipe.pictures == "photos":
        parser.error("--photos or ENLARGER_TRAINING must name the folder of the photo sets")
    changed = {key: value for key in ("steps", "decay", "start") if (value := getattr(asked, key)) is not None}
    if asked.minutes is not None and asked.steps is None:
        share = recipe.decay / recipe.steps
        changed |= {"steps": 10**9, "decay": int(10**9 * share)}
    recipe = replace(recipe, **changed)
    torch.set_num_threads(asked.threads)
    run = Run(recipe, asked.run, asked.device)

    def stop(_number: int, _frame: object) -> None:
        run.stop = True

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    before = run.folder / "stable.pt" if asked.extend else run.state
    if before.exists():
        run.load(before)
    run.note(event="start", name=recipe.name, until=run.last_step)
    measure = "ENLARGER_SAMPLES" in os.environ
    folder = asked.cache or asked.run.parent / "cache"
    pictures = Drawings(folder) if recipe.pictures == "drawings" else Cache(asked.photos, folder)
    train(run, pictures, minutes=asked.minutes, measure=measure)
    if measure and not run.stop:
        rows = {recipe.name: evaluate.everything(partial(evaluate.with_net, run.average), recipe.scale, asked.photos)}
        evaluate.write(rows, run.folder)
        run.note(**rows[recipe.name])


if __name__ == "__main__":
    main()
