"""Proof: verify, run on what is delivered while it is being checked or encoded, and what follows from its verdict."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from enlarger import heap
from enlarger.canvas import Canvas
from enlarger.errors import DoubtError
from enlarger.fidelity import Fidelity
from enlarger.image import Image, Samples, Tile
from enlarger.measures.finding import Finding
from enlarger.measures.grid import Grid as MeasureGrid
from enlarger.measures.instability import disagreements, judge
from enlarger.options import Options
from enlarger.report import Plan
from enlarger.steps.tiles import Grid, edge
from enlarger.steps.verify import Verifier

PER_SIGMA = 4.0
"""Strength of denoising per 1/255 of the noise's standard deviation."""

STRIP = 2**21
"""Samples that are handed over at a time."""


class Proof:
    """Judges one result, strip by strip; may be begun again for another version of it.

    ``seconds`` is the time spent in it, ``fidelity`` and ``invention`` (see :meth:`Verifier.invention_map`) are there once it is finished.
    """

    def __init__(self, source: Image, planned: Plan, options: Options) -> None:
        self.seconds = 0.0
        self.fidelity: Fidelity | None = None
        self.invention: NDArray[np.float32] | None = None
        self._source, self._planned, self._options = source, planned, options
        self._verifier: Verifier | None = None
        self._instability: Finding | str | None = None

    def shake(self, net: Callable[[Tile], Tile] | None, tick: Callable[[], None]) -> None:
        """In full mode: what ``net``, the first stage's, makes of the source mirrored, turned and shifted; ``None`` for a kernel.

        ``tick`` is called before each tile and may raise to cancel.
        """
        if self._options.verify != "full":
            return
        if net is None:
            self._instability = "a kernel does not change its mind"
            return
        start = time.perf_counter()
        stage, source = self._planned.stages[0], self._source
        grid = Grid(stage.width, stage.height, stage.columns, stage.rows, stage.halo, stage.feather)
        found = Canvas(source.width, source.height, 1, np.float32)
        for tile in grid:
            tick()
            seen = np.broadcast_to(source.tile(tile.read)[..., : source.channels], (tile.read.height, tile.read.width, 3))
            spread = disagreements(net, np.ascontiguousarray(seen))
            x, y = tile.owned.x - tile.read.x, tile.owned.y - tile.read.y
            found.write(tile.owned, spread[y : y + tile.owned.height, x : x + tile.owned.width, None])
        measured = MeasureGrid(source.width, source.height, self._planned.output.width, self._planned.output.height)
        self._instability = judge(np.asarray(found.samples()[..., 0]), measured)
        self.seconds += time.perf_counter() - start

    @property
    def wanted(self) -> bool:
        return self._options.verify != "off"

    def begin(self) -> None:
        heap.trim()
        out = self._planned.output
        mode: Literal["quick", "full"] = "full" if self._options.verify == "full" else "quick"
        asked = self._planned.stages[0].native.get("denoise", 0) if self._planned.stages else 0
        taken = 0.0 if asked == "auto" else float(asked) / PER_SIGMA
        self._verifier = Verifier(self._source, out.width, out.height, mode=mode, tile_lines=tile_lines(self._planned), taken=taken)

    def add(self, y: int, rows: Samples) -> None:
        """The next rows of the result, ``(n, width, bands) uint8`` or ``uint16``; bands that the source lacks are left out."""
        assert self._verifier is not None
        start = time.perf_counter()
        self._verifier.add(y, _like(rows, self._source))
        self.seconds += time.perf_counter() - start

    def finish(self, subject: str = "") -> Fidelity:
        """The verdict. Raises :class:`DoubtError` when doubt is to stop the job and there is some."""
        assert self._verifier is not None
        start = time.perf_counter()
        self.fidelity = self._verifier.finish({"instability": self._instability} if self._instability is not None else None)
        self.invention = self._verifier.invention_map()
        self._verifier = None
        self.seconds += time.perf_counter() - start
        if self._options.on_doubt == "stop" and self.fidelity.verdict != "pass":
            raise doubt(self.fidelity, subject)
        return self.fidelity

    def of(self, samples: Samples, subject: str = "") -> Fidelity:
        """The verdict on samples of the delivered size."""
        self.begin()
        step = max(1, STRIP // (samples.shape[1] * samples.shape[2]))
        for y in range(0, samples.shape[0], step):
            self.add(y, samples[y : y + step])
        return self.finish(subject)


def doubt(fidelity: Fidelity, subject: str) -> DoubtError:
    """What is said when doubt stops a job: the gravest measure, and what to do."""
    name, worst = next((n, m) for n, m in fidelity.measures.items() if m.verdict == fidelity.verdict)
    hint = worst.next_step or "look at it with --on-doubt warn"
    return DoubtError(f"{fidelity.verdict}: {name}: {worst.reason}", hint=hint, subject=subject)


def _like(rows: Samples, source: Image) -> Samples:
    """``rows`` with the bands of ``source`` only: formats without grey hold it three times, and may leave out opaque alpha."""
    bands = rows.shape[2]
    colour = list(range(source.channels))
    return rows[..., [*colour, bands - 1]] if source.alpha and bands in (2, 4) else rows[..., colour] if bands > len(colour) else rows


def tile_lines(planned: Plan) -> tuple[list[int], list[int]]:
    """Where, in pixels of the result, tiles of any stage meet: x and y."""
    across: set[int] = set()
    down: set[int] = set()
    for stage in planned.stages:
        if stage.scale:
            across |= {round(edge(stage.width, stage.columns, k) * planned.output.width / stage.width) for k in range(1, stage.columns)}
            down |= {round(edge(stage.height, stage.rows, k) * planned.output.height / stage.height) for k in range(1, stage.rows)}
    return sorted(across), sorted(down)
