"""Files that are made to do harm, or are something else than they seem: a sentence, within seconds and megabytes."""

from __future__ import annotations

import gzip
import io
import json
import os
import struct
import subprocess
import sys
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
from tests import pictures

from enlarger.errors import DamagedImageError, EnlargerError, InputError, NotAnImageError, SourceTooLargeError, SourceUnreadableError
from enlarger.files import metadata as md
from enlarger.steps.decode import decode, probe

FUZZ = Path(__file__).parents[1] / "benchmarks" / "fuzz.py"
NOISE = np.random.default_rng(0).integers(0, 256, (200, 200, 3), np.uint8)


def said(data: bytes | Path, kind: type[EnlargerError], **options: Any) -> str:
    with pytest.raises(kind) as caught:
        decode(data, **options)
    assert type(caught.value) is kind
    return str(caught.value).removeprefix(f"{caught.value.subject}: ")


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(extra: bytes = b"", width: int = 1, height: int = 1) -> bytes:
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + extra + chunk(b"IDAT", zlib.compress(b"\0abc")) + chunk(b"IEND", b"")


# --- a small fuzz run ---------------------------------------------------------------------------------------------------


@pytest.mark.skipif(not hasattr(os, "fork"), reason="each file is decoded in a fork")
def test_damaged_files_give_a_picture_or_a_typed_error(tmp_path: Path) -> None:
    """The first 400 files of benchmarks/fuzz.py, over its own seeds: every format, every mutation."""
    own = {name: value for name, value in os.environ.items() if name != "ENLARGER_SAMPLES"}
    command = [sys.executable, str(FUZZ), "--files", "400", "--jobs", "2", "--output", str(tmp_path / "fuzz.json")]
    done = subprocess.run(command, env=own, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    rows = {row["name"]: row["value"] for row in json.loads((tmp_path / "fuzz.json").read_text())["rows"]}
    assert rows["mutated: files"] == 400
    assert rows["mutated: offenders"] == 0
    assert min(rows["mutated: picture"], rows["mutated: DamagedImageError"]) > 50, "both ways were tried"


def test_the_fuzz_run_sees_what_it_looks_for(tmp_path: Path) -> None:
    """With a decoder that crashes, hangs up, or raises something of its own, it does not say that all is well."""
    own = {name: value for name, value in os.environ.items() if name != "ENLARGER_SAMPLES"}
    for fault, word in (("os.kill(os.getpid(), 11)", "crash SIGSEGV"), ("1 / 0", "exception ZeroDivisionError"), ("os._exit(0)", "crash")):
        code = (
            f"import os, sys; sys.path.insert(0, {str(FUZZ.parent)!r}); sys.argv = ['fuzz', '--files', '3', '--output', 'x.json']\n"
            f"import fuzz; fuzz.decode = lambda *a, **k: {fault}; sys.exit(fuzz.main())"
        )
        done = subprocess.run([sys.executable, "-c", code], env=own, cwd=tmp_path, capture_output=True, text=True, timeout=100, check=False)
        assert done.returncode == 1, done.stderr
        assert word in done.stdout


# --- headers that lie ---------------------------------------------------------------------------------------------------


def jpeg_of(width: int, height: int, **options: Any) -> bytes:
    """200 x 200 pixels of noise in a JPEG that says something else."""
    data = bytearray(pictures.file("jpeg", NOISE, meta=False, **options))
    frame = data.find(b"\xff\xc2" if options.get("progressive") else b"\xff\xc0")
    data[frame + 5 : frame + 9] = struct.pack(">HH", height, width)
    return bytes(data)


def test_a_jpeg_whose_data_ends_early_is_not_whole() -> None:
    """To libjpeg that is a warning, and the rest of the picture grey."""
    sentence = (
        "the JPEG is cut off or damaged after row 208 of 300 (Corrupt JPEG data: premature end of data segment);"
        " get a complete copy, or take what decodes with --allow-truncated"
    )
    assert said(jpeg_of(200, 300), DamagedImageError) == sentence
    image = decode(jpeg_of(200, 300), allow_truncated=True)
    assert [n.message for n in image.notices] == ["the file is cut off or damaged: the last 92 of 300 rows (31 %) are missing or wrong"]
    assert np.array_equal(image.samples[:192], decode(jpeg_of(200, 200)).samples[:192])


def test_a_jpeg_that_is_odd_but_whole_is_read_and_noted() -> None:
    data = pictures.file("jpeg", meta=False)
    image = decode(data[:20] + b"\0\0\0\0" + data[20:])
    assert np.array_equal(image.samples, decode(data).samples)
    assert [(n.code, n.message) for n in image.notices] == [
        ("decoder-warning", "the JPEG is not quite in order and was decoded all the same (4 extraneous bytes before marker 0xdb)")
    ]


@pytest.mark.parametrize("progressive", [False, True])
def test_a_few_bytes_cannot_be_a_huge_jpeg(progressive: bool) -> None:
    """289 MP in 41 kB: seconds and, progressive, 1.7 GB, for grey."""
    data = jpeg_of(17_000, 17_000, progressive=progressive)
    cut = "the file is cut off or damaged: {} bytes cannot hold as many pixels as it promises; get a complete copy"
    assert said(data, DamagedImageError) == cut.format(len(data))
    assert said(data, DamagedImageError, allow_truncated=True) == cut.format(len(data))
    some = data + bytes(100_000)
    assert said(some, DamagedImageError) == cut.format(len(some)) + ", or take what decodes with --allow-truncated"


def test_flat_jpegs_are_never_thought_too_small() -> None:
    """The smallest that there are: one colour, best codes, every kind."""
    flat = np.full((2000, 3000, 1), 128, np.uint8)
    files = [
        pictures.file("jpeg", array, meta=False, **options)
        for array in (flat, np.repeat(flat, 3, 2))
        for options in ({"optimize": True, "quality": 1}, {"progressive": True, "quality": 1, "subsampling": "4:2:0"}, {"quality": 50})
    ]
    assert [decode(data).width for data in files] == [3000] * 6
    assert min(map(len, files)) < 3 * 3000 * 2000 // 512, "close to the least"


@pytest.mark.parametrize("size", [(2_000_000, 20), (20, 2_000_000)])
def test_no_side_is_longer_than_a_million(size: tuple[int, int]) -> None:
    sentence = f"the picture is {size[0]} x {size[1]} pixels, and the limit for a side is 1000000; cut it into pieces first"
    assert said(png(b"", *size), SourceTooLargeError) == sentence
    assert said(b"P5 %d %d 255 " % size, SourceTooLargeError) == sentence


def test_huge_gif_and_packed_bmp_are_refused() -> None:
    """Their decoders hold all pixels, several times."""
    data = bytearray(pictures.file("gif", meta=False))
    frame = data.find(b"\x2c\0\0\0\0")
    data[6:10] = data[frame + 5 : frame + 9] = struct.pack("<HH", 12_000, 12_000)
    assert said(bytes(data), SourceTooLargeError) == (
        "the picture is 12000 x 12000 pixels (144 MP), more than the limit of 100 MP for GIF; crop or reduce it first"
    )
    packed = bytearray(pictures.file("bmp", pictures.pixels(bands=1), meta=False))
    packed[18:26], packed[30:34] = struct.pack("<ii", 10_000, 10_000), b"\1\0\0\0"
    assert said(bytes(packed), SourceTooLargeError) == (
        "the picture is 10000 x 10000 pixels (100 MP), more than the limit of 75 MP for PACKED BMP; crop or reduce it first"
    )


def test_a_bmp_and_a_ppm_that_lie_cost_only_what_is_there() -> None:
    data = bytearray(pictures.file("bmp", meta=False))
    data[18:26] = struct.pack("<ii", 12_000, 12_000)
    assert said(bytes(data), DamagedImageError).startswith("the BMP is cut off or damaged (431990784 bytes are missing)")
    start = time.process_time()
    with pytest.raises(DamagedImageError):
        decode(b"P6 17000 17000 255 " + bytes(1000))
    assert time.process_time() - start < 1


# --- bombs --------------------------------------------------------------------------------------------------------------


def exif_bomb() -> bytes:
    """40,000 entries that share 400 kB: 16 GB, taken at their word."""
    entries = b"".join(struct.pack("<HHII", i, 1, 400_000, 10) for i in range(40_000))
    return (b"II*\0\x08\0\0\0" + struct.pack("<H", 40_000) + entries + b"\0\0\0\0").ljust(900_000, b"x")


def tiff_bomb() -> bytes:
    """1,000 entries that share 3.9 MB."""
    need = {256: (4, 8), 257: (4, 8), 258: (3, 8), 259: (3, 1), 262: (3, 1), 273: (4, 60_000), 277: (3, 1), 278: (4, 8), 279: (4, 64)}
    entries = [struct.pack("<HHII", tag, kind, 1, value) for tag, (kind, value) in need.items()]
    entries += [struct.pack("<HHII", tag, 1, 3_900_000, 100) for tag in range(40_000, 41_000)]
    head = b"II*\0\x08\0\0\0" + struct.pack("<H", len(entries)) + b"".join(entries) + b"\0\0\0\0"
    return head.ljust(60_000, b"x") + bytes(4_500_000)


BOMBS: dict[str, Callable[[], bytes]] = {
    "profiles": lambda: png(chunk(b"iCCP", b"i\0\0" + zlib.compress(bytes(3_000_000), 9)) * 2000),
    "numbered colours": lambda: png(chunk(b"cICP", b"\x09\x10\0\1") * 150_000),
    "EXIF": lambda: png(chunk(b"eXIf", exif_bomb())),
    "TIFF entries": tiff_bomb,
    "comments": lambda: b"<!---->" * 580,
    "gzip": lambda: gzip.compress(b"<svg" + b" " * 10_000_000),
}

MEASURE = """
import re, sys
from enlarger.errors import EnlargerError
from enlarger.steps.decode import decode
try:
    print(len(decode(sys.argv[1]).notices) <= 20)
except EnlargerError:
    print(True)
print(int(re.search("VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1]) // 1000)
"""
# Not ru_maxrss: a child begins with that of the process that started it.


@pytest.mark.skipif(sys.platform != "linux", reason="memory of a process is read from /proc")
@pytest.mark.parametrize("bomb", BOMBS)
def test_what_unfolds_stays_small(bomb: str, tmp_path: Path) -> None:
    path = tmp_path / "bomb"
    path.write_bytes(BOMBS[bomb]())
    done = subprocess.run([sys.executable, "-c", MEASURE, str(path)], capture_output=True, text=True, timeout=60, check=True)
    fine, megabytes = done.stdout.split()
    assert fine == "True"
    assert int(megabytes) < 400


def test_texts_by_the_thousand_are_refused() -> None:
    """libpng inflates each of them before it comes to the pixels: 9 MB became a gigabyte."""
    text = chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(100_000), 9))
    assert decode(png(text * 64)).width == 1
    sentence = "the PNG holds 65 compressed texts, more than any picture has; save it anew with another program"
    assert said(png(text * 65), InputError) == sentence
    assert decode(png(chunk(b"tEXt", b"Comment\0plain") * 900)).width == 1


