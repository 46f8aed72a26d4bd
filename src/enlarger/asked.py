"""What a caller asked for, as the pipeline needs it: kinds of sources, paths, an engine's own settings."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import ValidationError

from enlarger.engines.engine import Engine
from enlarger.errors import UsageError
from enlarger.formats import open_name
from enlarger.image import Header, Image
from enlarger.options import Options
from enlarger.report import Plan, Stage
from enlarger.sizes import rgb
from enlarger.steps import plan
from enlarger.steps.finish import Frame
from enlarger.steps.reopened import Target

if TYPE_CHECKING:
    from enlarger.steps.decode import Source


def settings_of(engine: Engine, stage: Stage, options: Options) -> Any:
    """The engine's own settings: its native dials as planned, and ``options.settings``; what it does not know is refused."""
    native = {name: value for name, value in stage.native.items() if value != "auto"}
    try:
        return engine.spec.settings(**(native | options.settings))
    except ValidationError as error:
        first = error.errors()[0]
        known = ", ".join(engine.spec.settings.model_fields) or "none"
        raise UsageError(
            f"{'.'.join(map(str, first['loc']))}: {first['msg'].lower()}",
            hint=f"settings of {engine.spec.name}: {known}",
            subject="--set",
        ) from error


def kind_of(source: Source) -> str:
    """``"bytes"``, ``"array"``, ``"path"`` (also for an Image) or ``"pil"``."""
    if isinstance(source, bytes):
        return "bytes"
    if isinstance(source, np.ndarray):
        return "array"
    return "path" if isinstance(source, str | os.PathLike | Image) else "pil"


def source_path(name: str) -> Path | None:
    """The file that a header names, if there is one."""
    path = Path(name)
    return path if path.exists() else None


def output_path(output: str | os.PathLike[str] | None, source: Path | None, header: Header, options: Options) -> Path | None:
    """``output`` as a file: a folder (it exists, or ends in a slash) gets ``NAME-4x.EXT`` in it.

    Where the format is chosen at the end, so is the ending: until then it is that of :data:`enlarger.formats.AUTO`.
    """
    if output is None:
        return None
    path = Path(output)
    if path.is_dir() or os.fspath(output).endswith(("/", os.sep)):
        return plan.default_output(source or Path("picture"), header, options, path)
    return open_name(path) if plan.left_open(options, path) else path


def target_of(planned: Plan) -> Target:
    """What is to be written."""
    out, shape = planned.output, planned.geometry
    frame = None
    if shape.background is not None:
        frame = Frame(shape.padding[0], shape.padding[1], shape.width, shape.height, rgb(shape.background))
    most, strip = planned.options.get("max_size"), planned.options.get("strip")
    return Target(out.format, out.quality, out.width, out.height, out.bits, frame, most, strip)
