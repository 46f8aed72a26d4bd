"""What every engine must keep to, as checks that anyone can run: ``python -m enlarger.engines.contract NAME``.

:func:`check` runs one model through all clauses and raises :class:`ContractError` at the first that is broken. Authors of
engines run it in their tests; so do we, for every built-in model. Tiles are small (48 x 40 at most), so that slow nets pass
in seconds. ``docs/engines.md`` explains each clause.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ValidationError

from enlarger.engines import find
from enlarger.engines.engine import Device, Engine, ModelSpec, PictureEngine, TileEngine, native_dials
from enlarger.errors import DeviceError, EngineError, EnlargerError
from enlarger.image import Box, Samples, Tile, enlarged_size

ANY_SCALE = 2.6
"""What models that enlarge by any factor are tried with: not whole, so that phases differ, and no centre falls on an edge."""

LOWEST, HIGHEST = -0.3, 1.3
"""Nets and kernels may overshoot [0, 1] by this much."""

FLAT = 0.06
"""A flat grey, black or white may change by this much (15 of 255): nets are not exact on them."""

COLOUR = 0.15
"""A flat colour keeps each channel to this."""

LIKENESS = 0.1
"""Mean difference between a tile and the answer reduced to its size."""

MIRROR = 0.08
"""Mean difference between the answer for a mirrored tile and the mirrored answer."""

DRIFT = {"tile": 0.1, "picture": 0.02}
"""How far, in source pixels, the centre of a disc may move, by the engine's scope."""

BOXES = 1e-5
"""How much a picture engine's answer may depend on the box that was asked for."""


class ContractError(EngineError):
    """An engine broke its contract; ``clause`` names the clause."""

    def __init__(self, clause: str, message: str, *, subject: str) -> None:
        super().__init__(f"breaks the contract's clause {clause!r}: {message}", hint="see docs/engines.md", subject=subject)
        self.clause = clause


class _Broken(Exception):
    """Raised inside a clause; :func:`check` adds the clause's name."""


NATIVE = ("detail", "creativity", "denoise", "deblock")
"""Dials that an engine may carry out itself."""


def _require(holds: bool, message: str) -> None:
    if not holds:
        raise _Broken(message)


@dataclass(frozen=True, slots=True)
class Subject:
    """The model under test, opened, with one way to call both kinds of engine."""

    engine: Engine
    model: ModelSpec
    device: Device
    settings: BaseModel
    opened: TileEngine | PictureEngine

    @property
    def scale(self) -> float:
        return self.model.scale or ANY_SCALE

    def enlarge(self, tile: Tile) -> Tile:
        """The answer for ``(h, w, 3)``, which the engine gets read-only."""
        if isinstance(self.opened, TileEngine) and self.engine.spec.scope == "tile":
            given = tile.copy()
            given.flags.writeable = False
            return self.opened(given)
        samples = _stored(tile)
        return self._picture(samples, Box(0, 0, *self.size(samples)))

    def size(self, tile: Tile | Samples) -> tuple[int, int]:
        """Width and height of the answer for ``tile``."""
        return enlarged_size(tile.shape[1], tile.shape[0], self.scale)

    def _picture(self, samples: Samples, box: Box) -> Tile:
        return self.opened(samples, self.size(samples), box)  # type: ignore[call-arg]


def check(engine: Engine, model: ModelSpec, device: Device, settings: BaseModel | None = None) -> tuple[str, ...]:
    """Run ``model`` on ``device`` through every clause of its scope; the names of the clauses, in order.

    Raises :class:`ContractError` at the first broken clause. Other errors of the tree come through: weights that are
    missing are no breach.
    """
    settings = settings if settings is not None else engine.spec.settings()
    clauses = CLAUSES + (PICTURE_CLAUSES if engine.spec.scope == "picture" else ())
    subject = Subject(engine, model, device, settings, engine.open(model, device, settings))
    try:
        for name, clause in clauses:
            try:
                clause(subject)
            except _Broken as broken:
                raise ContractError(name, str(broken), subject=f"{engine.spec.name}/{model.id}") from None
    finally:
        if callable(getattr(subject.opened, "close", None)):
            subject.opened.close()
    return tuple(name for name, _ in clauses)


# --- the clauses ------------------------------------------------------------------------------------------------------


