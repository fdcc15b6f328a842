"""Finished trainings side by side: a Markdown table of what their networks gave, from their logs."""

from __future__ import annotations

import math
import re
import statistics
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from lrnet.checkpoint import save_text
from lrnet.history import Event, Training, trainings
from lrnet.markdown import code, table
from lrnet.scores import BINS

LONGEST_LABEL = 120
"""Characters: an override may hold a whole graph."""


@dataclass(frozen=True)
class Column:
    """A figure of a training: a share, 0 … 1, shown in %, or nats a row."""

    title: str
    unit: Literal["%", "nats"] = "%"


ACCURACIES = (
    Column("held out: one draw"),
    Column("first candidates"),
    Column("member 0"),
    Column("all members"),
    Column("float twin"),
    Column("test: member 0"),
    Column("all members"),
    Column("float twin"),
)
"""The first candidates: the mean of as many as there are members, the first of them not drawn, but frozen or the most
probable."""

COLUMNS = (
    *ACCURACIES,
    Column("test log-loss: member 0", "nats"),
    Column("all members", "nats"),
    Column("test calibration error: all members"),
)
"""Of these, a column that no training has is left out."""

WITH_CALIBRATION = f"Accuracies and expected calibration errors ({BINS} bins) in %, log-losses in nats"

_PLACE = re.compile(r"(<!-- lrnet compare ([^\n]+) -->\n).*?(<!-- end of lrnet compare -->)", re.DOTALL)


@dataclass(frozen=True)
class Result:
    """A finished training. figures: one a column, None where it has none; n: held-out images, and test images, None
    where they were left unread."""

    label: str
    time: str
    members: int
    n: tuple[int, int | None]
    figures: tuple[float | None, ...]


def compare(logs: Sequence[Path]) -> str:
    """A Markdown table of the finished trainings in some logs, one row a setting, in the order of their beginnings.

    Trainings are of one setting where their recipes, but for the seed, and their data are the same. The same seed
    again is no further sample: the last training by it counts. Raises OSError; ValueError, naming the log.
    """
    settings: dict[tuple[str, str], dict[str, Result]] = {}
    left_out: Counter[str] = Counter()
    for path in logs:
        for training in trainings(path):
            if training.mixed:
                left_out["with lines of another among their own"] += 1
            elif training.members is None:
                left_out["unfinished"] += 1
            else:
                by_seed = settings.setdefault(_setting(training.beginning), {})
                by_seed[str(training.beginning.get("seed"))] = _result(path, training)
    if not settings:
        raise ValueError(f"{', '.join(map(str, logs))}: no finished training is there")
    rows = [tuple(by_seed.values()) for by_seed in settings.values()]
    results = [result for row in rows for result in row]
    shown = [
        column
        for column in range(len(COLUMNS))
        if any(result.figures[column] is not None for result in results)
    ]
    header = ("", "seeds", "members", *(COLUMNS[column].title for column in shown))
    return "\n".join(
        (
            ("Accuracies in %" if shown[-1] < len(ACCURACIES) else WITH_CALIBRATION)
            + ", mean ± standard deviation over seeds; n = "
            + " or ".join(dict.fromkeys(_images(*result.n) for result in results))
            + "."
            + (f" Trainings left out: {_listed(left_out)}." if left_out else ""),
            "",
            *table(header, _rows(rows, shown)),
        )
    )


def fill(path: Path) -> None:
    """Writes the tables of a Markdown file anew, each where it holds two lines such as these:

        <!-- lrnet compare runs/one.jsonl runs/other.jsonl -->
        <!-- end of lrnet compare -->

    The logs' paths are relative to the file. Raises OSError; ValueError where no such place is there, as `compare`.
    """
    text = path.read_text(encoding="utf-8")
    try:
        filled = filled_in(text, path.parent)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    save_text(path, filled)


