"""Text for a terminal: tables, and examples whose charged tokens are marked."""

import itertools
import re
import shutil
import sys
from collections.abc import Sequence

import numpy as np
from tabulate import tabulate

from epx.types import Generator

OPEN, CLOSE = ("\033[1;4m", "\033[0m") if sys.stdout.isatty() else ("⟨", "⟩")


def terminal_width() -> int:
    """Characters in a line of the terminal; 100 where the output is no terminal."""
    return shutil.get_terminal_size((100, 24)).columns


def fitted_table(rows: Sequence[Sequence[str]], heads: Sequence[str] = ()) -> str:
    """A table whose last column is wrapped, so that it fits the terminal."""
    padded = [f"{head}  " for head in heads]  # `tabulate` makes a column two wider than its head
    columns = list(zip(*[padded, *rows] if heads else rows))[:-1]
    used = sum(2 + max(map(len, column)) for column in columns)
    last = max(terminal_width() - used, 20)
    wraps = [*[None] * len(columns), last]
    text = tabulate(rows, heads, "plain", disable_numparse=True, maxcolwidths=wraps)
    return "\n".join(line.rstrip() for line in text.split("\n"))


def legend(marked: np.ndarray, what: str) -> str:
    """An explanation of the marks, or a statement that all tokens are marked."""
    return f"every token is {what}" if marked.all() else f"{OPEN}this{CLOSE} marks what is {what}"


def symbols(generator: Generator, tokens_T: np.ndarray) -> list[str]:
    """The text of each token: the generator's own `symbols`, else its number.

    Numbers are followed by a space where the vocabulary has more than ten tokens.
    """
    tokens_T = np.asarray(tokens_T)
    if hasattr(generator, "symbols"):
        return generator.symbols(tokens_T)
    gap = " " if generator.spec.vocab > 10 else ""
    return [f"{token}{gap}" for token in tokens_T]


def lines(
    generator: Generator, tokens_T: np.ndarray, charged_T: np.ndarray, width: int = 96
) -> list[str]:
    """An example in lines of at most `width` characters, with marks around charged tokens.

    There are no marks if all tokens are charged. Uncharged line ends that pad a row are left out.
    Control characters are shown as their Unicode pictures.
    """
    charged_T = np.asarray(charged_T, bool)
    texts = symbols(generator, tokens_T)
    characters = [
        (_visible_character(c), mark) for text, mark in zip(texts, charged_T) for c in text
    ]
    while characters and characters[-1] == ("\n", False):
        characters.pop()
    rows, line = [], []
    for character, mark in characters:
        if character == "\n" or len(line) == width:
            rows.append(line)
            line = []
        if character != "\n":
            line.append((character, mark))
    return [_marked(line, all(charged_T)) for line in ([*rows, line] if line else rows)]


def side_by_side(left: list[str], right: list[str], width: int) -> str:
    """Two lists of lines as two columns, the left one `width` characters wide."""
    rows = itertools.zip_longest(left, right, fillvalue="")
    return "\n".join(
        f"{first}{' ' * (width - _visible(first))}  {second}" for first, second in rows
    )


def _visible_character(character: str) -> str:
    if character == "\n" or character.isprintable():
        return character
    return chr(0x2400 + ord(character)) if ord(character) < 0x20 else "\N{REPLACEMENT CHARACTER}"


def _marked(line: list[tuple[str, bool]], plain: bool) -> str:
    parts = []
    for mark, run in itertools.groupby(line, key=lambda pair: pair[1]):
        text = "".join(character for character, _ in run)
        parts.append(f"{OPEN}{text}{CLOSE}" if mark and not plain else text)
    return "".join(parts)


def _visible(line: str) -> int:
    return len(re.sub(r"\033\[[0-9;]*m", "", line))