def _description(subject: Subject) -> None:
    spec, model, opened = subject.engine.spec, subject.model, subject.opened
    _require(model.engine == spec.name, f"the model says that its engine is {model.engine!r}, not {spec.name!r}")
    _require(model.id in [one.id for one in subject.engine.models()], "models() does not list the model")
    _require(model.feather <= model.halo, f"feather {model.feather} is larger than halo {model.halo}")
    _require(spec.scope == "picture" or model.scale >= 2, "a tile engine's model has a whole scale of 2 or more")
    _require(callable(opened) and callable(getattr(opened, "close", None)), "open() gives something without a call or close()")


def _devices(subject: Subject) -> None:
    for wanted in ("no-such-device", "gpu:999"):
        try:
            device = subject.engine.device(wanted, None)
        except DeviceError:
            continue
        raise _Broken(f"device({wanted!r}) gives {device} instead of raising DeviceError")
    default = subject.engine.device("auto", None)
    _require(default.kind in subject.engine.spec.devices, f"device('auto') gives {default.kind}, which the spec does not name")


def _settings(subject: Subject) -> None:
    spec = subject.engine.spec
    for dial in subject.model.dials or ():
        _require(dial in spec.dials, f"the model's native dial {dial!r} is none of its engine's")
    if toward := subject.model.toward:
        _require("detail" in native_dials(spec, subject.model), f"the model leads toward {toward!r} and has no native dial detail")
        known = any(model.id == toward for model in subject.engine.models())
        _require(known, f"the model leads toward {toward!r}, which its engine does not have")
    for dial in spec.dials:
        _require(dial in NATIVE, f"the native dial {dial!r} is none of {', '.join(NATIVE)}")
        _require(dial in spec.settings.model_fields, f"the native dial {dial!r} is no field of the settings, so it would never be heard")
    try:
        subject.engine.spec.settings.model_validate({"no_such_setting": "1"})
    except ValidationError:
        return
    raise _Broken("an unknown setting is accepted silently; forbid extra fields")


def _input(subject: Subject) -> None:
    if subject.engine.spec.scope == "picture":
        given: NDArray[np.generic] = _stored(_texture(24, 33))
        kept = given.copy()
        call: Callable[[], Tile] = lambda: subject._picture(given, Box(0, 0, *subject.size(given)))  # noqa: E731
    else:
        given = _sized(subject, 24, 33)
        kept = given.copy()
        given.flags.writeable = False
        call = lambda: subject.opened(given)  # type: ignore[call-arg]  # noqa: E731
    try:
        call()
    except ValueError as error:
        raise _Broken(f"it fails on read-only input ({error})") from error
    _require(np.array_equal(given, kept), "the input was written to")


def _shape(subject: Subject) -> None:
    for height, width in ((1, 1), (17, 31), (48, 40)):
        tile = _sized(subject, height, width)
        answer = subject.enlarge(tile)
        wide, high = subject.size(tile)
        _require(isinstance(answer, np.ndarray), f"the answer is no array but {type(answer).__name__}")
        wanted = (high, wide, 3)
        _require(answer.shape == wanted, f"{tile.shape} gives {answer.shape} where {wanted} is due")
        _require(answer.dtype == np.float32, f"the answer is {answer.dtype}, not float32")
        _require(bool(np.isfinite(answer).all()), f"the answer for {tile.shape} holds NaN or infinity")


def _range(subject: Subject) -> None:
    answer = subject.enlarge(_sized(subject, 24, 33))
    low, high = float(answer.min()), float(answer.max())
    _require(low >= LOWEST and high <= HIGHEST, f"the answer goes from {low:.2f} to {high:.2f}; nominal is 0 to 1")


def _likeness(subject: Subject) -> None:
    tile = _sized(subject, 24, 33)
    answer = np.clip(subject.enlarge(tile), 0, 1)
    mean = float(np.abs(_reduced(answer, tile.shape[0], tile.shape[1]) - tile).mean())
    _require(mean <= LIKENESS, f"reduced to the tile's size, the answer is {mean:.2f} away from it on average")


def _flat(subject: Subject) -> None:
    for value in (0.0, 0.5, 1.0):
        answer = np.clip(_middle(subject.enlarge(np.full(_sized(subject, 24, 24).shape, value, np.float32))), 0, 1)
        off = float(np.abs(answer - value).max())
        _require(off <= FLAT, f"a flat {value} comes back up to {off:.3f} away")


