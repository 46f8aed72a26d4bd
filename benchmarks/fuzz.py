"""Hostile files: thousands of damaged pictures, each decoded strictly and leniently in a process of its own.

    python benchmarks/fuzz.py                    # 4,000 files; with ENLARGER_SAMPLES set, the odd samples too
    python benchmarks/fuzz.py --show 1234        # write file number 1234 and say what becomes of it

Every file must give a picture or a typed error within 20 s and 1 GB; anything else is an offender, named by its number in the
result. A number gives the same file again as long as Pillow and libvips write the same bytes for the seeds. Needs ``fork``.
"""

from __future__ import annotations

import argparse
import io
import itertools
import json
import os
import random
import signal
import struct
import sys
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import common
import numpy as np
import PIL.Image

from enlarger import errors
from enlarger.codecs.vips import pyvips
from enlarger.errors import EnlargerError
from enlarger.steps.decode import decode

SECONDS = 20
MEGABYTES = 1000
KILLED_AFTER = 2 * SECONDS + 5  # both decodes, each of which stops itself
SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".gif", ".avif", ".bmp", ".ppm", ".pgm", ".pbm"}
TYPED = {name for name, value in vars(errors).items() if isinstance(value, type) and issubclass(value, errors.EnlargerError)}
LARGEST_SEED = 200_000

# --- seeds --------------------------------------------------------------------------------------------------------------


def picture(bands: int = 3, dtype: type[np.generic] = np.uint8) -> np.ndarray:
    """Soft shapes and some noise, 80 x 56: small, so that a mutation is likely to hit something that matters."""
    y, x = np.mgrid[:56, :80]
    planes = np.stack([np.sin(x / 9), np.cos(y / 7), np.sin((x + y) / 5), np.clip(x / 60, -1, 1)], -1)[..., :bands] * 0.5 + 0.5
    noise = np.random.default_rng(7).random(planes.shape)
    return (np.clip(0.9 * planes + 0.1 * noise, 0, 1) * np.iinfo(dtype).max).astype(dtype)  # type: ignore[type-var]


def by_pillow(format: str, mode: str = "RGB", frames: int = 1, **options: object) -> bytes:
    out = io.BytesIO()
    first = PIL.Image.fromarray(picture(4), "RGBA").convert(mode)
    more = [PIL.Image.new("RGBA", first.size, (i * 40, 9, 9, 255)).convert(mode) for i in range(1, frames)]
    first.save(out, format, **({"save_all": True, "append_images": more} if more else {}), **options)
    return out.getvalue()


def by_vips(kind: str, samples: np.ndarray, interpretation: str = "srgb", **options: object) -> bytes:
    form = {"uint8": "uchar", "uint16": "ushort", "float32": "float"}[samples.dtype.name]
    height, width, bands = samples.shape
    made = pyvips.Image.new_from_memory(np.ascontiguousarray(samples), width, height, bands, form).copy(interpretation=interpretation)
    return bytes(getattr(made, f"{kind}save_buffer")(**options))


