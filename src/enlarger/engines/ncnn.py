"""Neural nets through ncnn: on the CPU, or on any GPU that speaks Vulkan.

ncnn is imported when it is first needed, so that listing models stays quick. Everything is computed in 32-bit floats unless
a GPU is told otherwise, or a net was trained for 8-bit integers, which CPUs are faster with. The answer does not depend on the
number of threads. How memory is kept low is told in ``docs/decisions/0004-memory-of-ncnn.md``.
"""

from __future__ import annotations

import atexit
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, Literal
from weakref import WeakSet

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from enlarger.engines.engine import Device, EngineSpec, ModelSpec
from enlarger.engines.ncnn_weights import load
from enlarger.engines.weights import catalogue
from enlarger.errors import DeviceError, EngineError, OutOfMemoryError, UnsupportedError, WeightsError
from enlarger.image import Tile
from enlarger.ncnn_library import library
from enlarger.processor import likes_integers
from enlarger.threads import default_threads

INPUT, OUTPUT = "data", "output"
OUT_OF_MEMORY = -100
"""What ncnn returns when an allocation failed."""

ALIKE = 0.75
"""Of the size of a block: the least that is served from it where nothing is reserved."""

SOFTWARE = 3
"""ncnn's type of a Vulkan device that is the CPU in disguise (llvmpipe): right for tests, slower than the CPU path."""

Planes = NDArray[np.float32]
"""``(channels, height, width)``, as ncnn wants it."""


class NcnnSettings(BaseModel):
    """What ``--set`` may say to this engine."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    fp16: bool = Field(False, description="GPU only: compute in 16-bit floats. Faster, less exact, and different on every GPU.")
    fp32: bool = Field(False, description="CPU only: compute in 32-bit floats what was trained for 8-bit integers, as a GPU does. Slower.")
    detail: int = Field(50, ge=0, le=100, description="Dial: from 50, how far the net lies toward its family's crisp one.")
    denoise: int = Field(0, ge=0, le=100, description="How strong the noise is that a net for restoring takes off.")
    deblock: int = Field(0, ge=0, le=100, description="How strong the JPEG damage is that a net for restoring takes off.")


class NetNotes(BaseModel):
    """What ``ModelSpec.settings`` says of a net: where its memory goes.

    ``widest`` is the largest number of channels that a 3 x 3 convolution reads. A net with ``split_blob`` is run in two: up
    to that blob in one go, and from there on in pieces of at most ``split_area`` source pixels, each with ``split_halo``
    source pixels of context, which must be even (a Winograd tile never starts elsewhere then, and the pieces fit bit for bit).

    ``ranges`` are of a net that was trained for 8-bit integers: the largest number that each convolution but the first reads.

    ``conditions`` are the settings (0 to 100) that the net reads as further channels behind the colours, each a plane of that many
    hundredths.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    widest: int = Field(ge=1)
    split_blob: str | None = None
    split_halo: int = Field(0, ge=0, multiple_of=2)
    split_area: int = Field(1024, ge=256)
    ranges: tuple[Annotated[float, Field(gt=0)], ...] = ()
    conditions: tuple[Literal["denoise", "deblock"], ...] = ()


