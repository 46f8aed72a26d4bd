"""Provenance: what a result comes from. The report tells it; the digest of it names a job, so that only the same job goes on."""

from __future__ import annotations

import contextlib
import hashlib
import json
import platform
import shlex
import time
from collections.abc import Callable
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from enlarger import __version__, processor
from enlarger.fidelity import Fidelity
from enlarger.image import Notice
from enlarger.job import Job
from enlarger.options import Options
from enlarger.report import Plan, Report, Reproduce, Tiles, Warning_
from enlarger.result import on_the_whole
from enlarger.seen import Triage
from enlarger.steps import share
from enlarger.steps.enlarge import Tally


def job_key(job: Job) -> str:
    """Digest of all that can change a byte of the canvas: source, stages, settings, versions and processor."""
    picture, planned, options, dials = job.picture, job.planned, job.options, job.dials
    facts = {
        "begun": (job.first, job.begun_sha256),
        "source": picture.sha256,
        "stages": [stage.model_dump(exclude={"seconds"}) for stage in planned.stages],
        "settings": options.settings,
        "self_ensemble": options.self_ensemble,
        "skip_flat": options.skip_flat and dials.resemblance >= 50,
        # Dials work on finished canvases, but for those of all stages but the last, from which the next one starts.
        "depths": [share.canvas_bits(planned, i, dials) for i in range(len(planned.stages))],
        "between": repr(dials.between) if len(planned.stages) > 1 else "",
        "allow_truncated": options.allow_truncated,
        "srgb": options.srgb,
        "prepare": [
            planned.prepare,
            [(repair.name, repair.strength, repair.changed, repair.share) for repair in job.prepared],
            options.seed,
        ],
        "crop": planned.geometry.crop,
        "repaired": options.on_doubt == "repair" and len(planned.stages) > 1,
        "versions": {"enlarger": __version__, **libraries()},
        "machine": machine(),
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def look(job: Job) -> Triage:
    """What the source of ``job`` is, for the report."""
    from enlarger.steps.triage import triage  # and all that it looks with, which a job without a report can do without

    return triage(job.original, job.damage if job.original is job.picture else None)


def report_of(job: Job, tally: Tally, fidelity: Fidelity | None, looked: Callable[[], Triage] | None) -> Report:
    """What was done, before there is a file. ``looked`` gives what :func:`look` found, if anybody asks for it."""
    picture, planned, options, watch, work = job.picture, job.planned, job.options, job.watch, job.work
    source = planned.source.model_copy(update={"sha256": picture.sha256})
    started = time.perf_counter()
    seen = looked().model_dump(mode="json", exclude={"path"}) if looked is not None else None
    watch.add("triage", time.perf_counter() - started)
    watch.total()
    notices = [*picture.notices, *job.notices]
    if work is not None and work.changed:
        notices.append(Notice("started-anew", "an unfinished run of another source, version or options was found and thrown away"))
    if tally.fallback:
        notices.append(Notice("redone-on-cpu", f"{tally.fallback} tiles were made again on the CPU: the device answered NaN or infinity"))
    return Report(
        source=source,
        output=planned.output,
        plan=planned.model_copy(update={"source": source}),
        tiles=Tiles(
            total=sum(s.tiles for s in planned.stages),
            done_before=tally.done_before,
            computed=tally.computed,
            flat=tally.flat,
            flat_pixels=tally.flat_pixels,
            split=tally.split,
            fallback=tally.fallback,
        ),
        triage=seen,
        fidelity=on_the_whole(fidelity, planned.geometry),
        prepared=tuple(job.prepared),
        protected=tuple(job.protected),
        between=tuple(job.between),
        warnings=tuple(Warning_(code=n.code, message=n.message) for n in notices),
        timings=watch.timings,
        reproduce=Reproduce(
            command=job.command or _command(picture.header.name, planned, options),
            enlarger=__version__,
            libraries=libraries(),
            machine=machine(),
        ),
    )


def _command(name: str, planned: Plan, options: Options) -> str:
    """The command line that does the same again, with engine and model named rather than ``auto``."""
    models = {s.model for s in planned.stages}
    ran: dict[str, Any] = {}
    if planned.stages:
        stage = planned.stages[0]
        ran = {"engine": stage.engine, "device": stage.device, "threads": stage.threads}
    given = {name: value for name, value in planned.options.items() if name != "settings"} | ran
    if len(models) == 1:
        given["model"] = models.pop()
    words = ["enlarger", "enlarge", name]
    for key, value in given.items():
        flag = ("--no-" if value is False else "--") + key.replace("_", "-")
        words += [flag] if isinstance(value, bool) else [flag, f"{value:g}" if isinstance(value, float) else str(value)]
    for key, value in sorted(options.settings.items()):
        words += ["--set", f"{key}={value}"]
    if planned.output.path:
        words += ["--output", planned.output.path]
    return shlex.join(words)


@cache
def libraries() -> dict[str, str]:
    """Versions of everything that touches pixels."""
    versions = {name: metadata.version(name) for name in ("ncnn", "numpy", "pillow", "pyvips", "pyvips-binary")}
    # An extra, whose builds for GPUs have other names.
    with contextlib.suppress(metadata.PackageNotFoundError):
        versions["onnxruntime"] = metadata.version("onnxruntime")
    return {"python": platform.python_version(), **versions}


@cache
def machine() -> dict[str, str]:
    """What of this machine can change bytes: processor and system, no names."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text(errors="replace").splitlines() if info.exists() else []
    model = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "")
    # Asking elsewhere starts a process on Linux.
    model = model or platform.processor() or platform.machine()
    simd = max((f for f in processor.flags() if f.startswith(("avx", "neon", "asimd"))), default="")
    # With these nets may run in integers, which machines of one name need not all have.
    integers = max(processor.flags() & processor.FOR_INTEGERS, default="")
    return {"system": platform.system(), "architecture": platform.machine(), "processor": model, "simd": simd, "integers": integers}
