from __future__ import annotations

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lrnet.data import DataError, read_idx, read_test, read_training, require_fit, require_test
from lrnet.discrete import Input


def idx(values: np.ndarray) -> bytes:
    header = struct.pack(f">BBBB{values.ndim}I", 0, 0, 8, values.ndim, *values.shape)
    return header + values.astype(np.uint8).tobytes()


VALUES = np.arange(24).reshape(2, 3, 4)


@pytest.mark.parametrize("compressed", [False, True])
def test_an_idx_file_is_read_plain_and_compressed(tmp_path: Path, compressed: bool) -> None:
    path = tmp_path / ("images.gz" if compressed else "images")
    path.write_bytes(gzip.compress(idx(VALUES)) if compressed else idx(VALUES))
    read = read_idx(path, (2, 3, 4))
    assert read.dtype == np.uint8
    assert read.tolist() == VALUES.tolist()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not an IDX file"),
        (b"\x00\x00\x08", "not an IDX file"),
        (b"\x00\x00\x0d" + idx(VALUES)[3:], "not an IDX file"),
        (idx(VALUES[0]), "not an IDX file"),
        (idx(VALUES)[:9], "ends within its header"),
        (idx(VALUES.reshape(4, 3, 2)), r"its shape is \(4, 3, 2\), not \(2, 3, 4\)"),
        (idx(VALUES)[:-1], "under 40 bytes"),
        (idx(VALUES) + b"\x00", "over 40 bytes"),
    ],
)
def test_a_broken_idx_file_is_refused_by_name(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "train-images"
    path.write_bytes(content)
    with pytest.raises(DataError, match=f"train-images: .*{message}"):
        read_idx(path, (2, 3, 4))


def test_a_compressed_file_cut_short_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "images.gz"
    path.write_bytes(gzip.compress(idx(VALUES))[:-12])
    with pytest.raises(DataError, match=r"images\.gz"):
        read_idx(path, (2, 3, 4))


@given(place=st.integers(0, 1000), value=st.integers(1, 255))
@settings(max_examples=60, deadline=None)
def test_a_compressed_file_with_a_changed_byte_is_refused_or_reads_the_same(
    tmp_path_factory: pytest.TempPathFactory, place: int, value: int
) -> None:
    content = bytearray(gzip.compress(idx(VALUES), mtime=0))
    content[place % len(content)] ^= value
    path = tmp_path_factory.mktemp("idx") / "images.gz"
    path.write_bytes(content)
    try:
        read = read_idx(path, (2, 3, 4))
    except DataError:
        return
    # Time, name and system in gzip's header carry no data.
    assert read.tolist() == VALUES.tolist()


def test_a_small_file_that_unpacks_to_much_is_not_unpacked_whole(tmp_path: Path) -> None:
    path = tmp_path / "images.gz"
    path.write_bytes(gzip.compress(idx(VALUES) + bytes(10_000_000)))
    with pytest.raises(DataError, match="over 40 bytes"):
        read_idx(path, (2, 3, 4))


def test_mnist_without_its_files_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="neither train-images-idx3-ubyte nor"):
        read_training("mnist", tmp_path, 5000)


def test_the_files_of_mnists_test_part_are_looked_for_and_not_read(tmp_path: Path) -> None:
    for kind in ("images-idx3", "labels-idx1"):
        with pytest.raises(DataError, match=f"neither t10k-{kind}-ubyte nor"):
            require_test("mnist", tmp_path)
        (tmp_path / f"t10k-{kind}-ubyte.gz").write_bytes(b"damaged")
    require_test("mnist", tmp_path)
    with pytest.raises(DataError, match="--data"):
        require_test("mnist", None)


@pytest.mark.parametrize("held_out", [0, 1437, 1438])
def test_two_images_at_least_are_left_to_learn_from(held_out: int) -> None:
    assert [len(part) for part in read_training("digits", None, 1436)] == [2, 1436]
    with pytest.raises(ValueError, match="held_out is 1 to 1436 for digits"):
        read_training("digits", None, held_out)


@pytest.mark.parametrize("labels", [3, 9, 11])
def test_a_network_with_another_number_of_classes_than_the_digits_is_refused(labels: int) -> None:
    split = read_test("digits", None)
    require_fit("digits", None, split, Input(8, 8, 1), [str(label) for label in range(10)])
    with pytest.raises(DataError, match=f"labels: the network has {labels}, and digits 10 classes"):
        require_fit("digits", None, split, Input(8, 8, 1), [str(label) for label in range(labels)])


def test_mnist_without_a_folder_says_how_to_name_it() -> None:
    with pytest.raises(DataError, match="--data"):
        read_training("mnist", None, 5000)


def test_a_data_set_that_is_not_built_in_needs_a_folder() -> None:
    with pytest.raises(DataError, match=r"built in; name the folder of cifar\.npz"):
        read_test("cifar", None)


def test_the_digits_are_split_without_an_image_in_two_parts() -> None:
    training, held_out = read_training("digits", None, 238)
    test = read_test("digits", None)
    assert [len(training), len(held_out), len(test)] == [1200, 238, 359]
    # No two of scikit-learn's digits are the same image.
    rows = [image.tobytes() for split in (training, held_out, test) for image in split.images]
    assert len(set(rows)) == 1797


def test_the_digits_are_bytes_of_one_channel() -> None:
    test = read_test("digits", None)
    assert test.images.shape == (359, 8, 8, 1)
    assert test.images.dtype == np.uint8
    assert int(test.images.max()) == 255
    assert set(test.labels.tolist()) == set(range(10))


def test_the_held_out_images_are_the_same_every_time() -> None:
    first, second = (read_training("digits", None, 100)[1] for _ in range(2))
    assert first.digest() == second.digest()


def test_the_digest_changes_with_a_pixel_and_with_a_label() -> None:
    split = read_test("digits", None)
    before = split.digest()
    split.images[3, 2, 1, 0] ^= 1
    changed = split.digest()
    split.labels[0] += 1
    assert len({before, changed, split.digest()}) == 3
