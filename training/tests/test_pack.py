from __future__ import annotations

import errno
import hashlib
import os
import tomllib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from encoders import GREY, RGB, encoded, png
from hypothesis import given, settings
from hypothesis import strategies as st

from lrnet.cli import main
from lrnet.data import read_test, read_training
from lrnet.discrete import Input
from lrnet.images import MAX_PIXELS
from lrnet.run import read_run, to_run
from lrnet.starter import starter


def grey(value: int, note: int = 0) -> bytes:
    """A grey PNG of one pixel, and of content that `note` makes its own."""
    return png(1, [bytes([value])], GREY) + note.to_bytes(4, "big")


def tree(root: Path, counts: dict[str, int]) -> Path:
    """A folder a class; the images of class i have the value 10 · i."""
    for label, (name, count) in enumerate(counts.items()):
        (root / name).mkdir(parents=True)
        for number in range(count):
            (root / name / f"{number:03}.png").write_bytes(grey(10 * label, number))
    return root


def pack(source: Path, out: Path, *options: str) -> int:
    return main(["pack", str(source), "--out", str(out), "--size", "1x1", "--channels", "1", *options])


def parts(out: Path) -> dict[str, np.lib.npyio.NpzFile]:
    with np.load(out, allow_pickle=False) as archive:
        return {name: archive[name] for name in archive.files}


def test_a_tree_of_classes_becomes_a_data_set_with_a_tenth_put_aside(tmp_path: Path) -> None:
    source = tree(tmp_path / "pets", {"cat": 300, "ant": 200})
    assert pack(source, tmp_path / "data" / "pets.npz") == 0
    packed = parts(tmp_path / "data" / "pets.npz")
    assert packed["classes"].tolist() == ["ant", "cat"]
    train, test = packed["train_labels"], packed["test_labels"]
    assert np.bincount(np.concatenate([train, test])).tolist() == [200, 300]
    assert 30 <= len(test) <= 70
    # The tree's first class is its labels' second.
    assert (packed["train_images"].ravel() == 10 * (1 - train)).all()
    assert (packed["test_images"].ravel() == 10 * (1 - test)).all()


def test_the_images_lie_in_mixed_order(tmp_path: Path) -> None:
    pack(tree(tmp_path / "pets", {"ant": 100, "cat": 100}), tmp_path / "pets.npz")
    labels = parts(tmp_path / "pets.npz")["train_labels"]
    assert 20 <= labels[:60].sum() <= 40


def test_the_share_put_aside_is_the_one_asked_for(tmp_path: Path) -> None:
    pack(tree(tmp_path / "pets", {"ant": 200, "cat": 200}), tmp_path / "pets.npz", "--test", "0.5")
    assert 150 <= len(parts(tmp_path / "pets.npz")["test_labels"]) <= 250


def test_images_that_join_move_no_other_and_equal_ones_stay_together(tmp_path: Path) -> None:
    source = tree(tmp_path / "pets", {"ant": 40, "cat": 40})
    for path in source.glob("*/*"):
        path.write_bytes(
            encoded(np.random.default_rng(int(path.stem)).integers(0, 256, (9, 9)).astype("u1"), "PNG")
        )

    def sides() -> tuple[list[bytes], list[bytes]]:
        out = tmp_path / "pets.npz"
        assert main(["pack", str(source), "--out", str(out), "--size", "9x9", "--channels", "1"]) == 0
        packed = parts(out)
        return tuple([each.tobytes() for each in packed[f"{part}_images"]] for part in ("train", "test"))

    train, test = sides()
    # The same forty pictures are in both classes.
    assert sorted(train) == sorted(2 * list(set(train)))
    assert not set(train) & set(test)
    for number in range(100, 140):
        (source / "ant" / f"{number}.png").write_bytes(grey(0, number))
    more_train, more_test = sides()
    assert set(train) <= set(more_train)
    assert set(test) <= set(more_test)
    assert len(more_train) + len(more_test) == 120


def test_the_same_images_make_the_same_file(tmp_path: Path) -> None:
    digests = []
    for name, order in (("a", 1), ("b", -1)):
        source = tmp_path / name / "pets"
        for path in sorted(tree(tmp_path / "pattern" / name, {"ant": 9, "cat": 9}).glob("*/*"))[::order]:
            target = source / path.relative_to(tmp_path / "pattern" / name)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(path.read_bytes())
        assert pack(source, tmp_path / name / "pets.npz", "--test", "0.4") == 0
        digests.append(hashlib.sha256((tmp_path / name / "pets.npz").read_bytes()).hexdigest())
    assert digests[0] == digests[1]