def test_entries_that_share_their_values_are_cut_short_not_all_dropped() -> None:
    found = md.parse(b"Exif\0\0" + exif_bomb())
    assert found is not None
    assert 1 <= len(found.main) <= 10
    assert sum(len(entry.value) for entry in found.main.values()) <= 4 * md.MAX_EXIF


# --- camera raw in a TIFF -----------------------------------------------------------------------------------------------

Entry = tuple[int, int, int, bytes]


def numbers(tag: int, *values: int, kind: int = 4) -> Entry:
    size = {1: 1, 3: 2, 4: 4}[kind]
    return tag, kind, len(values), b"".join(v.to_bytes(size, "little") for v in values)


def text(tag: int, value: str) -> Entry:
    return tag, 2, len(value) + 1, value.encode() + b"\0"


def tiff(*directories: list[Entry], subs: tuple[int, ...] = ()) -> bytes:
    """A TIFF of 8 x 8 grey pixels (at offset 8) with these directories; those numbered in ``subs`` hang below the first."""
    out = bytearray(b"II*\0\0\0\0\0" + bytes(range(64)))
    basic = [numbers(t, v, kind=3) for t, v in ((256, 8), (257, 8), (258, 8), (259, 1), (262, 1), (277, 1), (278, 8))]
    basic += [numbers(273, 8), numbers(279, 64)]
    chained, offsets = [i for i in range(len(directories)) if i not in subs], {}
    previous = 4
    for i in (*subs, *chained):
        entries = {e[0]: e for e in basic} | {e[0]: e for e in directories[i]}
        if i == 0 and subs:
            entries[330] = numbers(330, *(offsets[s] for s in subs))
        data = bytearray()
        where = len(out)
        body_at = where + 2 + 12 * len(entries) + 4
        out += struct.pack("<H", len(entries))
        for tag, kind, count, value in (entries[t] for t in sorted(entries)):
            inline = value.ljust(4, b"\0") if len(value) <= 4 else struct.pack("<I", body_at + len(data))
            data += b"" if len(value) <= 4 else value + bytes(len(value) % 2)
            out += struct.pack("<HHI", tag, kind, count) + inline
        out += b"\0\0\0\0" + data
        offsets[i] = where
        if i in chained:
            out[previous : previous + 4] = struct.pack("<I", where)
            previous = body_at - 4
    return bytes(out)


