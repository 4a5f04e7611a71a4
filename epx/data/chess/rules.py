"""The rules of chess: the only file that needs the `chess` package (GPL-3.0 or later, the extra
`chess`). It turns games that are written or played into the parsed form of `epx.games`, and checks
every move."""

import functools
import io
import os
import random
import re
import shutil
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np

try:
    import chess
    import chess.engine
    import chess.pgn
except ModuleNotFoundError as error:
    raise ValueError(
        "chess games are read and played by the package chess, which is not here:"
        " pip install 'epx-jax[chess]'"
    ) from error

from epx.data.chess.games import RESULTS, Games, pack

NODES = 500  # that Stockfish searches for a move
OPENING = 6  # random half-moves before Stockfish plays: all its games would be one

_GAIN = (0, 1, 3, 3, 5, 9, 0)  # of taking a piece, by its number; of promoting, less a pawn
_STANDARD = {alias.lower() for alias in chess.Board.aliases}  # names of chess itself

# Why a game is left out.
_CUT_OFF = "the game breaks off: no result after the last move"
_GOES_ON = "moves or another result stand behind its result"
_UNTAGGED = "moves without tags behind a game with tags: perhaps the rest of it"


class Skipped(NamedTuple):
    """A game that was left out: the line of its first tag, counted from 1, and why."""

    line: int
    reason: str


def parse(text: str, first_line: int = 1) -> tuple[Games, list[Skipped]]:
    """The games of a text in PGN, and those left out: with an illegal or ambiguous move or letters
    of another language, without a result at their end (cut off) or with more behind it, without a
    move, or from another position than the initial one. Variations, comments and annotations are
    passed over.

    Args:
      text: whole games in PGN.
      first_line: number of its first line, for the report.
    """
    found, skipped = [], []
    for lines in _pieces(text, first_line):
        reader = functools.partial(_Reader, lines)
        while (game := chess.pgn.read_game(lines, Visitor=reader)) is not None:
            strange = (word for line, word in lines.strange if game.line <= line <= lines.number)
            fault = game.fault or next((f"{word} is no move" for word in strange), "")
            if fault:
                skipped.append(Skipped(game.line, fault))
            else:
                found.append((game.moves, game.outcome))
    return _games(found), skipped


def play(player: str, first: int, last: int, plies: int) -> Games:
    """Games number `first` to `last`, excluded, of a player against itself: game i is a function
    of the player and i alone, and a game cut earlier is the beginning of one cut later.

    Args:
      player: `random`, any legal move; `greedy`, the move that takes or promotes the most, any of
        them where several do; or `stockfish`, with NODES nodes a move after OPENING random
        half-moves.
      first, last: numbers of games.
      plies: half-moves after which a game is left unfinished.

    Raises:
      ValueError: Stockfish is not installed, or it failed.
    """
    if player == "stockfish":
        try:
            with _engine() as engine:
                found = [_play(_Stockfish(engine, i), plies) for i in range(first, last)]
        except chess.engine.EngineError as error:
            raise ValueError(f"the program stockfish failed: {error}") from error
    else:
        chooser = {"random": _Random, "greedy": _Greedy}[player]
        found = [_play(chooser(f"{player} {i}"), plies) for i in range(first, last)]
    return _games(found)


def _games(found: Iterable[tuple[list[chess.Move], str]]) -> Games:
    moves, starts, results = [], [0], []
    for game, outcome in found:
        moves += _packed(game)
        starts.append(len(moves))
        results.append(RESULTS.index(outcome))
    return Games(
        np.array(moves, np.uint32), np.array(starts, np.int64), np.array(results, np.uint8)
    )


def _packed(moves: Iterable[chess.Move]) -> Iterator[int]:
    """The half-moves of one game as `games.pack` lays them out."""
    board = chess.Board()
    for move in moves:
        fields = dict(
            source=move.from_square,
            target=move.to_square,
            piece=board.piece_type_at(move.from_square),
            promotion=move.promotion or 0,
            capture=board.is_capture(move),
            castling=board.is_castling(move),
            en_passant=board.is_en_passant(move),
        ) | _telling(board, move)
        board.push(move)
        check = board.is_check()
        mate = check and not any(board.generate_legal_moves())
        yield pack(**fields, check=check, mate=mate, en_passant_next=board.has_legal_en_passant())