def test_a_split_tree_keeps_its_parts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tree(tmp_path / "pets" / "train", {"ant": 5, "cat": 6})
    tree(tmp_path / "pets" / "test", {"ant": 2, "cat": 3})
    (tmp_path / "pets" / "valid").mkdir()
    (tmp_path / "pets" / "README").write_text("Pets.")
    assert pack(tmp_path / "pets", tmp_path / "pets.npz") == 0
    packed = parts(tmp_path / "pets.npz")
    assert np.bincount(packed["train_labels"]).tolist() == [5, 6]
    assert np.bincount(packed["test_labels"]).tolist() == [2, 3]
    output = capsys.readouterr()
    assert "skipped README: it is beside `train` and `test`" in output.err
    assert "skipped valid: it is beside" in output.err
    # Both parts' images were made alike.
    assert "5 files are in both parts" in output.out


def test_a_part_that_is_a_link_out_of_the_tree_is_none(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tree(tmp_path / "elsewhere", {"ant": 2, "cat": 2})
    tree(tmp_path / "pets" / "train", {"ant": 2, "cat": 2})
    (tmp_path / "pets" / "test").symlink_to(tmp_path / "elsewhere")
    assert pack(tmp_path / "pets", tmp_path / "pets.npz") == 1
    assert "skipped test: it is a link that leads out of the tree" in capsys.readouterr().err


def test_a_share_beside_a_test_part_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for part in ("train", "test"):
        tree(tmp_path / "pets" / part, {"ant": 2, "cat": 2})
    assert pack(tmp_path / "pets", tmp_path / "pets.npz", "--test", "0.2") == 1
    assert "has a test part" in capsys.readouterr().err


def test_what_cannot_be_used_is_named_and_skipped(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = tree(tmp_path / "pets", {"ant": 20, "cat": 20})
    whole = encoded(np.zeros((8, 8, 3), np.uint8), "JPEG")
    (tmp_path / "elsewhere.png").write_bytes(grey(1))
    (source / "ant" / "a.jpg").write_bytes(whole[:-40])
    (source / "ant" / "b.txt").write_text("no image")
    (source / "ant" / "c.png").write_bytes(b"")
    (source / "ant" / "d.png").symlink_to(tmp_path / "elsewhere.png")
    (source / "ant" / "e.png").symlink_to("e.png")
    (source / "ant" / "f").mkdir()
    os.mkfifo(source / "ant" / "g.png")
    (source / "ant" / ".DS_Store").write_bytes(b"")
    (source / "ant" / "h\x1b[2J.png").write_bytes(b"")
    (source / "ant" / "i.png").write_bytes(png(9, [bytes(9)] * 9, GREY))
    (source / "bee").mkdir()
    (source / "cow").mkdir()
    (source / "cow" / ".hidden").write_bytes(grey(1))
    (source / "dog").symlink_to(tmp_path)
    (source / "loose.png").write_bytes(grey(1))
    assert pack(source, tmp_path / "pets.npz", "--max-pixels", "64") == 0
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("skipped ")]
    assert [line.removeprefix("skipped ") for line in lines] == [
        "dog: it is a link that leads out of the tree",
        "ant/.DS_Store: it is hidden",
        "ant/d.png: it is a link that leads out of the tree",
        "ant/e.png: it is not a file; images are right in their class's folder",
        "ant/f: it is not a file; images are right in their class's folder",
        "ant/g.png: it is not a file; images are right in their class's folder",
        "bee: the folder has no images",
        "cow/.hidden: it is hidden",
        "cow: the folder has no images",
        "loose.png: it is in no class's folder",
        "ant/a.jpg: the JPEG file is cut short, or damaged before its pixels",
        "ant/b.txt: its first bytes are not those of a PNG, JPEG or WebP file",
        "ant/c.png: it holds no bytes",
        "'ant/h\\x1b[2J.png': it holds no bytes",
        "ant/i.png: it has 9 x 9 pixels; the limit is 64 in all",
    ]
    packed = parts(tmp_path / "pets.npz")
    assert packed["classes"].tolist() == ["ant", "cat"]
    assert len(packed["train_labels"]) + len(packed["test_labels"]) == 40


def test_what_is_skipped_beyond_a_thousand_is_a_number(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = tree(tmp_path / "pets", {"ant": 20, "cat": 20})
    for number in range(1003):
        (source / "ant" / f"{number}.txt").write_bytes(b"no image")
    assert pack(source, tmp_path / "pets.npz") == 0
    output = capsys.readouterr()
    lines = [line for line in output.err.splitlines() if line.startswith("skipped ")]
    assert len(lines) == 1001
    assert lines[-1] == "skipped 3 more"
    assert "1003 skipped" in output.out


def test_an_archive_with_an_image_of_too_many_bytes_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lrnet.image_files.MAX_FILE_BYTES", 70)
    archive(tmp_path / "pets" / "train.npz", 6)
    assert pack(tmp_path / "pets", tmp_path / "pets.npz") == 1
    assert "train.npz: offsets: an image has 71 bytes; the limit is 70" in capsys.readouterr().err


def test_strict_writes_nothing_where_anything_is_skipped(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = tree(tmp_path / "pets", {"ant": 20, "cat": 20})
    assert pack(source, tmp_path / "pets.npz", "--strict") == 0
    (tmp_path / "pets.npz").unlink()
    (source / "ant" / "a.png").write_bytes(b"")
    assert pack(source, tmp_path / "pets.npz", "--strict") == 1
    assert "1 were skipped, and nothing is written" in capsys.readouterr().err
    assert not (tmp_path / "pets.npz").exists()


def lose_a_class(source: Path) -> None:
    for path in (source / "ant").iterdir():
        path.write_bytes(b"")


def lose_all_but_one_class(source: Path) -> None:
    for path in (source / "ant").iterdir():
        path.unlink()


def lose_all(source: Path) -> None:
    lose_all_but_one_class(source)
    for path in (source / "cat").iterdir():
        path.unlink()


def lose_the_root(source: Path) -> None:
    source.rename(source.with_name("gone"))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lose_a_class, "no training image is left of 'ant'"),
        (lose_all_but_one_class, "there are at least two, not 1"),
        (lose_all, "there are at least two, not 0"),
        (lose_the_root, "it is not a folder"),
    ],
)
def test_a_source_of_which_too_little_is_left_writes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], spoil: Callable[[Path], None], message: str
) -> None:
    source = tree(tmp_path / "pets", {"ant": 20, "cat": 20})
    spoil(source)
    assert pack(source, tmp_path / "out" / "pets.npz", "--run", str(tmp_path / "pets.toml")) == 1
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    assert not (tmp_path / "pets.toml").exists()