def _colour(subject: Subject) -> None:
    for channel, name in enumerate(("red", "green", "blue")):
        tile = np.full(_sized(subject, 24, 24).shape, 0.2, np.float32)
        tile[..., channel] = 0.8
        means = _middle(subject.enlarge(tile)).mean(axis=(0, 1))
        shown = ", ".join(f"{mean:.2f}" for mean in means)
        _require(float(np.abs(means - tile[0, 0]).max()) <= COLOUR, f"a {name} tile comes back as ({shown})")


def _phase(subject: Subject) -> None:
    tile = _sized(subject, 40, 45)  # at ANY_SCALE without a remainder
    height, width, _ = tile.shape
    x, y = 0.5 * width - 2.7, 0.5 * height + 1.8
    rows, columns = np.mgrid[:height, :width]
    # A disc with a soft rim: nets redraw shallow blobs at will, but keep what has an outline where it is.
    disc = 0.1 + 0.8 * np.clip((10 - np.hypot(columns - x, rows - y)) / 3 + 0.5, 0, 1)
    answer = subject.enlarge(np.repeat(disc[..., None], 3, axis=2).astype(np.float32)).mean(axis=2)
    wide, high = subject.size(tile)
    weight = np.clip(answer - 0.2, 0, None)  # without what borders and ringing leave on the ground
    _require(float(weight.sum()) > 0, "a bright disc comes back dark")
    found_x = float((weight.sum(axis=0) * (np.arange(wide) + 0.5)).sum() / weight.sum()) * width / wide - 0.5
    found_y = float((weight.sum(axis=1) * (np.arange(high) + 0.5)).sum() / weight.sum()) * height / high - 0.5
    most = DRIFT[subject.engine.spec.scope]
    moved = f"a disc moves by ({found_x - x:+.3f}, {found_y - y:+.3f}) source pixels; {most} is allowed"
    _require(abs(found_x - x) <= most and abs(found_y - y) <= most, moved)


def _deterministic(subject: Subject) -> None:
    if not subject.engine.spec.deterministic:
        return
    tile = _sized(subject, 24, 33)
    first = subject.enlarge(tile).copy()
    subject.enlarge(_sized(subject, 33, 24))  # what came between must not show
    same = np.array_equal(first, subject.enlarge(tile))
    _require(same, "the same tile gives other bytes the second time, but the spec says deterministic")


def _kept(subject: Subject) -> None:
    tile = _sized(subject, 24, 24)
    answer = subject.enlarge(tile)
    copy = answer.copy()
    subject.enlarge(1 - tile)
    _require(np.array_equal(answer, copy), "the next call overwrites an answer given before")


def _mirror(subject: Subject) -> None:
    tile = _sized(subject, 32, 32)
    answer = subject.enlarge(tile)
    for axis, name in ((0, "upside down"), (1, "left to right")):
        mirrored = np.flip(subject.enlarge(np.ascontiguousarray(np.flip(tile, axis))), axis)
        mean = float(np.abs(mirrored - answer).mean())
        _require(mean <= MIRROR, f"a tile mirrored {name} gives another picture (mean difference {mean:.3f})")


def _close(subject: Subject) -> None:
    tile = _sized(subject, 24, 24)
    before = subject.enlarge(tile).copy()
    again = subject.engine.open(subject.model, subject.device, subject.settings)
    second = Subject(subject.engine, subject.model, subject.device, subject.settings, again)
    second.enlarge(tile)
    again.close()
    again.close()
    after = subject.enlarge(tile)
    same = np.array_equal(before, after) or not subject.engine.spec.deterministic
    _require(same, "closing one opened model changes another")


