"""Where no net may draw: named boxes, and lines of letters that are found."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from PIL import Image as Pillow
from PIL import ImageDraw, ImageFont
from skimage import data

import enlarger
from enlarger.errors import InputError, UsageError
from enlarger.image import Box
from enlarger.looks import faces
from enlarger.regions import parse
from enlarger.steps.decode import decode
from enlarger.steps.protect import protected, text_of


@pytest.fixture(scope="module")
def lettered() -> np.ndarray:
    """A photograph with a label on it: two lines of print at 20..200, 120..175."""
    picture = Pillow.fromarray(np.ascontiguousarray(data.astronaut()[:200, :300]))
    draw = ImageDraw.Draw(picture)
    draw.rectangle((20, 120, 210, 175), fill=(250, 245, 230))
    draw.text((28, 126), "The quick brown fox\njumps over the lazy dog", fill=(20, 20, 60), font=ImageFont.load_default(16))
    return np.asarray(picture)


def test_words() -> None:
    assert parse("text,faces,graphics, 1,2,3,4; 5 6 7 8") == ({"text", "faces", "graphics"}, [(1, 2, 3, 4), (5, 6, 7, 8)])
    for words in ("", " ; ", "hands", "1,2,3", "1,2,0,4", "text,1,2,3,4,5", "-1,2,3,4"):
        with pytest.raises(UsageError, match=r"--protect: .*; write"):
            parse(words)


def test_print_is_found_and_pictures_are_left_alone(lettered: np.ndarray) -> None:
    (box,) = text_of(decode(lettered))
    assert 120 <= box.y <= 140
    assert 150 <= box.bottom <= 185
    assert box.x <= 40
    assert 180 <= box.right <= 230
    for plain in (data.astronaut()[:200, :300], data.coffee()[:300, :400], np.full((200, 300, 3), 250, np.uint8)):
        assert text_of(decode(np.ascontiguousarray(plain))) == []


def test_boxes_are_scaled_and_checked(lettered: np.ndarray) -> None:
    picture = decode(lettered)
    (place,) = protected("10,20,30,40", picture, (1200, 800))
    assert (place.kind, place.box) == ("box", (40, 80, 120, 160))
    with pytest.raises(InputError, match="reaches outside the picture, which is 300 x 200"):
        protected("280,20,30,40", picture, (1200, 800))


def test_faces_are_found_or_said_to_be_impossible(lettered: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    picture = decode(lettered)
    monkeypatch.setattr(faces, "boxes", lambda _: [Box(100, 50, 40, 50)])
    (place,) = protected("faces", picture, (300, 200))
    assert (place.kind, place.box) == ("face", (92, 42, 56, 66))
    monkeypatch.setattr(faces, "boxes", lambda _: None)
    with pytest.raises(UsageError, match=r"faces cannot be looked for; pip install"):
        protected("faces", picture, (300, 200))


def test_no_net_draws_there(lettered: np.ndarray) -> None:
    options: dict[str, Any] = {"model": "enlarger-photo-x4", "device": "cpu", "skip_flat": False}
    free = enlarger.enlarge(lettered, 4, **options)
    kept = enlarger.enlarge(lettered, 4, protect="text", **options)
    (place,) = kept.report.protected
    x, y, width, height = place.box
    inside = (slice(y, y + height), slice(x, x + width))
    apart = np.abs(free.image.astype(float) - kept.image)
    assert apart[inside].mean() > 1
    assert apart[: y - 20].max() == 0
    assert apart[y + height + 20 :].max() == 0
    base = enlarger.enlarge(lettered, 4, engine="resample", model="bicubic").image.astype(float)
    assert np.abs(kept.image[inside] - base[inside]).mean() < 0.3 * np.abs(free.image[inside] - base[inside]).mean()
    assert "--protect text" in kept.report.reproduce.command
    assert free.report.protected == ()
