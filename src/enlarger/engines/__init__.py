"""Whoever can enlarge: built-in engines and third-party ones, found by the entry-point group ``enlarger.engines``.

Built-ins are registered in ``pyproject.toml`` exactly as a plugin's are, so there is one way in. Listing loads nothing;
:func:`find` imports the one module that it is asked for.
"""

from __future__ import annotations

import sys
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

from enlarger.engines.engine import Engine, EngineSpec
from enlarger.errors import EngineError, EngineMissingError

__all__ = ["GROUP", "find", "names"]

GROUP = "enlarger.engines"

# What importing somebody else's module is known to raise: a missing library, a missing name, a syntax too new, a shared
# object that does not load, a library that refuses the machine.
BROKEN = (ImportError, AttributeError, SyntaxError, OSError, RuntimeError, TypeError, ValueError)


def names() -> tuple[str, ...]:
    """The names of all installed engines, sorted. Imports none of them."""
    return tuple(sorted({point.name for point in _points()}))


def find(name: str) -> Engine:
    """The engine called ``name``, imported if it was not yet.

    Raises :class:`EngineMissingError` when nothing is registered under that name, and :class:`EngineError` when two
    packages claim it, when its module cannot be imported, or when what it registers is no engine.
    """
    points = tuple(point for point in _points() if point.name == name)
    if not points:
        raise EngineMissingError("no such engine", hint=f"installed engines are {', '.join(names()) or 'none'}", subject=name)
    if len(points) > 1:
        claims = " and ".join(sorted(_origin(point) for point in points))
        raise EngineError(f"registered by {claims}", hint="uninstall one of them", subject=name)
    point = points[0]
    try:
        engine = point.load()
    except BROKEN as error:
        raise EngineError(
            f"the engine's plugin {_origin(point)} cannot be loaded ({type(error).__name__}: {error})",
            hint="reinstall the plugin or uninstall it",
            subject=name,
        ) from error
    return _checked(engine, point)


def _points() -> tuple[EntryPoint, ...]:
    """All that is registered. Looking takes milliseconds, so it is done anew only after something was installed."""
    return _points_on(tuple((place, _changed(Path(place))) for place in sys.path))


@lru_cache(maxsize=4)
def _points_on(places: tuple[tuple[str, int], ...]) -> tuple[EntryPoint, ...]:
    return tuple(entry_points(group=GROUP))


def _changed(place: Path) -> int:
    try:
        return place.stat().st_mtime_ns
    except OSError:
        return 0


def _checked(engine: object, point: EntryPoint) -> Engine:
    """``engine`` if it has what :class:`Engine` asks for and goes by the name it is registered under."""
    spec = getattr(engine, "spec", None)
    lacks = [part for part in ("models", "device", "open") if not callable(getattr(engine, part, None))]
    if not isinstance(spec, EngineSpec):
        lacks.insert(0, "spec")
    if lacks:
        raise EngineError(f"the plugin {_origin(point)} registers no engine: it lacks {', '.join(lacks)}", subject=point.name)
    if isinstance(spec, EngineSpec) and spec.name != point.name:
        raise EngineError(f"the plugin {_origin(point)} registers an engine that calls itself {spec.name!r}", subject=point.name)
    return engine  # type: ignore[return-value]  # just checked by hand: a Protocol with properties has no cheaper test


def _origin(point: EntryPoint) -> str:
    """Distribution and object, such as ``"my-plugin (my_plugin:engine)"``."""
    dist = point.dist.name if point.dist is not None else "unknown package"
    return f"{dist} ({point.value})"
