"""Staging: the stages of one job in their order, each enlarged, locked to the source, and judged before the next begins from it."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

import numpy as np

from enlarger import heap
from enlarger.asked import settings_of
from enlarger.canvas import Canvas
from enlarger.engines import find
from enlarger.engines.engine import ModelSpec, PictureEngine, TileEngine
from enlarger.errors import EngineError
from enlarger.image import Box, Notice, Samples, Tile
from enlarger.job import Job
from enlarger.journal import Ledger, Work
from enlarger.options import Options
from enlarger.proof import Proof, doubt
from enlarger.report import Stage
from enlarger.steps.dials import deliver, repaired
from enlarger.steps.enlarge import Tally, enlarge_by_picture, enlarge_by_tiles, padded_to_rules
from enlarger.steps.ensemble import Ensemble
from enlarger.steps.fit import fitted
from enlarger.steps.flat import flat_map
from enlarger.steps.share import canvas_bits
from enlarger.steps.tiles import Grid

REPAIRS = 2
"""Times that doubtful regions are blended toward the source and measured again."""


MOST_OPEN = 4
"""Engines that are kept open. A job needs at most one for each of two stages, and that on the CPU; in a batch repairs differ by picture."""

REST_FROM = 8
"""Tiles after which a net gives back what it kept from one to the next: lock, verify and encoding have the memory then."""


class Engines:
    """Engines that were opened, each once, until they are closed; at most :data:`MOST_OPEN`."""

    def __init__(self) -> None:
        self._open: dict[tuple[str, str, str, str], TileEngine | PictureEngine] = {}

    def of(self, stage: Stage, options: Options) -> tuple[TileEngine | PictureEngine, ModelSpec]:
        """The engine for ``stage``, and its model."""
        engine = find(stage.engine)
        model = next(m for m in engine.models() if m.id == stage.model)
        settings = settings_of(engine, stage, options)
        key = (stage.engine, stage.model, f"{stage.device}/{stage.threads}", repr(settings))
        opened = self._open.pop(key, None) or engine.open(model, engine.device(stage.device, stage.threads), settings)
        while len(self._open) >= MOST_OPEN:
            self._open.pop(next(iter(self._open))).close()
        self._open[key] = opened  # the last one used stands last
        return opened, model

    def on_cpu(self, stage: Stage, options: Options) -> TileEngine:
        """The stage's model on the CPU: what a tile gets on which the device answered NaN or infinity."""
        return _as_tile_engine(self.of(stage.model_copy(update={"device": "cpu"}), options)[0], options)

    def whole_net(self, stage: Stage, options: Options) -> Callable[[Tile], Tile] | None:
        """The stage's net for tiles of any size; ``None`` for a kernel."""
        engine, model = self.of(stage, options)
        if not stage.scale:
            return None
        net = _as_tile_engine(engine, options)

        def enlarged(tile: Tile) -> Tile:
            height, width = tile.shape[:2]
            padded, top, left = padded_to_rules(tile, model)
            return net(padded)[Box(left, top, width, height).scaled(model.scale).slices()]

        return enlarged

    def close(self) -> None:
        while self._open:
            self._open.popitem()[1].close()


def run_stages(engines: Engines, job: Job, work: Work | None, until: int | None = None) -> tuple[Samples, Tally]:
    """Run the stages of ``job`` up to ``until`` (all without it); the samples that are delivered, which encoding may still have to reduce.

    After each but the last its result is measured against the source, if verify is on. Raises :class:`DoubtError` there too.
    """
    stages, watch = job.planned.stages, job.watch
    samples, total = job.picture.samples if job.begun is None else job.begun, Tally()
    for number in range(job.first, len(stages) if until is None else until):
        watch.stage(number)
        heap.trim()
        stage, last = stages[number], number + 1 == len(stages)
        start = time.perf_counter()
        samples, tally = _enlarged(engines, job, number, samples, work)
        heap.trim()
        watch.add("enlarge", time.perf_counter() - start)
        watch.add("engine", tally.engine_seconds)
        total.add(tally)
        wished = job.dials if last else job.dials.between
        if not last:
            samples = fitted(samples, stage.out_width, stage.out_height)
        if not wished.raw:
            start = time.perf_counter()
            watch.step("lock")
            exact = fitted(samples, stage.out_width, stage.out_height)
            bits = min(job.picture.header.bits, 16) if last else 16
            samples = deliver(exact, job.picture, wished, job.damage, bits).samples()
            heap.trim()
            watch.add("lock", time.perf_counter() - start)
        if not last and job.options.verify != "off":
            samples = _checked(job, number, samples)
    return samples, total


