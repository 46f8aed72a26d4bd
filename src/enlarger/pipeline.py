"""One picture: the steps in order. :class:`Enlarger` keeps engines warm between pictures; :func:`enlarge` is it used once.

The walk: probe -> plan -> decode -> triage -> enlarge, lock and dials (once per stage) -> encode. Everything that can be refused is
refused before the first pixel is enlarged.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from enlarger import heap
from enlarger.asked import kind_of, output_path, settings_of, source_path, target_of
from enlarger.engines import find, names
from enlarger.engines.engine import EngineSpec, ModelSpec
from enlarger.errors import OutputError, UsageError
from enlarger.files.publish import Announce, check_output, clean_parts
from enlarger.formats import AUTO, possible_names
from enlarger.image import Box, Header, Image, Notice, Samples
from enlarger.job import NO_WISHES, Call, Job
from enlarger.journal import Work, work_folder
from enlarger.manifest import sha256_of
from enlarger.onnx_model import let_go
from enlarger.options import Dials, Options
from enlarger.preflight import check_decoding, check_room
from enlarger.progress import Cancel, OnProgress, Watch
from enlarger.proof import Proof
from enlarger.provenance import job_key, look, report_of
from enlarger.ready import made_ready
from enlarger.report import Plan
from enlarger.result import Result, path_of_report
from enlarger.scratch import scratch
from enlarger.staging import Engines, proved, run_stages
from enlarger.steps import plan
from enlarger.steps.decode import decode, probe
from enlarger.steps.dials import deliver, repaired
from enlarger.steps.fit import fitted
from enlarger.steps.share import dials_of
from enlarger.threads import aside, at_most

if TYPE_CHECKING:
    from enlarger.seen import Triage
    from enlarger.steps.decode import Source


SMALL = 128 * 10**6
"""Bytes of canvas up to which a job is soon done again."""

KEEP_FROM = 3.0
"""Seconds of enlarging from which finished tiles are kept on disk: each one kept waits for the disk several times."""


class Enlarger:
    """Enlarges pictures one after the other with the same engines kept open.

    ``Enlarger(scale=2)`` or ``Enlarger(options)``; what is given to :meth:`enlarge` goes before. Not for use from several
    threads at once. Close it, or use it in a ``with`` block, to give memory and device back.
    """

    def __init__(self, options: Options | None = None, **changes: Any) -> None:
        self.options = Options.of(options, **changes)
        self.engines = Engines()
        heap.steady()

    def plan(
        self,
        source: Source,
        output: str | os.PathLike[str] | None = None,
        *,
        overwrite: bool = False,
        digest: bool = True,
        **changes: Any,
    ) -> Plan:
        """What :meth:`enlarge` would do; touches no pixel and writes nothing. Raises what it would raise before starting.

        With ``digest`` the plan of a file holds the SHA-256 of its bytes, without which :func:`run_plan` would not know it again.
        """
        planned = self._planned(source, output, Options.of(self.options, **changes), Call(overwrite))
        if digest and isinstance(source, str | os.PathLike):
            planned = planned.model_copy(update={"source": planned.source.model_copy(update={"sha256": sha256_of(Path(source))})})
        return planned

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
        triage: bool = True,
        **changes: Any,
    ) -> Result:
        """Enlarge ``source``: a path, bytes of a file, a PIL image, a numpy array (``(h, w)`` or ``(h, w, 1-4)``) or an :class:`Image`.

        ``output`` is the file to write, or a folder for ``NAME-4x.EXT``; without it the result stays in memory. ``progress``
        is called after every tile; ``cancel`` (an event, or a function that answers ``True``) stops after the tile at hand
        with :class:`CancelledError`.

        While a file is being made, finished tiles are kept in a hidden folder beside it (or in ``temp``). After an error, a
        cancel or a kill the same call goes on from there; ``fresh`` throws them away instead. ``report`` writes the report beside
        ``output`` too, as with :meth:`Result.save_report`. Without ``triage`` the report of this call says not what the source is,
        unless it is written or a format is to be chosen by it; that spares 0.2 s of the processor. Raises :class:`EnlargerError` in
        its kinds; then no output was written.
        """
        with self.prepare(source, output, Call(overwrite, progress, cancel, temp, fresh, report, triage), **changes) as job:
            self.run(job)
            return self.deliver(job)

    def prepare(
        self,
        source: Source,
        output: str | os.PathLike[str] | None = None,
        call: Call = NO_WISHES,
        **changes: Any,
    ) -> Job:
        """The first third of :meth:`enlarge`, planning and decoding, for who overlaps pictures: no engine is touched.

        Then come :meth:`run` and :meth:`deliver`. Each may be called in a thread of its own, for different jobs at the same time.
        """
        started = time.perf_counter()
        options = Options.of(self.options, **changes)
        planned = self._planned(source, output, options, call)
        if output is None and planned.output.format == "dz":
            raise UsageError("DeepZoom is many files and needs an output", hint="give --output NAME.dzi", subject="--format")
        watch = Watch(planned, call.progress, call.cancel, started)
        watch.step("decode")
        watch.add("plan", time.perf_counter() - started)
        with scratch(call.scratch(planned)):
            picture = _readers(options)[1](source, allow_truncated=options.allow_truncated)
        watch.add("decode", time.perf_counter() - started - watch.timings["plan"])
        seen = time.perf_counter()
        with scratch(call.scratch(planned)), at_most(options.threads):
            ready = made_ready(picture, planned, options, watch)
        planned = ready.planned
        repairing = sum(repair.seconds for repair in ready.done)
        if ready.done:
            watch.add("prepare", repairing)
        watch.add("triage", time.perf_counter() - seen - repairing)
        dials = dials_of(options, planned.stages)
        job = Job(kind_of(source), planned, options, ready.picture, ready.original, watch, call, dials, ready.left)
        job.prepared, job.sights = ready.done, ready.sights
        job.notices += ready.notices
        if planned.geometry.reduces:
            job.notices.append(not_enlarged(planned))
        return job

    def run(self, job: Job) -> None:
        """The second third of :meth:`enlarge`: the engines. What is finished is kept in ``job.work``."""
        picture, planned, options, watch = job.picture, job.planned, job.options, job.watch
        kept = self.work_of(job)
        with scratch(job.call.scratch(planned)), at_most(options.threads):
            looked = _looked(job)
            samples, tally = run_stages(self.engines, job, kept)
            samples = _polished(job, _protected(job, samples))
            proof = Proof(
                picture, planned.unpadded(), options.model_copy(update={"verify": "off"}) if planned.geometry.reduces else options
            )
            if planned.stages:
                proof.shake(self.engines.whole_net(planned.stages[0], options), lambda: watch.step("verify"))
            samples = self._proved(job, samples, proof)
        report = report_of(job, tally, proof.fidelity, looked)
        job.result = Result(samples, picture, job.kind, target_of(planned), report, proof, job.sights)

    def work_of(self, job: Job) -> Work | None:
        """Where finished tiles of ``job`` are kept, if they are worth it; its folder is taken, where there will be a file."""
        if job.planned.output.path:
            folder = work_folder(Path(job.planned.output.path), job.call.temp)
            job.work = Work(folder, job_key(job), fresh=job.call.fresh)
        return job.work if worth_keeping(job.planned) else None

    def deliver(self, job: Job, *, announce: Announce | None = None) -> Result:
        """The last third of :meth:`enlarge`: the file, if there is to be one.

        ``announce`` is told its length and SHA-256 when it is whole and checked, just before it gets its name.
        """
        if job.result is None:
            raise ValueError("this job was not run")
        if job.work is not None:
            target = Path(job.planned.output.path or "")
            job.watch.step("encode")
            heap.trim()
            # Looking for them takes a listing of the folder, and tells nothing new after a small job's start from scratch.
            if job.work.found or worth_keeping(job.planned):
                clean_parts(target)
            with scratch(job.call.scratch(job.planned)), at_most(job.options.threads):
                job.result.publish(target, overwrite=job.call.overwrite, announce=announce)
                if job.call.report:
                    job.result.save_report(job.result.report.output.path or target, overwrite=job.call.overwrite)
            job.work.discard()
        return job.result

    def _planned(self, source: Source, output: str | os.PathLike[str] | None, options: Options, call: Call) -> Plan:
        with scratch(call.temp):
            header = _readers(options)[0](source)
        path = source_path(header.name) if isinstance(source, str | os.PathLike) else None
        target = output_path(output, path, header, options)
        check_decoding(header, options.memory)
        planned = plan.make_plan(header, options, target)
        if planned.stages:
            settings_of(find(planned.stages[0].engine), planned.stages[0], options)
        if target is not None:
            names = possible_names(target)
            for name in (*names, *(path_of_report(n, kind) for n in names for kind in ("html", "json") if call.report)):
                check_output(name, overwrite=call.overwrite, source=path)
        elif call.report:
            raise UsageError("a report is written beside an output, and there is none", hint="use save_report", subject="report")
        with scratch(call.temp):
            check_room(planned, target, work_folder(target, call.temp) if target else None)
        return planned

    def _proved(self, job: Job, samples: Samples, proof: Proof) -> Samples:
        """``samples``, verified here if no file will be, and repaired where doubtful if that is wanted."""
        if not proof.wanted or (job.planned.output.path and job.options.on_doubt != "repair"):
            return samples
        job.watch.step("verify")
        size = job.planned.geometry.width, job.planned.geometry.height
        samples = proved(job, samples, proof, size, min(job.picture.header.bits, 16))
        job.watch.add("verify", proof.seconds)
        return samples

    def close(self) -> None:
        """Close all engines, and nets that repaired; the next picture opens them again."""
        self.engines.close()
        let_go()

    def __enter__(self) -> Enlarger:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


def _protected(job: Job, samples: Samples) -> Samples:
    """``samples`` without what nets drew where they may not, if anything is to be protected."""
    words, shape = job.options.protect, job.planned.geometry
    if words is None or not job.planned.stages:
        return samples
    from enlarger.steps.protect import protected
    from enlarger.steps.redraw import redrawn

    start = time.perf_counter()
    job.watch.step("protect")
    job.protected = protected(words, job.picture, (shape.width, shape.height))
    if _exact(job.planned):
        # Its pixels are the source's own colours already.
        job.protected = [place for place in job.protected if place.kind != "graphic"]
    plain, flat = ([Box(*one.box) for one in job.protected if (one.kind == "graphic") is graphic] for graphic in (False, True))
    bits = min(job.picture.header.bits, 16)
    if job.protected:
        samples = fitted(samples, shape.width, shape.height)
    if plain:
        samples = repaired(samples, job.picture, job.damage, plain, bits).samples()
    if flat:
        samples = redrawn(samples, job.picture, flat, bits)
        if job.dials.resemblance >= 50:
            samples = deliver(samples, job.picture, Dials(), job.damage, bits).samples()
    job.watch.add("protect", time.perf_counter() - start)
    return samples


def _looked(job: Job) -> Callable[[], Triage] | None:
    """Who says what the source is, for the report and for a format that is chosen by it; ``None`` where nobody asks."""
    if not (job.call.triage or job.call.report or job.planned.output.format == AUTO.name):
        return None
    # Beside the engine it takes memory at the worst moment, and a large job does not gain by it.
    return partial(look, job) if worth_keeping(job.planned) else aside(partial(look, job))


def _exact(planned: Plan) -> bool:
    last = planned.stages[-1]
    return any(model.exact for model in find(last.engine).models() if model.id == last.model)


def _polished(job: Job, samples: Samples) -> Samples:
    """``samples`` sharpened and grained, at their final size, if that is wanted."""
    options, shape = job.options, job.planned.geometry
    if not (options.sharpen or options.grain):
        return samples
    from enlarger.steps.polish import polished

    start = time.perf_counter()
    job.watch.step("polish")
    exact = fitted(samples, shape.width, shape.height)
    scale = shape.width / job.picture.width
    done = polished(exact, job.picture.channels, scale, sharpen=options.sharpen, grain=options.grain, seed=options.seed)
    job.watch.add("polish", time.perf_counter() - start)
    return done


def enlarge(
    source: Source,
    scale: float | None = None,
    *,
    output: str | os.PathLike[str] | None = None,
    overwrite: bool = False,
    progress: OnProgress | None = None,
    cancel: Cancel | None = None,
    temp: Path | None = None,
    fresh: bool = False,
    report: bool = False,
    triage: bool = True,
    **options: Any,
) -> Result:
    """Enlarge one picture, by default to 4 times its width and height; see :meth:`Enlarger.enlarge`.

    ``options`` are the fields of :class:`Options`.

    >>> enlarge("photo.jpg", 2, output="big.png")           # a file to a file
    >>> enlarge(array, model="realesrgan-x4plus").image     # (h, w, 3) uint8 to (4h, 4w, 3) uint8
    """
    if scale is not None:
        options["scale"] = scale
    with Enlarger(**options) as enlarger:
        call = Call(overwrite, progress, cancel, temp, fresh, report, triage)
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
    """Whether finished tiles are kept for a later call: not of a job that is soon done again.

    That is one of less than :data:`KEEP_FROM` seconds whose canvases take up to :data:`SMALL` bytes, at up to 8 a pixel.
    """
    pixels = [max(s.width * s.height * s.scale**2, s.out_width * s.out_height) for s in planned.stages]
    return sum(stage.seconds for stage in planned.stages) >= KEEP_FROM or 8 * max(pixels, default=0) > SMALL


def not_enlarged(planned: Plan) -> Notice:
    """What is said of a source that has more pixels than were asked for."""
    (_, _, wide, high), now = planned.geometry.crop, f"{planned.geometry.width}x{planned.geometry.height}"
    return Notice("not-enlarged", f"the source has more pixels than asked for: {wide}x{high} became {now}, by Lanczos and without any net")


def _readers(options: Options) -> tuple[Callable[..., Header], Callable[..., Image]]:
    """Who reads headers and who pixels."""
    if options.sandbox:
        # Loading what starts processes takes a tenth of all imports.
        from enlarger import sandbox

        return sandbox.probe, sandbox.decode
    return probe, decode
