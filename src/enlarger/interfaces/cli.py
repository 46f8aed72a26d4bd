"""The command line: flags to :class:`enlarger.Options`, progress and one summary line back."""

from __future__ import annotations

import inspect
import json as jsonlib
import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, CycloptsError, Parameter
from pydantic import BeforeValidator

import enlarger
from enlarger.interfaces import inspect as look
from enlarger.interfaces import judge, plans
from enlarger.interfaces.many import is_many, listed_on_stdin, run_batch
from enlarger.interfaces.telling import progress_bar, tell_result
from enlarger.interfaces.text import columns, describe, megabytes

if TYPE_CHECKING:
    # Only for annotations: it would load numpy, which --help can do without.
    from enlarger import EngineSpec

M_ARENA_MAX = -8
"""Of glibc's mallopt(3)."""

USAGE, BUG, INTERRUPTED, TERMINATED = 2, 1, 130, 143
KEPT = "interrupted; what is done is kept, and the same command goes on from there (--fresh starts anew)"

app = App(
    name="enlarger",
    help="Makes pictures bigger: enlarger photo.jpg writes photo-4x.jpg beside it.",
    version=f"enlarger {enlarger.__version__}",
    help_format="plaintext",
    suppress_keyboard_interrupt=False,
    result_action="return_value",
)


