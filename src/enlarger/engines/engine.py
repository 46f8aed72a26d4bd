"""What an engine is: the protocol that every engine, built in or third party, fulfils.

An engine is an object under the entry-point group ``enlarger.engines``. It names itself (:class:`EngineSpec`), lists its
models (:class:`ModelSpec`) and opens one of them on a device. What comes out is called once per tile. Tiling, halo, alpha,
grey, precision and recovery are done by the caller, so an engine only has to enlarge.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, Protocol, runtime_checkable

from pydantic import BaseModel, ConfigDict, Field

from enlarger.image import Box, Samples, Tile


class NoSettings(BaseModel):
    """For engines without settings of their own: any ``--set`` is refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


@dataclass(frozen=True, slots=True)
class Device:
    """Where an engine computes: ``kind`` is ``"cpu"`` or ``"gpu"``, ``index`` counts GPUs from 0, ``threads`` is for CPUs."""

    kind: Literal["cpu", "gpu"] = "cpu"
    index: int = 0
    threads: int = 1
    name: str = ""

    def __str__(self) -> str:
        return f"gpu:{self.index}" if self.kind == "gpu" else "cpu"


class WeightFile(BaseModel):
    """One file of a model: its name, length in bytes and SHA-256 (hex)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    bytes: int
    sha256: str


class ModelSpec(BaseModel):
    """One set of weights that an engine can run; a row of the catalogue.

    ``scale`` is the whole-number factor of the net, 0 for models that enlarge by any factor. ``halo`` is the context in
    source pixels that the engine must see around what is kept of its answer, ``feather`` how far (source pixels) answers of
    neighbouring tiles are blended into each other; ``feather <= halo``. ``min_side`` and ``multiple_of`` are size rules of
    the net: smaller or uneven tiles are padded by reflection and cropped, never resampled. A tile of ``n`` source pixels needs
    about ``memory_fixed + n * memory_per_pixel`` bytes (process included) and ``n * cost`` seconds on one AVX-512 core of a
    server; other machines differ, so ``cost`` ranks models and gives a first guess of the time. For models of scale 0 ``n``
    counts pixels of the result. ``exact``: the answer is what is wanted, pixel for pixel: it is delivered as it is, with no colour lock,
    and dials that would change it are refused.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    engine: str
    title: str
    purpose: str
    scale: int = Field(ge=0)
    family: str = ""
    halo: int = Field(default=0, ge=0)
    feather: int = Field(default=0, ge=0)
    min_side: int = Field(default=1, ge=1)
    multiple_of: int = Field(default=1, ge=1)
    memory_fixed: int = 0
    memory_per_pixel: int = 0
    cost: float = 0.0
    exact: bool = False
    files: tuple[WeightFile, ...] = ()
    package: str = ""
    extra: str = Field(default="", description="The extra of Enlarger that installs the package; empty if it always is.")
    dials: tuple[str, ...] | None = Field(default=None, description="Which of the engine's native dials this model has; None: all.")
    toward: str = Field(default="", description="The model of the same engine that the native dial detail leads to, from 50 to 100.")
    url: str = ""
    licence: str = ""
    authors: str = ""
    source: str = ""
    settings: dict[str, Any] = Field(default_factory=dict, description="What the engine itself needs to know of this model.")


@dataclass(frozen=True, slots=True)
class EngineSpec:
    """What the planner must know of an engine.

    ``scope``: ``"tile"`` engines turn a tile into a tile (:class:`TileEngine`); ``"picture"`` engines see the whole source
    and are asked for boxes of the result (:class:`PictureEngine`). ``dials`` names those of ``detail``, ``creativity``, ``denoise``
    and ``deblock`` that models of the engine carry out natively (:attr:`ModelSpec.dials` says which model does which): each is a field
    of ``settings``, gets what the caller asked for (0 to 100), and is then not applied to the answer. ``deterministic`` says that the
    same tile gives the same bytes again on the same machine.
    """

    name: str
    title: str
    scope: Literal["tile", "picture"]
    devices: tuple[Literal["cpu", "gpu"], ...] = ("cpu",)
    dials: tuple[str, ...] = ()
    deterministic: bool = True
    settings: type[BaseModel] = NoSettings


def native_dials(spec: EngineSpec, model: ModelSpec) -> tuple[str, ...]:
    """The dials that ``model`` carries out itself."""
    return spec.dials if model.dials is None else model.dials


@runtime_checkable
class TileEngine(Protocol):
    """An opened model of a ``"tile"`` engine.

    If it has a method ``rest()``, that is called after the last of many tiles, to give back what is kept from one to the next.
    """

    def __call__(self, tile: Tile) -> Tile:
        """``(h, w, 3) float32`` in [0, 1] to ``(h * scale, w * scale, 3) float32``, finite, nominally in [0, 1].

        ``tile`` must not be written to. Raises :class:`enlarger.errors.OutOfMemoryError` when the tile does not fit (the
        caller then splits it) and :class:`enlarger.errors.EngineError` for everything else.
        """

    def close(self) -> None:
        """Give back memory and device; the engine is not called again."""


@runtime_checkable
class PictureEngine(Protocol):
    """An opened model of a ``"picture"`` engine."""

    def __call__(self, samples: Samples, size: tuple[int, int], box: Box) -> Tile:
        """``box`` of the picture that results from enlarging ``samples`` to ``size`` = (width, height).

        ``samples`` is ``(h, w, c)`` of stored samples with any ``c``; the answer is ``(box.height, box.width, c) float32``,
        and it must not depend on how the result is cut into boxes.
        """

    def close(self) -> None:
        """Give back memory; the engine is not called again."""


class Engine(Protocol):
    """What an entry point of the group ``enlarger.engines`` loads to."""

    @property
    def spec(self) -> EngineSpec: ...

    def models(self) -> tuple[ModelSpec, ...]:
        """All models of this engine that the catalogue knows, installed or not; the first is its default."""

    def device(self, wanted: str, threads: int | None) -> Device:
        """Turn ``"cpu"``, ``"gpu"``, ``"gpu:N"`` or ``"auto"`` into a device that is there.

        Raises :class:`enlarger.errors.DeviceError` when it is not.
        """

    def open(self, model: ModelSpec, device: Device, settings: BaseModel) -> TileEngine | PictureEngine:
        """Load ``model``. Raises :class:`enlarger.errors.WeightsError` or :class:`enlarger.errors.DeviceError`."""
