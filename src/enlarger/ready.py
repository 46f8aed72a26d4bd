"""A source made ready: in the colours that were asked for, cut to the part that is enlarged, and repaired. No engine is touched."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from enlarger.image import Box, Image, Notice, Sight
from enlarger.options import Options
from enlarger.progress import Watch
from enlarger.report import Plan, Prepared
from enlarger.steps.colour import to_srgb
from enlarger.steps.crop import part, placed
from enlarger.steps.damage import Damage, damage
from enlarger.steps.share import with_strengths


@dataclass(slots=True)
class Ready:
    """A source after its repairs. ``left`` is what ails ``picture``."""

    planned: Plan
    original: Image
    picture: Image
    left: Damage
    done: list[Prepared] = field(default_factory=list)
    sights: list[Sight] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)


def made_ready(picture: Image, planned: Plan, options: Options, watch: Watch) -> Ready:
    """``picture`` in the colours that were asked for, cut to what is enlarged, and repaired as planned."""
    whole = to_srgb(picture) if options.srgb else picture
    if not _needs_repair(planned, options):
        planned, original = shown(planned, whole)
        return Ready(planned, original, original, damage(original))
    # Who repairs brings a dozen files along that most pictures have no need of.
    from enlarger.steps.prepare import needs, sight, without_background, without_damage, without_objects

    done: list[Prepared] = []
    sights: list[Sight] = []
    notices: list[Notice] = []
    if options.remove_object is not None:
        watch.step("prepare")
        filled, told, doubts = without_objects(whole, options.remove_object, options.seed, fill=options.fill, threads=options.threads)
        notices += [Notice("filled", doubt) for doubt in doubts]
        done.append(told)
        sights.append(sight((told.name,), whole, filled))
        whole = filled
    planned, original = shown(planned, whole)
    ailing = damage(original)
    if any("auto" in stage.native.values() for stage in planned.stages):
        planned = with_strengths(planned, needs(original, ailing))
    ready = Ready(planned, original, original, ailing, done, sights, notices)
    if planned.prepare.keys() & {"deblock", "denoise", "deblur"}:
        watch.step("prepare")
        ready.picture, cleaned = without_damage(original, ailing, planned.prepare)
        done += cleaned
        if cleaned:
            sights.append(sight(tuple(repair.name for repair in cleaned), original, ready.picture))
            ready.left = damage(ready.picture)
    if options.remove_background:
        watch.step("prepare")
        before = ready.picture
        ready.picture, told, doubts = without_background(
            before, backdrop=options.backdrop, keep_shadow=options.keep_shadow, matte=options.matte, threads=options.threads
        )
        done.append(told)
        sights.append(sight((told.name,), before, ready.picture))
        ready.notices += [Notice("cut-out", doubt) for doubt in doubts]
        ready.left = damage(ready.picture)
    return ready


def _needs_repair(planned: Plan, options: Options) -> bool:
    """Whether anything is to be repaired, or a model asks what should be."""
    auto = any("auto" in stage.native.values() for stage in planned.stages)
    return auto or bool(planned.prepare) or options.remove_object is not None or options.remove_background


def shown(planned: Plan, picture: Image) -> tuple[Plan, Image]:
    """The part of ``picture`` that is to be enlarged, with the resolution that its file will have; and the plan, which says where it is."""
    geometry = placed(planned.geometry, picture)
    picture = part(picture, Box(*geometry.crop))
    if geometry.dpi is not None:
        picture = replace(picture, metadata=replace(picture.metadata, dpi=(geometry.dpi, geometry.dpi)))
    return planned.model_copy(update={"geometry": geometry}), picture
