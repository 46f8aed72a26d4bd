"""Result: an enlarged picture before, or without, becoming a file."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from enlarger.errors import OutputError
from enlarger.fidelity import Fidelity
from enlarger.files.publish import Announce, check_output, part_name, publish
from enlarger.formats import AUTO, FORMATS, format_of_suffix, open_name, possible_names
from enlarger.image import Image, Samples, Sight
from enlarger.options import Options
from enlarger.proof import Proof
from enlarger.report import Choice, Geometry, Plan, Report, Warning_
from enlarger.steps import encode, plan
from enlarger.steps.encode import Written
from enlarger.steps.fit import fitted
from enlarger.steps.reopened import Target


def path_of_report(output: Path, kind: str) -> Path:
    """Where the report of ``output`` goes; ``kind`` is ``"html"`` or ``"json"``."""
    return output.with_name(f"{output.name}.report.{kind}")


def _sizes(choice: Choice) -> str:
    """What the candidates came to, from the smallest."""
    rows = sorted((c for c in choice.candidates if c.bytes is not None), key=lambda c: c.bytes or 0)
    names = (f"{c.format} lossless" if c.format == "webp" and c.lossless else c.format for c in rows)
    words = (f"{name} {(c.bytes or 0) / 1000:.4g} kB" + (f" ({c.said})" if c.said else "") for name, c in zip(names, rows, strict=True))
    return ", ".join(words)


def on_the_whole(fidelity: Fidelity | None, geometry: Geometry) -> Fidelity | None:
    """``fidelity`` of the picture, its boxes in pixels of the file, padding included."""
    if fidelity is None or not any(geometry.padding):
        return fidelity
    left, top = geometry.padding[:2]
    moved = (region.model_copy(update={"box": (region.box[0] + left, region.box[1] + top, *region.box[2:])}) for region in fidelity.regions)
    return fidelity.model_copy(update={"regions": tuple(moved)})


class Result:
    """An enlarged picture: look at ``image``, write it with :meth:`save`, read what was done in ``report``.

    Holds the pixels (in memory or in an unnamed file) until it is closed or dropped.
    """

    def __init__(
        self, samples: Samples, source: Image, kind: str, target: Target, report: Report, proof: Proof, sights: Sequence[Sight] = ()
    ) -> None:
        self._samples = samples
        self._source = source
        self._kind = kind
        self._target = target
        self._proof = proof
        self._sights = sights
        self.report = report

    @property
    def invention(self) -> NDArray[np.float32] | None:
        """The invention map: expected error of what was added, in 1/255, per source pixel or square of them; ``None`` unverified."""
        return self._proof.invention

    @property
    def plan(self) -> Plan:
        """The plan that was carried out."""
        return self.report.plan

    @property
    def image(self) -> Any:
        """The result in the kind that the source was: bytes of a file, a PIL image, a numpy array; for a path an :class:`Image`.

        Made anew on every call, and whole in memory: for large results use :meth:`save`.
        """
        if self._kind == "bytes":
            if self._target.format == AUTO.name:
                from enlarger.steps import smallest

                return smallest.to_bytes(self._samples, self._target, self._source, **self._rules())
            return encode.to_bytes(self._samples, self._target, self._source)[0]
        # What has no file format keeps the source's own depth.
        own = replace(self._target, bits=self._source.header.bits)
        if self._kind == "array":
            return encode.to_array(self._samples, own, self._source)
        if self._kind == "pil":
            return encode.to_pil(self._samples, own, self._source)
        samples = encode.reduced(self._samples, own, self._source)
        alpha = samples.shape[2] in (2, 4)
        header = replace(self._source.header, width=self._target.width, height=self._target.height, alpha=alpha)
        return replace(self._source, samples=samples, header=header, notices=(), sha256="")

    def save(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> Report:
        """Write the result to ``path``, check the written file, and only then give it its name.

        The format follows the suffix of ``path``; with ``format="auto"`` and without a suffix it is chosen, and the report says what
        the file is called. Returns the report brought up to date. Raises :class:`OutputError`.
        """
        self.publish(Path(path), overwrite=overwrite)
        return self.report

    def save_report(self, output: str | os.PathLike[str], *, overwrite: bool = False) -> tuple[Path, Path]:
        """Write the report of the result at ``output`` beside it: ``NAME.report.json``, and one HTML page ``NAME.report.html``.

        Both need nothing else to be read. Raises :class:`OutputError`.
        """
        html, data = (path_of_report(Path(output), kind) for kind in ("html", "json"))
        pixels = fitted(self._samples, *self._target.picture)
        for path, text in ((data, self.report.to_json() + "\n"), (html, self._page(pixels))):
            part = part_name(path)
            try:
                part.write_text(text, "utf-8")
                publish(part, path, overwrite=overwrite)
            except OSError as error:
                raise OutputError(f"the report could not be written ({error.strerror})", subject=str(path)) from error
            finally:
                part.unlink(missing_ok=True)
        return data, html

    def _page(self, pixels: Samples) -> str:
        from enlarger.page import draw

        return draw(self.report, self._source, pixels, self.invention, self._sights)

    def publish(self, output: Path, *, overwrite: bool, announce: Announce | None = None) -> None:
        """:meth:`save` for who keeps a record; ``announce`` as in :func:`enlarger.steps.encode.save`."""
        auto = self._target.format == AUTO.name and format_of_suffix(output.suffix) in (None, AUTO)
        if auto:
            output = open_name(output)
        options = Options.of(**self.plan.options)
        options = options.model_copy(update={"format": AUTO.name if auto else None})
        chosen = plan.choose_format(self._source.header, options, output)
        target = replace(self._target, format=chosen.name, bits=chosen.depth(self._source.header.bits))
        if chosen.default_quality is None:
            target = replace(target, quality=None)
        elif target.quality is None:
            target = replace(target, quality=chosen.default_quality)
        chosen.check_fits(target.width, target.height, alpha=self._source.alpha)
        for name in possible_names(output):
            check_output(name, overwrite=overwrite, source=Path(self._source.header.name))
        start, judged = time.perf_counter(), self._proof.seconds
        judge = self._proof if self._proof.wanted else None
        if auto:
            self._choose(output, target, judge, overwrite=overwrite, announce=announce)
            return
        written = encode.save(self._samples, target, self._source, output, overwrite=overwrite, announce=announce, judge=judge)
        self._written(output, target, written, time.perf_counter() - start, self._proof.seconds - judged)

    def _choose(self, output: Path, target: Target, judge: Proof | None, *, overwrite: bool, announce: Announce | None) -> None:
        """:meth:`publish` of the smallest file."""
        from enlarger.steps import smallest

        start, judged = time.perf_counter(), self._proof.seconds
        made = smallest.smallest(self._samples, target, self._source, output, **self._rules(), judge=judge)
        try:
            # Who is told of the file reads its name here.
            self.report = self.report.model_copy(
                update={"output": self.report.output.model_copy(update={"path": str(made.path)}), "choice": made.choice}
            )
            with encode.translated(str(made.path)):
                encode.put(made.part, made.path, made.written, overwrite=overwrite, announce=announce)
        finally:
            with contextlib.suppress(OSError):
                made.part.unlink(missing_ok=True)
        self._written(made.path, made.target, made.written, time.perf_counter() - start, self._proof.seconds - judged)

    def _rules(self) -> dict[str, Any]:
        """What a format is chosen by, beside the picture itself."""
        seen = self.report.triage or {}
        return {"kind": seen.get("kind", "unknown"), "memory": Options.of(**self.plan.options).memory}

    def _written(self, output: Path, target: Target, written: Written, seconds: float, judged: float) -> None:
        info = self.report.output.model_copy(
            update={
                "path": str(output),
                "format": target.format,
                "quality": written.quality,
                "bits": target.bits,
                "alpha": self.report.output.alpha and FORMATS[target.format].alpha and not target.opaque,
                "bytes": written.bytes,
                "sha256": written.sha256,
            }
        )
        had = self.report.timings
        timings = {**had, "encode": seconds - judged, "verify": had.get("verify", 0.0) + judged, "total": had["total"] + seconds}
        # A palette that the file has again was expanded on the way only.
        void = {"palette-expanded"} if any(n.code == "palette-kept" for n in written.notices) else set()
        notices = [w for w in self.report.warnings if w.code not in void]
        notices += [Warning_(code=n.code, message=n.message) for n in written.notices]
        if target.max_bytes is not None:
            message = f"quality {written.quality} is the highest that fits into {target.max_bytes / 1000:.0f} kB"
            notices.append(Warning_(code="quality-chosen", message=message))
        choice = self.report.choice
        if choice is not None:
            notices.append(Warning_(code="format-chosen", message=f"{choice.said}: {_sizes(choice)}"))
        self.report = self.report.model_copy(
            update={
                "output": info,
                "fidelity": on_the_whole(self._proof.fidelity, self.plan.geometry),
                "warnings": tuple(dict.fromkeys(notices)),
                "timings": timings,
            }
        )
