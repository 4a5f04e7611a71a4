"""Games in PGN: reads them, and reports the skipped ones with a reason."""

import functools
import io
import re
from collections.abc import Iterator
from typing import NamedTuple

import chess
import chess.pgn

from epx.data.chess.encode import encode
from epx.data.chess.games import Games

_STANDARD = {alias.lower() for alias in chess.Board.aliases}  # names of standard chess

# Reasons for which a game is skipped.
_CUT_OFF = "the game breaks off: no result after the last move"
_GOES_ON = "moves or another result follow its result"
_UNTAGGED = "moves without tags after a game with tags: perhaps the rest of it"


class Skipped(NamedTuple):
    """A skipped game: the line of its first tag, counted from 1, and the reason."""

    line: int
    reason: str


def parse(text: str, first_line: int = 1) -> tuple[Games, list[Skipped]]:
    """The games of a text in PGN, and the skipped ones.

    Skipped are games with an illegal or ambiguous move, with piece letters of another language,
    without a result at the end, with moves or another result after it, without a move, or from
    another than the initial position. Variations, comments and annotations are ignored.

    Args:
      text: complete games in PGN.
      first_line: number of the first line, for the report.
    """
    played, skipped = [], []
    for lines in _pieces(text, first_line):
        reader = functools.partial(_Reader, lines)
        while (game := chess.pgn.read_game(lines, Visitor=reader)) is not None:
            foreign = (word for line, word in lines.foreign if game.line <= line <= lines.number)
            fault = game.fault or next((f"{word} is not a move" for word in foreign), "")
            if fault:
                skipped.append(Skipped(game.line, fault))
            else:
                played.append((game.moves, game.outcome))
    return encode(played), skipped


# The package reads f3 from Sf3, nf3 or a figurine, and would move a pawn instead of a knight.
_MOVE = r"[NBKRQ]?[a-h]?[1-8]?[-x]?[a-h][1-8]"
_LETTER = r"(?:(?!P)[^\W\d_]|[\u2654-\u2658\u265a-\u265e])"  # except those of a pawn
_COMMENT = r"\{[^}]*\}?|;.*|^[%\[].*"
_FOREIGN = re.compile(rf"{_COMMENT}|{_MOVE}|(?P<foreign>{_LETTER}{_MOVE})", re.MULTILINE)


class _Lines(io.StringIO):
    """A text that counts its lines as they are read.

    Attributes:
      number: of the last line read.
      tagged: whether a game in it had tags.
      foreign: line and word of each move with a letter that is no piece.
    """

    def __init__(self, text: str, first_line: int):
        super().__init__(text)
        self.number = first_line - 1
        self.tagged = False
        self.foreign = [
            (first_line + text.count("\n", 0, match.start()), match["foreign"])
            for match in _FOREIGN.finditer(text)
            if match["foreign"]
        ]

    def readline(self, *size) -> str:
        line = super().readline(*size)
        self.number += 1
        return line


def _pieces(text: str, first_line: int) -> Iterator[_Lines]:
    """Cut a text before each Event tag, so that an unclosed comment ends there."""
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
