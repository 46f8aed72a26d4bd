"""One picture: the steps in order. :class:`Enlarger` keeps engines warm between pictures; :func:`enlarge` is it used once.

The walk: probe -> plan -> decode -> triage -> enlarge, lock and dials (once per stage) -> encode. Everything that can be refused is
refused before the first pixel is enlarged.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np

from enlarger.asked import kind_of, output_path, settings_of, source_path, target_of
from enlarger.canvas import IN_MEMORY, Canvas
from enlarger.engines import find, names
from enlarger.engines.engine import EngineSpec, ModelSpec, PictureEngine, TileEngine
from enlarger.errors import EngineError, OutputError, UsageError
from enlarger.files.publish import Announce, check_output, clean_parts
from enlarger.image import Box, Header, Image, Samples, Tile
from enlarger.journal import Ledger, Work, work_folder
from enlarger.options import Dials, Options
from enlarger.preflight import check_decoding, check_room
from enlarger.progress import Cancel, OnProgress, Watch
from enlarger.proof import Proof
from enlarger.provenance import job_key, report_of
from enlarger.report import Plan, Stage
from enlarger.result import Result, path_of_report
from enlarger.scratch import scratch
from enlarger.steps import plan
from enlarger.steps.decode import decode, probe
from enlarger.steps.dials import deliver, repaired
from enlarger.steps.enlarge import Tally, enlarge_by_picture, enlarge_by_tiles, padded_to_rules
from enlarger.steps.ensemble import Ensemble
from enlarger.steps.fit import fitted
from enlarger.steps.flat import flat_map
from enlarger.steps.plan import canvas_bits, dials_of
from enlarger.steps.tiles import Grid
from enlarger.steps.triage import Damage, damage

if TYPE_CHECKING:
    from enlarger.steps.decode import Source


KEEP_FROM = 0.5
"""Seconds of enlarging from which finished tiles are kept on disk: each one kept waits for the disk several times."""


REPAIRS = 2
"""Times that doubtful regions are blended toward the source and measured again."""


@dataclass(frozen=True, slots=True)
class Call:
    """What a caller wishes beside the picture's :class:`Options`; it changes no byte of the result. See :meth:`Enlarger.enlarge`."""

    overwrite: bool = False
    progress: OnProgress | None = None
    cancel: Cancel | None = None
    temp: Path | None = None
    fresh: bool = False
    report: bool = False

    def scratch(self, plan: Plan) -> Path | None:
        """Where what is too large for memory goes: where the caller says, else beside the result."""
        return self.temp or (Path(plan.output.path).parent if plan.output.path else None)


@dataclass(slots=True)
class Job:
    """One picture between :meth:`Enlarger.prepare` and :meth:`Enlarger.deliver`. Close it to keep unfinished work for a later call."""

    kind: str
    planned: Plan
    options: Options
    picture: Image
    watch: Watch
    call: Call
    dials: Dials
    damage: Damage
    work: Work | None = None
    result: Result | None = None

    def close(self) -> None:
        if self.work is not None:
            self.work.close()

    def __enter__(self) -> Job:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