def seeds() -> dict[str, bytes]:
    """Small pictures of every format and of many kinds, by name (``format-kind``)."""
    exif = PIL.Image.Exif()
    exif[0x10E], exif[0x112] = "a description", 6
    exif.get_ifd(0x8825)[1] = "N"
    meta: dict[str, object] = {"exif": exif.tobytes(), "icc_profile": pyvips.Image.profile_load("srgb")}
    meta["icc_profile"] = bytes(meta["icc_profile"])  # type: ignore[call-overload]
    deep, floats = picture(3, np.uint16), (picture(3, np.uint16) / 20000).astype(np.float32)
    made = {
        "jpeg-baseline": by_pillow("jpeg", quality=90),
        "jpeg-meta": by_pillow("jpeg", **meta),
        "jpeg-progressive": by_pillow("jpeg", progressive=True, restart_marker_blocks=3),
        "jpeg-grey": by_pillow("jpeg", "L"),
        "jpeg-cmyk": by_pillow("jpeg", "CMYK"),
        "png-rgb": by_pillow("png", **meta),
        "png-palette": by_pillow("png", "P", transparency=3),
        "png-animated": by_pillow("png", "RGBA", 3),
        "png-one-bit": by_pillow("png", "1"),
        "png-interlaced": by_vips("png", picture(4), interlace=True),
        "png-deep": by_vips("png", deep, "rgb16"),
        "webp-lossy": by_pillow("webp", **meta),
        "webp-alpha": by_pillow("webp", "RGBA", quality=60),
        "webp-lossless": by_pillow("webp", "RGBA", lossless=True),
        "webp-animated": by_pillow("webp", "RGBA", 3),
        "tiff-plain": by_pillow("tiff", **meta),
        "tiff-pages": by_pillow("tiff", "RGB", 3, compression="tiff_lzw"),
        "tiff-palette": by_pillow("tiff", "P", compression="packbits"),
        "tiff-fax": by_pillow("tiff", "1", compression="group4"),
        "tiff-cmyk": by_pillow("tiff", "CMYK", compression="tiff_adobe_deflate"),
        "tiff-jpeg": by_vips("tiff", picture(), compression="jpeg", tile=True, tile_width=16, tile_height=16),
        "tiff-deep": by_vips("tiff", deep, "rgb16", compression="deflate", predictor="horizontal"),
        "tiff-float": by_vips("tiff", floats, "scrgb", compression="lzw", predictor="float"),
        "tiff-big": by_vips(
            "tiff", picture(4), bigtiff=True, compression="deflate", pyramid=True, tile=True, tile_width=32, tile_height=32
        ),
        "gif-still": by_pillow("gif", "P"),
        "gif-animated": by_pillow("gif", "RGBA", 4),
        "avif-8": by_pillow("avif", **meta),
        "avif-alpha": by_pillow("avif", "RGBA"),
        "avif-10": by_vips("heif", deep, "rgb16", compression="av1", bitdepth=10),
        "avif-sequence": by_pillow("avif", "RGB", 2),
        "bmp-24": by_pillow("bmp"),
        "bmp-palette": by_pillow("bmp", "P"),
        "ppm-colour": by_pillow("ppm"),
        "ppm-grey": by_pillow("ppm", "L"),
        "ppm-bits": by_pillow("ppm", "1"),
    }
    folder = os.environ.get("ENLARGER_SAMPLES")
    if folder:
        made |= {f"odd-{p.name}": p.read_bytes() for p in odd_files(Path(folder)) if p.stat().st_size <= LARGEST_SEED}
    return made


