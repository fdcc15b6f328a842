"""The card of a model whose figures are made up, so that each can be looked for."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from make_fixture import residual, tiny

from lrnet.card import card
from lrnet.findings import Findings
from lrnet.format import Calibration, Model
from lrnet.history import Epoch
from lrnet.scores import Bins


def entry(accuracy: float, loss: float, error: float) -> dict[str, Any]:
    return {
        "accuracy": accuracy,
        "logLoss": loss,
        "calibrationError": error,
        "uncalibrated": {"accuracy": accuracy, "logLoss": loss + 0.1, "calibrationError": error + 0.2},
    }


@pytest.fixture
def model() -> Model:
    """The fixture's network, with a provenance such as `lrnet.export` makes."""
    figures = {
        "heldOut": {
            "n": 5000,
            "members": [entry(0.9911, 0.031, 0.004), entry(0.9922, 0.025, 0.003), entry(0.9933, 0.02, 0.002)],
            "baseline": entry(0.9944, 0.019, 0.001),
        },
        "test": {
            "n": 10_000,
            "members": [
                entry(0.9901, 0.033, 0.005),
                entry(0.9912, 0.027, 0.004),
                entry(0.9923, 0.022, 0.003),
            ],
            "baseline": entry(0.9934, 0.021, 0.002),
        },
    }
    provenance = {
        "run": "tiny",
        "commands": ["lrnet train tiny.toml"],
        "seed": 7,
        "hardware": "A Processor, 2 threads",
        "versions": {"python": "3.11.7", "torch": "2.15.0"},
        "threads": 2,
        "seconds": 1234.5,
        "data": "mnist",
        "dataDigest": "ab" * 32,
        "heldOut": {"n": 5000, "digest": "cd" * 32},
        "chosen": [4, 0, 2],
        "recipe": {"name": "tiny", "graph": [{"name": "conv1"}], "twin": {"epochs": 6}},
        "figures": figures,
    }
    return dataclasses.replace(
        tiny(), provenance=provenance, calibration=Calibration((0.9, 0.8, 0.75), "held-out", 5000)
    )


def lines(model: Model, findings: Findings | None = None) -> list[str]:
    text = card(model, "3", file_bytes=100_000, baseline_bytes=250_000, proved_rows=267, findings=findings)
    return text.splitlines()


def test_the_accuracy_of_each_number_of_members_and_of_the_baseline_stands_there(model: Model) -> None:
    text = lines(model)
    assert "| 1 member | 99.01% | 99.11% | 0.0330 | 0.0310 |" in text
    assert "| 3 members | 99.23% | 99.33% | 0.0220 | 0.0200 |" in text
    assert "| baseline | 99.34% | 99.44% | 0.0210 | 0.0190 |" in text


def test_the_standard_error_of_the_last_accuracy_stands_there(model: Model) -> None:
    # The root of 0.9923 * 0.0077 / 10000 is 0.000874.
    assert "The standard error of 99.23% with n = 10,000 is 0.09%." in "\n".join(lines(model))


def test_temperatures_stand_with_the_calibration_error_before_and_after(model: Model) -> None:
    assert "| 2 members | 0.800 | 0.2040 | 0.0040 | 0.1270 | 0.0270 |" in lines(model)


def test_sizes_stand_with_their_ratio_to_the_baseline(model: Model) -> None:
    text = lines(model)
    # 70*27 + 2*33*630 + 130*132 + 2*24*130 + 2*65*24 + 5*65 bits
    assert "| weights of one member | 70,315 bits | 28.4 |" in text
    assert "| model.safetensors, 3 members | 100,000 bytes | 2.5 |" in text
    assert "| baseline.onnx | 250,000 bytes | 1.0 |" in text


