"""The report's page as a browser shows it."""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from tests.pictures import pixels

import enlarger
from enlarger.page import draw
from enlarger.steps.decode import decode

pytestmark = pytest.mark.browser

Chromium = Callable[..., tuple[str, str]]
SCHEMES = {"dark": 0, "light": 1}


@pytest.fixture(scope="module")
def page() -> str:
    array = pixels(120, 160)
    result = enlarger.enlarge(array, 4, engine="resample", verify="off")
    return draw(result.report, decode(array), result.image, np.full((120, 160), 20, np.float32))


def shot(chromium: Chromium, folder: Path, text: str, scheme: str = "light") -> np.ndarray:
    (folder / "page.html").write_text(text, "utf-8")
    picture = folder / f"{scheme}.png"
    arguments = (f"--screenshot={picture}", "--window-size=1280,1400", f"--blink-settings=preferredColorScheme={SCHEMES[scheme]}")
    assert chromium(folder / "page.html", *arguments)[1] == ""
    return np.asarray(PIL.Image.open(picture).convert("RGB"), float)


def test_its_script_runs_under_its_own_policy(chromium: Chromium, page: str, tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text(page, "utf-8")
    shown, complaints = chromium(tmp_path / "page.html", "--dump-dom")
    assert complaints == ""
    assert '<html lang="en" class="live">' in shown
    assert "50 % source, 50 % result" in shown


def test_a_foreign_script_does_not_run(chromium: Chromium, page: str, tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text(page.replace("</main>", "<script>document.title = 'owned'</script></main>"), "utf-8")
    shown, complaints = chromium(tmp_path / "page.html", "--dump-dom")
    assert "<title>owned" not in shown
    assert "Content Security Policy" in complaints


def test_light_and_dark(chromium: Chromium, page: str, tmp_path: Path) -> None:
    light, dark = (shot(chromium, tmp_path, page, scheme) for scheme in ("light", "dark"))
    assert light[2, 2].min() > 230
    assert dark[2, 2].max() < 40


def test_the_map_can_be_switched_on(chromium: Chromium, page: str, tmp_path: Path) -> None:
    off = shot(chromium, tmp_path, page)
    on = shot(chromium, tmp_path, page.replace('id="heat-on"', 'id="heat-on" checked'))
    assert (np.abs(on - off).max(-1) > 40).mean() > 0.05


@pytest.mark.parametrize("width", [320, 390])
def test_nothing_sticks_out_on_a_phone(width: int, chromium: Chromium, page: str, tmp_path: Path) -> None:
    """In a frame of that width: windows are not made narrower than 500 pixels."""
    script = "const d = f.contentDocument.documentElement; document.title = d.scrollWidth + ' of ' + d.clientWidth"
    frame = f'<iframe id="f" width="{width}" height="800" style="border:0" onload="{script}" srcdoc="{html.escape(page)}"></iframe>'
    (tmp_path / "frame.html").write_text(f"<!doctype html><title>-</title>{frame}", "utf-8")
    shown = chromium(tmp_path / "frame.html", "--dump-dom")[0]
    found = re.search(r"<title>(\d+) of (\d+)</title>", shown)
    assert found is not None
    assert found[1] == found[2] == str(width)
