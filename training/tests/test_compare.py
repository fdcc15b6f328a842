from __future__ import annotations

from pathlib import Path
from typing import Any

import logs
import pytest

from lrnet.cli import main
from lrnet.compare import compare, fill, filled_in

TRAINING = Path(__file__).parents[1]


def training(seed: int, first: float, **more: Any) -> list[logs.Line]:  # noqa: ANN401
    """A finished training whose test accuracy of member 0 is `first`."""
    return [logs.start(seed, **more), logs.epoch("twin", 1), logs.members(), logs.reading(seed, first=first)]


def rows(text: str) -> list[list[str]]:
    """The cells of each setting."""
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines()[4:]]


def test_a_setting_is_a_row_of_means_and_deviations_over_its_seeds(tmp_path: Path) -> None:
    log = logs.write(tmp_path / "log.jsonl", *training(1, 0.90), *training(2, 0.92), *training(3, 0.97))
    text = compare([log])
    assert "n = 500 held-out and 1,000 test images." in text
    # 90, 92 and 97 have a mean of 93 and, around it, squares of 9 + 1 + 16 = 26, a half of which is 13.
    assert rows(text) == [
        [
            "`lenet.toml`",
            "3",
            "2",
            "90.00 ± 0.00",
            "93.00 ± 0.00",
            "95.00 ± 0.00",
            "96.00 ± 0.00",
            "93.00 ± 3.61",
            "94.00 ± 0.00",
            "97.00 ± 0.00",
        ]
    ]


def test_one_seed_has_no_deviation(tmp_path: Path) -> None:
    (row,) = rows(compare([logs.write(tmp_path / "log.jsonl", *training(1, 0.9))]))
    assert row[1] == "1"
    assert row[7] == "90.00"


def test_settings_are_rows_in_their_order_named_by_what_was_set_but_for_the_seed(tmp_path: Path) -> None:
    command = "lrnet train lenet.toml --set distribution.epochs=8"
    log = logs.write(
        tmp_path / "log.jsonl",
        *training(1, 0.90),
        *training(1, 0.80, command=command, setting="longer"),
        *training(2, 0.92, command="lrnet train lenet.toml --set seed=2"),
        *training(2, 0.84, command=command + " --set seed=2", setting="longer"),
    )
    assert [[row[0], row[1], row[7]] for row in rows(compare([log]))] == [
        ["`lenet.toml`", "2", "91.00 ± 1.41"],
        ["`lenet.toml, distribution.epochs=8`", "2", "82.00 ± 2.83"],
    ]


def test_the_same_seed_again_replaces_the_training_before(tmp_path: Path) -> None:
    log = logs.write(tmp_path / "log.jsonl", *training(1, 0.90), *training(1, 0.80))
    (row,) = rows(compare([log]))
    assert (row[1], row[7]) == ("1", "80.00")


def test_several_logs_are_one_table(tmp_path: Path) -> None:
    one = logs.write(tmp_path / "one.jsonl", *training(1, 0.90))
    other = logs.write(tmp_path / "other.jsonl", *training(2, 0.92))
    assert [row[1] for row in rows(compare([one, other]))] == ["2"]


@pytest.mark.parametrize("change", [{"setting": "the file said something else"}, {"data": "others"}])
def test_what_was_trained_by_one_command_on_something_else_is_a_row_of_its_own(
    tmp_path: Path, change: dict[str, str]
) -> None:
    log = logs.write(tmp_path / "log.jsonl", *training(1, 0.90), *training(2, 0.92, **change))
    assert [row[:2] for row in rows(compare([log]))] == [
        ["`lenet.toml`, 2026-01-01T00:00:00+00:00", "1"],
        ["`lenet.toml`, 2026-01-01T00:00:04+00:00", "1"],
    ]


def test_logs_from_before_the_command_was_noted_go_by_the_runs_name(tmp_path: Path) -> None:
    old = [
        {key: value for key, value in line.items() if key not in ("command", "table", "setting", "data")}
        for seed in (1, 2)
        for line in training(seed, 0.9)
    ]
    assert [row[:2] for row in rows(compare([logs.write(tmp_path / "log.jsonl", *old)]))] == [
        ["`lenet`", "2"]
    ]


def test_trainings_without_an_end_and_mixed_ones_are_left_out_and_counted(tmp_path: Path) -> None:
    log = logs.write(
        tmp_path / "log.jsonl",
        *training(1, 0.90),
        *(logs.start(2), logs.epoch("twin", 1)),
        *(logs.start(4), logs.epoch("twin", 1), logs.epoch("twin", 1), logs.members(), logs.reading(4)),
    )
    text = compare([log])
    assert "Trainings left out: 1 unfinished, 1 with lines of another among their own." in text
    assert [row[1] for row in rows(text)] == ["1"]


def test_where_test_images_were_left_unread_the_table_is_of_held_out_images_alone(tmp_path: Path) -> None:
    log = logs.write(tmp_path / "log.jsonl", logs.start(1), logs.epoch("twin", 1), logs.members())
    text = compare([log])
    assert "n = 500 held-out images." in text
    assert "test" not in text
    assert len(rows(text)[0]) == 7


def test_an_accuracy_that_only_others_have_is_a_dash(tmp_path: Path) -> None:
    alone = {key: value for key, value in logs.members().items() if key != "draw_accuracy_mean"}
    lines = (logs.start(1, command='lrnet train lenet.toml --set method="ste"', setting="ste"), alone)
    log = logs.write(tmp_path / "log.jsonl", *training(1, 0.9), *lines)
    drawn, straight_through = rows(compare([log]))
    assert drawn[3] == "90.00"
    assert straight_through[3] == "-"
    assert straight_through[-3:] == ["-", "-", "-"]