RAW = {
    "DNG": (tiff([numbers(50706, 1, 4, 0, 0, kind=1), text(271, "Leica")]), "DNG"),
    "DNG below a preview": (tiff([text(271, "Leica")], [numbers(50706, 1, 4, 0, 0, kind=1)], subs=(1,)), "DNG"),
    "NEF": (tiff([text(271, "NIKON CORPORATION")], [numbers(262, 32803, kind=3)], subs=(1,)), "NIKON CORPORATION"),
    "NEF, compressed": (tiff([text(271, "NIKON")], [numbers(259, 34713, kind=3)], [], subs=(1, 2)), "NIKON"),
    "ARW": (tiff([text(271, "SONY")], [numbers(259, 32767, kind=3)], subs=(1,)), "SONY"),
    "PEF": (tiff([text(271, "PENTAX"), numbers(259, 65535, kind=3)]), "PENTAX"),
    "SRW": (tiff([text(271, "SAMSUNG")], [], [numbers(259, 32770, kind=3)], subs=(1, 2)), "SAMSUNG"),
    "3FR": (tiff([text(271, "Hasselblad")], [numbers(262, 32803, kind=3)], subs=(1,)), "Hasselblad"),
    "in a later page": (tiff([text(271, "X")], [numbers(262, 34892, kind=3)]), "X"),
    "without a maker": (tiff([numbers(262, 32803, kind=3)]), "of unknown make"),
    "IIQ": (tiff([text(271, "Phase One A/S")]).replace(bytes(range(4)), b"IIII", 1), "Phase One A/S"),
}


