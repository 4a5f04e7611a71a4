"""Texts as values of the types that config keys have; keys that are close. Needs no JAX."""

import difflib
import math
import types
import typing
from collections.abc import Iterable
from typing import Any

from epx.types import refusal

WORDS = {int: "a whole number", float: "a number", bool: "true or false", str: "a text"}


def convert(key: str, value: Any, kind: Any) -> Any:
    """Convert a value, or its text, to the type of its key; 1e3 is the integer 1000.

    Raises:
      ValueError: it has no value of that type.
    """
    union = isinstance(kind, types.UnionType) or typing.get_origin(kind) is typing.Union
    kinds = typing.get_args(kind) if union else (kind,)
    optional = type(None) in kinds
    plain = [k for k in kinds if k in WORDS]
    if optional and (value is None or (isinstance(value, str) and value.lower() == "none")):
        return None
    if not plain:
        return value  # a section without fixed keys, or a type that only `make` checks
    for plain_kind in plain:
        converted = _convert(value, plain_kind)
        if converted is not None:
            return converted
    accepted = " or ".join(WORDS[k] for k in plain) + (" or none" if optional else "")
    raise refusal(key, value, accepted)


def _convert(value: Any, kind: type) -> Any:
    """The value as a plain type, or None if it cannot be converted."""
    if kind is bool:
        texts = {"true": True, "1": True, "false": False, "0": False}
        return texts.get(value.lower()) if isinstance(value, str) else _instance(value, bool)
    if kind is str:
        return value if isinstance(value, str) else None
    if isinstance(value, bool):
        return None
    if isinstance(value, str):
        try:
            value = int(value)
        except ValueError:
            try:
                value = float(value)
            except ValueError:
                return None
    if not isinstance(value, (int, float)) and not hasattr(value, "__float__"):
        return None
    if kind is float:
        try:
            return value if isinstance(value, float) else float(value)
        except OverflowError:
            return math.inf
    whole = isinstance(value, int) or (math.isfinite(value) and float(value).is_integer())
    return int(value) if whole else None


def _instance(value: Any, kind: type) -> Any:
    return value if isinstance(value, kind) else None


def suggest(word: str, known: Iterable[str]) -> str:
    """' (did you mean X?)' if a known word is similar, else ''."""
    near = difflib.get_close_matches(word, list(known), n=2, cutoff=0.5)
    return f" (did you mean {' or '.join(near)}?)" if near else ""


def check_key(dotted: str, value: Any, known: Iterable[str], condition: str) -> None:
    """Refuse a dotted key whose last word is not known; `condition` ends the sentence."""
    key = dotted.partition(".")[2]
    if key not in known:
        keys = f"keys {', '.join(known) or 'none'}{suggest(key, known)}"
        raise refusal(dotted, value, f"{keys}{condition}")
