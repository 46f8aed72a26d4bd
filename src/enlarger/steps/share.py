"""Share: who carries out what is asked: the models that can, by themselves; else repairs before them, and dials after."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from enlarger.engines import find
from enlarger.engines.engine import ModelSpec, native_dials
from enlarger.errors import UsageError
from enlarger.onnx_model import told_net
from enlarger.options import Dials, Options
from enlarger.report import Plan, Stage

NATIVE_REPAIRS: tuple[Literal["denoise", "deblock"], ...] = ("denoise", "deblock")
"""Repairs that some nets do themselves; what the chosen one does not, is done to the source before."""


def with_native(stages: Sequence[Stage], options: Options) -> tuple[Stage, ...]:
    """``stages`` with what their models carry out themselves of what is asked. Raises :class:`UsageError` for what nobody here can.

    Repairs are the first stage's: what comes after it is clean. Detail is its own only if the last stage can do it.
    """
    if not stages:
        return ()
    can = [native_dials(find(s.engine).spec, _model_of(s)) for s in stages]
    changed = {"resemblance": options.resemblance > 50, "detail": options.detail != 50, "texture": options.texture > 50}
    if _model_of(stages[-1]).exact and any(changed.values()):
        name = next(n for n, asked in changed.items() if asked)
        raise UsageError(f"not supported by {stages[-1].model}", hint="its pixels are exact; drop it", subject=f"--{name}")
    everywhere: dict[str, int | Literal["auto"]] = {}
    if options.creativity is not None:
        if "creativity" not in can[0]:
            raise UsageError(f"not supported by {stages[0].model}", hint="only generative engines invent; drop it", subject="--creativity")
        everywhere["creativity"] = options.creativity
    # Whoever takes a net for restoring and says nothing wants what the source needs; who asks for one repair wants no other.
    silent: int | Literal["auto"] = 0 if any(getattr(options, name) is not None for name in NATIVE_REPAIRS) else "auto"
    repairs = {name: silent if (value := getattr(options, name)) is None else value for name in NATIVE_REPAIRS if name in can[0]}
    if options.detail > 50 and "detail" in can[-1]:
        everywhere["detail"] = options.detail
    rows = (
        (s, {n: v for n, v in everywhere.items() if n in able} | (repairs if i == 0 else {}))
        for i, (s, able) in enumerate(zip(stages, can, strict=True))
    )
    return tuple(stage.model_copy(update={"native": native, "weights_sha256": _weights(stage, native)}) for stage, native in rows)


def _weights(stage: Stage, native: Mapping[str, object]) -> tuple[str, ...]:
    """Of all files that the stage is computed from: of two models where its own goes a part of the way to another."""
    model = _model_of(stage)
    if "detail" not in native or not model.toward:
        return stage.weights_sha256
    other = next(m for m in find(stage.engine).models() if m.id == model.toward)
    return (*stage.weights_sha256, *(file.sha256 for file in other.files))


def repairs_of(stages: Sequence[Stage], options: Options) -> dict[str, str]:
    """What is done to the source before: all that was asked for and that the first stage's model does not do itself."""
    native = stages[0].native if stages else {}
    found: dict[str, str] = {}
    for name in ("remove_object", "deblock", "denoise", "deblur", "remove_background"):
        value = getattr(options, name)
        if value not in (None, False, 0) and name not in native:
            found[name.replace("_", "-")] = "" if value is True else str(value)
    nets = {"remove-object": options.fill, "remove-background": options.matte}
    for repair in found.keys() & nets:
        found[repair] = ", ".join(filter(None, (found[repair], told_net(nets[repair]))))
    return found


def with_strengths(planned: Plan, found: Mapping[str, int]) -> Plan:
    """``planned`` with the repairs that nets do and that were left to be found: as strong as was ``found`` to be needed."""
    stages = (s.model_copy(update={"native": {n: found[n] if v == "auto" else v for n, v in s.native.items()}}) for s in planned.stages)
    return planned.model_copy(update={"stages": tuple(stages)})


def _model_of(stage: Stage) -> ModelSpec:
    return next(m for m in find(stage.engine).models() if m.id == stage.model)


def dials_of(options: Options, stages: Sequence[Stage]) -> Dials:
    """The dials that are left to be carried out on the answers of ``stages``."""
    if stages and _model_of(stages[-1]).exact:
        return Dials(resemblance=0)
    detail = 50 if stages and "detail" in stages[-1].native else options.detail
    return Dials(options.resemblance, detail, options.texture, options.seed)


def canvas_bits(planned: Plan, number: int, dials: Dials) -> int:
    """Depth of the canvas of a stage: 16 whenever anything follows before encoding, so that nothing is rounded twice."""
    stage = planned.stages[number]
    exact = stage.scale == 0 or (stage.width * stage.scale, stage.height * stage.scale) == (stage.out_width, stage.out_height)
    last = number + 1 == len(planned.stages)
    return 8 if last and exact and dials.raw and planned.source.bits == 8 else 16
