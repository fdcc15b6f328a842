"""Markdown of text that may hold anything: labels and commands are others'."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterable[str]:
    """A table's lines; the cells are Markdown."""
    yield f"| {' | '.join(header)} |"
    yield "|---" * len(header) + "|"
    for row in rows:
        yield f"| {' | '.join(row)} |"


def escaped(text: str) -> str:
    """Markdown that shows a text as it is, on one line."""
    return re.sub(r"([\\`*_\[\]<>|&])", r"\\\1", printable(text))


def code(text: str) -> str:
    """A text as code, for a cell of a table too. A backtick, which code cannot hold, becomes an apostrophe."""
    return f"`{printable(text).replace('`', chr(39)).replace('|', chr(92) + '|')}`"


def printable(text: str) -> str:
    """The text with a sign in the place of each character that has no shape: line breaks, control characters."""
    return "".join(
        character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text
    )


def count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
