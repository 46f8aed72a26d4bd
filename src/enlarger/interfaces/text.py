"""What people read: reports, plans, times and sizes in a few words."""

from __future__ import annotations

import enlarger


def summary(report: enlarger.Report) -> str:
    """One line: size in -> out, engine, model, device, time, file, verdict."""
    source, output = report.source, report.output
    line = (
        f"{source.width}x{source.height} -> {output.width}x{output.height}  {who(report.plan)}  "
        f"{duration(report.timings['total'])}  {output.path} ({megabytes(output.bytes or 0)})"
    )
    if report.fidelity is not None:
        line += f"  verified: {report.fidelity.verdict}"
    return line


def doubts(fidelity: enlarger.Fidelity | None) -> list[str]:
    """A line for each measure that did not pass."""
    found = fidelity.measures.items() if fidelity is not None else ()
    return [f"{name} {m.verdict}: {m.reason}" + (f" ({m.next_step})" if m.next_step else "") for name, m in found if m.verdict != "pass"]


def who(plan: enlarger.Plan) -> str:
    """Engine, models and device of a plan, such as ``ncnn realesrgan-x4plus (cpu)``."""
    if not plan.stages:
        return "reduced, not enlarged" if plan.geometry.reduces else "finished, not enlarged"
    first = plan.stages[0]
    models = dict.fromkeys(stage.model for stage in plan.stages)
    passes = f", {len(plan.stages)} stages" if len(plan.stages) > 1 else ""
    return f"{first.engine} {' + '.join(models)} ({first.device}{passes})"


def describe(plan: enlarger.Plan) -> str:
    """A plan as a few lines for people."""
    source, output, guess = plan.source, plan.output, plan.estimate
    lines = [
        f"source  {source.name}: {source.width}x{source.height} {source.format}, {source.bits} bit, {kind(source.channels, source.alpha)}",
        f"output  {name_of(plan)}: {output.width}x{output.height} {output.format}, {output.bits} bit, "
        + kind(output.channels, output.alpha)
        + (f", quality {output.quality}" if output.quality else ""),
    ]
    lines += _shape(plan)
    if plan.prepare:
        lines.append("repairs " + ", ".join(f"{name} {how}".strip() for name, how in plan.prepare.items()))
    for number, stage in enumerate(plan.stages, 1):
        tiles = f"{stage.tiles} tiles of about {stage.tile_width}x{stage.tile_height}, halo {stage.halo}, feather {stage.feather}"
        size = f"{stage.width}x{stage.height} -> {stage.out_width}x{stage.out_height}"
        lines.append(f"stage {number} {size} by {stage.engine} {stage.model} on {stage.device}" + (f", {tiles}" if stage.scale else ""))
    lines.append(
        f"expects about {duration(guess.seconds)}, {megabytes(guess.memory)} of memory, "
        f"{megabytes(guess.disk_temporary)} of temporary disk, a file of about {megabytes(guess.disk_output)}"
    )
    lines += [f"or      --model {other.model}: about {duration(other.seconds)}" for other in plan.alternatives]
    return "\n".join(lines)


def name_of(plan: enlarger.Plan) -> str:
    """Where a result goes; an ending that is not chosen yet is a star."""
    output = plan.output
    path = output.path or "in memory"
    return path.removesuffix(".auto") + ".*" if output.format == "auto" and output.path else path


def _shape(plan: enlarger.Plan) -> list[str]:
    """What is cut off, added and written down, where anything is."""
    shape, source = plan.geometry, plan.source
    x, y, width, height = shape.crop
    lines = []
    if (width, height) != (source.width, source.height):
        where = "around the subject" if shape.crop_on == "subject" else f"from {x},{y}"
        lines.append(f"crop    {width}x{height} of the source {where}")
    if any(shape.padding):
        left, top, right, bottom = shape.padding
        lines.append(
            f"padding left {left}, top {top}, right {right}, bottom {bottom}, {shape.background}; the picture {shape.width}x{shape.height}"
        )
    if shape.dpi is not None:
        wide, high = (side / shape.dpi * 2.54 for side in shape.size)
        lines.append(f"print   {wide:.1f} x {high:.1f} cm at {shape.dpi:g} dpi")
    if shape.reduces:
        lines.append("note    the source has more pixels than asked for: it is made smaller, nothing is enlarged")
    return lines


def tile_text(event: enlarger.Progress) -> str:
    """What stands behind a picture's bar: tiles, speed, time left."""
    text = {"decode": "reading", "lock": "locking", "verify": "verifying", "encode": "writing"}.get(
        event.step, f"tile {event.tiles_done}/{event.tiles}"
    )
    if event.seconds_left is not None:
        text += f"  {event.megapixels_per_second:.2f} MP/s  {duration(event.seconds_left)} left"
    return text


def kind(channels: int, alpha: bool) -> str:
    return ("grey" if channels == 1 else "RGB") + (" with alpha" if alpha else "")


def duration(seconds: float) -> str:
    """Seconds as people say them: ``0.84 s``, ``12 s``, ``3 min``, ``2.5 h``."""
    if seconds < 10:
        return f"{seconds:.2g} s" if seconds >= 1 else f"{seconds:.2f} s"
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def megabytes(size: int) -> str:
    """Bytes as people say them (kB = 1000 bytes)."""
    for unit, one in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if size >= one:
            return f"{size / one:.3g} {unit}"
    return f"{size} bytes"


def columns(rows: list[tuple[str, ...]]) -> str:
    """Rows of equal length as a plain table; the last column is left ragged."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]) - 1)]
    return "\n".join("  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[-1]]) for row in rows)