def test_no_test_image_at_all_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert pack(tree(tmp_path / "pets", {"ant": 3, "cat": 3}), tmp_path / "pets.npz", "--test", "0.0001") == 1
    assert "no test image is left" in capsys.readouterr().err


def test_a_file_and_a_folder_that_may_not_be_read_are_skipped(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tree(tmp_path / "pets", {"ant": 20, "bee": 3, "cat": 20})
    open_, listdir = Path.open, os.listdir

    def refuse(path: Path) -> None:
        # Not by the files' modes: root may read everything.
        if path.name in ("000.png", "bee") and path.parent.name != "cat":
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

    monkeypatch.setattr(
        Path, "open", lambda path, *rest, **more: (refuse(path), open_(path, *rest, **more))[1]
    )
    monkeypatch.setattr(os, "listdir", lambda path: (refuse(Path(path)), listdir(path))[1])
    assert pack(source, tmp_path / "pets.npz") == 0
    error = capsys.readouterr().err
    assert "skipped ant/000.png: Permission denied" in error
    assert "skipped bee: Permission denied" in error
    assert parts(tmp_path / "pets.npz")["classes"].tolist() == ["ant", "cat"]


@pytest.mark.parametrize(
    "out", ["pets.npy", "pets", "Pets.npz", ".npz", "mnist.npz", "digits.npz", "a b.npz"]
)
def test_a_name_that_no_run_could_use_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], out: str
) -> None:
    assert pack(tmp_path, tmp_path / out) == 1
    assert "--out: it is DIR/NAME.npz" in capsys.readouterr().err