class Ncnn:
    """The engine ``ncnn``."""

    spec = EngineSpec(
        name="ncnn",
        title="Neural nets on ncnn (CPU, Vulkan)",
        scope="tile",
        devices=("cpu", "gpu"),
        dials=("detail", "denoise", "deblock"),
        settings=NcnnSettings,
    )

    def models(self) -> tuple[ModelSpec, ...]:
        return catalogue("ncnn")

    def device(self, wanted: str, threads: int | None) -> Device:
        """``auto`` takes a real GPU when there is one, else the CPU. ``gpu`` takes the best, ``gpu:N`` that very one."""
        threads = threads or default_threads()
        if wanted == "cpu":
            return Device("cpu", threads=threads)
        gpus = find_gpus()
        best = min(gpus, key=lambda gpu: (gpu.software, gpu.rank, gpu.index), default=None)
        if wanted == "auto":
            return best.device(threads) if best and not best.software else Device("cpu", threads=threads)
        if best is None:
            raise DeviceError("no GPU or no Vulkan driver was found", hint="use --device cpu", subject=wanted)
        if wanted == "gpu":
            return best.device(threads)
        for gpu in gpus:
            if wanted == f"gpu:{gpu.index}":
                return gpu.device(threads)
        listed = ", ".join(f"gpu:{gpu.index} ({gpu.name})" for gpu in gpus)
        raise DeviceError("there is no such device", hint=f"there are cpu, {listed}", subject=wanted)

    def open(self, model: ModelSpec, device: Device, settings: BaseModel) -> Net:
        """Load ``model``. Raises :class:`UnsupportedError` for fp16 on a CPU, and for fp32 on a GPU or with a net that was not trained for
        integers: nothing else is computed in there. Else as :meth:`Engine.open` says.
        """
        if not isinstance(settings, NcnnSettings):
            raise EngineError(f"the settings of ncnn are NcnnSettings, not {type(settings).__name__}")
        if settings.fp16 and device.kind != "gpu":
            raise UnsupportedError("fp16 is for GPUs", hint="use --device gpu or leave it out", subject="--set fp16")
        if settings.fp32 and device.kind != "cpu":
            raise UnsupportedError("GPUs compute in 32-bit floats as it is", hint="leave it out", subject="--set fp32")
        if device.kind == "gpu" and device.index not in [gpu.index for gpu in find_gpus()]:
            raise DeviceError("there is no such GPU", hint="use --device cpu", subject=str(device))
        try:
            notes = NetNotes(**model.settings)
        except ValidationError as error:
            reason = error.errors()[0]["msg"]
            raise WeightsError(f"the catalogue's settings are not those of a net on ncnn ({reason})", subject=model.id) from error
        if settings.fp32 and not notes.ranges:
            raise UnsupportedError(f"{model.id} computes in 32-bit floats as it is", hint="leave it out", subject="--set fp32")
        return Net(model, notes, device, settings)