def _enlarged(engines: Engines, job: Job, number: int, samples: Samples, work: Work | None) -> tuple[Samples, Tally]:
    """One stage's answer, as large as its engine makes it."""
    stage, picture, options = job.planned.stages[number], job.picture, job.options
    engine, model = engines.of(stage, options)
    dtype = np.uint8 if canvas_bits(job.planned, number, job.dials) == 8 else np.uint16
    size = (stage.width * stage.scale, stage.height * stage.scale) if stage.scale else (stage.out_width, stage.out_height)
    ledger = Ledger(work, number)
    with Canvas(*size, picture.header.bands, dtype, file=work.canvas(number) if work else None) as canvas:
        if isinstance(engine, PictureEngine) and stage.scale == 0:
            tally = enlarge_by_picture(samples, engine, canvas, job.watch.tick, ledger=ledger)
        else:
            flat = (
                flat_map(samples, picture.alpha, stage.halo, job.damage.noise)
                if options.skip_flat and job.dials.resemblance >= 50
                else None
            )
            grid = Grid(stage.width, stage.height, stage.columns, stage.rows, stage.halo, stage.feather)
            on_cpu = partial(engines.on_cpu, stage, options)
            net = _as_tile_engine(engine, options)
            tally = enlarge_by_tiles(
                samples, picture.alpha, grid, model, net, canvas, job.watch.tick, ledger=ledger, fallback=on_cpu, flat=flat
            )
            if stage.tiles >= REST_FROM and (rest := getattr(engine, "rest", None)) is not None:
                rest()
        if not canvas.complete:
            raise EngineError("a part of the result was never written", hint="report this; it is a bug")
        return canvas.samples(), tally


def _checked(job: Job, number: int, samples: Samples) -> Samples:
    """What a stage delivered, judged quickly against the source; repaired, or the end of the job, if that is wanted."""
    stage = job.planned.stages[number]
    output = job.planned.output.model_copy(update={"width": stage.out_width, "height": stage.out_height})
    so_far = job.planned.model_copy(update={"output": output, "stages": job.planned.stages[: number + 1]})
    job.watch.step("verify")
    # What stops the job is said here, where the stage is known.
    quick = {"verify": "quick", "on_doubt": "repair" if job.options.on_doubt == "repair" else "warn"}
    proof = Proof(job.picture, so_far, job.options.model_copy(update=quick))
    samples = proved(job, samples, proof, (stage.out_width, stage.out_height), 16)
    job.watch.add("verify", proof.seconds)
    fidelity = proof.fidelity
    assert fidelity is not None
    job.between.append(fidelity)
    if fidelity.verdict != "pass":
        told = doubt(fidelity, f"stage {number + 1} of {len(job.planned.stages)}")
        if job.options.on_doubt == "stop":
            raise told
        job.notices.append(Notice("stage-in-doubt", f"after stage {number + 1} ({stage.out_width}x{stage.out_height}): {told.message}"))
    return samples


def proved(job: Job, samples: Samples, proof: Proof, size: tuple[int, int], bits: int) -> Samples:
    """``samples`` at ``size``, judged, and where doubtful blended toward the source and judged again, if that is wanted."""
    repair = job.options.on_doubt == "repair"
    for left in reversed(range(REPAIRS + 1 if repair else 1)):
        samples = fitted(samples, *size)
        fidelity = proof.of(samples)
        boxes = [Box(*region.box) for region in fidelity.regions if region.verdict != "pass"]
        if not left or fidelity.verdict == "pass" or not boxes:
            break
        samples = repaired(samples, job.picture, job.damage, boxes, bits).samples()
    return samples


def _as_tile_engine(engine: TileEngine | PictureEngine, options: Options) -> TileEngine:
    net: TileEngine = engine  # type: ignore[assignment]  # which of the two it is stands in its spec's scope
    return Ensemble(net) if options.self_ensemble else net
