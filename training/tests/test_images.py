from __future__ import annotations

import base64
import json
import struct
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from encoders import GREY, RGB, chunk, encoded, png, progressive, segment
from hypothesis import given, settings
from hypothesis import strategies as st

from lrnet.discrete import Input
from lrnet.images import ImageError, decode, to_light

FIXTURE = Path(__file__).parents[2] / "test" / "fixtures" / "images.json"
CASES: list[dict[str, Any]] = json.loads(FIXTURE.read_text())
PIXELS = 2**24


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_a_file_gives_the_pixels_that_the_server_gives(case: dict[str, Any]) -> None:
    content, input_ = base64.b64decode(case["file"]), Input(**case["input"])
    if case["pixels"] is None:
        with pytest.raises(ImageError):
            decode(content, input_, PIXELS)
        return
    pixels = decode(content, input_, PIXELS)
    assert (pixels.dtype, pixels.shape) == (np.uint8, (input_.height, input_.width, input_.channels))
    assert base64.b64encode(pixels.tobytes()).decode() == case["pixels"]


def test_alpha_lies_over_black() -> None:
    raw = np.array([[[100, 150, 255, 128], [1, 2, 3, 0], [9, 8, 7, 255]]], np.uint8)
    assert to_light(raw, "rgba", 3).tolist() == [[[50, 75, 128], [0, 0, 0], [9, 8, 7]]]


def test_inks_let_light_through() -> None:
    raw = np.array([[[0, 0, 0, 0], [0, 100, 255, 0], [130, 220, 248, 50]]], np.uint8)
    assert to_light(raw, "cmyk", 3).tolist() == [[[255, 255, 255], [255, 155, 0], [100, 28, 6]]]


def test_grey_is_the_luma_of_light_and_stays_as_it_is() -> None:
    raw = np.array([[[255, 0, 0], [9, 90, 200], [77, 77, 77]]], np.uint8)
    assert to_light(raw, "rgb", 1).tolist() == [[[76], [78], [77]]]
    assert to_light(raw[..., :1], "grey", 3).tolist() == [[[255] * 3, [9] * 3, [77] * 3]]


def test_an_image_of_many_rows_becomes_light_band_by_band() -> None:
    raw = np.random.default_rng(0).integers(0, 256, (3, 2**20, 4)).astype(np.uint8)
    light = to_light(raw, "rgba", 3)
    assert (light[2] == to_light(raw[2:], "rgba", 3)[0]).all()


def test_a_jpeg_of_four_inks_becomes_light() -> None:
    inks = np.broadcast_to(np.array([130, 220, 248, 50], np.uint8), (8, 8, 4))
    pixels = decode(encoded(inks, "JPEG", "CMYK", quality=100, subsampling=0), Input(1, 1, 3), PIXELS)
    np.testing.assert_allclose(pixels[0, 0].astype(int), [100, 28, 6], atol=2)


def test_an_image_of_too_many_pixels_is_not_decoded() -> None:
    small = png(1, [b"\0\0\0"], RGB)
    header = struct.pack(">IIBBBBB", 8000, 8000, 8, RGB, 0, 0, 0)
    bomb = small[:8] + chunk(b"IHDR", header) + small[33:]
    tracemalloc.start()
    try:
        with pytest.raises(ImageError, match="it has 8000 x 8000 pixels; the limit is 16777216 in all"):
            decode(bomb, Input(1, 1, 3), PIXELS)
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()
    header = struct.pack(">IIBBBBB", 2**31 - 1, 2**31 - 1, 8, RGB, 0, 0, 0)
    with pytest.raises(ImageError, match="too many pixels"):
        decode(small[:8] + chunk(b"IHDR", header) + small[33:], Input(1, 1, 3), PIXELS)


def test_the_limit_counts_width_times_height() -> None:
    file = png(3, [b"\1\2\3", b"\4\5\6"], GREY)
    assert decode(file, Input(2, 3, 1), 6).ravel().tolist() == [1, 2, 3, 4, 5, 6]
    with pytest.raises(ImageError, match="3 x 2 pixels"):
        decode(file, Input(2, 3, 1), 5)


# Comments of a hundred bytes: one that looks like the file's end, and one that looks like more scans.
END = segment(0xFE, b"\xff\xd9".ljust(100))
SCANS = segment(0xFE, 50 * b"\xff\xda")


@pytest.mark.parametrize("between", [b"", b"\xff" * 3, END, SCANS])
def test_a_jpeg_of_more_scans_than_encoders_write_is_not_decoded(between: bytes) -> None:
    assert decode(progressive(100, between), Input(1, 1, 1), PIXELS).tolist() == [[[128]]]
    with pytest.raises(ImageError, match="over 100 scans"):
        decode(progressive(101, between), Input(1, 1, 1), PIXELS)


def test_a_scan_cannot_hide_behind_a_marker_that_has_no_length() -> None:
    file = progressive(101)
    with pytest.raises(ImageError, match="damaged before its pixels"):
        decode(file[:2] + b"\xff\x01\x7f\xf0" + file[2:], Input(1, 1, 1), PIXELS)
    with pytest.raises(ImageError, match="over 100 scans"):
        decode(progressive(101, b"\xff\x02\x7f\xf0"), Input(1, 1, 1), PIXELS)


def test_the_end_of_a_jpeg_is_not_looked_for_in_a_comment() -> None:
    with pytest.raises(ImageError, match="cut short"):
        decode(progressive(2, END)[:-2], Input(1, 1, 1), PIXELS)


def test_a_transparent_colour_of_16_bits_is_refused_by_its_name() -> None:
    file = png(1, [bytes(6)], RGB, 16, chunk(b"tRNS", bytes(6)))
    with pytest.raises(ImageError, match="16 bits a channel transparent"):
        decode(file, Input(1, 1, 3), PIXELS)


@given(
    case=st.sampled_from([case for case in CASES if case["pixels"] is not None]),
    places=st.lists(st.tuples(st.integers(0, 10**6), st.integers(1, 255)), min_size=1, max_size=4),
)
@settings(max_examples=300, deadline=None)
def test_a_changed_file_is_refused_or_gives_an_image(
    case: dict[str, Any], places: list[tuple[int, int]]
) -> None:
    content, input_ = bytearray(base64.b64decode(case["file"])), Input(**case["input"])
    for place, value in places:
        content[place % len(content)] ^= value
    try:
        pixels = decode(bytes(content), input_, 2**16)
    except ImageError:
        return
    assert pixels.shape == (input_.height, input_.width, input_.channels)


@given(
    content=st.binary(max_size=200),
    start=st.sampled_from([b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"RIFF"]),
)
@settings(max_examples=200, deadline=None)
def test_other_bytes_are_refused(content: bytes, start: bytes) -> None:
    with pytest.raises(ImageError):
        decode(start + content, Input(1, 1, 1), PIXELS)