def _with_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give ``command`` one keyword per field of :class:`enlarger.Options`, so that flags and options stay one list.

    Handing cyclopts the model itself would do the same, but it reads the source of every base class for docstrings, which
    takes longer than all the rest of ``--help``. ``settings`` is left out: the command line spells it ``--set NAME=VALUE``.
    """
    own = inspect.signature(command, eval_str=True)
    flags = []
    for name, field in enlarger.Options.model_fields.items():
        if name == "settings":
            continue
        # What pydantic parses from text (2GB) stays text here; everything is checked by Options in the end.
        text = any(isinstance(m, BeforeValidator) for m in field.metadata)
        kind: object = (str if field.default is not None else str | None) if text else field.annotation
        default = megabytes(field.default).replace(" ", "") if text and field.default is not None else field.default
        negative = f"--no-{name.replace('_', '-')}" if field.default is True else ""
        about = Parameter(help=field.description, negative=negative, show_default=field.default is not None and kind is not bool)
        flags.append(inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=Annotated[kind, about], default=default))
    plain = [p for p in own.parameters.values() if p.kind is not inspect.Parameter.VAR_KEYWORD]
    command.__signature__ = own.replace(parameters=[*plain, *flags])  # type: ignore[attr-defined]
    command.__annotations__ = {p.name: p.annotation for p in (*plain, *flags)}
    return command


Flag = Parameter(negative="", show_default=False)


@app.default
@app.command(name="enlarge")
@_with_options
def enlarge(
    *paths: Path,
    output: Annotated[str | None, Parameter(name=["--output", "-o"])] = None,
    set_: Annotated[list[str] | None, Parameter(name="--set", negative="")] = None,
    overwrite: Annotated[bool, Flag] = False,
    json: Annotated[bool, Flag] = False,
    quiet: Annotated[bool, Flag] = False,
    dry_run: Annotated[bool, Flag] = False,
    temp: Annotated[Path | None, Parameter(name="--temp")] = None,
    fresh: Annotated[bool, Flag] = False,
    jobs: Annotated[Path | None, Parameter(name="--jobs")] = None,
    include: Annotated[list[str] | None, Parameter(name="--include", negative="")] = None,
    exclude: Annotated[list[str] | None, Parameter(name="--exclude", negative="")] = None,
    stdin: Annotated[bool, Parameter(name="-", negative="", show_default=False)] = False,
    report: Annotated[bool, Flag] = False,
    faithful: Annotated[bool, Flag] = False,
    natural: Annotated[bool, Flag] = False,
    crisp: Annotated[bool, Flag] = False,
    pause_between_stages: Annotated[bool, Flag] = False,
    null: Annotated[bool, Parameter(name=["--null", "-0"], negative="", show_default=False)] = False,
    **options: Any,
) -> None:
    """Enlarge a picture, or many: files, folders with all that is below them, quoted globs.

    Parameters
    ----------
    paths
        Pictures (JPEG, PNG, WebP, TIFF, AVIF, GIF, BMP or PPM), folders and globs.
    output
        File to write, or folder to write NAME-4x.EXT into; by default beside the source. Folders need one.
    set_
        A setting of the engine itself, as NAME=VALUE; may be repeated.
    overwrite
        Replace the output if it is there already.
    json
        Print the report (with --dry-run the plan) as JSON instead of the summary.
    quiet
        Print nothing but errors.
    dry_run
        Print what would be done, with estimated time, memory and disk, and stop.
    temp
        Folder for the work in progress; by default a hidden folder beside the output.
    fresh
        Start anew instead of going on where an interrupted run stopped.
    jobs
        A .csv (with a header) or .jsonl file: source, and if wanted output and options, per row.
    include
        Of folders take only what matches this glob; may be repeated.
    exclude
        Of folders leave out what matches this glob; may be repeated.
    stdin
        Read paths from standard input, one per line.
    report
        Write the report beside the result: NAME.report.html to look at, NAME.report.json for programs.
    faithful
        As close to the source as can be: the same as --style faithful.
    natural
        Natural grain where the result would be too smooth: the same as --style natural.
    crisp
        More of the fine detail: the same as --style crisp.
    pause_between_stages
        Stop after the first of several stages, with its picture and the plan beside the output, to correct a copy by hand.
    null
        Paths on standard input end in NUL bytes, as from find -print0.
    """
    _one_heap()
    words = [word for word, said in (("faithful", faithful), ("natural", natural), ("crisp", crisp)) if said]
    if len({*words, *([options["style"]] if options.get("style") else [])}) > 1:
        raise enlarger.UsageError("choose one of faithful, natural and crisp", subject="--style")
    if words:
        options["style"] = words[0]
    asked = enlarger.Options.of(**options, settings=_settings(set_ or []))
    given: list[Path | str] = [*paths, *(listed_on_stdin(null=null) if stdin else [])]
    if jobs is not None or stdin or (paths and is_many(paths)):
        batch = enlarger.Batch(
            given,
            output,
            listed=jobs,
            include=include or (),
            exclude=exclude or (),
            literal=stdin,
            overwrite=overwrite,
            temp=temp,
            fresh=fresh,
            report=report,
            options=asked,
        )
        if pause_between_stages:
            raise enlarger.UsageError("one picture at a time can be corrected by hand", subject="--pause-between-stages")
        run_batch(batch, json=json, quiet=quiet, dry_run=dry_run)
        return
    if include or exclude:
        raise enlarger.UsageError("--include and --exclude choose from folders, and none is named")
    if not paths:
        raise enlarger.UsageError("name a picture, a folder or --jobs FILE", hint="try enlarger --help")
    path = paths[0]
    target = os.fspath(path.parent) if output is None else output
    if pause_between_stages and not dry_run:
        with progress_bar(path.name, hidden=quiet or json) as progress:
            plan = enlarger.begin(path, target, overwrite=overwrite, progress=progress, temp=temp, fresh=fresh, **asked.asked())
        plans.tell_pause(plan, json=json, quiet=quiet)
        return
    with enlarger.Enlarger(asked) as tool:
        if dry_run:
            plan = tool.plan(path, target, overwrite=overwrite)
            if not quiet:
                _print(plan.to_json() if json else describe(plan))
            return
        with progress_bar(path.name, hidden=quiet or json) as progress:
            result = tool.enlarge(path, target, overwrite=overwrite, progress=progress, temp=temp, fresh=fresh, report=report, triage=json)
    tell_result(result.report, json=json, quiet=quiet)


ENLARGING = {
    "stages", "scale", "engine", "model", "device", "threads", "tile", "memory", "skip_flat", "self_ensemble", "resemblance", "detail",
    "texture", "creativity", "style", "protect", "faithful", "natural", "crisp", "set_", "pause_between_stages",
}  # fmt: skip
"""What says how to enlarge, which `enlarger finish` does not."""


def _without_enlarging(command: Callable[..., None]) -> Callable[..., None]:
    """Give ``command`` the flags of :func:`enlarge` that have nothing to do with enlarging, and their help."""
    own = inspect.signature(enlarge)
    kept = [p for p in own.parameters.values() if p.name not in ENLARGING]
    command.__signature__ = own.replace(parameters=kept)  # type: ignore[attr-defined]
    command.__annotations__ = {p.name: p.annotation for p in kept}
    # cleaned, as Python indents docstrings as they were written up to 3.12, and not at all from then on
    command.__doc__ = f"{inspect.getdoc(command)}\n\nParameters" + (inspect.getdoc(enlarge) or "").partition("\nParameters")[2]
    return command


@app.command(name="finish")
@_without_enlarging
def finish(*paths: Path, **given: Any) -> None:
    """Repair and finish pictures without enlarging them, with the same report; NAME-finished.EXT by default."""
    enlarge(*paths, stages="0", **given)


app.command(judge.verify)
app.command(judge.compare)
app.command(plans.run)
app.command(plans.recipes)
app.command(look.inspect)


@app.command
def clean(folder: Path = Path(), /, *, older_than: float = 7.0) -> None:
    """Remove what interrupted runs left in a folder and nobody went on with.

    Parameters
    ----------
    folder
        The folder that the results were meant for, or that was given as --temp.
    older_than
        Only what is at least this many days old.
    """
    removed = enlarger.clean(folder, older_than=older_than * 86400)
    _print("\n".join([*(f"removed {path}" for path in removed), f"{len(removed)} removed"]))


@app.command
def models(*, json: Annotated[bool, Flag] = False, fetch: Annotated[str | None, Parameter(name="--fetch")] = None) -> None:
    """List the models that engines can run.

    Parameters
    ----------
    json
        Print everything the catalogue knows, as JSON.
    fetch
        Download a model file that comes in no package and check it, instead of listing: yunet (finds faces, for --verify full), lama
        (--fill), u2net, u2netp, u2net_human_seg, silueta, isnet-general-use, birefnet-general, birefnet-general-lite (--matte).
    """
    if fetch is not None:
        _print(str(enlarger.fetch_model(fetch)))
        return
    rows = enlarger.list_models()
    if json:
        _print(jsonlib.dumps([row.model_dump(mode="json") for row in rows], indent=2))
        return
    table = [(row.id, row.engine, f"{row.scale}x" if row.scale else "any", row.licence, row.purpose) for row in rows]
    _print(columns([("MODEL", "ENGINE", "SCALE", "LICENCE", "PURPOSE"), *table]))


@app.command
def engines(*, json: Annotated[bool, Flag] = False) -> None:
    """List the engines that can enlarge.

    Parameters
    ----------
    json
        Print the list as JSON.
    """
    rows = [(spec, [model.id for model in enlarger.list_models(spec.name)]) for spec in enlarger.list_engines()]
    if json:
        _print(jsonlib.dumps([_engine_row(spec, ids) for spec, ids in rows], indent=2))
        return
    table = [(spec.name, ", ".join(spec.devices), str(len(ids)), spec.title) for spec, ids in rows]
    _print(columns([("ENGINE", "DEVICES", "MODELS", "TITLE"), *table]))


def _engine_row(spec: EngineSpec, ids: list[str]) -> dict[str, object]:
    return {
        "name": spec.name,
        "title": spec.title,
        "scope": spec.scope,
        "devices": spec.devices,
        "dials": spec.dials,
        "deterministic": spec.deterministic,
        "models": ids,
        "settings": {name: field.description or "" for name, field in spec.settings.model_fields.items()},
    }


# --- plumbing ---------------------------------------------------------------------------------------------------------


def _one_heap() -> None:
    """Keep glibc from giving each thread a heap of its own: what one has freed no other can use, which costs 50 to 120 MB.

    Only here: in somebody else's process that is not ours to decide.
    """
    if sys.platform == "linux":
        import ctypes

        if (mallopt := getattr(ctypes.CDLL(None), "mallopt", None)) is not None:  # musl has none
            mallopt(M_ARENA_MAX, 1)


def _settings(pairs: list[str]) -> dict[str, str]:
    settings = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not (name and equals):
            raise enlarger.UsageError(f"{pair!r} is not NAME=VALUE", subject="--set")
        settings[name.replace("-", "_")] = value
    return settings


class _Terminated(KeyboardInterrupt):
    """SIGTERM: the same way out as Ctrl-C, with a status of its own."""


def _terminate(number: int, frame: object) -> None:
    raise _Terminated


def _print(text: str) -> None:
    sys.stdout.write(text + "\n")


def _fail(line: str, status: int) -> int:
    sys.stderr.write(f"enlarger: {line}\n")
    return status


def main(arguments: list[str]) -> int:
    """Run one command; the exit status. Errors are one line on stderr."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, _terminate)
    try:
        status = app(arguments, exit_on_error=False, print_error=False, help_on_error=False)
    except enlarger.EnlargerError as error:
        return _fail(str(error), error.exit_status)
    except CycloptsError as error:
        return _fail(" ".join(str(error).split()) + " Try enlarger --help.", USAGE)
    except _Terminated:
        return _fail(KEPT, TERMINATED)
    except KeyboardInterrupt:
        return _fail(KEPT, INTERRUPTED)
    except BrokenPipeError:
        # Whoever read our output went away; there is nobody left to tell.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BUG
    except Exception as error:
        if os.environ.get("ENLARGER_DEBUG"):
            raise
        return _fail(f"a bug, please report it: {type(error).__name__}: {error} (ENLARGER_DEBUG=1 shows where)", BUG)
    return status if isinstance(status, int) else 0