class Enlarger:
    """Enlarges pictures one after the other with the same engines kept open.

    ``Enlarger(scale=2)`` or ``Enlarger(options)``; what is given to :meth:`enlarge` goes before. Not for use from several
    threads at once. Close it, or use it in a ``with`` block, to give memory and device back.
    """

    def __init__(self, options: Options | None = None, **changes: Any) -> None:
        self.options = Options.of(options, **changes)
        self._open: dict[tuple[str, str, str, str], TileEngine | PictureEngine] = {}

    def plan(self, source: Source, output: str | os.PathLike[str] | None = None, *, overwrite: bool = False, **changes: Any) -> Plan:
        """What :meth:`enlarge` would do; touches no pixel and writes nothing. Raises what it would raise before starting."""
        return self._planned(source, output, Options.of(self.options, **changes), Call(overwrite))

    def enlarge(
        self,
        source: Source,
        output: str | os.PathLike[str] | None = None,
        *,
        overwrite: bool = False,
        progress: OnProgress | None = None,
        cancel: Cancel | None = None,
        temp: Path | None = None,
        fresh: bool = False,
        report: bool = False,
        **changes: Any,
    ) -> Result:
        """Enlarge ``source``: a path, bytes of a file, a PIL image, a numpy array (``(h, w)`` or ``(h, w, 1-4)``) or an :class:`Image`.

        ``output`` is the file to write, or a folder for ``NAME-4x.EXT``; without it the result stays in memory. ``progress``
        is called after every tile; ``cancel`` (an event, or a function that answers ``True``) stops after the tile at hand
        with :class:`CancelledError`.

        While a file is being made, finished tiles are kept in a hidden folder beside it (or in ``temp``). After an error, a
        cancel or a kill the same call goes on from there; ``fresh`` throws them away instead. ``report`` writes the report beside
        ``output`` too, as with :meth:`Result.save_report`. Raises :class:`EnlargerError` in
        its kinds; then no output was written.
        """
        with self.prepare(source, output, Call(overwrite, progress, cancel, temp, fresh, report), **changes) as job:
            self.run(job)
            return self.deliver(job)

    def prepare(
        self,
        source: Source,
        output: str | os.PathLike[str] | None = None,
        call: Call = Call(),
        **changes: Any,
    ) -> Job:
        """The first third of :meth:`enlarge`, planning and decoding, for who overlaps pictures: no engine is touched.

        Then come :meth:`run` and :meth:`deliver`. Each may be called in a thread of its own, for different jobs at the same time.
        """
        started = time.perf_counter()
        options = Options.of(self.options, **changes)
        planned = self._planned(source, output, options, call)
        watch = Watch(planned, call.progress, call.cancel, started)
        watch.step("decode")
        watch.add("plan", time.perf_counter() - started)
        with scratch(call.scratch(planned)):
            picture = _readers(options)[1](source, allow_truncated=options.allow_truncated)
        watch.add("decode", time.perf_counter() - started - watch.timings["plan"])
        seen = time.perf_counter()
        ailing = damage(picture)
        watch.add("triage", time.perf_counter() - seen)
        return Job(kind_of(source), planned, options, picture, watch, call, dials_of(options, find(planned.stages[0].engine)), ailing)

    def run(self, job: Job) -> None:
        """The second third of :meth:`enlarge`: the engines. What is finished is kept in ``job.work``."""
        picture, planned, options, watch = job.picture, job.planned, job.options, job.watch
        if planned.output.path:
            target = Path(planned.output.path)
            job.work = Work(work_folder(target, job.call.temp), job_key(picture, planned, options, job.dials), fresh=job.call.fresh)
        kept = job.work if worth_keeping(planned) else None
        with scratch(job.call.scratch(planned)):
            samples, tally = self._stages(job, kept)
            proof = Proof(picture, planned, options)
            proof.shake(self._whole_net(job), lambda: watch.step("verify"))
            samples = self._proved(job, samples, proof)
        report = report_of(picture, planned, options, tally, watch, job.work, proof.fidelity)
        job.result = Result(samples, picture, job.kind, target_of(planned), report, proof)

    def deliver(self, job: Job, *, announce: Announce | None = None) -> Result:
        """The last third of :meth:`enlarge`: the file, if there is to be one.

        ``announce`` is told its length and SHA-256 when it is whole and checked, just before it gets its name.
        """
        if job.result is None:
            raise ValueError("this job was not run")
        if job.work is not None:
            target = Path(job.planned.output.path or "")
            job.watch.step("encode")
            # Looking for them takes a listing of the folder, and tells nothing new after a small job's start from scratch.
            if job.work.found or worth_keeping(job.planned):
                clean_parts(target)
            with scratch(job.call.scratch(job.planned)):
                job.result.publish(target, overwrite=job.call.overwrite, announce=announce)
                if job.call.report:
                    job.result.save_report(target, overwrite=job.call.overwrite)
            job.work.discard()
        return job.result

    def _planned(self, source: Source, output: str | os.PathLike[str] | None, options: Options, call: Call) -> Plan:
        with scratch(call.temp):
            header = _readers(options)[0](source)
        path = source_path(header.name) if isinstance(source, str | os.PathLike) else None
        target = output_path(output, path, header, options)
        check_decoding(header, options.memory)
        planned = plan.make_plan(header, options, target)
        settings_of(find(planned.stages[0].engine), options)
        if target is not None:
            check_output(target, overwrite=call.overwrite, source=path)
            for kind in ("html", "json") if call.report else ():
                check_output(path_of_report(target, kind), overwrite=call.overwrite, source=path)
        elif call.report:
            raise UsageError("a report is written beside an output, and there is none", hint="use save_report", subject="report")
        with scratch(call.temp):
            check_room(planned, target, work_folder(target, call.temp) if target else None)
        return planned

    def _proved(self, job: Job, samples: Samples, proof: Proof) -> Samples:
        """``samples``, verified here if no file will be, and repaired where doubtful if that is wanted."""
        repair = job.options.on_doubt == "repair"
        if not proof.wanted or (job.planned.output.path and not repair):
            return samples
        job.watch.step("verify")
        size = job.planned.output.width, job.planned.output.height
        bits = min(job.picture.header.bits, 16)
        for left in reversed(range(REPAIRS + 1 if repair else 1)):
            samples = fitted(samples, *size)
            fidelity = proof.of(samples)
            boxes = [Box(*region.box) for region in fidelity.regions if region.verdict != "pass"]
            if not left or fidelity.verdict == "pass" or not boxes:
                break
            samples = repaired(samples, job.picture, job.damage, boxes, bits).samples()
        job.watch.add("verify", proof.seconds)
        return samples

    def _stages(self, job: Job, work: Work | None) -> tuple[Samples, Tally]:
        """Run all stages; the samples that are delivered, which encoding may still have to reduce."""
        picture, stages, watch = job.picture, job.planned.stages, job.watch
        samples, total = picture.samples, Tally()
        for number, stage in enumerate(stages):
            watch.stage(number)
            last = number + 1 == len(stages)
            start = time.perf_counter()
            samples, tally = self._enlarged(job, number, samples, work)
            watch.add("enlarge", time.perf_counter() - start)
            watch.add("engine", tally.engine_seconds)
            total.add(tally)
            wished = job.dials if last else job.dials.between
            if not wished.raw:
                start = time.perf_counter()
                watch.step("lock")
                exact = fitted(samples, stage.out_width, stage.out_height)
                bits = min(picture.header.bits, 16) if last else 16
                samples = deliver(exact, picture, wished, job.damage, bits).samples()
                watch.add("lock", time.perf_counter() - start)
        return samples, total

    def _enlarged(self, job: Job, number: int, samples: Samples, work: Work | None) -> tuple[Samples, Tally]:
        """One stage's answer, as large as its engine makes it."""
        stage, picture, options = job.planned.stages[number], job.picture, job.options
        engine, model = self._engine(stage, options)
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
                on_cpu = partial(self._on_cpu, stage, options)
                net = _as_tile_engine(engine, options)
                tally = enlarge_by_tiles(
                    samples, picture.alpha, grid, model, net, canvas, job.watch.tick, ledger=ledger, fallback=on_cpu, flat=flat
                )
            if not canvas.complete:
                raise EngineError("a part of the result was never written", hint="report this; it is a bug")
            return canvas.samples(), tally

    def _whole_net(self, job: Job) -> Callable[[Tile], Tile] | None:
        """The first stage's net for tiles of any size; ``None`` for a kernel."""
        stage = job.planned.stages[0]
        engine, model = self._engine(stage, job.options)
        if not stage.scale:
            return None
        net = _as_tile_engine(engine, job.options)

        def enlarged(tile: Tile) -> Tile:
            height, width = tile.shape[:2]
            padded, top, left = padded_to_rules(tile, model)
            return net(padded)[Box(left, top, width, height).scaled(model.scale).slices()]

        return enlarged

    def _on_cpu(self, stage: Stage, options: Options) -> TileEngine:
        """The stage's model on the CPU: what a tile gets on which the device answered NaN or infinity."""
        return _as_tile_engine(self._engine(stage.model_copy(update={"device": "cpu"}), options)[0], options)

    def _engine(self, stage: Stage, options: Options) -> tuple[TileEngine | PictureEngine, ModelSpec]:
        """The opened engine for ``stage``, opened only once."""
        engine = find(stage.engine)
        model = next(m for m in engine.models() if m.id == stage.model)
        settings = settings_of(engine, options)
        key = (stage.engine, stage.model, f"{stage.device}/{stage.threads}", repr(settings))
        if key not in self._open:
            self._open[key] = engine.open(model, engine.device(stage.device, stage.threads), settings)
        return self._open[key], model

    def close(self) -> None:
        """Close all engines; the next picture opens them again."""
        while self._open:
            self._open.popitem()[1].close()

    def __enter__(self) -> Enlarger:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


