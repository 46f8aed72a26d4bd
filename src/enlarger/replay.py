"""Replay: plans that were written down, carried out; and a pause between stages, to correct by hand what the first has made."""

from __future__ import annotations

import json
import os
import shlex
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from enlarger.errors import InputError, OutputError, SourceMissingError, SourceUnreadableError, UsageError
from enlarger.files.publish import check_output, part_name, publish
from enlarger.image import Notice
from enlarger.job import Call, Job
from enlarger.manifest import sha256_of
from enlarger.options import Options
from enlarger.pipeline import Enlarger
from enlarger.progress import Cancel, OnProgress
from enlarger.report import Pause, Plan
from enlarger.result import Result
from enlarger.scratch import scratch
from enlarger.staging import run_stages
from enlarger.steps import encode
from enlarger.steps.decode import decode
from enlarger.steps.edits import corrected
from enlarger.steps.reopened import Target
from enlarger.threads import at_most

IGNORED = {"seconds", "native"}
"""Of stages: what is a guess, and what is only known once the source is decoded."""

ANEW = "make it anew with --dry-run --json"


def begin(
    source: str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    overwrite: bool = False,
    progress: OnProgress | None = None,
    cancel: Cancel | None = None,
    temp: Path | None = None,
    fresh: bool = False,
    **options: Any,
) -> Plan:
    """Run the first of several stages only, and write what it made beside the output, as a 16-bit PNG, with the plan.

    Look at the picture, correct a copy of it by hand, and go on with :func:`run_plan`; the answer's ``paused`` says where both are.
    Raises :class:`UsageError` where there is but one stage.
    """
    call = Call(overwrite, progress, cancel, temp, fresh)
    with Enlarger(**options) as tool, tool.prepare(source, output, call) as job:
        return _paused(tool, job)


def run_plan(
    plan: Plan | str | os.PathLike[str],
    *,
    continue_with: str | os.PathLike[str] | None = None,
    pause: bool = False,
    overwrite: bool = False,
    progress: OnProgress | None = None,
    cancel: Cancel | None = None,
    temp: Path | None = None,
    fresh: bool = False,
    report: bool = False,
    triage: bool = True,
) -> Result | Plan:
    """Carry out ``plan``, or the one in a file of JSON, on the source that it was made for.

    ``continue_with`` is the picture that was written at a pause, corrected by hand or not: the rest is made from it, locked to the
    source but for what was corrected. ``pause`` stops after the next stage; then the answer is a plan as of :func:`begin`.
    ``report`` and ``triage`` as for :meth:`Enlarger.enlarge`.

    Raises :class:`InputError` where the source has changed, :class:`UsageError` where the plan is none, or not of this version.
    """
    name = "" if isinstance(plan, Plan) else os.fspath(plan)
    given = plan if isinstance(plan, Plan) else read_plan(Path(plan))
    if given.paused is not None and continue_with is None:
        hint = "go on with --continue-with COPY.png, or with that picture itself if nothing is wrong with it"
        raise UsageError(f"paused after stage {given.paused.stage}, at {given.paused.picture}", hint=hint, subject=name)
    options = _pinned(given)
    call = Call(overwrite, progress, cancel, temp, fresh, report, triage)
    with Enlarger(options) as tool:
        _check_same(given, tool.plan(given.source.name, given.output.path, overwrite=overwrite), name)
        with tool.prepare(given.source.name, given.output.path, call) as job:
            if continue_with is not None:
                _continue(job, given, Path(continue_with), name)
            if pause:
                return _paused(tool, job)
            tool.run(job)
            return tool.deliver(job)


def read_plan(path: Path) -> Plan:
    """The plan in a file of JSON. Raises :class:`SourceMissingError` and :class:`UsageError`."""
    try:
        return Plan.model_validate(json.loads(path.read_bytes()))
    except FileNotFoundError as error:
        raise SourceMissingError("no such file", hint="check the path", subject=str(path)) from error
    except OSError as error:
        raise SourceUnreadableError(f"cannot be read ({(error.strerror or '').lower()})", subject=str(path)) from error
    except (ValueError, RecursionError) as error:
        where = ".".join(map(str, error.errors()[0]["loc"])) if isinstance(error, ValidationError) else ""
        raise UsageError("this is no plan" + (f" (see {where})" if where else ""), hint=ANEW, subject=str(path)) from error


# --- a plan that was written down -------------------------------------------------------------------------------------


def _pinned(given: Plan) -> Options:
    """The options of the plan, with what ``auto`` chose when it was made."""
    chosen: dict[str, Any] = {}
    if given.stages:
        stage = given.stages[0]
        chosen = {"engine": stage.engine, "device": stage.device, "threads": stage.threads}
        if len({s.model for s in given.stages}) == 1:
            chosen["model"] = stage.model
    return Options.of(Options(**given.options), **chosen)


