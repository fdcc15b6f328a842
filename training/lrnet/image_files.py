"""Where images that are to be packed come from: a tree of files, or archives of encoded images."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lrnet.data import DataError
from lrnet.npz import open_array
from lrnet.packed import PARTS, Part, check_classes, read_classes

MAX_FILE_BYTES = 2**27
MAX_IMAGES = 2**26
"""In one archive: its offsets and labels are read whole."""

Skip = Callable[[str, str], None]
"""Is told the name of what is passed over, and why."""


@dataclass(frozen=True)
class ImageFile:
    """name: as it is reported; part: None where the source does not say."""

    name: str
    part: Part | None
    label: int
    content: bytes


@dataclass(frozen=True)
class Source:
    """classes: at least two; split: whether there is a test part; paths: all that is read; count: of images, less
    those that are skipped; files: to be gone through once."""

    classes: tuple[str, ...]
    split: bool
    paths: tuple[Path, ...]
    count: int
    files: Iterator[ImageFile]


def open_source(folder: Path, skip: Skip) -> Source:
    """Lists a folder's images; their content is read as they are asked for, one at a time.

    It holds one of: a folder a class; `train` and `test`, each with a folder a class; `train.npz` and perhaps
    `test.npz`, with the files end to end in `jpeg` uint8 [bytes], `offsets` int64 [n + 1], `labels` uint8 [n] and
    `classes` strings [C]. Classes are in the order of their names, those of archives in their own.

    Raises DataError, here and while files are read.
    """
    if not folder.is_dir():
        raise DataError(f"{folder}: it is not a folder")
    archives = {part: folder / f"{part}.npz" for part in PARTS if (folder / f"{part}.npz").is_file()}
    source = _open_archives(archives) if "train" in archives else _open_tree(folder, skip)
    try:
        check_classes(source.classes)
    except ValueError as error:
        raise DataError(f"{folder}: {error}") from error
    return source


def _open_tree(folder: Path, skip: Skip) -> Source:
    root = Path(os.path.realpath(folder))
    tree = _Tree(root, skip)
    top = list(tree.entries(root))
    parts = {path.name: path for path in top if path.name in PARTS and path.is_dir()}
    split = len(parts) == len(PARTS)
    found: list[tuple[Part | None, str, Path]] = []
    if split:
        for path in top:
            if path.name not in parts:
                skip(tree.name(path), "it is beside `train` and `test`")
        for part in PARTS:
            found += [(part, name, path) for name, path in tree.images(tree.entries(parts[part]))]
    else:
        found += [(None, name, path) for name, path in tree.images(top)]
    classes = tuple(sorted({name for _, name, _ in found}))
    labels = {name: label for label, name in enumerate(classes)}

    def files() -> Iterator[ImageFile]:
        for part, name, path in found:
            try:
                with path.open("rb") as file:
                    content = file.read(MAX_FILE_BYTES + 1)
            except OSError as error:
                skip(tree.name(path), error.strerror or str(error))
                continue
            if len(content) > MAX_FILE_BYTES:
                skip(tree.name(path), f"it has over {MAX_FILE_BYTES} bytes")
                continue
            yield ImageFile(tree.name(path), part, labels[name], content)

    return Source(classes, split, tuple(path for _, _, path in found), len(found), files())


@dataclass(frozen=True)
class _Tree:
    """Folders below `root`, which is a real path; what cannot be an image is skipped by name."""

    root: Path
    skip: Skip

    def images(self, folders: Iterable[Path]) -> Iterator[tuple[str, Path]]:
        """All files of classes' folders, with the classes' names."""
        for child in folders:
            if not child.is_dir():
                self.skip(self.name(child), "it is in no class's folder")
                continue
            empty = True
            for path in self.entries(child):
                if path.is_file():
                    yield child.name, path
                    empty = False
                else:
                    self.skip(self.name(path), "it is not a file; images are right in their class's folder")
            if empty:
                self.skip(self.name(child), "the folder has no images")

    def entries(self, folder: Path) -> Iterator[Path]:
        """What is right in a folder, in the order of names; no hidden entries, no links that lead out of the tree."""
        try:
            names = sorted(os.listdir(folder))
        except OSError as error:
            self.skip(self.name(folder), error.strerror or str(error))
            return
        for name in names:
            path = folder / name
            if name.startswith("."):
                self.skip(self.name(path), "it is hidden")
            elif path.is_symlink() and not Path(os.path.realpath(path)).is_relative_to(self.root):
                self.skip(self.name(path), "it is a link that leads out of the tree")
            else:
                yield path

    def name(self, path: Path) -> str:
        return path.relative_to(self.root).as_posix()


@dataclass(frozen=True)
class _Index:
    classes: tuple[str, ...]
    offsets: NDArray[np.int64]
    labels: NDArray[np.uint8]


def _open_archives(paths: Mapping[Part, Path]) -> Source:
    indexes = {part: _read_index(path) for part, path in paths.items()}
    classes = indexes["train"].classes
    for part, index in indexes.items():
        if index.classes != classes:
            raise DataError(f"{paths[part].name}: its classes are not those of {paths['train'].name}")
    split = "test" in indexes
    count = sum(len(index.labels) for index in indexes.values())

    def files() -> Iterator[ImageFile]:
        for part, index in indexes.items():
            yield from _archived(paths[part], part if split else None, index)

    return Source(classes, split, tuple(paths.values()), count, files())


def _read_index(path: Path) -> _Index:
    try:
        with zipfile.ZipFile(path) as archive:
            classes = read_classes(archive)
            with open_array(archive, "labels") as stream:
                if stream.dtype != np.uint8 or len(stream.shape) != 1 or stream.shape[0] > MAX_IMAGES:
                    raise ValueError(f"labels: they are uint8 [n], n up to {MAX_IMAGES}")
                labels = stream.read()
            with open_array(archive, "offsets") as stream:
                if stream.dtype != np.int64 or stream.shape != (len(labels) + 1,):
                    raise ValueError("offsets: they are int64, one more than labels")
                offsets = stream.read()
            with open_array(archive, "jpeg") as stream:
                if stream.dtype != np.uint8 or len(stream.shape) != 1:
                    raise ValueError("jpeg: it is uint8 [bytes]")
                length = stream.shape[0]
        # An empty file is no image; millions of them would take no room in the archive.
        if offsets[0] != 0 or offsets[-1] != length or (offsets[1:] <= offsets[:-1]).any():
            raise ValueError(f"offsets: they rise from 0 to {length}, the length of jpeg, with each image")
        longest = int(np.diff(offsets).max(initial=0))
        if longest > MAX_FILE_BYTES:
            raise ValueError(f"offsets: an image has {longest} bytes; the limit is {MAX_FILE_BYTES}")
        if (labels >= len(classes)).any():
            raise ValueError(f"labels: each is 0..{len(classes) - 1}")
    except Exception as error:  # zipfile and NumPy raise errors of many kinds on damaged files
        raise DataError(f"{path.name}: {error}") from error
    return _Index(classes, offsets, labels)


def _archived(path: Path, part: Part | None, index: _Index) -> Iterator[ImageFile]:
    with zipfile.ZipFile(path) as archive, open_array(archive, "jpeg") as stream:
        for number, label in enumerate(index.labels):
            try:
                content = stream.file.read(int(index.offsets[number + 1] - index.offsets[number]))
            except Exception as error:  # as above
                raise DataError(f"{path.name}: {error}") from error
            yield ImageFile(f"{path.name}[{number}]", part, int(label), content)
