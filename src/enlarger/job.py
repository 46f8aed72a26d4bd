"""Job: one picture on its way, and what its caller wishes beside options."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

from enlarger.fidelity import Fidelity
from enlarger.image import Image, Notice, Samples, Sight
from enlarger.journal import Work
from enlarger.options import Dials, Options
from enlarger.progress import Cancel, OnProgress, Watch
from enlarger.report import Plan, Prepared, Protected
from enlarger.result import Result
from enlarger.steps.damage import Damage


@dataclass(frozen=True, slots=True)
class Call:
    """What a caller wishes beside the picture's :class:`Options`; it changes no byte of the result. See :meth:`Enlarger.enlarge`."""

    overwrite: bool = False
    progress: OnProgress | None = None
    cancel: Cancel | None = None
    temp: Path | None = None
    fresh: bool = False
    report: bool = False
    triage: bool = True

    def scratch(self, plan: Plan) -> Path | None:
        """Where what is too large for memory goes: where the caller says, else beside the result."""
        return self.temp or (Path(plan.output.path).parent if plan.output.path else None)


NO_WISHES = Call()


@dataclass(slots=True)
class Job:
    """One picture between :meth:`Enlarger.prepare` and :meth:`Enlarger.deliver`. Close it to keep unfinished work for a later call.

    ``picture`` is the part of the source that is enlarged, ``original`` what it was before repairs. Stages before ``first`` were run
    before, and ``begun`` is what they delivered, perhaps corrected by hand; ``command`` is what was said to go on. ``between`` is what
    verify found after each stage but the last.
    """

    kind: str
    planned: Plan
    options: Options
    picture: Image
    original: Image
    watch: Watch
    call: Call
    dials: Dials
    damage: Damage
    first: int = 0
    begun: Samples | None = None
    begun_sha256: str = ""
    command: str = ""
    prepared: list[Prepared] = field(default_factory=list)
    sights: list[Sight] = field(default_factory=list)
    protected: list[Protected] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)
    between: list[Fidelity] = field(default_factory=list)
    work: Work | None = None
    result: Result | None = None

    def close(self) -> None:
        if self.work is not None:
            self.work.close()

    def __enter__(self) -> Job:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()
