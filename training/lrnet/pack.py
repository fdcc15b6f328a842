"""Packs images into the file of a data set that runs name."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

from tqdm import tqdm

from lrnet.data import BUILT_IN, DataError
from lrnet.discrete import Input
from lrnet.format import NAME
from lrnet.image_files import Source, open_source
from lrnet.images import ImageError, decode
from lrnet.packed import PARTS, PackedImage, Part, write_packed
from lrnet.starter import write_starter

DEFAULT_TEST_SHARE = 0.1

MAX_SKIPPED_LINES = 1000
"""Where more is skipped, the rest is a number."""

Parts = dict[Part, list[PackedImage]]


def pack(
    folder: Path,
    out: Path,
    *,
    image: Input,
    max_pixels: int,
    test_share: float | None = None,
    strict: bool = False,
    run: Path | None = None,
    quiet: bool = False,
) -> None:
    """Writes a folder's images (see `open_source`) as `out`, NAME.npz, and a run of a small network as `run`.

    Without a test part a share `test_share` of the images is put aside by the SHA-256 of their files, so that each
    stays where it is when others join it, and equal ones stay together. What cannot be used is skipped, the
    first MAX_SKIPPED_LINES by name on standard error. The same images make the same file, byte by byte.

    Raises DataError, with nothing written, where nothing is left of a class, and with `strict` where anything was
    skipped; OSError; ValueError for options that cannot be.
    """
    name = _name(out)
    if run is not None and run.exists():
        raise ValueError(f"{run}: it is there already")
    skipped = 0

    def skip(what: str, reason: str) -> None:
        nonlocal skipped
        skipped += 1
        if skipped <= MAX_SKIPPED_LINES:
            tqdm.write(f"skipped {_printable(what)}: {reason}", file=sys.stderr)

    source = open_source(folder, skip)
    if out.exists() and any(out.samefile(path) for path in source.paths):
        raise ValueError(f"--out: {out} is one of the files that are to be packed")
    if source.split and test_share is not None:
        raise ValueError(f"--test: {folder} has a test part")
    share = DEFAULT_TEST_SHARE if test_share is None else test_share
    parts: Parts = {"train": [], "test": []}
    for file in tqdm(source.files, "pack", source.count, unit="image", disable=quiet):
        try:
            pixels = decode(file.content, image, max_pixels).tobytes()
        except ImageError as error:
            skip(file.name, str(error))
            continue
        digest = hashlib.sha256(file.content).digest()
        part = file.part or ("test" if int.from_bytes(digest[:8], "big") < share * 2**64 else "train")
        parts[part].append(PackedImage(digest, file.label, pixels))
    if skipped > MAX_SKIPPED_LINES:
        print(f"skipped {skipped - MAX_SKIPPED_LINES} more", file=sys.stderr)
    _check(source, parts)
    if strict and skipped:
        raise DataError(f"{folder}: {skipped} were skipped, and nothing is written")
    for part in PARTS:
        parts[part].sort(key=lambda each: each.digest)  # mixed, whatever order the source has
    out.parent.mkdir(parents=True, exist_ok=True)
    write_packed(out, source.classes, (image.height, image.width, image.channels), parts)
    _print_summary(out, source, image, parts, skipped)
    if run is not None:
        write_starter(run, name, source.classes, image, len(parts["train"]))


def _printable(name: str) -> str:
    """Names may hold what moves a terminal's cursor."""
    return name if name.isprintable() else ascii(name)


def _name(out: Path) -> str:
    name = out.name.removesuffix(".npz")
    if out.suffix != ".npz" or NAME.fullmatch(name) is None or name in BUILT_IN:
        raise ValueError(
            f"--out: it is DIR/NAME.npz, NAME of the form {NAME.pattern}, and not {' or '.join(BUILT_IN)}"
        )
    return name


def _check(source: Source, parts: Parts) -> None:
    left = {each.label for each in parts["train"]}
    gone = [name for label, name in enumerate(source.classes) if label not in left]
    if gone:
        raise DataError(f"no training image is left of {', '.join(map(repr, gone))}")
    if not parts["test"]:
        raise DataError("no test image is left; --test puts a larger share aside")


def _print_summary(out: Path, source: Source, image: Input, parts: Parts, skipped: int) -> None:
    counts = {part: [0] * len(source.classes) for part in PARTS}
    for part in PARTS:
        for each in parts[part]:
            counts[part][each.label] += 1
    print(
        f"{out.name}: {len(parts['train'])} training and {len(parts['test'])} test images of"
        f" {image.width} x {image.height}, {'grey' if image.channels == 1 else 'colour'}; {skipped} skipped"
    )
    for label, name in enumerate(source.classes):
        print(f"  {_printable(name)}: {counts['train'][label]} + {counts['test'][label]}")
    both = {each.digest for each in parts["train"]} & {each.digest for each in parts["test"]}
    if both:
        print(f"  {len(both)} files are in both parts: accuracy on the test images will flatter")
