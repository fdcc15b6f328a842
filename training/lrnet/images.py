"""Image files to a model's input, with the pixels that the server gives for the same file (docs/images.md).

Pillow decodes PNG, JPEG and WebP here, where the server has sharp, LodePNG and libjpeg-turbo. What may differ:

- A progressive JPEG whose data are damaged, but whose end is there: libjpeg warns, which the server takes for an
  error, and Pillow does not tell.
- A PNG whose pixels' checksum within zlib is wrong, where all the chunks' checksums are right.
- A PNG that makes a colour of 16 bits a channel transparent: Pillow keeps the upper 8, so that it is refused here.
"""

from __future__ import annotations

import io
import re
import struct
import warnings
import zlib
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from lrnet.discrete import Input
from lrnet.resize import resize

MAX_PIXELS = 2**27
"""The most that can be asked for. Somewhat above it lies the limit of Pillow itself."""

MAX_SCANS = 100
"""Of a JPEG. Each costs libjpeg a walk over all coefficients, however few bytes it has; encoders write about ten."""

_BAND = 2**20
"""Pixels whose light is computed at a time."""

_ORIENTATION = 0x0112
_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"

# ITU-T T.81, table B.1: all markers but those without a length that may lie within a scan, and the reserved ones.
_JPEG_MARKER = re.compile(rb"\xff[\xc0-\xcf\xd8-\xfe]")
_JPEG_END, _JPEG_SCAN = 0xD9, 0xDA

Layout = Literal["grey", "rgb", "rgba", "cmyk"]


class ImageError(ValueError):
    """Bytes that are no image which the server would read; the message says why."""


def decode(content: bytes, image: Input, max_pixels: int) -> NDArray[np.uint8]:
    """A PNG, JPEG or WebP file as uint8 [image.height, image.width, image.channels].

    It is turned as EXIF says, its alpha lies over black, it is made grey or three equal channels where that is
    asked for, and resized. Of an animation it is the first frame, of 16 bits a channel the upper 8; colour
    profiles and gamma are ignored. Raises ImageError.
    """
    kind = _kind(content)
    if kind == "PNG":
        _check_png(content)
    elif kind == "JPEG":
        _check_jpeg(content)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what Pillow warns, nothing changes the pixels
            with Image.open(io.BytesIO(content), formats=(kind,)) as opened:
                width, height = opened.size
                if width * height > max_pixels:
                    raise ImageError(f"it has {width} x {height} pixels; the limit is {max_pixels} in all")
                # Before the pixels are read: of a PNG, EXIF that comes behind them is not followed.
                orientation = _orientation(opened)
                opened.load()
                raw, layout = _raw(opened, content)
    except ImageError:
        raise
    except UnidentifiedImageError as error:
        raise ImageError(f"the {kind} file's header cannot be read") from error
    except Image.DecompressionBombError as error:
        raise ImageError("it has too many pixels") from error
    except Exception as error:  # Pillow raises errors of many kinds on damaged files
        raise ImageError(f"the {kind} file cannot be decoded: {error}") from error
    return np.ascontiguousarray(resize(_turned(to_light(raw, layout, image.channels), orientation), image))