@pytest.mark.parametrize(
    "option",
    [
        ("--size", "32"),
        ("--size", "0x4"),
        ("--size", "1025x4"),
        ("--size", "4x"),
        ("--channels", "2"),
        ("--resize", "crop"),
        ("--test", "0"),
        ("--test", "1"),
        ("--test", "nan"),
        ("--test", "many"),
        ("--max-pixels", "0"),
        ("--max-pixels", "134217729"),
    ],
)
def test_options_that_cannot_be_are_wrong_usage(tmp_path: Path, option: tuple[str, str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        main(["pack", str(tmp_path), "--out", str(tmp_path / "pets.npz"), *option])
    assert exit_.value.code == 2


def test_the_most_pixels_that_can_be_asked_for_are_those_that_can_be_decoded(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = tree(tmp_path / "pets", {"ant": 20, "cat": 20})
    assert pack(source, tmp_path / "pets.npz", "--max-pixels", str(MAX_PIXELS)) == 0
    with pytest.raises(SystemExit):
        pack(source, tmp_path / "pets.npz", "--max-pixels", str(MAX_PIXELS + 1))
    assert f"it is 1 to {MAX_PIXELS}, not {MAX_PIXELS + 1}" in capsys.readouterr().err


def test_the_size_is_width_by_height_and_the_resize_rule_holds(tmp_path: Path) -> None:
    for name in ("ant", "cat"):
        (tmp_path / "pets" / name).mkdir(parents=True)
        for number in range(9):
            file = png(4, [bytes([9] * 12)] * 2, RGB) + bytes([number])
            (tmp_path / "pets" / name / f"{number}.png").write_bytes(file)
    options = ["--size", "4x5", "--resize", "contain", "--test", "0.5"]
    assert main(["pack", str(tmp_path / "pets"), "--out", str(tmp_path / "pets.npz"), *options]) == 0
    image = parts(tmp_path / "pets.npz")["train_images"][0]
    assert image.shape == (5, 4, 3)
    assert image[..., 0].tolist() == [[0] * 4, [9] * 4, [9] * 4, [0] * 4, [0] * 4]


def archive(path: Path, count: int, first: int = 0, **changed: object) -> None:
    """`train.npz` or `test.npz`: image i is grey of value i, of class i mod 3, of classes that are not sorted."""
    files = [grey(first + number) for number in range(count)]
    arrays = {
        "jpeg": np.frombuffer(b"".join(files), np.uint8),
        "offsets": np.cumsum([0, *map(len, files)]),
        "labels": np.array([(first + number) % 3 for number in range(count)], np.uint8),
        "classes": np.array(["eel", "bee", "ant"]),
        **changed,
    }
    path.parent.mkdir(exist_ok=True)
    np.savez_compressed(path, **arrays)


def test_archives_of_encoded_images_keep_their_classes_in_order(tmp_path: Path) -> None:
    archive(tmp_path / "pets" / "train.npz", 30)
    archive(tmp_path / "pets" / "test.npz", 12, first=100)
    assert pack(tmp_path / "pets", tmp_path / "pets.npz") == 0
    packed = parts(tmp_path / "pets.npz")
    assert packed["classes"].tolist() == ["eel", "bee", "ant"]
    assert sorted(packed["train_images"].ravel().tolist()) == list(range(30))
    assert sorted(packed["test_images"].ravel().tolist()) == list(range(100, 112))
    assert (packed["train_images"].ravel() % 3 == packed["train_labels"]).all()


def test_an_archive_without_one_for_the_test_is_split(tmp_path: Path) -> None:
    archive(tmp_path / "pets" / "train.npz", 200)
    assert pack(tmp_path / "pets", tmp_path / "pets.npz") == 0
    packed = parts(tmp_path / "pets.npz")
    assert len(packed["train_labels"]) + len(packed["test_labels"]) == 200
    assert 5 <= len(packed["test_labels"]) <= 40


@pytest.mark.parametrize("part", ["train", "test"])
def test_an_archive_is_not_overwritten_by_what_is_packed_of_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], part: str
) -> None:
    archive(tmp_path / "pets" / "train.npz", 30)
    archive(tmp_path / "pets" / "test.npz", 12)
    (tmp_path / "same").symlink_to(tmp_path / "pets")
    content = (tmp_path / "pets" / f"{part}.npz").read_bytes()
    assert pack(tmp_path / "pets", tmp_path / "same" / f"{part}.npz") == 1
    assert f"{part}.npz is one of the files that are to be packed" in capsys.readouterr().err
    assert (tmp_path / "pets" / f"{part}.npz").read_bytes() == content


def test_an_image_is_not_overwritten_whatever_its_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = tree(tmp_path / "pets", {"ant": 20, "cat": 20})
    (source / "ant" / "own.npz").write_bytes(grey(7))
    assert pack(source, source / "ant" / "own.npz") == 1
    assert "own.npz is one of the files that are to be packed" in capsys.readouterr().err
    assert (source / "ant" / "own.npz").read_bytes() == grey(7)


def test_a_bad_image_in_an_archive_is_named_by_its_place(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = [grey(number) for number in range(6)]
    files[4] = files[4][:50]
    archive(
        tmp_path / "pets" / "train.npz",
        6,
        jpeg=np.frombuffer(b"".join(files), np.uint8),
        offsets=np.cumsum([0, *map(len, files)]),
    )
    archive(tmp_path / "pets" / "test.npz", 3)
    assert pack(tmp_path / "pets", tmp_path / "pets.npz") == 0
    assert "skipped train.npz[4]: the PNG file is cut short" in capsys.readouterr().err
    assert sorted(parts(tmp_path / "pets.npz")["train_images"].ravel().tolist()) == [0, 1, 2, 3, 5]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({}, "offsets: they rise from 0 to 444"),
        ({"labels": np.zeros(6, np.int64)}, "labels: they are uint8"),
        (
            {"labels": np.full(6, 3, np.uint8), "offsets": np.array([0, 9, 10, 11, 12, 13, 444])},
            "labels: each is 0..2",
        ),
        ({"labels": np.zeros(5, np.uint8)}, "offsets: they are int64, one more than labels"),
        ({"offsets": np.zeros(7, np.int64)}, "offsets: they rise from 0 to "),
        ({"offsets": np.array([0, 9, 8, 8, 8, 8, 444])}, "offsets: they rise from 0 to 444"),
        ({"offsets": np.array([0, 9, 9, 10, 11, 12, 444])}, "of jpeg, with each image"),
        ({"offsets": np.array([0, -(2**63), 2**63 - 1, 0, 0, 0, 444])}, "offsets: they rise from 0 to 444"),
        ({"jpeg": np.zeros((2, 222), np.uint8)}, "jpeg: it is uint8 [bytes]"),
        ({"classes": np.array(["eel", "bee", 5], dtype=object)}, "plain values"),
        ({"classes": np.array(["eel"])}, "at least two"),
        ({"classes": np.array(["eel", "bee", "x" * 300])}, "256 characters"),
    ],
)
def test_an_archive_of_wrong_content_is_refused_by_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], changed: dict[str, object], message: str
) -> None:
    archive(tmp_path / "pets" / "train.npz", 6, **{"jpeg": np.zeros(444, np.uint8), **changed})
    assert pack(tmp_path / "pets", tmp_path / "pets.npz") == 1
    error = capsys.readouterr().err
    assert "train.npz: " in error
    assert message in error


