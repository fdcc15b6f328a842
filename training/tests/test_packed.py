from __future__ import annotations

import io
import tracemalloc
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from make_fixture import write_tiny_packed
from numpy.typing import NDArray

from lrnet.data import DataError, read_test, read_training, require_fit
from lrnet.discrete import Input
from lrnet.packed import PackedImage, write_packed

Arrays = Mapping[str, NDArray[np.generic]]

CLASSES = ["cat", "dog", "Qualle 🪼"]
SHAPE = (2, 3, 3)


def image(label: int, value: int) -> PackedImage:
    return PackedImage(bytes(32), label, bytes(range(value, value + 18)))


PARTS = {"train": [image(label, value) for value in range(5) for label in range(3)], "test": [image(2, 200)]}


def arrays(**changed: object) -> Arrays:
    """The arrays of a small data set, as NumPy's own functions make them, some of them changed."""
    plain = {
        "train_images": np.arange(7 * 18).reshape(7, *SHAPE).astype(np.uint8),
        "train_labels": np.array([0, 1, 2, 0, 1, 2, 0]),
        "test_images": np.zeros((2, *SHAPE), np.uint8),
        "test_labels": np.array([2, 1]),
        "classes": np.array(CLASSES),
    }
    both = {**plain, **changed}
    return {name: np.asarray(value) for name, value in both.items() if value is not None}


def test_what_is_written_is_read(tmp_path: Path) -> None:
    write_packed(tmp_path / "pets.npz", CLASSES, SHAPE, PARTS)
    test = read_test("pets", tmp_path)
    assert test.images.tolist() == np.arange(200, 218).reshape(1, *SHAPE).tolist()
    assert (test.images.dtype, test.labels.dtype, test.labels.tolist()) == (np.uint8, np.int64, [2])
    training, held_out = read_training("pets", tmp_path, 4)
    assert (len(training), len(held_out)) == (11, 4)


def test_the_committed_fixture_is_what_its_script_writes(tmp_path: Path) -> None:
    write_tiny_packed(tmp_path / "tiny.npz")
    fixture = Path(__file__).parents[2] / "test" / "fixtures" / "tiny.npz"
    assert fixture.read_bytes() == (tmp_path / "tiny.npz").read_bytes()


def test_numpy_reads_the_same_from_the_file(tmp_path: Path) -> None:
    write_packed(tmp_path / "pets.npz", CLASSES, SHAPE, PARTS)
    with np.load(tmp_path / "pets.npz", allow_pickle=False) as archive:
        assert archive["classes"].tolist() == CLASSES
        assert archive["train_labels"].tolist() == [0, 1, 2] * 5
        assert archive["train_images"][3].ravel().tolist() == list(range(1, 19))
        assert sorted(archive.files) == sorted(arrays())


def test_a_file_of_numpys_own_is_read(tmp_path: Path) -> None:
    np.savez(tmp_path / "pets.npz", **arrays())
    assert read_test("pets", tmp_path).labels.tolist() == [2, 1]
    assert read_training("pets", tmp_path, 1)[0].images.shape == (6, 2, 3, 3)


def test_the_same_images_make_the_same_file_at_any_time(tmp_path: Path) -> None:
    write_packed(tmp_path / "first.npz", CLASSES, SHAPE, PARTS)
    write_packed(tmp_path / "second.npz", CLASSES, SHAPE, PARTS)
    content = (tmp_path / "first.npz").read_bytes()
    assert content == (tmp_path / "second.npz").read_bytes()
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert {member.date_time for member in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}


