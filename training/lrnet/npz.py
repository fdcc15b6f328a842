"""NumPy's .npz archives, written so that equal arrays make equal files, and read with bounded memory."""

from __future__ import annotations

import math
import os
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

_CHUNK = 2**20


@dataclass(frozen=True)
class Content:
    """An array to be written: its values' bytes in C order, in pieces of any length."""

    dtype: np.dtype[np.generic]
    shape: tuple[int, ...]
    pieces: Iterable[bytes]


def content_of(array: NDArray[np.generic]) -> Content:
    return Content(array.dtype, array.shape, [array.tobytes()])


def write_arrays(path: Path, arrays: Mapping[str, Content]) -> None:
    """Writes an archive that is whole or not there, uncompressed, with nothing in it of when or where.

    Deflate makes CIFAR-10 8 % smaller; writing it then takes 13 times as long, and reading it 2.3 times.
    """
    partial = path.with_name(path.name + ".partial")
    try:
        with zipfile.ZipFile(partial, "w") as archive:
            for name, content in arrays.items():
                # A ZipInfo's own time is 1980-01-01 00:00, the first that zip has.
                member = zipfile.ZipInfo(f"{name}.npy")
                member.create_system = 3  # otherwise the system that writes
                with archive.open(member, "w", force_zip64=True) as file:
                    header = {
                        "descr": np.lib.format.dtype_to_descr(content.dtype),
                        "fortran_order": False,
                        "shape": content.shape,
                    }
                    np.lib.format.write_array_header_1_0(file, header)
                    for piece in content.pieces:
                        file.write(piece)
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


@dataclass(frozen=True)
class Stream:
    """An array's type and shape, and a file that gives its values in C order; their length has been compared."""

    dtype: np.dtype[np.generic]
    shape: tuple[int, ...]
    file: IO[bytes]

    def read(self) -> NDArray[np.generic]:
        """The whole array. Raises ValueError, and what zipfile does for damaged content."""
        array = np.empty(self.shape, self.dtype)
        values = array.reshape(-1).view(np.uint8)
        for start in range(0, len(values), _CHUNK):
            # zipfile compares the checksum as it gives the last byte.
            length = min(_CHUNK, len(values) - start)
            piece = self.file.read(length)
            if len(piece) != length:
                raise ValueError("it ends early")
            values[start : start + length] = np.frombuffer(piece, np.uint8)
        return array


@contextmanager
def open_array(archive: zipfile.ZipFile, name: str) -> Iterator[Stream]:
    """Opens one array, stored or deflated, having read its headers alone.

    Its bytes are at most 1032 times those in the archive, which is what deflate can make of them, and as many
    where it is stored. Raises ValueError, KeyError, and what zipfile does for damaged archives.
    """
    member = archive.getinfo(f"{name}.npy")
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ValueError(f"{name}: it is neither stored nor deflated")
    most = member.compress_size * (1032 if member.compress_type == zipfile.ZIP_DEFLATED else 1)
    archive_size = os.stat(archive.filename or "").st_size
    if member.compress_size > archive_size or member.file_size > most:
        raise ValueError(f"{name}: it says that it is longer than it can be")
    with archive.open(member) as file:
        if np.lib.format.read_magic(file) != (1, 0):
            raise ValueError(f"{name}: its header is not of version 1.0")
        shape, fortran_order, dtype = np.lib.format.read_array_header_1_0(file)
        if fortran_order or dtype.hasobject or dtype.itemsize == 0 or min(shape, default=0) < 0:
            raise ValueError(f"{name}: it is no array of plain values in C order")
        if math.prod(shape) * dtype.itemsize != member.file_size - file.tell():
            raise ValueError(f"{name}: its length is not that of {dtype} {list(shape)}")
        yield Stream(dtype, shape, file)