def filled_in(text: str, folder: Path) -> str:
    """Markdown with its tables anew; `folder` is where the logs' paths begin. Raises as `fill`."""

    def place(found: re.Match[str]) -> str:
        begin, logs, end = found.groups()
        return f"{begin}\n{compare([folder / log for log in logs.split()])}\n\n{end}"

    filled, places = _PLACE.subn(place, text)
    if not places:
        raise ValueError(
            "there is no <!-- lrnet compare LOG… --> with <!-- end of lrnet compare --> below it"
        )
    return filled


def _setting(beginning: Event) -> tuple[str, str]:
    # The recipe's digest, but for the seed, tells apart what a run's file said at different times. Older logs have
    # the command alone, and the oldest the run's name.
    return (str(beginning.get("setting", _label(beginning))), str(beginning.get("data")))


def _label(beginning: Event) -> str:
    """The run's file and what was set besides, but for the seed."""
    command = str(beginning.get("command", beginning.get("run"))).removeprefix("lrnet train ")
    label = re.sub(r" --set seed=\s*\S+", "", command).replace(" --set ", ", ")
    return label if len(label) <= LONGEST_LABEL else label[: LONGEST_LABEL - 1] + "…"


def _result(path: Path, training: Training) -> Result:
    beginning, members, test = training.beginning, training.members, training.test
    assert members is not None
    try:
        held_out = members["held_out"]
        figures = (
            # The straight-through estimator's network is the only one, and no draw; older logs lack the second.
            members.get("draw_accuracy_mean"),
            members.get("unchosen_accuracy"),
            *_accuracies(held_out),
            *((None,) * 6 if test is None else (*_accuracies(test), *_calibration(test))),
        )
        for column, figure in zip(COLUMNS, figures, strict=True):
            if figure is not None and not 0 <= figure <= (1 if column.unit == "%" else math.inf):
                raise ValueError(f"{column.title}: {figure} is no figure in {column.unit}")
        return Result(
            label=_label(beginning),
            time=str(beginning.get("time")),
            members=len(held_out["accuracy"]),
            n=(int(held_out["n"]), None if test is None else int(test["n"])),
            figures=figures,
        )
    except (KeyError, TypeError, IndexError, ValueError) as error:
        raise ValueError(
            f"{path}: the training of {beginning.get('time')} lacks figures: {error!r}"
        ) from error


def _accuracies(figures: Event) -> tuple[float, float, float]:
    return (figures["accuracy"][0], figures["accuracy"][-1], figures["baseline"])


def _calibration(figures: Event) -> tuple[float | None, float | None, float | None]:
    # Older logs have neither.
    if "log_loss" not in figures:
        return (None, None, None)
    return (figures["log_loss"][0], figures["log_loss"][-1], figures["calibration_error"][-1])


def _images(held_out: int, test: int | None) -> str:
    return f"{held_out:,} held-out " + ("images" if test is None else f"and {test:,} test images")


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{number} {what}" for what, number in counts.items())


def _rows(settings: Sequence[Sequence[Result]], shown: Sequence[int]) -> Iterable[Sequence[str]]:
    labels = Counter(results[0].label for results in settings)
    for results in settings:
        first = results[0]
        # One command, two rows: the run's file said something else, or the data were others.
        since = f", {first.time}" if labels[first.label] > 1 else ""
        yield (
            code(first.label) + since,
            str(len(results)),
            str(first.members),
            *(
                _shown([result.figures[column] for result in results], COLUMNS[column].unit)
                for column in shown
            ),
        )


def _shown(values: Sequence[float | None], unit: Literal["%", "nats"]) -> str:
    known = [value for value in values if value is not None]
    if len(known) < len(values):
        return "-"
    factor, digits = (100, 2) if unit == "%" else (1, 4)
    mean = f"{factor * statistics.fmean(known):.{digits}f}"
    return mean if len(known) == 1 else f"{mean} ± {factor * statistics.stdev(known):.{digits}f}"