def test_an_int8_baseline_stands_with_its_figures_its_size_and_how_it_was_made(model: Model) -> None:
    made = dict(model.provenance)
    made["baselineInt8"] = {
        "sha256": "ef" * 32,
        "bytes": 62_500,
        "calibrationImages": 500,
        "onnxruntime": "1.32.0",
    }
    made["figures"] = {
        "test": {**made["figures"]["test"], "baselineInt8": entry(0.9932, 0.0215, 0.002)},
        "heldOut": {**made["figures"]["heldOut"], "baselineInt8": entry(0.9942, 0.0195, 0.001)},
    }
    text = card(
        dataclasses.replace(model, provenance=made), "3", 100_000, 250_000, 267, int8_bytes=62_500
    ).splitlines()
    baseline = text.index("| baseline | 99.34% | 99.44% | 0.0210 | 0.0190 |")
    assert text[baseline + 1] == "| int8 baseline | 99.32% | 99.42% | 0.0215 | 0.0195 |"
    assert "| baseline-int8.onnx | 62,500 bytes | 4.0 |" in text
    assert any("quantized by onnxruntime 1.32.0 to int8 weights" in line for line in text)
    assert "Written by `lrnet export CHECKPOINT --out models/tiny/3 --int8`." in text
    assert not [line for line in lines(model) if "int8" in line]


def test_every_operation_stands_with_its_window_and_shape(model: Model) -> None:
    text = lines(model)
    assert "| conv1 | conv2d | 3x3, padding 1, pool 2 | 6x5x70 | 1,890 binary | bits |" in text
    assert "| conv2 | conv2d | 3x3, stride 2, padding 1 | 3x3x33 | 20,790 ternary | bits |" in text
    assert "| logits | linear |  | 1x1x5 | 325 binary | floats |" in text


def test_operations_without_weights_and_what_is_added_stand_there(model: Model) -> None:
    made = {**model.provenance, "figures": two_members(model.provenance["figures"])}
    text = lines(dataclasses.replace(residual(), provenance=made))
    assert "| s0.0 | sign |  | 8x8x9 |  | bits |" in text
    assert "| x0.0 | conv2d | 3x3, padding 1, plus stem | 8x8x9 | 729 ternary | floats |" in text
    assert "| d1.0 | average_pool | 2x2 | 4x4x9 |  | floats |" in text
    assert "| s1.0 | sign | of x0.1 | 8x8x9 |  | bits |" in text
    assert "| x1.0 | conv2d | 3x3, stride 2, padding 1, plus r1.0 | 4x4x18 | 1,458 ternary | floats |" in text
    # 9*27*2 + 9*81*2 + 9*81 + 18*9 + 18*81*2 + 18*162*2 + 4*72 bits
    assert "| weights of one member | 11,871 bits | 168.5 |" in text
    assert any("with binary and ternary weights and one-bit activations" in line for line in text)


def two_members(figures: dict[str, Any]) -> dict[str, Any]:
    return {split: {**of_split, "members": of_split["members"][:2]} for split, of_split in figures.items()}


def test_what_made_the_model_stands_there(model: Model) -> None:
    text = "\n".join(lines(model))
    for part in (
        "# tiny, version 3",
        "| commands | `lrnet train tiny.toml` |",
        "| seed | 7 |",
        "| hardware | A Processor, 2 threads, 1,234 s |",
        "| versions | python 3.11.7, torch 2.15.0 |",
        "draw 4, the most probable network, draw 2",
        "twin.epochs = 6",
        "on 267 images",
        "`lrnet export CHECKPOINT --out models/tiny/3`",
    ):
        assert part in text


@pytest.mark.parametrize(
    ("members", "reason"),
    [
        (1, "1 member answers unless a request asks for another number: the work grows"),
        (2, "log-loss goes from 0.0310 with 1 to 0.0250 with 2, and accuracy from 99.11% to 99.22%"),
        (
            3,
            "3 members answer unless a request asks for another number: on the held-out images log-loss goes",
        ),
        (3, "log-loss goes from 0.0310 with 1 to 0.0200 with 3, and accuracy from 99.11% to 99.33%"),
        (3, "`members=1` costs 1/3 of the work"),
    ],
)
def test_the_reason_for_the_default_number_of_members_is_what_was_measured(
    model: Model, members: int, reason: str
) -> None:
    assert reason in "\n".join(lines(dataclasses.replace(model, default_members=members)))


def test_a_calibration_after_training_is_named_with_what_had_been_read_by_then(model: Model) -> None:
    provenance = {**model.provenance, "commands": ["lrnet train tiny.toml", "lrnet calibrate CHECKPOINT"]}
    text = "\n".join(lines(dataclasses.replace(model, provenance=provenance)))
    assert "| commands | `lrnet train tiny.toml`, then `lrnet calibrate CHECKPOINT` |" in text
    assert (
        "fitted again by `lrnet calibrate CHECKPOINT`, after training had ended and the test images" in text
    )
    assert "fitted again" not in "\n".join(lines(model))