def seeds_made_elsewhere() -> dict[str, bytes]:
    """:func:`seeds`, made in a fork: libvips keeps threads once it has worked, and a process with threads must not fork."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(read)
        with os.fdopen(write, "wb") as pipe:
            for name, data in seeds().items():
                pipe.write(struct.pack("<II", len(name.encode()), len(data)) + name.encode() + data)
        os._exit(0)
    os.close(write)
    made = {}
    with os.fdopen(read, "rb") as pipe:
        while head := pipe.read(8):
            lengths = struct.unpack("<II", head)
            name = pipe.read(lengths[0]).decode()
            made[name] = pipe.read(lengths[1])
    if os.waitpid(pid, 0)[1] or not made:
        sys.exit("the seeds could not be made")
    return made


def odd_files(samples: Path) -> list[Path]:
    return sorted(p for p in (samples / "odd").rglob("*") if p.suffix.lower() in SUFFIXES and p.stat().st_size)


# --- mutations ----------------------------------------------------------------------------------------------------------

Mutation = Callable[[bytearray, random.Random], bytearray]
NUMBERS = (0, 1, 2, 3, 7, 8, 0x7F, 0x80, 0xFF, 0x100, 0x7FFF, 0x8000, 0xFFFF, 0x10000, 20_000, 70_000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)


def flip_bits(data: bytearray, dice: random.Random) -> bytearray:
    for _ in range(dice.choice((1, 2, 5, 20))):
        data[dice.randrange(len(data))] ^= 1 << dice.randrange(8)
    return data


def noise(data: bytearray, dice: random.Random) -> bytearray:
    start = dice.randrange(len(data))
    length = min(len(data) - start, dice.choice((1, 4, 16, 64, 500)))
    data[start : start + length] = dice.choice((dice.randbytes(length), b"\0" * length, b"\xff" * length))
    return data


def cut(data: bytearray, dice: random.Random) -> bytearray:
    return data[: dice.randrange(1, len(data) + 1)]


def lengthen(data: bytearray, dice: random.Random) -> bytearray:
    return data + dice.choice((b"\0", b"\xff", dice.randbytes(1))) * dice.choice((1, 100, 5000))


def edit_number(data: bytearray, dice: random.Random) -> bytearray:
    """A number of one to four bytes, mostly in the first bytes, replaced by one of those at which programs stumble."""
    at = dice.randrange(min(len(data), dice.choice((32, 64, 256, len(data)))))
    size = min(dice.choice((1, 2, 4)), len(data) - at)
    number = dice.choice(NUMBERS) & ((1 << 8 * size) - 1)
    data[at : at + size] = number.to_bytes(size, dice.choice(("big", "little")))
    return data


def move_parts(data: bytearray, dice: random.Random) -> bytearray:
    """One of the file's own parts (chunk, segment, box, directory entry) doubled, dropped, moved or emptied."""
    bounds = parts(bytes(data))
    if len(bounds) < 3:
        return flip_bits(data, dice)
    pieces = [data[a:b] for a, b in itertools.pairwise(bounds)]
    i, j = dice.randrange(1, len(pieces)), dice.randrange(1, len(pieces) + 1)
    what = dice.randrange(4)
    if what == 0:
        pieces[j:j] = [pieces[i]] * dice.choice((1, 1, 3, 300))
    elif what == 1:
        del pieces[i]
    elif what == 2:
        pieces.insert(min(j, len(pieces) - 1), pieces.pop(i))
    else:
        pieces[i] = pieces[i][:4] + bytearray(len(pieces[i][4:]))
    return bytearray().join(pieces)