def _boxes(subject: Subject) -> None:
    samples = _stored(_texture(45, 71))
    wide, high = subject.size(samples)
    whole = subject._picture(samples, Box(0, 0, wide, high))
    for box in (Box(0, 0, 1, 1), Box(wide - 1, high - 1, 1, 1), Box(wide // 3, 5, wide // 2, 40), Box(0, high // 2, wide, 7)):
        off = float(np.abs(subject._picture(samples, box) - whole[box.slices()]).max())
        _require(off <= BOXES, f"the answer for {tuple(box)} differs by {off:.1e} from the same place in the whole")


def _bands(subject: Subject) -> None:
    texture = _texture(30, 22)
    for bands in (1, 2, 3, 4):
        samples = np.full((30, 22, bands), 65535, np.uint16)
        colours = bands - (bands in (2, 4))
        samples[..., :colours] = _stored(texture)[..., :colours]
        wide, high = subject.size(samples)
        answer = subject._picture(samples, Box(0, 0, wide, high))
        _require(answer.shape == (high, wide, bands), f"{bands} bands give {answer.shape[2:]}")
        off = float(np.abs(answer[..., colours:] - 1).max(initial=0))
        _require(off <= 1e-3, f"opaque alpha comes back up to {off:.3f} away")


Clause = tuple[str, Callable[[Subject], None]]

CLAUSES: tuple[Clause, ...] = (
    ("description", _description),
    ("devices", _devices),
    ("settings", _settings),
    ("input untouched", _input),
    ("shape", _shape),
    ("range", _range),
    ("likeness", _likeness),
    ("flat stays flat", _flat),
    ("colour order", _colour),
    ("phase", _phase),
    ("deterministic", _deterministic),
    ("answers are the caller's", _kept),
    ("mirror", _mirror),
    ("close", _close),
)

PICTURE_CLAUSES: tuple[Clause, ...] = (("boxes", _boxes), ("bands", _bands))


# --- what they look at ------------------------------------------------------------------------------------------------


def _texture(height: int, width: int) -> Tile:
    """Smooth waves, one hard edge and a little noise, different in every channel and with no symmetry; in [0.05, 0.95]."""
    rows, columns = np.mgrid[:height, :width].astype(np.float64)
    waves = [0.5 + 0.25 * np.sin(columns / (5 + c) + c) * np.cos(rows / (7 - c)) for c in range(3)]
    bands = [wave + 0.1 * (2 * columns + rows > 40 + 10 * c) for c, wave in enumerate(waves)]
    noise = np.random.default_rng(7).normal(0, 0.01, (height, width, 3))
    return np.clip(np.stack(bands, axis=2) + noise, 0.05, 0.95).astype(np.float32)


def _sized(subject: Subject, height: int, width: int) -> Tile:
    """A texture of about this size that keeps to the size rules of the model."""
    least, step = subject.model.min_side, subject.model.multiple_of
    return _texture(*(-(-max(side, least) // step) * step for side in (height, width)))


def _stored(tile: Tile) -> Samples:
    """``tile`` as read-only 16-bit samples."""
    samples = np.round(np.clip(tile, 0, 1) * 65535).astype(np.uint16)
    samples.flags.writeable = False
    return samples


def _middle(tile: Tile) -> Tile:
    """The middle third: what borders do is not judged."""
    height, width, _ = tile.shape
    return tile[height // 3 : height - height // 3, width // 3 : width - width // 3]


def _reduced(tile: Tile, height: int, width: int) -> Tile:
    """``tile`` averaged over the output pixels whose centres lie in each of ``height`` x ``width`` source pixels."""
    total = np.zeros((height, width, 3))
    count = np.zeros((height, width, 1))
    rows = ((np.arange(tile.shape[0]) + 0.5) * height / tile.shape[0]).astype(int)[:, None]
    columns = ((np.arange(tile.shape[1]) + 0.5) * width / tile.shape[1]).astype(int)[None, :]
    np.add.at(total, (rows, columns), tile)
    np.add.at(count, (rows, columns), 1)
    return (total / count).astype(np.float32)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line: checks every model of an engine and prints what was checked. Returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m enlarger.engines.contract", description="Check an engine against the contract.")
    parser.add_argument("name", help="the engine, as its entry point calls it")
    parser.add_argument("--model", help="only this model")
    parser.add_argument("--device", default="auto", help="cpu, gpu, gpu:N or auto")
    asked = parser.parse_args(arguments)
    try:
        engine = find(asked.name)
        device = engine.device(asked.device, None)
        models = [model for model in engine.models() if asked.model in (None, model.id)]
        if not models:
            raise EngineError("the engine has no such model", subject=asked.model or asked.name)
        for model in models:
            clauses = check(engine, model, device)
            sys.stdout.write(f"{engine.spec.name}/{model.id} on {device}: kept {len(clauses)} clauses: {', '.join(clauses)}\n")
    except EnlargerError as error:
        sys.stderr.write(f"error: {error}\n")
        return error.exit_status
    return 0


if __name__ == "__main__":
    sys.exit(main())