def test_an_interrupted_writing_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "pets.npz"
    path.write_bytes(b"before")

    class Interrupted(list[PackedImage]):
        def __iter__(self) -> None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_packed(path, CLASSES, SHAPE, {**PARTS, "test": Interrupted(PARTS["test"])})
    assert [(each.name, each.read_bytes()) for each in tmp_path.iterdir()] == [("pets.npz", b"before")]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"test_labels": None}, "does not hold classes.npy, test_images.npy"),
        ({"more": [1]}, "and nothing else"),
        ({"train_images": np.zeros((7, 18), np.uint8)}, r"train_images: it is uint8 \[n, H, W, C\]"),
        ({"train_images": np.zeros((7, *SHAPE))}, "train_images: it is uint8"),
        ({"train_images": np.zeros((7, 2, 3, 2), np.uint8)}, "of 1 or 3 channels"),
        ({"train_images": np.zeros((7, 1025, 3, 1), np.uint8)}, r"1\.\.1024 x 1\.\.1024"),
        ({"train_images": np.zeros((7, 0, 3, 3), np.uint8)}, r"1\.\.1024"),
        ({"train_images": np.asfortranarray(arrays()["train_images"])}, "C order"),
        ({"test_images": np.zeros((0, *SHAPE), np.uint8)}, "test_images: there are none"),
        (
            {"test_images": np.zeros((2, 3, 2, 3), np.uint8)},
            r"\[2, 3, 2, 3\], and train_images \[7, 2, 3, 3\]",
        ),
        ({"train_labels": np.zeros(7, np.int32)}, r"train_labels: it is int64 \[7\]"),
        ({"train_labels": np.zeros(6, np.int64)}, r"train_labels: it is int64 \[7\]"),
        ({"train_labels": np.zeros(7, ">i8")}, r"train_labels: it is int64 \[7\]"),
        ({"train_labels": np.array([0, 1, 2, 0, 1, 2, 3])}, r"train_labels: each is 0\.\.2"),
        ({"test_labels": np.array([0, -1])}, r"test_labels: each is 0\.\.2"),
        ({"classes": np.array([b"cat", b"dog", b"eel"])}, "classes: they are up to"),
        ({"classes": np.array([["cat", "dog", "eel"]])}, "classes: they are up to"),
        ({"classes": np.array("cat")}, "classes: they are up to"),
        ({"classes": np.array(["cat", "dog", "dog"])}, "classes: a name is there twice"),
        ({"classes": np.array(["cat", "dog", ""])}, "classes: '' has 1 to 256 bytes"),
        ({"classes": np.array(["cat", "dog", "é" * 129])}, "has 1 to 256 bytes"),
        ({"classes": np.array(["cat", "dog", "\ud83d"])}, "is not Unicode"),
        ({"classes": np.array(["cat"])}, "at least two, not 1"),
        ({"classes": np.array(["cat", "dog", None], dtype=object)}, "no array of plain values"),
    ],
)
def test_a_file_of_wrong_content_is_refused_by_name(
    tmp_path: Path, changed: Mapping[str, object], message: str
) -> None:
    np.savez(tmp_path / "pets.npz", **arrays(**changed))
    for part in ("train", "test"):
        with pytest.raises(DataError, match=rf"pets\.npz: .*{message}"):
            read_training("pets", tmp_path, 1) if part == "train" else read_test("pets", tmp_path)


def test_a_compressed_file_is_refused(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "pets.npz", **arrays())
    with pytest.raises(DataError, match=r"pets\.npz: its arrays are compressed"):
        read_test("pets", tmp_path)