def found(matrix: np.ndarray, *epochs: Epoch) -> Findings:
    """Findings whose 4 rows have confidences of 1 (right, in the last bin) before, and of 0.5 after the temperature."""
    n = np.zeros(15, dtype=np.int64)
    before, after = (n.copy() for _ in range(2))
    before[14], after[7] = 4, 4
    return Findings(
        confusion=matrix,
        before=Bins(before, before, before.astype(float)),
        after=Bins(after, after, after / 2),
        epochs=epochs,
    )


SMALL = np.array([[1, 2, 0, 0, 0], [0, 1, 0, 0, 0], [0, 0, 0, 0, 0], [0, 0, 0, 0, 0], [0, 0, 0, 0, 0]])


def test_a_report_adds_to_the_card_and_takes_nothing_from_it(model: Model) -> None:
    plain, full = lines(model), lines(model, found(SMALL))
    written = "Written by `lrnet export CHECKPOINT --out models/tiny/3`"
    assert [line for line in plain if line not in full] == [f"{written}."]
    assert f"{written}, and its plots by `lrnet report models/tiny/3`." in full
    assert not [line for line in plain if ".svg" in line]
    rest = iter(full)
    assert all(line in rest for line in plain if line != f"{written}.")


def test_each_plot_stands_in_its_section_with_what_it_says_in_words(model: Model) -> None:
    epochs = (Epoch("twin", 1, 0.5, 0.6), Epoch("twin", 2, 0.7, 0.8), Epoch("signs", 1, 0.7, 0.75))
    section = ""
    plots = {}
    for line in lines(model, found(SMALL, *epochs)):
        section = line.removeprefix("## ") if line.startswith("## ") else section
        if line.startswith("!["):
            plots[section] = line
    assert plots == {
        "Accuracy": "![Test accuracy and log-loss by the number of members: 1 member 99.01% and 0.0330,"
        " 3 members 99.23% and 0.0220, the baseline 99.34% and 0.0210.](members.svg)",
        "Calibration": "![Reliability of 2 members on 4 test images in 15 bins: the expected calibration error is"
        " 0.0000 before and 0.5000 after the temperature; the last bin holds 100.0% of the images before and"
        " 0.0% after.](calibration.svg)",
        "Confusions": "![Confusion matrix. Most often confused: zero as one (2).](confusion.svg)",
        "Training": "![Accuracy after each epoch. On held-out images the stages end at: twin 80.00%,"
        " signs 75.00%.](training.svg)",
    }


def test_wrong_answers_are_counted(model: Model) -> None:
    text = "\n".join(lines(model, found(SMALL)))
    assert "By 2 members, 2 of 4 test images are answered wrongly." in text


def test_without_the_trainings_log_the_card_says_so(model: Model) -> None:
    text = "\n".join(lines(model, found(SMALL)))
    assert "No log at hand tells of the training's epochs." in text
    assert "training.svg" not in text


def with_labels(model: Model, labels: list[str]) -> Model:
    return dataclasses.replace(model, network=dataclasses.replace(model.network, labels=tuple(labels)))


def test_of_a_hundred_classes_a_table_has_the_most_frequent_confusions(model: Model) -> None:
    hundred = with_labels(model, [f"class_{number}" for number in range(100)])
    matrix = np.diag(np.full(100, 10))
    # Class 99 is taken for class 0 most often, and 30 others once each for the next one.
    matrix[99, 0] = 30
    matrix[np.arange(30), np.arange(1, 31)] = 1
    text = lines(hundred, found(matrix))
    assert "confusion.svg" not in "\n".join(text)
    begin = text.index("| label | answer | images | share of the label's |")
    table = text[begin + 2 : text.index("## Size") - 1]
    assert len(table) == 20
    assert table[0] == "| class\\_99 | class\\_0 | 30 | 75.0% |"
    assert table[1] == "| class\\_0 | class\\_1 | 1 | 9.1% |"
    assert "class\\_23, …) apart" in text[2]
    assert "class\\_24" not in text[2]


def test_a_hundred_classes_without_a_confusion_have_no_table(model: Model) -> None:
    hundred = with_labels(model, [f"class {number}" for number in range(100)])
    text = lines(hundred, found(np.diag(np.full(100, 10))))
    place = text.index("## Confusions")
    assert text[place + 2] == "By 2 members, 0 of 1,000 test images are answered wrongly."
    assert text[place + 4] == "## Size"