@pytest.mark.parametrize("kind", RAW)
def test_camera_raw_that_begins_like_a_tiff_is_refused(kind: str) -> None:
    data, make = RAW[kind]
    assert said(data, NotAnImageError) == f"this is camera raw ({make}); develop it to TIFF or JPEG first"
    with pytest.raises(NotAnImageError):
        probe(data)


PLAIN = {
    "scanner": tiff([text(271, "NIKON"), text(272, "LS-5000 ED"), text(305, "Nikon Scan 4")]),
    "editor": tiff([text(271, "SONY"), text(272, "ILCE-7M3"), text(305, "Adobe Photoshop 25.0"), (34377, 1, 4, b"8BIM")]),
    "editor, with layers below": tiff([text(271, "Canon"), text(305, "Affinity")], [numbers(254, 1)], subs=(1,)),
    "two pages": tiff([text(271, "EPSON")], [text(271, "EPSON")]),
    "marks of Phase One in the pixels": tiff([text(271, "EPSON")]).replace(bytes(range(4)), b"IIII", 1),
    "by Pillow with EXIF": pictures.file("tiff"),
}


@pytest.mark.parametrize("kind", PLAIN)
def test_a_tiff_with_a_maker_is_a_picture(kind: str) -> None:
    assert decode(PLAIN[kind]).width in (8, 64)