class Net:
    """One loaded net, as a :class:`enlarger.engines.engine.TileEngine`. One thread at a time may call it."""

    _net: Any = None
    _pools: Pools | None = None

    def __init__(self, model: ModelSpec, notes: NetNotes, device: Device, settings: NcnnSettings) -> None:
        self.model, self.notes = model, notes
        self._conditions = [np.float32(getattr(settings, name) / 100) for name in notes.conditions]
        self._net = library().Net()
        # The net holds bare pointers to its pools: they go after it, see close().
        ranges = notes.ranges if device.kind == "cpu" and not settings.fp32 and likes_integers() else ()
        self._pools = Pools(notes.widest, integers=bool(ranges)) if device.kind == "cpu" else None
        option = self._net.opt
        option.num_threads = device.threads
        option.use_fp16_packed = option.use_fp16_storage = option.use_fp16_arithmetic = settings.fp16
        option.use_bf16_packed = option.use_bf16_storage = False
        # Sums of integers are exact. Winograd's of floats, in the first layer, depend on where a tile begins, and what then rounds the
        # other way goes on through all layers. Without it the same pixels give the same bits anywhere, as fast and in less memory.
        option.use_winograd_convolution = not ranges
        if self._pools:
            option.blob_allocator, option.workspace_allocator = self._pools.blobs, self._pools.workspace
        else:
            option.use_vulkan_compute = True
            self._net.set_vulkan_device(device.index)
        _open_nets.add(self)
        other = next(one for one in catalogue("ncnn") if one.id == model.toward) if model.toward else None
        self._weights = load(self._net, model, other, max(0, settings.detail - 50) / 50, ranges)

    def __call__(self, tile: Tile) -> Tile:
        """See :class:`enlarger.engines.engine.TileEngine`. Answers are not clipped."""
        if self._net is None:
            raise EngineError("the engine was closed", subject=self.model.id)
        if tile.ndim != 3 or tile.shape[2] != 3 or tile.dtype != np.float32 or min(tile.shape) < 1:
            raise EngineError(f"a tile is (h, w, 3) float32, not {tile.shape} {tile.dtype}", subject=self.model.id)
        height, width, _ = tile.shape
        try:
            if self._pools:
                self._pools.prepare(height, width)
            planes = np.empty((3 + len(self._conditions), height, width), np.float32)
            planes[:3] = tile.transpose(2, 0, 1)
            for plane, value in zip(planes[3:], self._conditions, strict=True):
                plane[:] = value
            return self._run(planes)
        except MemoryError as error:
            self.rest()
            raise OutOfMemoryError("no memory for a tile", subject=f"{width} x {height}") from error
        except OutOfMemoryError:
            self.rest()
            raise

    def close(self) -> None:
        if self._net is not None:
            self._net.clear()
            self._net = None
            self.rest()

    def __del__(self) -> None:
        self.close()

    def rest(self) -> None:
        """Give back the memory that is kept from tile to tile; the next tile takes it again."""
        if self._pools:
            self._pools.clear()

    def _run(self, planes: Planes) -> Tile:
        scale = self.model.scale
        height, width = planes.shape[1:]
        answer = np.empty((3, height * scale, width * scale), np.float32)  # planar as ncnn's: a plain copy, four times as fast
        if self.notes.split_blob is None:
            answer[:] = self._extract(INPUT, planes, OUTPUT, answer.shape[1:])
            return answer.transpose(1, 2, 0)
        # The upsampling tail needs many times the memory of what is before it, and reaches next to nowhere: it goes piecemeal.
        blob = self._extract(INPUT, planes, self.notes.split_blob, (height, width))
        for piece in pieces(height, width, self.notes.split_area, self.notes.split_halo):
            part = np.ascontiguousarray(blob[:, piece.read[0], piece.read[1]])
            size = (part.shape[1] * scale, part.shape[2] * scale)
            done = self._extract(self.notes.split_blob, part, OUTPUT, size)
            rows, columns = (slice(s.start * scale, s.stop * scale) for s in piece.keep)
            down, across = (slice(s.start * scale, s.stop * scale) for s in piece.write)
            answer[:, down, across] = done[:, rows, columns]
        return answer.transpose(1, 2, 0)

    def _extract(self, source: str, planes: Planes, target: str, size: tuple[int, int]) -> Planes:
        """Feed ``planes`` to the blob ``source`` and read the blob ``target``, which must be ``size`` = (height, width).

        The answer lives in the net's own pool: copy it before the next tile.
        """
        ncnn = library()
        extractor = self._net.create_extractor()
        borrowed = ncnn.Mat(planes)  # borrows the array's memory: `planes` stays referenced until extract() is back
        if self._conditions:
            # ncnn's Crop takes channels to begin at multiples of 16 bytes, which those of an array of odd sides do not.
            borrowed = borrowed.clone()
        _check(extractor.input(source, borrowed), self.model)
        status, mat = extractor.extract(target)
        _check(status, self.model)
        answer: Planes = np.array(mat, copy=False)  # a view that keeps the Mat alive
        if answer.shape[1:] != size:
            raise EngineError(f"the net answers {answer.shape[1:]} where {size} was due", subject=self.model.id)
        return answer


