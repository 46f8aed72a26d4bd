"""`enlarger run`: plans that were written down, and going on after a pause. `enlarger recipes`: sets of options that have a name."""

from __future__ import annotations

import json as jsonlib
import shlex
import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

import enlarger
from enlarger.interfaces.telling import progress_bar, tell_result
from enlarger.interfaces.text import columns

Flag = Parameter(negative="", show_default=False)


def run(
    plan: Path,
    /,
    *,
    continue_with: Annotated[Path | None, Parameter(name="--continue-with")] = None,
    pause_between_stages: Annotated[bool, Flag] = False,
    overwrite: Annotated[bool, Flag] = False,
    json: Annotated[bool, Flag] = False,
    quiet: Annotated[bool, Flag] = False,
    temp: Annotated[Path | None, Parameter(name="--temp")] = None,
    fresh: Annotated[bool, Flag] = False,
    report: Annotated[bool, Flag] = False,
) -> None:
    """Carry out a plan that --dry-run --json or a pause has written.

    Parameters
    ----------
    plan
        The plan, a file of JSON. Its source must be the same, byte for byte.
    continue_with
        The picture of a pause, corrected by hand in a copy, from which the remaining stages go on.
    pause_between_stages
        Stop after the next stage, where others remain.
    overwrite
        Replace the output if it is there already.
    json
        Print the report as JSON instead of the summary.
    quiet
        Print nothing but errors.
    temp
        Folder for the work in progress; by default a hidden folder beside the output.
    fresh
        Start anew instead of going on where an interrupted run stopped.
    report
        Write the report beside the result: NAME.report.html to look at, NAME.report.json for programs.
    """
    with progress_bar(plan.name, hidden=quiet or json) as progress:
        done = enlarger.run_plan(
            plan,
            continue_with=continue_with,
            pause=pause_between_stages,
            overwrite=overwrite,
            progress=progress,
            temp=temp,
            fresh=fresh,
            report=report,
            triage=json,
        )
    if isinstance(done, enlarger.Plan):
        tell_pause(done, json=json, quiet=quiet)
    else:
        tell_result(done.report, json=json, quiet=quiet)


def recipes(*, json: Annotated[bool, Flag] = False) -> None:
    """List the recipes: named sets of options, ours and your own.

    Parameters
    ----------
    json
        Print the list as JSON.
    """
    rows = enlarger.list_recipes()
    if json:
        sys.stdout.write(jsonlib.dumps([row.model_dump(mode="json") for row in rows], indent=2) + "\n")
        return
    table = []
    for row in rows:
        words = (f"--{key.replace('_', '-')} {value}" for key, value in row.options.items())
        table.append((row.name, row.path or "built in", " ".join(words), row.about))
    sys.stdout.write(columns([("RECIPE", "FROM", "OPTIONS", "FOR"), *table]) + "\n")


def tell_pause(plan: enlarger.Plan, *, json: bool, quiet: bool) -> None:
    """Where the picture of a pause is, and how to go on."""
    if json:
        sys.stdout.write(plan.to_json() + "\n")
    elif not quiet and plan.paused is not None:
        pause = plan.paused
        stage = plan.stages[pause.stage - 1]
        again = shlex.join(["enlarger", "run", pause.plan, "--continue-with"])
        sys.stdout.write(
            f"stage {pause.stage} of {len(plan.stages)}: {stage.out_width}x{stage.out_height}  {pause.picture}  "
            f"correct a copy of it, then: {again} COPY.png\n"
        )