def enlarge(
    source: Source,
    scale: float = 4.0,
    *,
    output: str | os.PathLike[str] | None = None,
    overwrite: bool = False,
    progress: OnProgress | None = None,
    cancel: Cancel | None = None,
    temp: Path | None = None,
    fresh: bool = False,
    report: bool = False,
    **options: Any,
) -> Result:
    """Enlarge one picture; see :meth:`Enlarger.enlarge`. ``options`` are the fields of :class:`Options`.

    >>> enlarge("photo.jpg", 2, output="big.png")           # a file to a file
    >>> enlarge(array, model="realesrgan-x4plus").image     # (h, w, 3) uint8 to (4h, 4w, 3) uint8
    """
    with Enlarger(scale=scale, **options) as enlarger:
        call = Call(overwrite, progress, cancel, temp, fresh, report)
        with enlarger.prepare(source, output, call) as job:
            enlarger.run(job)
            return enlarger.deliver(job)


def list_engines() -> list[EngineSpec]:
    """All installed engines, built in and third party, by name."""
    return [find(name).spec for name in names()]


def list_models(engine: str | None = None) -> list[ModelSpec]:
    """All models of ``engine``, or of every installed engine. Raises :class:`EngineMissingError`."""
    return [model for name in ([engine] if engine else names()) for model in find(name).models()]


