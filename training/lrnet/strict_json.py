"""JSON without its traps, read as the server reads it."""

from __future__ import annotations

import json
import re
from typing import Any

MAX_DEPTH = 32
"""Deeper than any model needs, and shallow enough for every program that walks the value by recursion."""

_SURROGATE = re.compile("[\ud800-\udfff]")


def parse(text: str, path: str) -> Any:  # noqa: ANN401
    """A value without a key twice in an object (readers differ in which one holds), a key `__proto__` (careless
    copying makes it a prototype), half of a surrogate pair (UTF-8 cannot hold it), or nesting beyond MAX_DEPTH.

    JSON has one kind of number, so 3, 3.0 and 3e0 all are the integer 3. Raises ValueError, naming `path`.
    """

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        keys: set[str] = set()
        for key, _ in pairs:
            if key in keys:
                raise ValueError(f"{path}: the key {key!r} is there twice in one object")
            if key == "__proto__":
                raise ValueError(f"{path}: it has a key __proto__")
            keys.add(key)
        return dict(pairs)

    def refuse(name: str) -> None:
        raise ValueError(f"{path}: JSON has no {name}")

    try:
        value = json.loads(
            text, object_pairs_hook=unique, parse_constant=refuse, parse_int=_number, parse_float=_number
        )
    except RecursionError as error:
        raise ValueError(f"{path}: it is nested deeper than {MAX_DEPTH}") from error
    _check(value, path, 0)
    return value


def _number(text: str) -> int | float:
    number = float(text)
    return int(number) if number.is_integer() and abs(number) <= 2**53 else number


def _check(value: object, path: str, depth: int) -> None:
    if isinstance(value, str):
        if _SURROGATE.search(value):
            raise ValueError(f"{path}: it holds half of a surrogate pair")
        return
    if not isinstance(value, list | dict):
        return
    if depth == MAX_DEPTH:
        raise ValueError(f"{path}: it is nested deeper than {MAX_DEPTH}")
    for inner in value if isinstance(value, list) else [*value, *value.values()]:
        _check(inner, path, depth + 1)
