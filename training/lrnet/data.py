"""Data sets as bytes: what `lrnet pack` wrote, MNIST from IDX files, and the 8 x 8 digits that scikit-learn ships."""

from __future__ import annotations

import gzip
import hashlib
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lrnet.discrete import Input
from lrnet.format import NAME
from lrnet.packed import read_packed, read_packed_classes

BUILT_IN = ("mnist", "digits")
"""Any other name is that of a file, NAME.npz, and has the form of a model's, which leads out of no folder."""

BUILT_IN_CLASSES = 10
"""Of each of them."""

SPLIT_SEED = 0
"""The held-out images of a data set are the same for every run, so that runs can be compared."""


class DataError(Exception):
    """A data set is missing or not what it should be; the message names the file."""


@dataclass(frozen=True)
class Split:
    """images: uint8 [n, height, width, channels]; labels: int64 [n]."""

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.labels)

    def digest(self) -> str:
        """SHA-256 over the shape, the images and the labels, in lower-case hexadecimal."""
        sha256 = hashlib.sha256(str(self.images.shape).encode())
        sha256.update(np.ascontiguousarray(self.images))
        sha256.update(self.labels.astype("<i8").tobytes())
        return sha256.hexdigest()


def read_training(name: str, directory: Path | None, held_out: int) -> tuple[Split, Split]:
    """The training part of a data set in two: what is learned from, and `held_out` images that decide.

    Raises DataError; ValueError where fewer than two would be left to learn from, of which no batch norm measures a
    deviation.
    """
    whole = _read(name, directory, test=False)
    if len(whole) < 3:
        raise ValueError(f"{name}: a training takes at least 3 images, and there are {len(whole)}")
    if not 0 < held_out < len(whole) - 1:
        raise ValueError(f"held_out is 1 to {len(whole) - 2} for {name}, not {held_out}")
    order = np.random.default_rng(SPLIT_SEED).permutation(len(whole))
    kept, learned = np.sort(order[:held_out]), np.sort(order[held_out:])
    return (
        Split(whole.images[learned], whole.labels[learned]),
        Split(whole.images[kept], whole.labels[kept]),
    )


def read_test(name: str, directory: Path | None) -> Split:
    """The test part of a data set. Raises DataError."""
    return _read(name, directory, test=True)


def require_test(name: str, directory: Path | None) -> None:
    """Looks whether the test part is there, and reads none of it. Raises DataError.

    Only MNIST's lies in files of its own: whoever has read the training part of another data set has found both.
    """
    if name == "mnist":
        _mnist_files(directory, test=True)


def require_fit(name: str, directory: Path | None, split: Split, image: Input, labels: Sequence[str]) -> None:
    """Compares a data set, of which `split` is a part, with what a network takes and calls its classes.

    Those built in have no names for their classes, only places. Raises DataError, naming both sides.
    """
    shape, own = (image.height, image.width, image.channels), split.images.shape[1:]
    if shape != own:
        raise DataError(f"input: the network takes {_times(shape)}, and {name} has {_times(own)}")
    if name in BUILT_IN:
        if len(labels) != BUILT_IN_CLASSES:
            raise DataError(f"labels: the network has {len(labels)}, and {name} {BUILT_IN_CLASSES} classes")
        return
    with _packed(name, directory) as path:
        classes = read_packed_classes(path)
    if len(labels) != len(classes):
        raise DataError(f"labels: the network has {len(labels)}, and {name}.npz {len(classes)}")
    for place, (label, called) in enumerate(zip(labels, classes, strict=True)):
        if label != called:
            raise DataError(f"labels[{place}]: the network has {label!r}, and {name}.npz {called!r}")


def _times(shape: Sequence[int]) -> str:
    return " x ".join(map(str, shape))


def _read(name: str, directory: Path | None, *, test: bool) -> Split:
    if name == "digits":
        return _digits(test=test)
    if name == "mnist":
        return _mnist(directory, test=test)
    with _packed(name, directory) as path:
        return Split(*read_packed(path, "test" if test else "train"))


@contextmanager
def _packed(name: str, directory: Path | None) -> Iterator[Path]:
    """The file of a data set that is not built in; what goes wrong while it is read becomes a DataError."""
    if NAME.fullmatch(name) is None:
        raise DataError(f"no data set is called {name!r}: its name has the form {NAME.pattern}")
    if directory is None:
        raise DataError(
            f"{name}: {' and '.join(BUILT_IN)} are built in; name the folder of {name}.npz with --data"
        )
    path = directory / f"{name}.npz"
    if not path.is_file():
        raise DataError(f"{path.name} is not in {directory}; `lrnet pack` writes it")
    try:
        yield path
    except Exception as error:  # zipfile and NumPy raise errors of many kinds on damaged files
        raise DataError(f"{path.name}: {error}") from error


def _digits(*, test: bool) -> Split:
    """1,797 images of 8 x 8; every fifth, from the fifth on, is the test part. Values 0 … 16 become bytes."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    images = np.minimum(255, 16 * digits.images.astype(np.int64)).astype(np.uint8)[..., None]
    labels = digits.target.astype(np.int64)
    chosen = (np.arange(len(labels)) % 5 == 4) == test
    return Split(images[chosen], labels[chosen])


def _mnist(directory: Path | None, *, test: bool) -> Split:
    images, labels = _mnist_files(directory, test=test)
    count = 10_000 if test else 60_000
    pixels = read_idx(images, (count, 28, 28))
    classes = read_idx(labels, (count,)).astype(np.int64)
    if classes.max() > 9:
        raise DataError(f"{labels.name}: a label is over 9")
    return Split(pixels[..., None], classes)


def _mnist_files(directory: Path | None, *, test: bool) -> tuple[Path, Path]:
    """Images and labels."""
    if directory is None:
        raise DataError("mnist: name the folder of its IDX files with --data")
    prefix = "t10k" if test else "train"
    return (
        _find(directory, f"{prefix}-images-idx3-ubyte"),
        _find(directory, f"{prefix}-labels-idx1-ubyte"),
    )


def _find(directory: Path, name: str) -> Path:
    for candidate in (directory / name, directory / f"{name}.gz"):
        if candidate.is_file():
            return candidate
    raise DataError(f"neither {name} nor {name}.gz is in {directory}")


def read_idx(path: Path, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """An IDX file of unsigned bytes, plain or .gz, that must have exactly this shape. Raises DataError.

    The format: two zero bytes, 8 for unsigned byte, the number of axes, each axis as a big-endian 32-bit
    integer, then the values, the last axis fastest.
    """
    header = bytes([0, 0, 8, len(shape)]) + np.array(shape, dtype=">u4").tobytes()
    size = len(header) + int(np.prod(shape))
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            # One byte more than it should have shows a longer file, however long it is.
            content = file.read(size + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path.name}: {error}") from error
    if content[:4] != header[:4]:
        raise DataError(f"{path.name}: it is not an IDX file of unsigned bytes with {len(shape)} axes")
    if len(content) < len(header):
        raise DataError(f"{path.name}: it ends within its header")
    if content[: len(header)] != header:
        found = tuple(np.frombuffer(content, ">u4", count=len(shape), offset=4).tolist())
        raise DataError(f"{path.name}: its shape is {found}, not {shape}")
    if len(content) != size:
        raise DataError(f"{path.name}: it has {'over' if len(content) > size else 'under'} {size} bytes")
    return np.frombuffer(content, np.uint8, offset=len(header)).reshape(shape)