# --- small parts ------------------------------------------------------------------------------------------------------


def tidy(output: Path, temp: Path | None = None) -> None:
    """Remove what a run left that was killed after it had finished ``output``; not what another run has in its hands."""
    folder = work_folder(output, temp)
    if folder.is_dir():
        with contextlib.suppress(OutputError), Work(folder, "") as work:
            clean_parts(output)
            work.discard()


def worth_keeping(planned: Plan) -> bool:
    """Whether finished tiles are kept for a later call: not of a job that takes less time than keeping them would.

    That is one of less than :data:`KEEP_FROM` seconds whose canvases fit into memory, at up to 8 bytes a pixel.
    """
    pixels = [max(s.width * s.height * s.scale**2, s.out_width * s.out_height) for s in planned.stages]
    return sum(stage.seconds for stage in planned.stages) >= KEEP_FROM or 8 * max(pixels) > IN_MEMORY


def _readers(options: Options) -> tuple[Callable[..., Header], Callable[..., Image]]:
    """Who reads headers and who pixels."""
    if options.sandbox:
        # Loading what starts processes takes a tenth of all imports.
        from enlarger import sandbox

        return sandbox.probe, sandbox.decode
    return probe, decode


def _as_tile_engine(engine: TileEngine | PictureEngine, options: Options) -> TileEngine:
    net: TileEngine = engine  # type: ignore[assignment]  # which of the two it is stands in its spec's scope
    return Ensemble(net) if options.self_ensemble else net
