"""Plan: what will run, with every size computed, before any pixel is touched. No pixels are read or written here."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from enlarger import processor
from enlarger.engines import find, names
from enlarger.engines.engine import Device, Engine, ModelSpec, native_dials
from enlarger.errors import EngineMissingError, OutOfMemoryError, UsageError
from enlarger.formats import AUTO, FORMATS, Format, format_named, format_of_suffix
from enlarger.image import Header
from enlarger.layout import lay_out
from enlarger.options import Options
from enlarger.report import Alternative, Geometry, OutputInfo, Plan, SourceInfo, Stage
from enlarger.sizes import mark, rgb, sized
from enlarger.steps import budget, passes, tiles
from enlarger.steps.ensemble import PASSES
from enlarger.steps.estimate import estimate
from enlarger.steps.share import dials_of, repairs_of, with_native

OTHERS = ("enlarger-restore-x4",)
"""Nets of ours that a plan made by ``auto`` names besides the one it takes."""

CPU_FACTOR = (("avx512f", 1.0), ("avx2", 1.7), ("asimd", 2.0), ("neon", 2.0))
"""How much longer a net takes than the catalogue says on CPUs that have no more than this instruction set."""

GPU_FACTOR = 0.02
"""Seconds on a middling GPU for a second on one CPU core; a guess until the first tile is done."""


def make_plan(header: Header, options: Options, output: Path | None) -> Plan:
    """The plan for a source with this ``header``.

    ``output`` is the file to be written, ``None`` for a result in memory. Raises :class:`EngineMissingError` or
    :class:`UsageError` for engines and models that are not there, :class:`OutOfMemoryError` when no tile fits
    ``options.memory`` and :class:`FormatLimitError` for what the format cannot hold.
    """
    geometry = lay_out(header.width, header.height, options)
    chosen = choose_format(header, options, output)
    if options.max_size is not None and "max_size" in options.model_fields_set and chosen is not AUTO:
        budget.check(chosen)
    cut = options.remove_background and options.backdrop is None
    channels = 3 if options.backdrop is not None else header.channels
    geometry, alpha = _background(geometry, replace(header, alpha=header.alpha or cut), chosen)
    width, height = geometry.size
    chosen.check_fits(width, height, alpha=alpha, quality=options.quality)
    part = replace(
        header, width=geometry.crop[2], height=geometry.crop[3], alpha=(header.alpha and options.backdrop is None) or cut, channels=channels
    )
    choice = _choose(part, options, geometry)
    if options.self_ensemble and options.style is None and choice.engine.spec.scope == "picture":
        raise UsageError(f"not supported by {choice.engine.spec.name}", hint="a kernel does not err by turns", subject="--self-ensemble")
    stages = with_native(_stages(part, options, choice, geometry), options)
    dials = dials_of(options, stages)
    bits = chosen.depth(header.bits)
    info = OutputInfo(
        path=str(output) if output else None,
        format=chosen.name,
        quality=chosen.default_quality if options.quality is None or chosen.default_quality is None else options.quality,
        width=width,
        height=height,
        channels=channels,
        alpha=alpha,
        bits=bits,
    )
    return Plan(
        source=source_info(header),
        output=info,
        geometry=geometry,
        scale=options.scale if not sized(options) else geometry.scale,
        prepare=repairs_of(stages, options),
        stages=stages,
        estimate=estimate(part, stages, info, choice.models, dials, options.memory),
        alternatives=choice.alternatives,
        options=_asked(options, chosen, output),
        recipe=options.recipe,
    )


def _asked(options: Options, chosen: Format, output: Path | None) -> dict[str, Any]:
    """The options as the plan tells them: of a recipe, not what the output's name made void."""
    asked = options.resolved()
    if options.recipe is not None and output is not None and format_of_suffix(output.suffix) is not None:
        asked.pop("format", None)
    if options.recipe is not None and chosen is not AUTO and chosen.name not in budget.HIGHEST:
        asked.pop("max_size", None)
    if options.recipe is not None and chosen.default_quality is None:
        asked.pop("quality", None)
    return asked


