"""BMP and PPM: their sizes, so that limits come before any decoder."""

from __future__ import annotations

import re

from enlarger.files.carried import Carried
from enlarger.files.reader import Reader


def scan_bmp(reader: Reader, found: Carried) -> None:
    head = reader.read(14, 12)
    wide = head[0] > 12
    width, height = (head[4:8], head[8:12]) if wide else (head[4:6], head[6:8])
    found.size = int.from_bytes(width, "little"), abs(int.from_bytes(height, "little", signed=wide))


_GAP = rb"(?:\s|#[^\n]*\n)+"
PPM_HEADER = re.compile(rb"P(\d)" + _GAP + rb"(\d{1,10})" + _GAP + rb"(\d{1,10})" + _GAP + rb"(\d{0,5})")
"""Kind, width, height and largest value (bitmaps have none); one more byte, and the samples begin."""


def scan_ppm(reader: Reader, found: Carried) -> None:
    match = PPM_HEADER.match(reader.read(0, 4096))
    if match:
        found.size = int(match[2]), int(match[3])
