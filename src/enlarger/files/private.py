"""Metadata that stays out of a file on request."""

from __future__ import annotations

import dataclasses
from typing import Literal

from enlarger.files import metadata as md
from enlarger.image import Metadata

KEPT = {
    md.ORIENTATION, md.X_RESOLUTION, md.Y_RESOLUTION, md.RESOLUTION_UNIT, 0x10F, 0x110, 0x131, 0x132, 0x8298, 0x9003, 0x9004, 0x9000,
    0x829A, 0x829D, 0x8822, 0x8827, 0x8830, 0x9101, 0x9201, 0x9202, 0x9203, 0x9204, 0x9205, 0x9207, 0x9208, 0x9209, 0x920A, 0xA000,
    0xA001, md.PIXEL_X, md.PIXEL_Y, 0xA20E, 0xA20F, 0xA210, 0xA217, 0xA300, 0xA301, 0xA401, 0xA402, 0xA403, 0xA404, 0xA405, 0xA406,
    0xA407, 0xA408, 0xA409, 0xA40A, 0xA40C, 0xA432, 0xA433, 0xA434,
}  # fmt: skip
"""Tags of EXIF that say how a picture was taken, with what and when, and whose copyright it is; nothing of where and by whom.

Listed is what stays, so that a tag that nobody thought of does not leak.
"""


def stripped(metadata: Metadata, what: Literal["private", "all"]) -> Metadata:
    """``metadata`` without what is private (:data:`KEPT` stays of EXIF, nothing of XMP and IPTC), or without all of it.

    Colour profile and resolution always stay: without them the picture would look different.
    """
    return dataclasses.replace(metadata, exif=None if what == "all" else public(metadata.exif), xmp=None, iptc=None)


def public(exif: bytes | None) -> bytes | None:
    """An EXIF blob built anew from the :data:`KEPT` tags of another, without its preview; ``None`` if nothing is left."""
    found = md.parse(exif)
    if found is None:
        return None
    main, own = ({tag: entry for tag, entry in part.items() if tag in KEPT} for part in (found.main, found.exif))
    return md.build(main, own, {}, {}, found.order) if main or own else None
