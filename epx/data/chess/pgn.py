"""Reads games in PGN, and says which are left out and why."""

import functools
import io
import re
from collections.abc import Iterator
from typing import NamedTuple

import chess
import chess.pgn

from epx.data.chess.encode import encode
from epx.data.chess.games import Games

_STANDARD = {alias.lower() for alias in chess.Board.aliases}  # names of chess itself

# Why a game is left out.
_CUT_OFF = "the game breaks off: no result after the last move"
_GOES_ON = "moves or another result follow its result"
_UNTAGGED = "moves without tags after a game with tags: perhaps the rest of it"


class Skipped(NamedTuple):
    """A game that is left out: the line of its first tag, counted from 1, and the reason."""

    line: int
    reason: str


def parse(text: str, first_line: int = 1) -> tuple[Games, list[Skipped]]:
    """The games of a text in PGN, and those that are left out.

    Left out are games with an illegal or ambiguous move or letters of another language, without a
    result at their end (cut off) or with more after it, without a move, or from another position
    than the initial one. Variations, comments and annotations are ignored.

    Args:
      text: whole games in PGN.
      first_line: number of its first line, for the report.
    """
    played, skipped = [], []
    for lines in _pieces(text, first_line):
        reader = functools.partial(_Reader, lines)
        while (game := chess.pgn.read_game(lines, Visitor=reader)) is not None:
            strange = (word for line, word in lines.strange if game.line <= line <= lines.number)
            fault = game.fault or next((f"{word} is no move" for word in strange), "")
            if fault:
                skipped.append(Skipped(game.line, fault))
            else:
                played.append((game.moves, game.outcome))
    return encode(played), skipped


# The package takes f3 out of Sf3, nf3 or a figurine, and would play a pawn where a knight is meant.
_MOVE = r"[NBKRQ]?[a-h]?[1-8]?[-x]?[a-h][1-8]"
_LETTER = r"(?:(?!P)[^\W\d_]|[\u2654-\u2658\u265a-\u265e])"  # all but a pawn's
_COMMENT = r"\{[^}]*\}?|;.*|^[%\[].*"
_STRANGE = re.compile(rf"{_COMMENT}|{_MOVE}|(?P<strange>{_LETTER}{_MOVE})", re.MULTILINE)


class _Lines(io.StringIO):
    """A text that counts its lines as they are read.

    Attributes:
      number: of the line that was read last.
      tagged: whether a game in it had tags.
      strange: line and word where a letter that is no piece stands before a move.
    """

    def __init__(self, text: str, first_line: int):
        super().__init__(text)
        self.number = first_line - 1
        self.tagged = False
        self.strange = [
            (first_line + text.count("\n", 0, match.start()), match["strange"])
            for match in _STRANGE.finditer(text)
            if match["strange"]
        ]

    def readline(self, *size) -> str:
        line = super().readline(*size)
        self.number += 1
        return line


def _pieces(text: str, first_line: int) -> Iterator[_Lines]:
    """Cuts a text before each Event tag, so that a comment left open ends there."""
    for piece in re.split(r"^(?=\[Event )", text, flags=re.MULTILINE):
        yield _Lines(piece, first_line)
        first_line += piece.count("\n")


class _Reader(chess.pgn.BaseVisitor):
    """Collects the moves of one game and its first fault."""

    def __init__(self, lines: _Lines):
        self.lines = lines
        self.tagged = False
        self.moves: list[chess.Move] = []
        self.outcome = ""
        self.fault = ""

    def begin_game(self):
        self.line = self.lines.number

    def visit_header(self, name, value):
        self.tagged = True
        elsewhere = name == "FEN" and value != chess.STARTING_FEN
        if elsewhere or (name == "Variant" and value.lower() not in _STANDARD):
            self.fault = f"it does not start from the initial position ({name} {value!r:.80})"

    def end_headers(self):
        if self.lines.tagged and not self.tagged:
            self.fault = _UNTAGGED
        self.lines.tagged |= self.tagged
        return chess.pgn.SKIP if self.fault else None

    def begin_variation(self):
        return chess.pgn.SKIP

    def visit_move(self, board, move):
        if not move:
            self._fail("a null move")
        elif self.outcome:
            self.fault = self.fault or _GOES_ON
        self.moves.append(move)

    def visit_result(self, result):
        if self.outcome:
            self.fault = self.fault or _GOES_ON
        self.outcome = result

    def handle_error(self, error):
        self._fail(error)

    def _fail(self, reason):
        self.fault = self.fault or f"move {len(self.moves) // 2 + 1}: {reason}"

    def result(self):
        if not self.fault and not self.outcome:
            self.fault = _CUT_OFF
        if not self.fault and not self.moves:
            self.fault = "it has no moves"
        return self