def test_directories_that_point_at_each_other_end() -> None:
    data = bytearray(tiff([text(271, "SONY")], [], subs=(1,)))
    first = struct.unpack_from("<I", data, 4)[0]
    data[first - 4 : first] = struct.pack("<I", first)
    count = struct.unpack_from("<H", data, first)[0]
    data[first + 2 + 12 * count : first + 6 + 12 * count] = struct.pack("<I", first)
    assert probe(bytes(data)).width == 8


# --- what is no picture -------------------------------------------------------------------------------------------------

SVG = b"<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'/>"
VECTORS = {
    "plain": SVG,
    "mark": b"\xef\xbb\xbf" + SVG,
    "declared": b"<?xml version='1.0'?>\n<!DOCTYPE svg PUBLIC '-//W3C//DTD SVG 1.1//EN' 'x'>\n" + SVG,
    "comments first": b"<!-- made by -->\n<!-- " + b"x" * 2000 + b" -->\n" + SVG,
    "prefix": b"<?xml version='1.0'?><svg:svg xmlns:svg='http://www.w3.org/2000/svg'/>",
    "utf-16": ("\ufeff" + SVG.decode()).encode("utf-16-le"),
    "gzip": gzip.compress(b"<?xml version='1.0'?>" + SVG),
    "huge": b"<svg width='1000000' height='1000000'/>",
    "entities": b"<?xml version='1.0'?><!DOCTYPE svg [<!ENTITY x SYSTEM 'file:///etc/passwd'>]><svg>&x;</svg>",
}