def test_the_mean_of_the_first_candidates_stands_beside_that_of_the_members(tmp_path: Path) -> None:
    line = {**logs.members(last=0.95), "unchosen_accuracy": 0.94}
    text = compare([logs.write(tmp_path / "log.jsonl", logs.start(1), logs.epoch("twin", 1), line)])
    assert "| held out: one draw | first candidates | member 0 | all members |" in text
    assert (rows(text)[0][4], rows(text)[0][6]) == ("94.00", "95.00")


def test_log_losses_and_calibration_errors_stand_where_the_logs_have_them(tmp_path: Path) -> None:
    def calibrated(seed: int, losses: list[float], errors: list[float]) -> list[logs.Line]:
        *lines, test = training(seed, 0.9)
        return [*lines, {**test, "log_loss": losses, "calibration_error": errors}]

    log = logs.write(
        tmp_path / "log.jsonl",
        *calibrated(1, [0.30, 0.20], [0.02, 0.010]),
        *calibrated(2, [0.34, 0.20], [0.03, 0.012]),
        *training(3, 0.9, setting="an older one"),
    )
    text = compare([log])
    assert text.startswith(
        "Accuracies and expected calibration errors (15 bins) in %, log-losses in nats, mean"
    )
    assert "| test log-loss: member 0 | all members | test calibration error: all members |" in text
    both, older = rows(text)
    # 0.30 and 0.34 are 0.02 from their mean: √(2 · 0.02²) = 0.0283; 1.0 and 1.2 % likewise 0.1 %: 0.14 %.
    assert both[-3:] == ["0.3200 ± 0.0283", "0.2000 ± 0.0000", "1.10 ± 0.14"]
    assert older[-3:] == ["-", "-", "-"]


@pytest.mark.parametrize(
    ("event", "change"),
    [
        ("members", {"draw_accuracy_mean": 90.0}),
        ("test", {"log_loss": [-0.1, 0.1], "calibration_error": [0.1, 0.1]}),
        ("test", {"log_loss": [0.1, 0.1], "calibration_error": [0.1, 1.1]}),
        ("test", {"log_loss": [0.1, 0.1]}),
        ("members", {"held_out": None}),
        ("members", {"held_out": {"n": "many", "accuracy": [0.5], "baseline": 0.5}}),
        ("test", {"accuracy": []}),
        ("test", {"accuracy": ["0.9"]}),
        ("test", {"baseline": [0.9]}),
    ],
)
def test_a_finished_training_without_its_figures_is_an_error_that_names_it(
    tmp_path: Path, event: str, change: dict[str, Any]
) -> None:
    lines = [{**line, **change} if line["event"] == event else line for line in training(1, 0.9)]
    with pytest.raises(
        ValueError, match=r"log\.jsonl: the training of 2026-01-01T00:00:00\+00:00 lacks figures"
    ):
        compare([logs.write(tmp_path / "log.jsonl", *lines)])


def test_a_command_is_one_cell_whatever_it_holds(tmp_path: Path) -> None:
    command = "lrnet train a|b.toml --set graph=[" + "x" * 500 + "]\n`"
    text = compare([logs.write(tmp_path / "log.jsonl", *training(1, 0.9, command=command))])
    (row,) = text.splitlines()[4:]
    assert row.startswith("| `a\\|b.toml, graph=[xxx")
    assert len(row) < 300


def test_logs_without_a_finished_training_are_an_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = logs.write(tmp_path / "log.jsonl", logs.start())
    assert main(["compare", str(log)]) == 1
    assert "log.jsonl: no finished training is there" in capsys.readouterr().err


def test_the_command_prints_the_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = logs.write(tmp_path / "log.jsonl", *training(1, 0.9))
    assert main(["compare", str(log)]) == 0
    assert capsys.readouterr().out == compare([log]) + "\n"


def test_the_places_of_a_file_are_filled_and_nothing_else_changes(tmp_path: Path) -> None:
    logs.write(tmp_path / "log.jsonl", *training(1, 0.9))
    logs.write(tmp_path / "other.jsonl", *training(1, 0.8))
    page = tmp_path / "README.md"
    page.write_text(
        "before\n\n<!-- lrnet compare log.jsonl -->\nan old table\n<!-- end of lrnet compare -->\n\nbetween\n"
        "<!-- lrnet compare other.jsonl log.jsonl -->\n<!-- end of lrnet compare -->\nafter\n"
    )
    assert main(["compare", "--into", str(page)]) == 0
    text = page.read_text()
    first, both = (
        compare([tmp_path / "log.jsonl"]),
        compare([tmp_path / "other.jsonl", tmp_path / "log.jsonl"]),
    )
    assert text == (
        f"before\n\n<!-- lrnet compare log.jsonl -->\n\n{first}\n\n<!-- end of lrnet compare -->\n\nbetween\n"
        f"<!-- lrnet compare other.jsonl log.jsonl -->\n\n{both}\n\n<!-- end of lrnet compare -->\nafter\n"
    )
    fill(page)
    assert page.read_text() == text


@pytest.mark.parametrize(
    "text", ["", "<!-- lrnet compare log.jsonl -->\n", "<!-- end of lrnet compare -->\n"]
)
def test_a_file_without_a_place_is_an_error_and_stays_as_it_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str
) -> None:
    page = tmp_path / "README.md"
    page.write_text(text)
    assert main(["compare", "--into", str(page)]) == 1
    assert "README.md: there is no <!-- lrnet compare" in capsys.readouterr().err
    assert page.read_text() == text


def test_the_tables_of_the_readme_are_those_of_its_logs() -> None:
    text = (TRAINING / "README.md").read_text(encoding="utf-8")
    assert filled_in(text, TRAINING) == text