def parts(data: bytes) -> list[int]:
    """Offsets at which the parts of a file begin, and its end."""
    at, found = 0, [0]
    if data[:4] == b"\x89PNG":
        steps, at = lambda i: 12 + int.from_bytes(data[i : i + 4], "big"), 8
    elif data[:4] == b"RIFF":
        steps, at = lambda i: 8 + (int.from_bytes(data[i + 4 : i + 8], "little") + 1) // 2 * 2, 12
    elif data[:2] == b"\xff\xd8":
        steps, at = lambda i: 2 + int.from_bytes(data[i + 2 : i + 4], "big"), 2
    elif data[4:8] == b"ftyp":
        steps = lambda i: max(8, int.from_bytes(data[i : i + 4], "big"))  # noqa: E731
    elif data[:2] in (b"II", b"MM"):
        order = "little" if data[:2] == b"II" else "big"
        start = int.from_bytes(data[4:8], order)  # type: ignore[arg-type]
        return sorted({0, *(min(len(data), start + 2 + 12 * i) for i in range(30)), len(data)})
    else:
        steps = lambda _: max(1, len(data) // 16)  # noqa: E731
    while at < len(data) and len(found) < 400:
        found.append(at)
        at += max(1, steps(at))
    return sorted({*found, len(data)})


def edit_directory(data: bytearray, dice: random.Random) -> bytearray:
    """Tag, type, count or value of an entry of a TIFF directory (of the file, or of the EXIF data in it) replaced."""
    start = next((i for mark in (b"II*\0", b"MM\0*") if (i := data.find(mark)) >= 0), -1)
    if start < 0 or len(data) < start + 30:
        return edit_number(data, dice)
    order = "little" if data[start : start + 2] == b"II" else "big"
    directory = start + int.from_bytes(data[start + 4 : start + 8], order)  # type: ignore[arg-type]
    offset, size = dice.choice(((0, 2), (2, 2), (4, 4), (8, 4), (8, 2)))
    at = directory + 2 + 12 * dice.randrange(16) + offset
    if at + size <= len(data):
        data[at : at + size] = (dice.choice(NUMBERS) & ((1 << 8 * size) - 1)).to_bytes(size, order)  # type: ignore[arg-type]
    return data


def with_checksums(data: bytearray) -> bytearray:
    """A PNG whose chunks have right checksums again, so that damage gets past the first check."""
    out, at = bytearray(data[:8]), 8
    while at + 12 <= len(data):
        length = min(int.from_bytes(data[at : at + 4], "big"), len(data) - at - 12)
        body = bytes(data[at + 4 : at + 8 + length])
        out += struct.pack(">I", length) + body + struct.pack(">I", zlib.crc32(body))
        at += 12 + length
    return out + data[at:]


MUTATIONS: tuple[Mutation, ...] = (flip_bits, noise, cut, lengthen, edit_number, edit_number, move_parts, edit_directory)


def mutant(number: int, pool: dict[str, bytes]) -> tuple[str, bytes]:
    """File ``number``: the name of its seed with what was done to it, and its bytes."""
    dice = random.Random(number)
    names = sorted(pool)
    ours = [name for name in names if not name.startswith("odd-")]
    # Half of them from the seeds made here, so that each format gets its share whatever the samples are.
    name = dice.choice(ours if dice.random() < 0.5 else names)
    data, done = bytearray(pool[name]), []
    if dice.random() < 0.08:
        other = pool[dice.choice(names)]
        data = data[: dice.randrange(1, len(data) + 1)] + other[dice.randrange(len(other)) :]
        done.append("splice")
    for _ in range(dice.choice((1, 1, 2, 4))):
        change = dice.choice(MUTATIONS)
        data = change(data, dice) or bytearray(b"\0")
        done.append(change.__name__)
    if data[:4] == b"\x89PNG" and dice.random() < 0.6:
        data = with_checksums(data)
    return f"{name}: {', '.join(done)}", bytes(data)


# --- decoding -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one file. ``classes`` are of the strict and of the lenient attempt."""

    name: str
    classes: tuple[str, str]
    seconds: float
    megabytes: float
    said: str = ""

    @property
    def fault(self) -> str:
        """Why it is an offender; empty when it is none."""
        bad = next((c for c in self.classes if c != "picture" and c not in TYPED), "")
        return bad or ("time-out" if self.seconds > SECONDS else "memory" if self.megabytes > MEGABYTES else "")


def attempt(source: bytes | Path, lenient: bool) -> tuple[str, float, str]:
    """Class, seconds and message of decoding ``source``."""
    start = time.perf_counter()
    try:
        image = decode(source, allow_truncated=lenient)
        kind, said = "picture", ""
        if image.samples.shape != (image.header.height, image.header.width, image.header.bands):
            kind, said = "wrong shape", f"{image.samples.shape} for {image.header}"
    except EnlargerError as error:
        kind, said = type(error).__name__, str(error)
        if len(said.splitlines()) != 1:
            kind = "more than a line"
    except Exception as error:  # noqa: BLE001 (this is what is being looked for)
        kind, said = f"exception {type(error).__name__}", str(error)
    return kind, time.perf_counter() - start, said


def child(source: bytes | Path, pipe: int) -> None:
    """Decode twice, write what happened into ``pipe``, and end the process."""
    try:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 1)
        os.dup2(null, 2)
        found = [attempt(source, lenient) for lenient in (False, True)]
        os.write(pipe, json.dumps([(kind, seconds, said[:500]) for kind, seconds, said in found]).encode())
    finally:
        os._exit(0)