@pytest.mark.parametrize("kind", VECTORS)
def test_svg_in_every_dress_is_refused(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "picture.png"
    path.write_bytes(VECTORS[kind])
    for source in (path, VECTORS[kind]):
        assert (
            said(source, NotAnImageError) == "this is SVG, which is vector graphics and needs no enlarging; render it at the size you need"
        )


OTHERS = {
    b"%PDF-1.7\n": "a PDF document",
    b"%!PS-Adobe-3.0 EPSF-3.0\n": "PostScript",
    b"\xc5\xd0\xd3\xc6\x20\0\0\0": "PostScript",
    b"push graphic-context\nimage over 0,0 0,0 'https://x'": "an MVG drawing",
    b"viewbox 0 0 640 480\n": "an MVG drawing",
    b"<?xml version='1.0'?>\n<!-- x -->\n<image><read filename='/etc/passwd'/></image>": "an ImageMagick script (MSL)",
    b"8BPS\0\1": "a Photoshop document",
    b"8BPS\0\2": "a Photoshop document",
    b"\0\0\0\x18ftypheic\0\0\0\0mif1heic": "HEIC/HEIF",
    b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic": "HEIC/HEIF",
    b"\xff\x0a\xfa\x1f": "JPEG XL",
    b"\0\0\0\x0cJXL \r\n\x87\n": "JPEG XL",
    b"\0\0\0\x0cjP  \r\n\x87\n": "JPEG 2000",
    b"\xff\x4f\xff\x51\0\x2f": "JPEG 2000",
    b"v/1\x01\2\0\0\0": "OpenEXR",
    b"#?RADIANCE\n": "a Radiance HDR picture",
    b"II*\0\x10\0\0\0CR\2\0": "camera raw",
    b"FUJIFILMCCD-RAW 0201": "camera raw",
    b"IIRO\x08\0\0\0": "camera raw",
    b"IIU\0\x18\0\0\0": "camera raw",
    b"II\x1a\0\0\0HEAPCCDR": "camera raw",
    b"\0\0\0\x18ftypcrx \0\0\0\1": "camera raw (CR3)",
    b"gimp xcf v011\0": "a GIMP document",
    b"II\xbc\x01\x20\0\0\0": "JPEG XR",
    b"AT&TFORM\0\0\0\0DJVU": "a DjVu document",
    b"\xd7\xcd\xc6\x9a\0\0": "a Windows metafile",
    b"<html><body><svg></svg></body></html>": "a web page",
    b"\0\0\x01\0\1\0": "an icon",
    b"PK\3\4\x14\0": "a ZIP archive",
    gzip.compress(b"just text"): "a compressed archive",
    b"\x1f\x8b": "a compressed archive",
    b"GIF8": "",
}


@pytest.mark.parametrize("data", OTHERS, ids=lambda data: OTHERS[data] or "unknown")
def test_each_refusal_says_what_it_is_and_what_to_do(data: bytes) -> None:
    with pytest.raises(NotAnImageError) as caught:
        decode(data)
    assert caught.value.message.startswith(f"this is {OTHERS[data]}")
    assert caught.value.hint
    assert "first" in caught.value.hint or caught.value.hint.startswith(("Enlarger reads", "render it", "download"))


def test_no_program_is_started_for_a_drawing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pillow would run Ghostscript for an EPS that is named .png, and ImageMagick its delegates for MVG."""

    def never(*_: object, **__: object) -> None:
        raise AssertionError("a program was started")

    monkeypatch.setattr(subprocess, "Popen", never)
    monkeypatch.setattr(os, "posix_spawn", never)
    for data in OTHERS:
        with pytest.raises(NotAnImageError):
            decode(data)


def test_no_loader_but_our_own_is_ever_tried() -> None:
    """libvips' loaders that it calls untrusted are off, so that none of them is reached by any way."""
    import pyvips

    for name, data in (("ppmload", b"P5 1 1 255 x"), ("svgload", SVG), ("pdfload", b"%PDF-1.7")):
        if pyvips.type_find("VipsOperation", name + "_buffer"):
            with pytest.raises(pyvips.Error):
                pyvips.Image.new_from_buffer(data, "")
    out = io.BytesIO()
    PIL.Image.new("RGB", (4, 4)).save(out, "ppm")
    with pytest.raises(pyvips.Error):
        pyvips.Image.new_from_buffer(out.getvalue(), "")


# --- rows of the list of bad inputs that no other test stands for -------------------------------------------------------


@pytest.mark.parametrize("share", [0.01, 0.1])
@pytest.mark.parametrize("format", [*pictures.FORMATS, "gif", "bmp", "ppm"])
def test_hardly_anything_of_a_file_is_refused(format: str, share: float) -> None:
    data = pictures.file(format, NOISE, meta=False)
    with pytest.raises(InputError):
        decode(data[: int(len(data) * share)])


@pytest.mark.parametrize("format", [*pictures.FORMATS, "gif", "bmp", "ppm"])
def test_what_follows_the_picture_is_ignored_and_never_copied(format: str) -> None:
    import enlarger

    data = pictures.file(format, meta=False)
    junk = b"PK\3\4<script>alert(1)</script>" * 20
    assert np.array_equal(decode(data + junk).samples, decode(data).samples)
    assert b"<script>" not in enlarger.enlarge(data + junk, 2, engine="resample", format="png").image


def test_a_page_in_a_comment_is_never_copied() -> None:
    import enlarger

    data = pictures.file("jpeg", meta=False, comment=b"<html><script>alert(1)</script></html>")
    assert b"<script>" in data
    assert b"<script>" not in enlarger.enlarge(data, 2, engine="resample").image


def test_upper_case_and_missing_suffixes_are_nothing_special(tmp_path: Path) -> None:
    for name in ("A.JPG", "b"):
        (tmp_path / name).write_bytes(pictures.file("jpeg", meta=False))
        assert decode(tmp_path / name).notices == ()


def test_sizes_that_no_file_can_have() -> None:
    assert "more than the limit of 300 MP" in said(png(b"", 2**31 - 1, 2**31 - 1), SourceTooLargeError)
    data = tiff([numbers(256, 2**31), numbers(257, 2**31)])
    assert "2147483648 x 2147483648 pixels" in said(data, SourceTooLargeError)
    assert "0 x 8 pixels" in said(tiff([numbers(256, 0)]), DamagedImageError)


def test_more_data_than_the_header_says_is_left() -> None:
    body = zlib.compress(b"\0abc" + bytes(1000))
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0))
    image = decode(b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", body) + chunk(b"IDAT", b"more") + chunk(b"IEND", b""))
    assert image.samples.tolist() == [[[97, 98, 99]]]


def test_one_text_of_two_hundred_megabytes_is_left() -> None:
    text = chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(200_000_000), 9))
    assert decode(png(text)).samples.tolist() == [[[97, 98, 99]]]