def _telling(board: chess.Board, move: chess.Move) -> dict[str, bool]:
    """Whether SAN names the file or the rank that a piece leaves: the file where that tells it
    from every like piece that could legally go to the same square, else the rank, else both."""
    piece = board.piece_type_at(move.from_square)
    if piece in (chess.PAWN, chess.KING):
        return {}
    alike = board.pieces_mask(piece, board.turn) & ~chess.BB_SQUARES[move.from_square]
    to = chess.BB_SQUARES[move.to_square]
    rivals = [rival.from_square for rival in board.generate_legal_moves(alike, to)] if alike else []
    same_file = any(square % 8 == move.from_square % 8 for square in rivals)
    same_rank = any(square // 8 == move.from_square // 8 for square in rivals)
    return {"tell_file": bool(rivals) and (same_rank or not same_file), "tell_rank": same_file}


# The package takes f3 out of Sf3, nf3 or a figurine, and would play a pawn where a knight is meant.
_MOVE = r"[NBKRQ]?[a-h]?[1-8]?[-x]?[a-h][1-8]"
_LETTER = r"(?:(?!P)[^\W\d_]|[\u2654-\u2658\u265a-\u265e])"  # all but a pawn's
_COMMENT = r"\{[^}]*\}?|;.*|^[%\[].*"
_STRANGE = re.compile(rf"{_COMMENT}|{_MOVE}|(?P<strange>{_LETTER}{_MOVE})", re.MULTILINE)


class _Lines(io.StringIO):
    """A text that knows the number of the line last read, whether a game in it had tags, and the
    lines where something strange stands before a move."""

    def __init__(self, text: str, first_line: int):
        super().__init__(text)
        self.number = first_line - 1
        self.tagged = False
        self.strange = [
            (first_line + text.count("\n", 0, found.start()), found["strange"])
            for found in _STRANGE.finditer(text)
            if found["strange"]
        ]

    def readline(self, *size) -> str:
        line = super().readline(*size)
        self.number += 1
        return line


def _pieces(text: str, first_line: int) -> Iterator[_Lines]:
    """A text cut before each Event tag: what a game leaves open, such as a comment, ends there and
    does not swallow the next one."""
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
            self.handle_error(ValueError("a null move"))
        elif self.outcome:
            self.fault = self.fault or _GOES_ON
        self.moves.append(move)

    def visit_result(self, result):
        if self.outcome:
            self.fault = self.fault or _GOES_ON
        self.outcome = result

    def handle_error(self, error):
        self.fault = self.fault or f"move {len(self.moves) // 2 + 1}: {error}"

    def result(self):
        if not self.fault and not self.outcome:
            self.fault = _CUT_OFF
        if not self.fault and not self.moves:
            self.fault = "it has no moves"
        return self


def _play(choose, plies: int) -> tuple[list[chess.Move], str]:
    """Moves and outcome of one game. It is drawn where the rules end it without a claim."""
    board = chess.Board()
    while (end := board.outcome()) is None and board.ply() < plies:
        board.push(choose(board, list(board.legal_moves)))
    return board.move_stack, end.result() if end else "*"


class _Random:
    def __init__(self, seed: str):
        self.random = random.Random(seed)

    def __call__(self, board: chess.Board, moves: list[chess.Move]) -> chess.Move:
        return moves[self.random.randrange(len(moves))]


class _Greedy(_Random):
    def __call__(self, board: chess.Board, moves: list[chess.Move]) -> chess.Move:
        gains = [_gain(board, move) for move in moves]
        most = max(gains)
        return super().__call__(board, [m for m, gain in zip(moves, gains) if gain == most])


def _gain(board: chess.Board, move: chess.Move) -> int:
    taken = chess.PAWN if board.is_en_passant(move) else board.piece_type_at(move.to_square) or 0
    return _GAIN[taken] + (_GAIN[move.promotion] - 1 if move.promotion else 0)


class _Stockfish(_Random):
    def __init__(self, engine: chess.engine.SimpleEngine, index: int):
        super().__init__(f"stockfish {index}")
        self.engine = engine
        self.game = object()  # another game clears the engine's memory

    def __call__(self, board: chess.Board, moves: list[chess.Move]) -> chess.Move:
        if board.ply() < OPENING:
            return super().__call__(board, moves)
        return self.engine.play(board, chess.engine.Limit(nodes=NODES), game=self.game).move


def _engine() -> chess.engine.SimpleEngine:
    # Debian keeps games beside the usual folders.
    folders = [*os.get_exec_path(), "/usr/games"]
    path = shutil.which("stockfish", path=os.pathsep.join(folders))
    if path is None:
        raise ValueError("self-play by Stockfish needs the program stockfish on the PATH")
    engine = chess.engine.SimpleEngine.popen_uci(path)
    try:
        engine.configure({"Threads": 1, "Hash": 16})
    except chess.engine.EngineError:
        engine.close()
        raise
    return engine