class Pools:
    """Where a net on the CPU takes its memory from.

    ncnn's own pools start empty, and a dense block, whose layers ask for more and more, leaves them every size that it went
    through. Here the largest blocks are reserved first and smaller wishes are served from them, which halves the peak at the
    same speed. Reserved memory costs nothing before it is touched. The sizes are hints: a net that needs others gets them.

    For nets in 8-bit integers nothing is reserved: integers and floats take turns there, and a small wish that is served from a large block
    makes the next large one need another.
    """

    def __init__(self, widest: int, *, integers: bool = False) -> None:
        ncnn = library()
        self.widest, self.integers = widest, integers
        self.blobs, self.workspace = ncnn.PoolAllocator(), ncnn.PoolAllocator()
        # So that small blobs, which live long, leave the large block alone.
        self.blobs.set_size_compare_ratio(ALIKE if integers else 0.45)
        self.workspace.set_size_compare_ratio(ALIKE if integers else 0.0)
        self._area = self._workspace = self._blob = 0

    def prepare(self, height: int, width: int) -> None:
        """Reserve for a tile of ``height`` x ``width``. What is there from the last tile stays, unless that was twice as large.

        In integers nothing is reserved, and what is there stays where at least :data:`ALIKE` of it is needed.
        """
        area = height * width
        if self.integers:
            if not ALIKE * self._area <= area <= self._area:
                self.clear()
                self._area = area
            return
        if not area <= self._area <= 2 * area:
            self.clear()
            self._area = area
            # Winograd F(4, 3) turns 4 x 4 outputs into 36 numbers per channel: the largest workspace. Half as much again for
            # how many threads share it out. Three are in use at once: the padded input, its transform, the transform's tiles.
            self._workspace = ((height + 5) // 4) * ((width + 5) // 4) * 36 * self.widest * 4 * 3 // 2
            self._blob = (height + 2) * (width + 2) * self.widest * 4 + 65536
        # Before every tile: a pool that is asked for small blocks only, as by a tail in pieces, lets go of its largest.
        _reserve(self.workspace, 3, self._workspace)
        _reserve(self.blobs, 1, self._blob)

    def clear(self) -> None:
        self.blobs.clear()
        self.workspace.clear()
        self._area = 0


@dataclass(frozen=True, slots=True)
class Piece:
    """A rectangle of a tile, as row and column slices: what to ``read``, what of that to ``keep``, where to ``write`` it."""

    read: tuple[slice, slice]
    keep: tuple[slice, slice]
    write: tuple[slice, slice]


def pieces(height: int, width: int, area: int, halo: int) -> Iterator[Piece]:
    """Cut ``height`` x ``width`` into near squares of at most ``area`` pixels and even sides, each read with ``halo`` around it."""
    side = max(2, int(area**0.5) // 2 * 2)
    columns = min(width, side)
    rows = max(2, area // columns // 2 * 2)
    for y in range(0, height, rows):
        for x in range(0, width, side):
            bottom, right = min(height, y + rows), min(width, x + side)
            top, left = max(0, y - halo), max(0, x - halo)
            yield Piece(
                read=(slice(top, min(height, bottom + halo)), slice(left, min(width, right + halo))),
                keep=(slice(y - top, bottom - top), slice(x - left, right - left)),
                write=(slice(y, bottom), slice(x, right)),
            )


@dataclass(frozen=True, slots=True)
class Gpu:
    """A Vulkan device. ``rank`` is 0 for a card of its own, 1 for one inside the processor, 2 for a virtual one."""

    index: int
    name: str
    rank: int

    @property
    def software(self) -> bool:
        return self.rank == SOFTWARE

    def device(self, threads: int) -> Device:
        return Device("gpu", index=self.index, threads=threads, name=self.name)


@cache
def find_gpus() -> tuple[Gpu, ...]:
    """All Vulkan devices, in Vulkan's order. Loads the Vulkan driver, once per process."""
    ncnn = library()
    with _quiet():
        count: int = ncnn.get_gpu_count()
    # Drivers must be let go before the interpreter unloads them, and nets before drivers.
    atexit.register(_leave_vulkan)
    return tuple(Gpu(index, str(ncnn.get_gpu_info(index).device_name()), int(ncnn.get_gpu_info(index).type())) for index in range(count))


@contextmanager
def _quiet() -> Iterator[None]:
    """Send what native code writes to standard error nowhere: ncnn lists every Vulkan device there, and every missing one."""
    try:
        kept = os.dup(2)
    except OSError:  # closed already
        yield
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(nowhere)
        os.close(kept)


_open_nets: WeakSet[Net] = WeakSet()


def _leave_vulkan() -> None:
    ncnn = library()
    for net in list(_open_nets):
        net.close()
    ncnn.destroy_gpu_instance()


def _check(status: int, model: ModelSpec) -> None:
    if status == OUT_OF_MEMORY:
        raise OutOfMemoryError("ncnn ran out of memory", hint="use smaller tiles: --memory or --tile", subject=model.id)
    if status != 0:
        raise EngineError(f"ncnn failed with status {status}", subject=model.id)


def _reserve(pool: Any, count: int, size: int) -> None:
    """Make ``pool`` hold ``count`` free blocks of ``size`` bytes."""
    blocks = [pool.fastMalloc(size) for _ in range(count)]
    for block in blocks:
        if block is not None:
            pool.fastFree(block)
    if None in blocks:
        raise OutOfMemoryError("no memory for a tile's workspace", hint="use smaller tiles: --memory or --tile")


engine = Ncnn()