def _background(geometry: Geometry, header: Header, chosen: Format) -> tuple[Geometry, bool]:
    """``geometry`` with the colour around and behind the picture settled, and whether the result has alpha. Raises :class:`UsageError`."""
    alpha = header.alpha and chosen.alpha
    if not any(geometry.padding) and (geometry.background in (None, "transparent") or not header.alpha):
        return geometry.model_copy(update={"background": None}), alpha
    wanted = geometry.background or ("transparent" if alpha else "#ffffff")
    if wanted == "transparent" and not chosen.alpha:
        able = " or ".join(f.name for f in FORMATS.values() if f.alpha)
        raise UsageError(f"{chosen.name} holds no transparency", hint=f"choose --format {able}, or a colour", subject="--background")
    colour = rgb(wanted)
    if colour is not None and header.channels == 1 and len(set(colour)) > 1:
        raise UsageError(f"the picture is grey, and {wanted} is not", hint="choose white, black or a grey", subject="--background")
    return geometry.model_copy(update={"background": wanted}), wanted == "transparent"


def source_info(header: Header, sha256: str = "") -> SourceInfo:
    return SourceInfo(
        name=header.name,
        format=header.format,
        width=header.width,
        height=header.height,
        channels=header.channels,
        alpha=header.alpha,
        bits=header.bits,
        frames=header.frames,
        bytes=header.size,
        sha256=sha256,
    )


# --- output -----------------------------------------------------------------------------------------------------------


def choose_format(header: Header, options: Options, output: Path | None) -> Format:
    """The output's format: as asked, else by the output's suffix, else the source's, else PNG."""
    by_suffix = format_of_suffix(output.suffix) if output is not None else None
    if by_suffix is AUTO and options.format != AUTO.name:
        by_suffix = None
    if options.format is not None and (by_suffix is None or _said(options, "format")):
        chosen = format_named(options.format)
        if by_suffix is not None and by_suffix is not chosen:
            raise UsageError(f"{chosen.name} contradicts the output's name {output}", hint="drop one of them", subject="--format")
    elif output is not None and by_suffix is None:
        raise UsageError(
            f"cannot write files of this kind ({output.suffix or 'no suffix'})",
            hint=f"end the name in {', '.join(f.suffixes[0] for f in FORMATS.values())} or say --format",
            subject=str(output),
        )
    else:
        chosen = by_suffix or FORMATS.get(header.format, FORMATS["png"])
    if options.quality is not None and chosen.default_quality is None and _said(options, "quality"):
        raise UsageError(f"{chosen.name} is lossless and has no quality", hint="drop it or choose jpeg, webp or avif", subject="--quality")
    return chosen


def left_open(options: Options, output: Path) -> bool:
    """Whether the ending of ``output`` is not known before the picture is made; a recipe gives way to an ending that is there."""
    known = format_of_suffix(output.suffix) not in (None, AUTO)
    return options.format == AUTO.name and (_said(options, "format") or not known)


def _said(options: Options, name: str) -> bool:
    """Whether the caller asked for it; a recipe may mean another format than the output's name."""
    return options.recipe is None or name in options.model_fields_set


def default_output(source: Path, header: Header, options: Options, folder: Path | None) -> Path:
    """``NAME-4x.EXT`` in ``folder`` or beside the source; EXT is the source's own where it fits the output's format."""
    chosen = choose_format(header, options, None)
    suffix = source.suffix if source.suffix.lower() in chosen.suffixes else chosen.suffixes[0]
    return (folder or source.parent) / f"{source.stem}-{mark(options)}{suffix}"


# --- engine and model -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Choice:
    engine: Engine
    models: tuple[ModelSpec, ...]
    """One model, or the family of which every stage takes the smallest that suffices."""
    device: Device
    alternatives: tuple[Alternative, ...] = ()


def _choose(header: Header, options: Options, geometry: Geometry) -> _Choice:
    """Engine, model and device as asked; ``auto`` takes the family of the catalogue's first."""
    engine = find(_engine_of_model(options.model) if options.engine == "auto" else options.engine)
    device = engine.device(options.device, options.threads)
    models = engine.models()
    if options.model != "auto":
        named = [m for m in models if m.id == options.model]
        if not named:
            raise EngineMissingError(
                f"the engine {engine.spec.name} has no such model", hint=f"it has {', '.join(m.id for m in models)}", subject=options.model
            )
        return _Choice(engine, (named[0],), device)
    # The engine's first model, or its first that repairs if that is wanted, and the siblings of that at other scales.
    repairs = {name for name in ("denoise", "deblock") if getattr(options, name)}
    first = next((m for m in models if repairs and repairs <= set(native_dials(engine.spec, m))), models[0])
    siblings = tuple(m for m in models if m.family and m.family == first.family)
    others = [m for m in models if m.id in OTHERS and options.stages != "0"]
    return _Choice(
        engine,
        siblings or (first,),
        device,
        tuple(
            Alternative(
                engine=engine.spec.name,
                model=m.id,
                seconds=_work_seconds(_Choice(engine, (m,), device), header, options, geometry),
                reason=m.purpose,
            )
            for m in others
            if m.family != first.family
        ),
    )