def test_a_class_whose_name_would_move_the_cursor_is_printed_with_escapes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    archive(tmp_path / "pets" / "train.npz", 30, classes=np.array(["eel", "b\x1b[2Jee", "ant"]))
    archive(tmp_path / "pets" / "test.npz", 12, classes=np.array(["eel", "b\x1b[2Jee", "ant"]))
    assert pack(tmp_path / "pets", tmp_path / "pets.npz") == 0
    output = capsys.readouterr().out
    assert "  'b\\x1b[2Jee': 10 + 4\n" in output
    assert "  eel: 10 + 4\n" in output
    assert "\x1b" not in output


def test_archives_of_different_classes_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    archive(tmp_path / "pets" / "train.npz", 6)
    archive(tmp_path / "pets" / "test.npz", 6, classes=np.array(["ant", "bee", "eel"]))
    assert pack(tmp_path / "pets", tmp_path / "pets.npz") == 1
    assert "test.npz: its classes are not those of train.npz" in capsys.readouterr().err


@given(place=st.floats(0, 1, exclude_max=True), value=st.integers(0, 255))
@settings(max_examples=100, deadline=None)
def test_a_damaged_archive_is_refused_or_skipped_in_part(
    tmp_path_factory: pytest.TempPathFactory, place: float, value: int
) -> None:
    folder = tmp_path_factory.mktemp("pack")
    archive(folder / "pets" / "train.npz", 60)
    path = folder / "pets" / "train.npz"
    content = bytearray(path.read_bytes())
    content[int(place * len(content))] = value
    path.write_bytes(content)
    if pack(folder / "pets", folder / "pets.npz") == 0:
        assert parts(folder / "pets.npz")["classes"].tolist() == ["eel", "bee", "ant"]