def _check_same(given: Plan, now: Plan, name: str) -> None:
    """Raise :class:`InputError` where the source is another one, :class:`UsageError` where the same options make another plan."""
    if not given.source.sha256:
        raise UsageError("the plan does not say of which bytes it was made", hint=ANEW, subject=name)
    if given.source.sha256 != now.source.sha256:
        raise InputError("the source has changed since the plan was made", hint=ANEW, subject=given.source.name)
    own, other = ([stage.model_dump(exclude=IGNORED) for stage in plan.stages] for plan in (given, now))
    shapes = [plan.geometry.model_dump(exclude={"crop"} if plan.geometry.crop_on == "subject" else None) for plan in (given, now)]
    if own != other or shapes[0] != shapes[1] or given.output.model_copy(update={"bytes": None, "sha256": None}) != now.output:
        what = next((f"stage {i}" for i, (a, b) in enumerate(zip(own, other, strict=False), 1) if a != b), "its sizes")
        raise UsageError(f"the plan was made by another version, for other models, or changed ({what})", hint=ANEW, subject=name)


# --- the pause --------------------------------------------------------------------------------------------------------


def _paused(tool: Enlarger, job: Job) -> Plan:
    """Run the next stage of ``job``, write what it made, and the plan to go on by."""
    planned, number = job.planned, job.first + 1
    if planned.output.path is None:
        raise UsageError("a pause needs an output", hint="name one", subject="--pause-between-stages")
    if number >= len(planned.stages):
        left = "one stage" if len(planned.stages) == 1 else "no stage" if not planned.stages else "the last stage"
        raise UsageError(f"there is {left} only, and nothing between", hint="say --stages 2", subject="--pause-between-stages")
    output = Path(planned.output.path)
    picture = output.with_name(f"{output.stem}-stage{number}.png")
    plan = output.with_name(f"{output.stem}.plan.json")
    for path in (picture, plan):
        # The plan of the pause before is brought up to date; whatever else is there may be somebody's work.
        if path is picture or not (job.first and path.exists()):
            check_output(path, overwrite=job.call.overwrite, source=Path(planned.source.name))
    work = tool.work_of(job)
    with scratch(job.call.scratch(planned)), at_most(job.options.threads):
        samples, _ = run_stages(tool.engines, job, work, until=number)
        stage = planned.stages[number - 1]
        target = Target("png", None, stage.out_width, stage.out_height, 16)
        written = encode.save(samples, target, job.picture, picture, overwrite=job.call.overwrite)
    pause = Pause(stage=number, picture=str(picture), sha256=written.sha256, plan=str(plan))
    source = planned.source.model_copy(update={"sha256": job.picture.sha256})
    done = planned.model_copy(update={"source": source, "paused": pause})
    _write(plan, done.to_json() + "\n")
    if job.work is not None:
        job.work.discard()
    return done


def _write(path: Path, text: str) -> None:
    part = part_name(path)
    try:
        part.write_text(text, "utf-8")
        publish(part, path, overwrite=True)
    except OSError as error:
        raise OutputError(f"the plan could not be written ({error.strerror})", subject=str(path)) from error
    finally:
        part.unlink(missing_ok=True)


def _continue(job: Job, given: Plan, edited: Path, name: str) -> None:
    """Have ``job`` begin after the pause of ``given``, from ``edited``."""
    if given.paused is None:
        raise UsageError("this plan was not paused", hint="pause with --pause-between-stages first", subject=name)
    begun = Path(given.paused.picture)
    hint = "correct a copy, not the picture itself; begin anew with --pause-between-stages"
    if not begun.exists():
        raise SourceMissingError("the picture that was written at the pause is gone", hint=hint, subject=str(begun))
    if sha256_of(begun) != given.paused.sha256:
        raise InputError("the picture that was written at the pause has changed", hint=hint, subject=str(begun))
    with scratch(job.call.scratch(job.planned)):
        picture = decode(edited)
        found = corrected(job.picture, decode(begun), picture)
    job.first, job.begun, job.begun_sha256 = given.paused.stage, found.samples, picture.sha256
    job.picture = found.source
    job.command = shlex.join(["enlarger", "run", name or given.paused.plan, "--continue-with", str(edited)])
    if found.share:
        share = f"{found.share:.2%} of the picture was corrected by hand after stage {job.first}"
        job.notices.append(Notice("corrected", f"{share}; there the lock and verify go by the correction, not by the source"))
