"""The file that `lrnet pack` writes: all images of a data set, decoded and of one shape.

    train_images, test_images  uint8 [n, height, width, channels]
    train_labels, test_labels  int64 [n], places in `classes`
    classes                    strings [C], C >= 2, all different

It is an .npz archive whose members are stored, not deflated, so that reading takes no more memory than the file is
long. The images of a part lie in mixed order: parts of training take the first so many as a sample.
"""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from lrnet.format import MAX_LABEL_BYTES
from lrnet.npz import Content, content_of, open_array, write_arrays

Part = Literal["train", "test"]

PARTS: tuple[Part, Part] = ("train", "test")
MAX_SIDE = 1024
MAX_CLASSES = 2**16

_MEMBERS = {"train_images.npy", "train_labels.npy", "test_images.npy", "test_labels.npy", "classes.npy"}


@dataclass(frozen=True, slots=True)
class PackedImage:
    """pixels: height × width × channels bytes; digest: SHA-256 of the file it was decoded from."""

    digest: bytes
    label: int
    pixels: bytes


def write_packed(
    path: Path,
    classes: Sequence[str],
    shape: tuple[int, int, int],
    parts: dict[Part, Sequence[PackedImage]],
) -> None:
    """Writes images of one shape (height, width, channels), as they are ordered. The file is whole or not there."""
    arrays: dict[str, Content] = {}
    for part in PARTS:
        images = parts[part]
        pixels = (image.pixels for image in images)
        arrays[f"{part}_images"] = Content(np.dtype(np.uint8), (len(images), *shape), pixels)
        arrays[f"{part}_labels"] = content_of(np.array([image.label for image in images], np.int64))
    write_arrays(path, {**arrays, "classes": content_of(np.array(classes, np.str_))})


def read_packed(path: Path, part: Part) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """One part's images and labels, in no more memory than the file is long.

    All but the other part's pixels is checked, so that they are no surprise after a training. Raises ValueError
    and OSError, and what zipfile and NumPy do for damaged archives.
    """
    with _open(path) as archive:
        classes = read_classes(archive)
        shapes = {each: _read_shape(archive, each) for each in PARTS}
        _require(
            shapes["train"][1:] == shapes["test"][1:],
            f"test_images: they are {list(shapes['test'])}, and train_images {list(shapes['train'])}",
        )
        labels = {each: _read_labels(archive, each, shapes[each][0], len(classes)) for each in PARTS}
        with open_array(archive, f"{part}_images") as stream:
            return stream.read(), labels[part]


def _read_shape(archive: zipfile.ZipFile, part: Part) -> tuple[int, ...]:
    name = f"{part}_images"
    with open_array(archive, name) as stream:
        _require(stream.dtype == np.uint8 and len(stream.shape) == 4, f"{name}: it is uint8 [n, H, W, C]")
        n, height, width, channels = stream.shape
        _require(n >= 1, f"{name}: there are none")
        _require(
            1 <= height <= MAX_SIDE and 1 <= width <= MAX_SIDE and channels in (1, 3),
            f"{name}: an image is 1..{MAX_SIDE} x 1..{MAX_SIDE} pixels of 1 or 3 channels",
        )
        return stream.shape


def _read_labels(archive: zipfile.ZipFile, part: Part, n: int, classes: int) -> NDArray[np.int64]:
    name = f"{part}_labels"
    with open_array(archive, name) as stream:
        _require(
            stream.dtype == np.int64 and stream.shape == (n,), f"{name}: it is int64 [{n}], as the images"
        )
        labels = stream.read()
    _require(bool(((labels >= 0) & (labels < classes)).all()), f"{name}: each is 0..{classes - 1}")
    return labels


def read_packed_classes(path: Path) -> tuple[str, ...]:
    """The classes' names. Raises as `read_packed` does."""
    with _open(path) as archive:
        return read_classes(archive)


def read_classes(archive: zipfile.ZipFile) -> tuple[str, ...]:
    """The array `classes` of an archive, stored or deflated. Raises as `read_packed` does."""
    with open_array(archive, "classes") as stream:
        # Read whole: a name has no more characters than it has bytes.
        small = stream.dtype.itemsize <= 4 * MAX_LABEL_BYTES and stream.shape[:1] < (MAX_CLASSES + 1,)
        _require(
            stream.dtype.kind == "U" and len(stream.shape) == 1 and small,
            f"classes: they are up to {MAX_CLASSES} strings of up to {MAX_LABEL_BYTES} characters",
        )
        classes = tuple(stream.read().tolist())
    check_classes(classes)
    return classes


def check_classes(classes: Sequence[str]) -> None:
    """Raises ValueError for names that a model cannot have as its labels."""
    _require(len(classes) >= 2, f"classes: there are at least two, not {len(classes)}")
    _require(len(set(classes)) == len(classes), "classes: a name is there twice")
    for name in classes:
        try:
            length = len(name.encode())
        except UnicodeEncodeError as error:
            raise ValueError(f"classes: {name!r} is not Unicode text") from error
        _require(1 <= length <= MAX_LABEL_BYTES, f"classes: {name!r} has 1 to {MAX_LABEL_BYTES} bytes")


def _open(path: Path) -> zipfile.ZipFile:
    archive = zipfile.ZipFile(path)
    members = archive.infolist()
    if len(members) != len(_MEMBERS) or {member.filename for member in members} != _MEMBERS:
        archive.close()
        raise ValueError(f"it does not hold {', '.join(sorted(_MEMBERS))} and nothing else")
    if any(member.compress_type != zipfile.ZIP_STORED for member in members):
        archive.close()
        raise ValueError("its arrays are compressed; `lrnet pack` stores them")
    return archive


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise ValueError(message)