def run(files: Iterable[tuple[str, bytes | Path]], jobs: int) -> Iterator[Outcome]:
    """Decode every file in a fork of this process, ``jobs`` at a time."""
    waiting = iter(files)
    running: dict[int, tuple[str, float, int]] = {}
    exhausted = False
    while running or not exhausted:
        while len(running) < jobs and not exhausted:
            following = next(waiting, None)
            if following is None:
                exhausted = True
                break
            name, source = following
            read, write = os.pipe()
            pid = os.fork()
            if pid == 0:
                child(source, write)
            os.close(write)
            running[pid] = (name, time.monotonic(), read)
        for pid, (_, started, _) in running.items():
            if time.monotonic() - started > KILLED_AFTER:
                os.kill(pid, signal.SIGKILL)
        pid, status, usage = os.wait4(-1, os.WNOHANG) if running else (0, 0, None)
        if not pid or usage is None:
            time.sleep(0.001)
            continue
        name, started, read = running.pop(pid)
        with os.fdopen(read, "rb") as pipe:
            said = pipe.read()
        yield outcome(name, status, said, time.monotonic() - started, usage.ru_maxrss / 1000)


def outcome(name: str, status: int, said: bytes, seconds: float, megabytes: float) -> Outcome:
    if said:
        (strict, first, one), (lenient, second, two) = json.loads(said)
        return Outcome(name, (strict, lenient), max(first, second), megabytes, one or two)
    died = f"crash {signal.Signals(os.WTERMSIG(status)).name}" if os.WIFSIGNALED(status) else "crash without a signal"
    kind = "time-out" if seconds > KILLED_AFTER else died
    return Outcome(name, (kind, kind), seconds, megabytes)


# --- the table ----------------------------------------------------------------------------------------------------------


def table(label: str, outcomes: list[Outcome]) -> list[common.Row]:
    """Rows for one group of files: classes, offenders, slowest and largest."""
    count = len(outcomes)
    strict, lenient = (Counter(o.classes[i] for o in outcomes) for i in (0, 1))
    rows = [common.row(f"{label}: files", "files", [count])]
    rows += [
        common.row(f"{label}: {kind}", "files", [strict[kind]], note=f"{lenient[kind]} with allow_truncated")
        for kind in sorted({*strict, *lenient})
    ]
    rows.append(common.row(f"{label}: offenders", "files", [sum(bool(o.fault) for o in outcomes)], better="lower", target=0))
    slowest, largest = max(outcomes, key=lambda o: o.seconds), max(outcomes, key=lambda o: o.megabytes)
    rows.append(common.row(f"{label}: slowest", "s", [slowest.seconds], better="lower", target=SECONDS, note=slowest.name))
    rows.append(common.row(f"{label}: largest", "MB", [largest.megabytes], better="lower", target=MEGABYTES, note=largest.name))
    return rows


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=4000, help="how many mutated files")
    parser.add_argument("--first", type=int, default=0, help="number of the first")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--show", type=int, metavar="NUMBER", help="write file NUMBER into the current folder and decode only that")
    parser.add_argument("--output", type=Path, help="result file")
    asked = parser.parse_args()
    pool = seeds_made_elsewhere()
    if asked.show is not None:
        name, data = mutant(asked.show, pool)
        Path(f"fuzz-{asked.show}").write_bytes(data)
        print(name, *run([(name, data)], 1), sep="\n")
        return 0
    about = common.machine()
    numbers = range(asked.first, asked.first + asked.files)
    made = ((f"{n} {name}", data) for n in numbers for name, data in [mutant(n, pool)])
    groups = {"mutated": list(run(made, asked.jobs))}
    folder = os.environ.get("ENLARGER_SAMPLES")
    if folder:
        everything = sorted(p for p in (Path(folder) / "odd").rglob("*") if p.is_file())
        groups["odd samples"] = list(run(((p.name, p) for p in everything), asked.jobs))
    rows = [row for label, outcomes in groups.items() for row in table(label, outcomes)]
    for row in rows:
        print(common.describe(row), row.note and f"[{row.note}]")
    offenders = [
        f"{o.fault}: {o.name} ({o.seconds:.1f} s, {o.megabytes:.0f} MB) {o.said}" for os_ in groups.values() for o in os_ if o.fault
    ]
    print(*offenders, sep="\n")
    notes = (f"numbers {numbers.start} to {numbers.stop - 1} over {len(pool)} seeds", *offenders[:50])
    print(common.save("fuzz", about, rows, notes, asked.output))
    return bool(offenders)


if __name__ == "__main__":
    sys.exit(main())
