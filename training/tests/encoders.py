"""Image files of many kinds, made by hand where Pillow would not write them."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
from numpy.typing import NDArray
from PIL import Image

GREY, RGB, PALETTE, GREY_ALPHA, RGBA = 0, 2, 3, 4, 6
SAMPLES = {GREY: 1, RGB: 3, PALETTE: 1, GREY_ALPHA: 2, RGBA: 4}


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(
    width: int, rows: list[bytes], colour: int, depth: int = 8, before: bytes = b"", after: bytes = b""
) -> bytes:
    """A PNG by ISO 15948: rows as the depth packs them, chunks before the pixels and after."""
    header = struct.pack(">IIBBBBB", width, len(rows), depth, colour, 0, 0, 0)
    pixels = zlib.compress(b"".join(b"\0" + row for row in rows))
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + before
        + chunk(b"IDAT", pixels)
        + after
        + chunk(b"IEND", b"")
    )


def noise(
    generator: np.random.Generator, width: int, height: int, colour: int, depth: int = 8
) -> list[bytes]:
    """Rows of random bytes for a PNG."""
    length = -(-width * SAMPLES[colour] * depth // 8)
    return [generator.bytes(length) for _ in range(height)]


def exif(orientation: int) -> bytes:
    """A TIFF header and one field."""
    return b"MM\0*" + struct.pack(">IHHHIHHI", 8, 1, 0x0112, 3, 1, orientation, 0, 0)


def encoded(pixels: NDArray[np.uint8], kind: str, mode: str | None = None, **options: object) -> bytes:
    """A file that Pillow writes of bytes [H, W] or [H, W, C]."""
    height, width = pixels.shape[:2]
    image = Image.frombytes(mode, (width, height), pixels.tobytes()) if mode else Image.fromarray(pixels)
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def segment(marker: int, data: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, 2 + len(data)) + data


def progressive(scans: int, between: bytes = b"") -> bytes:
    """A grey JPEG of 8 x 8 pixels of 128: a scan of the average, then one without coefficients again and again.

    `between` comes before each of the latter. In each Huffman table is one code, of one bit: "no difference" of
    the average, "no more in this block" of the others (ITU-T T.81, F.1.2.1 and G.1.2.2).
    """
    code = b"\1" + bytes(15) + b"\0"
    data = b"\x7f"
    return (
        b"\xff\xd8"
        + segment(0xDB, b"\0" + b"\1" * 64)
        + segment(0xC2, struct.pack(">BHHB", 8, 8, 8, 1) + b"\1\x11\0")
        + segment(0xC4, b"\x00" + code)
        + segment(0xC4, b"\x10" + code)
        + segment(0xDA, b"\1\1\0\0\0\0")
        + data
        + (between + segment(0xDA, b"\1\1\0\1\x3f\0") + data) * (scans - 1)
        + b"\xff\xd9"
    )