def _engine_of_model(model: str) -> str:
    """The engine that has ``model``; without a wish, the neural one that is always installed."""
    if model == "auto":
        return "ncnn"
    known = [(name, [m.id for m in find(name).models()]) for name in names()]
    for name, ids in known:
        if model in ids:
            return name
    raise EngineMissingError("there is no such model", hint=f"choose one of {', '.join(i for _, ids in known for i in ids)}", subject=model)


def _work_seconds(choice: _Choice, header: Header, options: Options, geometry: Geometry) -> float:
    return sum(s.seconds for s in _stages(header, options, choice, geometry))


# --- stages -----------------------------------------------------------------------------------------------------------


def _stages(header: Header, options: Options, choice: _Choice, geometry: Geometry) -> list[Stage]:
    """Passes from the part of the source to the picture; none where that is smaller."""
    if geometry.reduces or options.stages == "0":
        if not geometry.reduces and (geometry.width, geometry.height) != (header.width, header.height):
            raise UsageError(
                "without stages nothing is enlarged", hint="ask for a smaller size, or for enlarger enlarge", subject="--stages 0"
            )
        return []
    size, out = (header.width, header.height), (geometry.width, geometry.height)
    stages: list[Stage] = []
    kernel = choice.engine.spec.scope == "picture"
    scales = None if kernel else sorted(model.scale for model in choice.models)
    for step in passes.steps(size, out, scales, options.stages):
        if kernel:
            stages.append(_picture_stage(choice, size, step.size))
        else:
            model = next(m for m in choice.models if m.scale == step.scale)
            stages.append(_net_stage(choice, model, header, options, size, step.size))
        size = step.size
    return stages


def _net_stage(choice: _Choice, model: ModelSpec, header: Header, options: Options, size: tuple[int, int], out: tuple[int, int]) -> Stage:
    largest = (options.memory - model.memory_fixed) // max(1, model.memory_per_pixel)
    try:
        grid = tiles.plan_grid(
            *size, halo=model.halo, feather=model.feather, max_read=max(1, largest), min_side=model.min_side, side=options.tile
        )
    except ValueError as error:
        least = model.memory_fixed + (2 * model.halo + max(64, options.tile or 0)) ** 2 * model.memory_per_pixel
        raise OutOfMemoryError(
            f"{model.id} needs about {least / 1e9:.1f} GB for a tile with its halo, --memory allows {options.memory / 1e9:.1f} GB",
            hint="raise --memory, choose a smaller --tile or a lighter model",
        ) from error
    tile_width, tile_height = grid.largest
    passes = (2 if header.alpha else 1) * (len(PASSES) if options.self_ensemble else 1)
    return Stage(
        engine=choice.engine.spec.name,
        model=model.id,
        device=str(choice.device),
        threads=choice.device.threads,
        scale=model.scale,
        width=size[0],
        height=size[1],
        out_width=out[0],
        out_height=out[1],
        tile_width=tile_width,
        tile_height=tile_height,
        columns=grid.columns,
        rows=grid.rows,
        halo=grid.halo,
        feather=grid.feather,
        weights_sha256=tuple(f.sha256 for f in model.files),
        seconds=size[0] * size[1] * grid.work * passes * model.cost * speed_factor(choice.device),
    )


def _picture_stage(choice: _Choice, size: tuple[int, int], out: tuple[int, int]) -> Stage:
    model = choice.models[0]
    return Stage(
        engine=choice.engine.spec.name,
        model=model.id,
        device=str(choice.device),
        threads=choice.device.threads,
        scale=0,
        width=size[0],
        height=size[1],
        out_width=out[0],
        out_height=out[1],
        tile_width=size[0],
        tile_height=size[1],
        columns=1,
        rows=len(tiles.strips(*out)),
        halo=model.halo,
        feather=0,
        seconds=out[0] * out[1] * model.cost,
    )


def speed_factor(device: Device) -> float:
    """Seconds that the work of one reference core-second takes on ``device``; from what the CPU says of itself, not from a clock.

    A measured speed would differ from run to run, and with it the choice of ``auto``: the same source and options must
    give the same bytes.
    """
    if device.kind == "gpu":
        return GPU_FACTOR
    flags = processor.flags()
    slowness = next((factor for flag, factor in CPU_FACTOR if flag in flags), 4.0)
    return float(slowness / min(device.threads, os.cpu_count() or 1) ** 0.9)
