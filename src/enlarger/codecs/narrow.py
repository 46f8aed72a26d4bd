"""Narrow bands: how many lines of a picture libvips holds at a time.

A picture that is read from top to bottom goes through libvips with some 600 lines of it in memory, more on many cores: 60 MB for each
stream at 32,768 pixels a line, and there are several. What decides is the height of its tiles, 128 lines. libvips takes a lower one from
the command line of a program (``vips_add_option_entries``), which a Python program has not, so its words are made up here.
"""

from __future__ import annotations

import ctypes
from importlib import import_module, util
from typing import Any

HEIGHTS = {"vips-tile-height": 16, "vips-fatstrip-height": 4}
"""Lines of a tile, and of the strips that other operations work in: a quarter of the memory in less time (32,768 pixels a line)."""

EXTENSION = "_libvips"
"""pyvips' extension module, through which the symbols of libvips and of its glib are found."""


def narrowed() -> bool:
    """Have libvips, which is loaded, work in low bands from now on; ``False`` where its symbols are out of reach, and nothing changes."""
    if util.find_spec(EXTENSION) is None:
        return False
    try:
        return _parsed(ctypes.CDLL(import_module(EXTENSION).__file__), [f"--{name}={lines}" for name, lines in HEIGHTS.items()])
    except (AttributeError, OSError):
        return False


def _parsed(library: Any, words: list[str]) -> bool:
    """Whether libvips took ``words`` for options of a command line."""
    pointer = ctypes.c_void_p
    library.g_option_group_new.restype = library.g_option_context_new.restype = pointer
    group = pointer(library.g_option_group_new(b"vips", b"", b"", None, None))
    library.vips_add_option_entries(group)
    context = pointer(library.g_option_context_new(None))
    library.g_option_context_set_main_group(context, group)
    line = [b"enlarger", *(word.encode() for word in words)]
    places = (ctypes.c_char_p * (len(line) + 1))(*line, None)
    count = ctypes.c_int(len(line))
    first = ctypes.cast(places, ctypes.POINTER(ctypes.c_char_p))
    taken = library.g_option_context_parse(context, ctypes.byref(count), ctypes.byref(first), None)
    library.g_option_context_free(context)
    return bool(taken) and count.value == 1
