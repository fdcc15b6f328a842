"""The card of a model whose figures are made up, so that each can be looked for."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from make_fixture import residual, tiny

from lrnet.card import card
from lrnet.format import Calibration, Model


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


def lines(model: Model) -> list[str]:
    return card(model, "3", file_bytes=100_000, baseline_bytes=250_000, proved_rows=267).splitlines()


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