def with_headers(path: Path, headers: Mapping[str, bytes], sizes: Mapping[str, int]) -> None:
    """A file whose arrays' headers are these, and whose directory says that they are so long."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, array in arrays().items():
            content = io.BytesIO()
            np.lib.format.write_array(content, array, version=(1, 0))
            value = content.getvalue()
            if name in headers:
                dictionary = headers[name].ljust(117) + b"\n"
                value = (
                    b"\x93NUMPY\x01\x00" + len(dictionary).to_bytes(2, "little") + dictionary + value[128:]
                )
            archive.writestr(f"{name}.npy", value)
        for member in archive.infolist():
            size = sizes.get(member.filename.removesuffix(".npy"), member.file_size)
            member.file_size = member.compress_size = size


@pytest.mark.parametrize(
    ("headers", "sizes", "message"),
    [
        (
            {"train_images": b"{'descr': '|u1', 'fortran_order': False, 'shape': (10**12, 2, 3, 3)}"},
            {},
            r"pets\.npz: ",
        ),
        (
            {"train_images": b"{'descr': '|u1', 'fortran_order': False, 'shape': (1000000000000, 2, 3, 3)}"},
            {},
            "length is not that of uint8",
        ),
        (
            {"train_images": b"{'descr': '|u1', 'fortran_order': False, 'shape': (1000000000000, 2, 3, 3)}"},
            {"train_images": 18 * 10**12 + 128},
            "longer than it can be",
        ),
        (
            {"train_images": b"{'descr': '|u1', 'fortran_order': False, 'shape': (-7, -2, 3, 3)}"},
            {},
            "plain values",
        ),
        (
            {"classes": b"{'descr': '<U0', 'fortran_order': False, 'shape': (1000000000000,)}"},
            {},
            "plain values",
        ),
        ({"classes": b"{'descr': '|O', 'fortran_order': False, 'shape': (3,)}"}, {}, "plain values"),
        ({"classes": b"(" * 100}, {}, r"pets\.npz: "),
        ({"classes": b"print('here')"}, {}, r"pets\.npz: "),
    ],
)
def test_hostile_headers_are_refused_before_anything_is_allocated(
    tmp_path: Path, headers: Mapping[str, bytes], sizes: Mapping[str, int], message: str
) -> None:
    with_headers(tmp_path / "pets.npz", headers, sizes)
    tracemalloc.start()
    try:
        with pytest.raises(DataError, match=message):
            read_test("pets", tmp_path)
        assert tracemalloc.get_traced_memory()[1] < 2**24
    finally:
        tracemalloc.stop()


@pytest.fixture(scope="module")
def content(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("packed") / "pets.npz"
    write_packed(path, CLASSES, SHAPE, PARTS)
    return path.read_bytes()


@given(place=st.integers(0, 10**6), value=st.integers(1, 255))
@settings(max_examples=200, deadline=None)
def test_a_file_with_a_changed_byte_is_refused_or_reads_the_same(
    content: bytes, tmp_path_factory: pytest.TempPathFactory, place: int, value: int
) -> None:
    changed = bytearray(content)
    changed[place % len(content)] ^= value
    folder = tmp_path_factory.mktemp("packed")
    (folder / "pets.npz").write_bytes(changed)
    try:
        training, held_out = read_training("pets", folder, 4)
    except DataError:
        return
    assert (training.labels.tolist() + held_out.labels.tolist()).count(1) == 5
    assert sorted(each.tobytes() for part in (training, held_out) for each in part.images) == sorted(
        each.pixels for each in PARTS["train"]
    )


@given(length=st.integers(0, 10**6))
@settings(max_examples=60, deadline=None)
def test_a_file_cut_short_is_refused(
    content: bytes, tmp_path_factory: pytest.TempPathFactory, length: int
) -> None:
    folder = tmp_path_factory.mktemp("packed")
    (folder / "pets.npz").write_bytes(content[: length % len(content)])
    with pytest.raises(DataError, match=r"pets\.npz"):
        read_test("pets", folder)


def test_a_data_set_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"pets\.npz is not in "):
        read_test("pets", tmp_path)
    with pytest.raises(DataError, match=r"mnist and digits are built in.*--data"):
        read_test("pets", None)


@pytest.mark.parametrize("name", ["../pets", "a/pets", "", ".pets", "Pets", "pets\n", "x" * 65])
def test_a_name_that_could_lead_elsewhere_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match="no data set is called"):
        read_test(name, tmp_path / "below")


@pytest.mark.parametrize(
    ("input_", "labels", "message"),
    [
        (Input(3, 2, 3), CLASSES, "input: the network takes 3 x 2 x 3, and pets has 2 x 3 x 3"),
        (Input(2, 3, 3), CLASSES[:2], r"labels: the network has 2, and pets\.npz 3"),
        (Input(2, 3, 3), ["cat", "cow", "eel"], r"labels\[1\]: the network has 'cow', and pets\.npz 'dog'"),
    ],
)
def test_a_network_for_other_images_is_refused_by_both_names(
    tmp_path: Path, input_: Input, labels: list[str], message: str
) -> None:
    write_packed(tmp_path / "pets.npz", CLASSES, SHAPE, PARTS)
    split = read_test("pets", tmp_path)
    require_fit("pets", tmp_path, split, Input(2, 3, 3), CLASSES)
    with pytest.raises(DataError, match=message):
        require_fit("pets", tmp_path, split, input_, labels)