def test_wrong_checksums_and_broken_interlacing_are_refused() -> None:
    data = bytearray(pictures.file("png", meta=False))
    data[29] ^= 1
    assert "cut off or damaged" in said(bytes(data), DamagedImageError)
    body = bytearray(png())
    body[28] = 1
    body[29:33] = struct.pack(">I", zlib.crc32(bytes(body[12:29])))
    data = bytearray(png(b"", 9, 9))
    data[28] = 1
    data[29:33] = struct.pack(">I", zlib.crc32(bytes(data[12:29])))
    assert "cut off or damaged" in said(bytes(data), DamagedImageError)
    assert decode(bytes(body)).width == 1


def test_a_gif_of_three_thousand_frames_costs_one() -> None:
    first, more = PIL.Image.new("P", (40, 30)), [PIL.Image.new("P", (40, 30), i % 2) for i in range(1, 3000)]
    out = io.BytesIO()
    first.save(out, "gif", save_all=True, append_images=more, duration=20, optimize=False)
    start = time.process_time()
    image = decode(out.getvalue())
    assert image.header.frames > 1000
    assert "frames-dropped" in {n.code for n in image.notices}
    assert time.process_time() - start < 3


def test_tiffs_of_every_build_are_the_same_picture() -> None:
    import pyvips

    samples = pictures.pixels()
    picture = pyvips.Image.new_from_memory(samples, 64, 48, 3, "uchar").copy(interpretation="srgb")
    for build in (
        {},
        {"bigtiff": True},
        {"tile": True, "tile_width": 16, "tile_height": 16},
        {"compression": "lzw", "predictor": "horizontal"},
    ):
        assert np.array_equal(decode(picture.tiffsave_buffer(**build)).samples, samples), build


def test_planes_and_inverted_grey_are_set_right() -> None:
    ramp = np.arange(64, dtype=np.uint8).reshape(8, 8)
    assert np.array_equal(decode(tiff([])).samples[..., 0], ramp)
    assert np.array_equal(decode(tiff([numbers(262, 0, kind=3)])).samples[..., 0], 255 - ramp)
    planes = [
        numbers(257, 2, kind=3),
        numbers(258, 8, 8, 8, kind=3),
        numbers(262, 2, kind=3),
        numbers(277, 3, kind=3),
        numbers(278, 2, kind=3),
    ]
    planes += [numbers(284, 2, kind=3), numbers(273, 8, 24, 40), numbers(279, 16, 16, 16)]
    image = decode(tiff(planes))
    assert np.array_equal(image.samples, np.moveaxis(ramp.reshape(-1)[:48].reshape(3, 2, 8), 0, -1))


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="a system without devices in files")
def test_a_device_is_refused_at_once() -> None:
    assert said(Path("/dev/zero"), SourceUnreadableError) == "this is a device, not a picture file; save the picture to a file first"


def test_names_like_options_and_devices_are_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("-rf.png", "con.png", "\u0061\u0308.png", "\u00e4.png", " .png", "%s{}.png"):
        Path(name).write_bytes(pictures.file("png", meta=False))
        assert decode(name).header.name == name
