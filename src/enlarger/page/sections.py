"""The sections of the page, each from a report and pictures that are encoded already."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from enlarger.fidelity import Fidelity, Measure
from enlarger.image import Sight
from enlarger.options import Options
from enlarger.page import words
from enlarger.page.markup import Html, joined, tag, text
from enlarger.page.pictures import HOT, Shown
from enlarger.page.places import Place
from enlarger.report import Report, Stage

Crop = tuple[Place, Shown, Shown]


def badge(verdict: str) -> Html:
    return tag("span", tag("span", words.MARKS[verdict], aria_hidden="true"), " ", words.VERDICTS[verdict], class_=f"badge {verdict}")


def verdict(report: Report) -> Html:
    """The top of the page."""
    fidelity, source, output = report.fidelity, report.source, report.output
    stage = report.plan.stages[-1] if report.plan.stages else None
    facts = [
        ("Source", words.size((source.width, source.height)), f"{source.format.upper()} {words.length(source.bytes)}".strip()),
        ("Result", words.size((output.width, output.height)), f"{output.format.upper()} {words.length(output.bytes)}".strip()),
        ("Enlarged", words.times(report), f"in {words.seconds(report.timings['total'])}" if "total" in report.timings else ""),
        ("Model", stage.model if stage else "\u2013", stage.engine if stage else ""),
    ]
    return joined(
        tag("p", tag("bdi", words.name_of(report)), class_="name"),
        tag("p", badge(words.verdict_of(fidelity)), class_="verdict"),
        tag("h1", words.headline(fidelity)),
        tag("p", words.explanation(fidelity), class_="lead"),
        _doubts(fidelity),
        tag("dl", *(tag("div", tag("dt", k), tag("dd", tag("b", v), tag("span", more))) for k, v, more in facts), class_="facts"),
    )


def _doubts(fidelity: Fidelity | None) -> Html:
    bad = [(name, m) for name, m in fidelity.measures.items() if m.verdict != "pass"] if fidelity is not None else []
    if not bad:
        return Html("")
    bad.sort(key=lambda item: item[1].verdict != "fail")
    rows = (tag("li", tag("b", words.title(name)), ": ", m.reason, ". ", _next(m.next_step, "span")) for name, m in bad)
    return tag("ul", *rows, class_="doubts")


def _next(step: str, name: str = "p") -> Html:
    return tag(name, "Next: ", step, ".", class_="next") if step else Html("")


def compare(report: Report, before: Shown, after: Shown, heat: Shown | None, places: Iterable[Place]) -> Html:
    """The slider, with the map and the frames of the crops over it."""
    output, name = report.output, words.name_of(report)
    share = after.width / output.width
    alike = "at its full size" if share == 1 else f"reduced to {share:.0%} of its size"
    picture = [
        tag("img", class_="after", src=after.uri, width=after.width, height=after.height, alt=f"{name}, the result"),
        tag("img", class_="before", src=before.uri, width=after.width, height=after.height, alt=f"{name}, the source plainly enlarged"),
    ]
    if heat is not None:
        alt = "Invention map: where the result shows what the source does not vouch for"
        picture.append(tag("img", class_="heat", src=heat.uri, width=after.width, height=after.height, alt=alt, hidden=True))
    picture.append(_frames(report, places))
    for word, class_ in (("Before", "side left"), ("After", "side right"), ("", "handle")):
        picture.append(tag("span", word, class_=class_, aria_hidden="true"))
    label = "How much of the picture shows the source; the rest shows the result"
    picture.append(tag("input", type="range", id="split", min=0, max=100, step=1, value=50, aria_label=label))
    controls = [_switch("frames-on", "Mark the crops shown below")]
    if heat is not None:
        strength = tag("input", type="range", id="strength", min=10, max=100, step=5, value=80, disabled=True)
        controls.insert(0, _switch("heat-on", "Show the invention map"))
        controls.insert(1, tag("label", tag("span", "Strength"), strength, class_="strength"))
    return tag(
        "section",
        tag("h2", "Before and after"),
        tag("p", f"Left of the line the source, plainly enlarged. Right of it the result, {alike}. Drag, or use the arrow keys."),
        tag("div", *picture, class_="stage", id="stage"),
        tag("div", *controls, class_="controls"),
        _legend() if heat is not None else None,
        class_="wide",
    )


def _switch(name: str, label: str) -> Html:
    return tag("label", tag("input", type="checkbox", id=name), tag("span", label), class_="switch")


def _legend() -> Html:
    middle = f"{HOT / 2:.0f}"
    return tag(
        "div",
        tag("div", class_="ramp", aria_hidden="true"),
        tag("div", tag("span", "0"), tag("span", middle), tag("span", f"{HOT:.0f} of 255 or more"), class_="ticks"),
        tag(
            "p",
            "The colour says by how much the result probably differs from a true photograph of that size, in steps of 255. No colour: the "
            "source vouches for it. Bright: it was filled in; it fits the source, but it is not evidence of what was there.",
        ),
        id="legend",
        class_="legend",
    )


def _frames(report: Report, places: Iterable[Place]) -> Html:
    output = report.output
    unit = max(output.width, output.height) / 1000
    parts = []
    for number, place in enumerate(places, 1):
        box = place.box
        parts.append(tag("rect", x=box.x, y=box.y, width=box.width, height=box.height))
        parts.append(tag("text", str(number), x=round(box.x + 10 * unit), y=round(box.y + 34 * unit), font_size=round(30 * unit)))
    whole = f"0 0 {output.width} {output.height}"
    return tag("svg", *parts, class_="frames", viewBox=whole, preserveAspectRatio="none", aria_hidden="true")


def crops(heading: str, lead: str, found: list[Crop], first: int) -> Html:
    """Pairs at 100 %, numbered from ``first``."""
    if not found:
        return Html("")
    pairs = (_pair(crop, first + i) for i, crop in enumerate(found))
    return tag("section", tag("h2", heading), tag("p", lead), *pairs, class_="wide crops")


def _pair(crop: Crop, number: int) -> Html:
    place, plain, result = crop
    region = place.region
    name = words.title(region.measure) if region is not None else place.title
    where = f"{place.box.width} \u00d7 {place.box.height} pixels at {place.box.x}, {place.box.y}"
    how = plain.how if plain.how == result.how else f"{plain.how} and {result.how}"
    words_ = tag(
        "div",
        tag("h3", tag("span", str(number), class_="number"), name, " ", badge(region.verdict) if region is not None else None),
        tag("p", _sentence(place.why)),
        _next(region.next_step) if region is not None else None,
        tag("p", f"{where}; stored {how if how.startswith('without') else 'as ' + how}", class_="small"),
    )
    sides = [("Source, plainly enlarged", plain), ("Result", result)]
    figures = []
    for side, shown in sides:
        image = tag("img", src=shown.uri, width=shown.width, height=shown.height, alt=f"Crop {number}, {name}: {side.lower()}")
        figures.append(tag("figure", image, tag("figcaption", side)))
    return tag("div", words_, tag("div", *figures, class_="pair"), class_="crop")


def _sentence(words_: str) -> Html:
    whole = text(words_)
    return joined(whole[:1].upper() + whole[1:], "" if whole.endswith(".") else ".")


def repairs(report: Report, seen: list[tuple[Sight, Shown, Shown]]) -> Html:
    """What was done to the source before it was enlarged: figures, and before and after where it changed most."""
    if not report.prepared and not report.protected:
        return Html("")
    head = tag("tr", *(tag("th", name, scope="col") for name in ("Repair", "Strength", "Changed")))
    rows = []
    for done in report.prepared:
        strength = f"{done.strength} of 100" if done.strength is not None else done.said
        share = f", {done.share:.1%} of the pixels" if done.share else ""
        rows.append(
            tag("tr", tag("th", words.title(done.name), scope="row"), tag("td", strength), tag("td", f"{done.changed:.1f}/255 RMS{share}"))
        )
    figures = []
    for sight, before, after in seen:
        names = ", ".join(words.title(name).lower() for name in sight.names)
        where = f"{names}: {sight.box.width} \u00d7 {sight.box.height} pixels of the source at {sight.box.x}, {sight.box.y}"
        pair = []
        for side, shown in (("before", before), ("after", after)):
            image = tag("img", src=shown.uri, width=shown.width, height=shown.height, alt=f"{names}, {side}")
            pair.append(tag("figure", image, tag("figcaption", side.capitalize())))
        figures.append(tag("div", tag("p", where, class_="small"), tag("div", *pair, class_="pair"), class_="crop"))
    kept = [f"{place.kind} at {place.box[0]}, {place.box[1]}, {place.box[2]} \u00d7 {place.box[3]}" for place in report.protected]
    return tag(
        "section",
        tag("h2", "Repairs and protection"),
        tag("table", tag("thead", head), tag("tbody", *rows)) if rows else None,
        *figures,
        tag("p", "No net drew here: " + "; ".join(kept) + ".") if kept else None,
        class_="wide",
    )


def measures(fidelity: Fidelity | None) -> Html:
    """The table, and what was not checked."""
    if fidelity is None:
        nothing = tag("p", "Not checked: verify did not run. Run again with ", tag("code", "--verify quick"), ".")
        return tag("section", tag("h2", "What was measured"), nothing, class_="wide")
    order = sorted(fidelity.measures.items(), key=lambda item: ("fail", "doubtful", "pass").index(item[1].verdict))
    head = tag("tr", *(tag("th", name, scope="col") for name in ("Measure", "Verdict", "Found")))
    table = tag("table", tag("thead", head), tag("tbody", *(_measure(name, m) for name, m in order)))
    left = [_row(words.title(name), _sentence(why)) for name, why in fidelity.not_checked.items()]
    return tag(
        "section",
        tag("h2", "What was measured"),
        tag("p", "On what was delivered, against the source, by arithmetic that shares nothing with the steps that made the result."),
        table,
        joined(tag("h3", "Not checked"), tag("dl", *left, class_="rows")) if left else None,
        class_="wide",
    )


def _measure(name: str, m: Measure) -> Html:
    question = words.TITLES.get(name, ("", ""))[1]
    further = [_row(key.replace("_", " "), words.rounded(value)) for key, value in m.details.items()]
    return tag(
        "tr",
        tag("th", words.title(name), tag("span", question, class_="small") if question else None, scope="row"),
        tag("td", badge(m.verdict)),
        tag(
            "td",
            tag("p", _sentence(m.reason)),
            _next(m.next_step),
            tag("p", " \u00b7 ".join(filter(None, (words.figure(m), words.limit(m)))), class_="small figure"),
            tag("details", tag("summary", "All figures"), tag("dl", *further, class_="figures")) if further else None,
        ),
    )


def ran(report: Report) -> Html:
    """Engine, model, weights, dials, stages, versions, times, machine."""
    options = report.plan.options
    others = {k: v for k, v in options.items() if k not in (*words.DIALS, "settings", "seed")} | dict(options.get("settings") or {})
    tiles = report.tiles
    counts = {
        "flat, resampled": tiles.flat,
        "from an earlier run": tiles.done_before,
        "split": tiles.split,
        "again on the CPU": tiles.fallback,
    }
    counted = [f"{tiles.total} in all", f"{tiles.computed} by the engine", *(f"{n} {what}" for what, n in counts.items() if n)]
    source, output = report.source, report.output
    rows: list[tuple[str, str | Html]] = [
        ("Source", joined(tag("bdi", source.name), ", ", words.depth(source), _digest(source.sha256))),
        ("Result", joined(tag("bdi", output.path or "in memory"), ", ", words.depth(output), _digest(output.sha256))),
        *_shape(report),
        *((f"Stage {i}", _stage(stage)) for i, stage in enumerate(report.plan.stages, 1)),
        *((f"After stage {i}", joined(badge(f.verdict), " against the source")) for i, f in enumerate(report.between, 1)),
        ("Tiles", ", ".join(counted)),
        ("Dials", joined(*(_dial(name, _asked(options, name)) for name in words.DIALS if _asked(options, name) is not None))),
        ("Seed", str(_asked(options, "seed"))),
        ("Options", ", ".join(f"{k} {v}" for k, v in others.items()) or "none beside the defaults"),
        ("Times", ", ".join(f"{words.STEPS.get(k, k)} {words.seconds(v)}" for k, v in report.timings.items())),
        ("Versions", ", ".join(f"{k} {v}" for k, v in {"Enlarger": report.reproduce.enlarger, **report.reproduce.libraries}.items())),
        ("Machine", ", ".join(v for v in report.reproduce.machine.values() if v)),
    ]
    return tag(
        "section", tag("h2", "What ran"), tag("dl", *(_row(name, value) for name, value in rows if value), class_="rows"), class_="wide"
    )


def _shape(report: Report) -> list[tuple[str, str | Html]]:
    """What was cut off the source, and added around the picture."""
    shape, source = report.plan.geometry, report.source
    x, y, width, height = shape.crop
    rows: list[tuple[str, str | Html]] = []
    if (width, height) != (source.width, source.height):
        rows.append(("Crop", f"{words.size((width, height))} of the source, from {x}, {y}, on its {shape.crop_on}"))
    if any(shape.padding):
        left, top, right, bottom = shape.padding
        rows.append(("Padding", f"left {left}, top {top}, right {right}, bottom {bottom}, {shape.background}; neither shown nor judged"))
    return rows


def _asked(options: dict[str, Any], name: str) -> Any:
    """What was asked for, or else the default, which a plan leaves out."""
    return options.get(name, Options.model_fields[name].default)


def _dial(name: str, value: Any) -> Html:
    return tag("span", tag("b", f"{name} {value}"), tag("span", words.DIALS[name], class_="small"), class_="dial")


def _row(name: str, value: str | Html) -> Html:
    return tag("div", tag("dt", name), tag("dd", value))


def _digest(sha256: str | None) -> Html:
    return tag("span", "SHA-256 ", tag("code", sha256), class_="small digest") if sha256 else Html("")


def _stage(stage: Stage) -> Html:
    size = f"{words.size((stage.width, stage.height))} to {words.size((stage.out_width, stage.out_height))}"
    cut = f"{stage.columns} \u00d7 {stage.rows} tiles, halo {stage.halo}"
    what = f"{stage.engine}, on {stage.device}, {stage.threads} threads; {size}; {cut}"
    weights = (tag("span", "weights SHA-256 ", tag("code", digest), class_="small digest") for digest in stage.weights_sha256)
    return joined(tag("b", stage.model), f" by {what}", *weights)


def warnings(report: Report) -> Html:
    if not report.warnings:
        return Html("")
    rows = (tag("li", _sentence(w.message), " ", tag("code", w.code)) for w in report.warnings)
    return tag("section", tag("h2", "Warnings"), tag("ul", *rows, class_="warnings"), class_="wide")


def reproduce(report: Report) -> Html:
    command = tag("pre", tag("code", report.reproduce.command, id="command"))
    return tag(
        "section",
        tag("h2", "Do it again"),
        tag("p", "The same command on the same machine gives the same pixels."),
        tag("div", command, tag("button", "Copy", type="button", id="copy"), class_="command"),
        tag("p", id="copied", class_="small", role="status"),
        tag("p", tag("button", "Save this report as JSON", type="button", id="save")),
        class_="wide",
    )