def test_a_label_is_no_markup(model: Model) -> None:
    odd = with_labels(model, ["a|b", "](x)", "<img>", "*\n*", "&amp;"])
    text = lines(odd, found(SMALL))
    assert "(a\\|b, \\](x), \\<img\\>, \\*\N{REPLACEMENT CHARACTER}\\*, \\&amp;) apart" in text[2]
    assert "![Confusion matrix. Most often confused: a\\|b as \\](x) (2).](confusion.svg)" in text


def test_a_network_that_the_run_names_is_told_with_the_recipe(model: Model) -> None:
    recipe = {"name": "tiny", "network": {"name": "vgg-small", "width": 0.5, "weights": "ternary"}}
    text = card(dataclasses.replace(model, provenance={**model.provenance, "recipe": recipe}), "1", 1, 1, 1)
    assert "\nnetwork.name = vgg-small\nnetwork.width = 0.5\nnetwork.weights = ternary\n" in text


@pytest.mark.parametrize(
    ("recipe", "members"),
    [
        (
            {"freezing": {"candidates": 16}},
            "the frozen network, draw 3: chosen on the held-out images, the frozen one first",
        ),
        ({"method": "ste"}, "the network that the straight-through estimator trained"),
    ],
)
def test_a_member_that_was_frozen_or_trained_straight_through_is_called_so(
    model: Model, recipe: dict[str, Any], members: str
) -> None:
    provenance = {**model.provenance, "chosen": [0, 3], "recipe": recipe}
    text = card(dataclasses.replace(model, provenance=provenance), "1", 1, 1, 1)
    assert f"| members | {members} |" in text


@pytest.mark.parametrize(
    ("recipe", "said"),
    [
        ({}, "member 0 looks better than it is, being the network that was best on these very images"),
        (
            {"freezing": {"candidates": 16}},
            "member 0, the frozen network, which is first by rule, looks better than it is, its layers having been"
            " chosen on these very images",
        ),
    ],
)
def test_a_first_member_is_said_to_be_the_best_one_only_where_it_was_chosen_for_that(
    model: Model, recipe: dict[str, Any], said: str
) -> None:
    provenance = {**model.provenance, "recipe": recipe}
    text = "\n".join(lines(dataclasses.replace(model, provenance=provenance)))
    assert said in text
    assert ("that was best" in text) == (recipe == {})
    assert "3 members, discrete networks drawn from one learned distribution: on 10,000 test images" in text
    assert (
        "member 0 alone is right in 99.01%, the mean of 3 in 99.23%, the float32 baseline in 99.34%." in text
    )


def test_a_straight_through_network_is_not_said_to_be_drawn(model: Model) -> None:
    figures = {
        split: {**of_split, "members": of_split["members"][:1]}
        for split, of_split in model.provenance["figures"].items()
    }
    provenance = {**model.provenance, "chosen": [0], "recipe": {"method": "ste"}, "figures": figures}
    network = dataclasses.replace(model.network, members=model.network.members[:1])
    made = dataclasses.replace(
        model,
        network=network,
        provenance=provenance,
        calibration=Calibration((0.9,), "held-out", 5000),
        default_members=1,
    )
    text = "\n".join(lines(made))
    assert (
        "It ships 1 member, the network that the straight-through estimator trained: on 10,000 test images it is"
        " right in 99.01%, the float32 baseline in 99.34%."
    ) in text
    assert "drawn" not in text


@pytest.mark.parametrize(
    ("stages", "noisy", "most_probable"),
    [
        (
            ["twin", "signs", "distribution"],
            ", and in the stage distribution with weights and activations that are noisy;",
            " end, in that stage of the most probable one.",
        ),
        (
            ["twin", "signs", "distribution", "freezing"],
            ", and in the stages distribution and freezing with weights and activations that are noisy in all layers",
            " end, in these two stages of the most probable one.",
        ),
        (["twin", "signs", "ste"], " met, augmented;", "the network at the epoch's end. "),
    ],
)
def test_the_stages_whose_weights_are_noisy_are_named(
    model: Model, stages: list[str], noisy: str, most_probable: str
) -> None:
    text = "\n".join(lines(model, found(SMALL, *(Epoch(stage, 1, 0.5, 0.6) for stage in stages))))
    assert noisy in text
    assert most_probable in text
