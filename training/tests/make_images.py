"""Writes test/fixtures/images.json: image files, and the pixels that a network gets of them.

    python training/tests/make_images.py test/fixtures/images.json

Training and the server decode by code of their own; the tests of both hold them to this file, and so to each other.
Encoders change, so that another Pillow may write other files.
"""

from __future__ import annotations

import base64
import itertools
import json
import struct
import sys
from dataclasses import asdict
from pathlib import Path

import numpy as np
from encoders import GREY, GREY_ALPHA, PALETTE, RGB, RGBA, chunk, encoded, exif, noise, png

from lrnet.discrete import Input
from lrnet.images import ImageError, decode

SEED = 2307_01683
WIDTH, HEIGHT = 21, 13
INPUTS = (
    Input(9, 8, 3, "stretch"),
    Input(HEIGHT, WIDTH, 3, "stretch"),
    Input(10, 10, 1, "contain"),
    Input(7, 12, 3, "cover"),
    Input(30, 25, 1, "stretch"),
    Input(12, 5, 3, "contain"),
    Input(6, 6, 1, "cover"),
)


def files() -> dict[str, bytes]:
    """By a name that says what is in them. One that begins with "no" is refused."""
    generator = np.random.default_rng(SEED)

    def made(colour: int, depth: int = 8, before: bytes = b"", after: bytes = b"") -> bytes:
        return png(WIDTH, noise(generator, WIDTH, HEIGHT, colour, depth), colour, depth, before, after)

    def random(channels: int) -> np.ndarray:
        return generator.integers(0, 256, (HEIGHT, WIDTH, channels)).astype(np.uint8)

    # Encoders of JPEG and lossy WebP are for smooth pictures.
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    smooth = np.stack([12 * x, 19 * y, 255 - 7 * (x + y)], axis=2).astype(np.uint8)
    inks = np.concatenate([smooth, 255 - smooth[..., :1] // 2], axis=2)
    palette = chunk(b"PLTE", generator.bytes(3 * 16))
    few = [generator.integers(0, 2, 6 * WIDTH).astype(np.uint8).tobytes() for _ in range(HEIGHT)]
    whole_png, whole_jpeg = made(RGB), encoded(smooth, "JPEG", quality=80)
    return {
        **{f"PNG, grey, {depth} bits": made(GREY, depth) for depth in (1, 2, 4, 8, 16)},
        "PNG, grey, 4 bits, one value transparent": made(GREY, 4, chunk(b"tRNS", struct.pack(">H", 5))),
        "PNG, grey, 16 bits, one value transparent": png(
            WIDTH,
            [row[: 2 * WIDTH] for row in few],
            GREY,
            16,
            chunk(b"tRNS", struct.pack(">H", 257)),
        ),
        "PNG, colour": made(RGB),
        "PNG, colour, 16 bits": made(RGB, 16),
        "PNG, colour, one transparent": png(
            WIDTH, [row[: 3 * WIDTH] for row in few], RGB, 8, chunk(b"tRNS", struct.pack(">HHH", 1, 0, 1))
        ),
        "PNG, palette": made(PALETTE, 4, palette),
        "PNG, palette with alpha": made(PALETTE, 4, palette + chunk(b"tRNS", generator.bytes(9))),
        "PNG, grey with alpha": made(GREY_ALPHA),
        "PNG, grey with alpha, 16 bits": made(GREY_ALPHA, 16),
        "PNG, colour with alpha": made(RGBA),
        "PNG, colour with alpha, 16 bits": made(RGBA, 16),
        "PNG, EXIF before the pixels": made(RGB, 8, chunk(b"eXIf", exif(6))),
        "PNG, EXIF behind the pixels": made(RGB, 8, b"", chunk(b"eXIf", exif(6))),
        "PNG, gamma": made(RGB, 8, chunk(b"gAMA", struct.pack(">I", 10000))),
        "JPEG, 4:4:4": encoded(smooth, "JPEG", quality=90, subsampling=0),
        "JPEG, 4:2:2": encoded(smooth, "JPEG", quality=75, subsampling=1),
        "JPEG, 4:2:0": encoded(smooth, "JPEG", quality=75, subsampling=2),
        "JPEG, progressive": encoded(smooth, "JPEG", quality=75, progressive=True),
        "JPEG, grey": encoded(smooth[..., 0], "JPEG", quality=75),
        **{
            f"JPEG, orientation {orientation}": encoded(
                smooth, "JPEG", exif=b"Exif\0\0" + exif(orientation), quality=75
            )
            for orientation in range(10)
        },
        "WebP, lossy": encoded(smooth, "WEBP", quality=70),
        "WebP, lossless": encoded(random(3), "WEBP", lossless=True),
        "WebP, alpha": encoded(random(4), "WEBP", lossless=True, exact=True),
        "WebP, orientation": encoded(smooth, "WEBP", exif=exif(5), lossless=True),
        "JPEG, four inks": encoded(inks, "JPEG", "CMYK", quality=90),
        "no bytes": b"",
        "no image": b"P5 1 1 255 x",
        "no end of a PNG": whole_png[:-12],
        "no right checksum in a PNG": whole_png[:60] + bytes([whole_png[60] ^ 1]) + whole_png[61:],
        "no end of a JPEG": whole_jpeg[:-2],
        "no pixels in a JPEG": whole_jpeg[:300],
        "no rest of a WebP": encoded(smooth, "WEBP")[:-20],
    }


def main(out: Path) -> None:
    cases = []
    for (name, content), input_ in zip(files().items(), itertools.cycle(INPUTS), strict=False):
        try:
            pixels = base64.b64encode(decode(content, input_, 2**24).tobytes()).decode()
        except ImageError:
            pixels = None
        assert (pixels is None) == name.startswith("no"), name
        file = base64.b64encode(content).decode()
        cases.append({"name": name, "input": asdict(input_), "file": file, "pixels": pixels})
    out.write_text(json.dumps(cases, indent=2) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