@given(
    height=st.integers(1, 1024),
    width=st.integers(1, 1024),
    channels=st.sampled_from([1, 3]),
    resize=st.sampled_from(["stretch", "contain", "cover"]),
    labels=st.lists(st.text(st.characters(codec="utf-8"), min_size=1), min_size=2, max_size=9, unique=True),
    training=st.integers(2, 10**6),
)
@settings(max_examples=200, deadline=None)
def test_the_run_to_start_from_fits_images_of_any_shape(
    height: int, width: int, channels: int, resize: str, labels: list[str], training: int
) -> None:
    image = Input(height, width, channels, resize)
    run = to_run(tomllib.loads(starter("pets", labels, image, training)))
    assert (run.data, run.input, run.labels) == ("pets", image, tuple(labels))
    assert 1 <= run.held_out < training
    assert run.batch <= max(2, training - run.held_out)


def test_a_run_that_is_there_is_not_overwritten(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = tree(tmp_path / "pets", {"ant": 20, "cat": 20})
    run = tmp_path / "pets.toml"
    run.write_text("my own")
    assert pack(source, tmp_path / "pets.npz", "--run", str(run)) == 1
    assert "pets.toml: it is there already" in capsys.readouterr().err
    assert run.read_text() == "my own"
    assert not (tmp_path / "pets.npz").exists()


def stripes(root: Path) -> Path:
    """Pictures of two classes that any network tells apart."""
    generator = np.random.default_rng(0)
    for name in ("across", "down"):
        (root / name).mkdir(parents=True)
        for number in range(120):
            lines = np.tile(generator.integers(0, 2, 8) * 255, (8, 1)).astype(np.uint8)
            lines = lines.T if name == "across" else lines
            noisy = np.clip(lines + generator.normal(0, 20, (8, 8)), 0, 255).astype(np.uint8)
            (root / name / f"{number}.png").write_bytes(encoded(noisy, "PNG"))
    return root


def test_own_images_are_packed_trained_exported_and_evaluated(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, data = tmp_path / "stripes.toml", tmp_path / "data"
    options = ["--size", "8x8", "--channels", "1", "--test", "0.2", "--run", str(run)]
    assert (
        main(["pack", str(stripes(tmp_path / "images")), "--out", str(data / "stripes.npz"), *options]) == 0
    )
    assert read_run(run)[0].labels == ("across", "down")
    short = [
        "twin.epochs=2",
        "signs.epochs=1",
        "distribution.epochs=2",
        "members.count=2",
        "members.candidates=1",
    ]
    overrides = [part for each in short for part in ("--set", each)]
    checkpoint, model = str(tmp_path / "checkpoint"), str(tmp_path / "models" / "stripes" / "1")
    arguments = ["train", str(run), "--data", str(data), "--checkpoint", checkpoint]
    assert main([*arguments, "--set", 'labels=["down", "across"]', *overrides]) == 1
    assert "labels[0]: the network has 'down', and stripes.npz 'across'" in capsys.readouterr().err
    assert main([*arguments[:-1], str(tmp_path / "other"), "--set", "input.width=9", *overrides]) == 1
    assert "input: the network takes 8 x 9 x 1, and stripes has 8 x 8 x 1" in capsys.readouterr().err
    assert main([*arguments[:-1], str(tmp_path / "third"), *overrides]) == 0
    assert main(["export", str(tmp_path / "third"), "--data", str(data), "--out", model]) == 0
    assert main(["evaluate", model, "--data", str(data)]) == 0
    assert "held-out images, n = " in capsys.readouterr().out
    assert len(read_training("stripes", data, 1)[0]) + len(read_test("stripes", data)) == 239
