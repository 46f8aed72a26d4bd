"""Enlarger makes pictures bigger and proves what it did.

>>> import enlarger
>>> enlarger.enlarge("photo.jpg", 4, output="photo-big.jpg").report.output.width

Everything public is named here and loaded on first use: importing this package loads nothing heavy.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from enlarger.batch import Batch, enlarge_many
    from enlarger.batch_progress import BatchProgress
    from enlarger.engines.engine import EngineSpec, ModelSpec
    from enlarger.errors import (
        BatchError,
        CancelledError,
        DamagedImageError,
        DeviceError,
        DiskFullError,
        DoubtError,
        EngineError,
        EngineMissingError,
        EnlargerError,
        FormatLimitError,
        InputError,
        NotAnImageError,
        OutOfMemoryError,
        OutputError,
        OutputExistsError,
        SourceMissingError,
        SourceTooLargeError,
        SourceUnreadableError,
        UnsupportedError,
        UsageError,
        WeightsError,
    )
    from enlarger.fidelity import Comparison, Fidelity
    from enlarger.image import Image
    from enlarger.inspection import find_pictures, inspect
    from enlarger.jobs import BatchJob
    from enlarger.journal import clean
    from enlarger.judge import compare, verify
    from enlarger.manifest import BatchRow
    from enlarger.model_files import fetch_model
    from enlarger.options import Options
    from enlarger.pipeline import Enlarger, enlarge, list_engines, list_models
    from enlarger.progress import Progress
    from enlarger.recipes import Recipe, list_recipes
    from enlarger.replay import begin, run_plan
    from enlarger.report import Plan, Report
    from enlarger.result import Result
    from enlarger.seen import Triage, TriageMeasures

__all__ = [
    "Batch",
    "BatchError",
    "BatchJob",
    "BatchProgress",
    "BatchRow",
    "CancelledError",
    "Comparison",
    "DamagedImageError",
    "DeviceError",
    "DiskFullError",
    "DoubtError",
    "EngineError",
    "EngineMissingError",
    "EngineSpec",
    "Enlarger",
    "EnlargerError",
    "Fidelity",
    "FormatLimitError",
    "Image",
    "InputError",
    "ModelSpec",
    "NotAnImageError",
    "Options",
    "OutOfMemoryError",
    "OutputError",
    "OutputExistsError",
    "Plan",
    "Progress",
    "Recipe",
    "Report",
    "Result",
    "SourceMissingError",
    "SourceTooLargeError",
    "SourceUnreadableError",
    "Triage",
    "TriageMeasures",
    "UnsupportedError",
    "UsageError",
    "WeightsError",
    "__version__",
    "begin",
    "clean",
    "compare",
    "enlarge",
    "enlarge_many",
    "fetch_model",
    "find_pictures",
    "inspect",
    "list_engines",
    "list_models",
    "list_recipes",
    "run_plan",
    "verify",
]

_HOMES = {
    "BatchJob": "jobs",
    "BatchRow": "manifest",
    **dict.fromkeys(("Batch", "enlarge_many"), "batch"),
    "BatchProgress": "batch_progress",
    "EngineSpec": "engines.engine",
    "Image": "image",
    "ModelSpec": "engines.engine",
    "clean": "journal",
    **dict.fromkeys(("Comparison", "Fidelity"), "fidelity"),
    **dict.fromkeys(("compare", "verify"), "judge"),
    "fetch_model": "model_files",
    "Options": "options",
    "Plan": "report",
    **dict.fromkeys(("Recipe", "list_recipes"), "recipes"),
    "Report": "report",
    **dict.fromkeys(("Enlarger", "enlarge", "list_engines", "list_models"), "pipeline"),
    "Progress": "progress",
    **dict.fromkeys(("begin", "run_plan"), "replay"),
    "Result": "result",
    **dict.fromkeys(("Triage", "TriageMeasures"), "seen"),
    **dict.fromkeys(("find_pictures", "inspect"), "inspection"),
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOMES.get(name, 'errors')}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