def to_light(raw: NDArray[np.uint8], layout: Layout, channels: Literal[1, 3]) -> NDArray[np.uint8]:
    """Bytes [H, W, 1, 3 or 4] as light [H, W, channels], by the server's integers (src/images/pixels.ts)."""
    if layout == "grey":
        return np.repeat(raw, channels, axis=2)
    if layout == "rgb" and channels == 3:
        return raw
    height, width, _ = raw.shape
    light = np.empty((height, width, channels), np.uint8)
    rows = max(1, _BAND // width)
    for top in range(0, height, rows):
        band = raw[top : top + rows].astype(np.uint32)
        if layout == "rgba":
            band = (band[..., :3] * band[..., 3:] + 127) // 255
        elif layout == "cmyk":
            band = ((255 - band[..., :3]) * (255 - band[..., 3:]) + 127) // 255
        if channels == 1:
            # Luma of ITU-R BT.601 in 16-bit fixed point; the weights sum to 2¹⁶, so grey stays as it is.
            band = (band @ np.array([[19595], [38470], [7471]], np.uint32) + 32768) >> 16
        light[top : top + rows] = band
    return light


def _kind(content: bytes) -> Literal["PNG", "JPEG", "WEBP"]:
    """By the first bytes, whatever the file's name says."""
    if content == b"":
        raise ImageError("it holds no bytes")
    if content.startswith(_PNG_SIGNATURE):
        return "PNG"
    if content.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if content.startswith(b"RIFF") and content[8:12] == b"WEBP":
        return "WEBP"
    raise ImageError("its first bytes are not those of a PNG, JPEG or WebP file")


def _check_png(content: bytes) -> None:
    """Refuses what Pillow does not look for: an absent end, and pixels with a wrong checksum."""
    view = memoryview(content)
    offset = len(_PNG_SIGNATURE)
    while offset + 12 <= len(content):
        length, kind = struct.unpack_from(">I4s", content, offset)
        end = offset + 8 + length
        if end + 4 > len(content):
            break
        if struct.unpack_from(">I", content, end)[0] != zlib.crc32(view[offset + 4 : end]):
            raise ImageError(f"the PNG file's chunk at byte {offset} has a wrong checksum")
        if kind == b"IEND":
            return
        offset = end + 4
    raise ImageError("the PNG file is cut short")


def _check_jpeg(content: bytes) -> None:
    """Refuses an absent end, which Pillow does not look for, and more than MAX_SCANS scans.

    Segments are skipped as libjpeg does, so that none can hide a scan or make up an end.
    """
    offset, scans = 2, 0
    while found := _JPEG_MARKER.search(content, offset):
        # Before the first scan nothing but fill bytes may precede a marker; behind it the pixels do.
        if scans == 0 and content[offset : found.start()].strip(b"\xff"):
            break
        marker, offset = content[found.start() + 1], found.end()
        if marker == _JPEG_END:
            if scans == 0:
                break
            return
        if marker == _JPEG_SCAN:
            scans += 1
            if scans > MAX_SCANS:
                raise ImageError(f"the JPEG file has over {MAX_SCANS} scans")
        offset += int.from_bytes(content[offset : offset + 2], "big")
    raise ImageError("the JPEG file is cut short, or damaged before its pixels")


def _raw(opened: Image.Image, content: bytes) -> tuple[NDArray[np.uint8], Layout]:
    """What the decoder gives, as the server's decoders would."""
    key = opened.info.get("transparency")
    if opened.mode in ("1", "L", "I;16"):
        values = np.asarray(opened.convert("L") if opened.mode == "1" else opened)
        grey = (values >> 8 if opened.mode == "I;16" else values).astype(np.uint8)
        if key is not None:
            grey[values == _grey_key(opened.mode, key, content)] = 0
        return grey[..., None], "grey"
    if opened.mode == "RGB" and key is None:
        return np.asarray(opened), "rgb"
    if opened.mode == "RGB":
        if content[24] == 16:
            # Pillow keeps the upper 8 bits alone, and the colour has 16.
            raise ImageError("it makes a colour of 16 bits a channel transparent, which is not supported")
        rgb = np.array(opened)
        rgb[(rgb == np.array(key)).all(axis=2)] = 0
        return rgb, "rgb"
    if opened.mode == "CMYK":
        return np.asarray(opened), "cmyk"
    if opened.mode == "P" and key is None:
        return np.asarray(opened.convert("RGB")), "rgb"
    if opened.mode in ("P", "LA", "RGBA"):
        return np.asarray(opened.convert("RGBA")), "rgba"
    raise ImageError(f"its mode is {opened.mode}, which is not supported")


def _grey_key(mode: str, key: int, content: bytes) -> int:
    """The transparent value of a grey PNG, spread as Pillow spreads samples of under 8 bits, but not this one."""
    depth = content[24]
    return key * 255 // (2**depth - 1) if mode == "L" and depth < 8 else key


def _orientation(opened: Image.Image) -> int:
    """EXIF's, 1 to 8. Not Image.getexif's, which looks into XMP, too."""
    exif = Image.Exif()
    try:
        exif.load(opened.info.get("exif", b""))
        orientation = exif.get(_ORIENTATION, 1)
    except Exception:  # damaged EXIF says nothing
        return 1
    return orientation if orientation in range(1, 9) else 1


def _turned(light: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """EXIF 2.32, 4.6.4: where row 0 and column 0 of the stored image lie in the one to be seen."""
    if orientation >= 5:
        light = light.transpose(1, 0, 2)
    if orientation in (3, 4, 7, 8):
        light = light[::-1]
    if orientation in (2, 3, 6, 7):
        light = light[:, ::-1]
    return light
