"""Games that a simple player plays against itself, and judgements of positions."""

import itertools
import os
import random
import shutil
from collections.abc import Iterator

import chess
import chess.engine
import numpy as np

from epx.data.chess.encode import encode
from epx.data.chess.games import Games, field
from epx.types import refusal

NODES = 500  # that Stockfish searches for a move
MATE = 10_000  # centipawns
OPENING = 6  # random half-moves before Stockfish plays, so that its games differ

_GAIN = (0, 1, 3, 3, 5, 9, 0)  # of a capture, by the piece's number; of a promotion, minus a pawn


def play(player: str, first: int, last: int, plies: int) -> Games:
    """Play the games with numbers `first` to `last - 1` of a player against itself.

    Game i depends on the player and i only; a smaller `plies` gives the beginning of the same game.

    Args:
      player: `random` (any legal move), `greedy` (a random one of the moves with the greatest gain
        by capture or promotion) or `stockfish` (NODES nodes per move, after OPENING random
        half-moves).
      first, last: numbers of games.
      plies: half-moves after which a game is left unfinished.

    Raises:
      ValueError: Stockfish is not installed, or it failed.
    """
    if player == "stockfish":
        try:
            with _engine("generator.corpus", "selfplay-stockfish") as engine:
                played = [_play(_Stockfish(engine, i), plies) for i in range(first, last)]
        except chess.engine.EngineError as error:
            accepted = f"another player: the program stockfish failed ({error})"
            raise refusal("generator.corpus", "selfplay-stockfish", accepted) from error
    else:
        chooser = {"random": _Random, "greedy": _Greedy}[player]
        played = [_play(chooser(f"{player} {i}"), plies) for i in range(first, last)]
    return encode(played)


def judge(positions: Games, nodes: int) -> tuple[Games, np.ndarray]:
    """Stockfish's best move and score of the last position of each game.

    Args:
      positions: games that are not over.
      nodes: searched for each, from an empty memory.

    Returns:
      The games with the best move appended, and the scores, int32 centipawns for White; a forced
      mate is MATE minus the moves to it.

    Raises:
      ValueError: Stockfish is not installed, or it failed.
    """
    moves, scores = [], []
    try:
        with _engine("generator.task", "class or best") as engine:
            for board in _boards(positions):
                found = engine.analyse(board, chess.engine.Limit(nodes=nodes), game=object())
                scores.append(found["score"].white().score(mate_score=MATE))
                moves.append([*board.move_stack, found["pv"][0]])
    except chess.engine.EngineError as error:
        accepted = f"material, which needs no judgement: the program stockfish failed ({error})"
        raise refusal("generator.task", "class or best", accepted) from error
    return encode((game, "*") for game in moves), np.array(scores, np.int32)


def _boards(games: Games) -> Iterator[chess.Board]:
    """The last position of each game."""
    for begin, end in itertools.pairwise(games.starts_G):
        board = chess.Board()
        for move in games.moves_P[begin:end]:
            source, target, promotion = (
                int(field(move, name)) for name in ("source", "target", "promotion")
            )
            board.push(chess.Move(source, target, promotion or None))
        yield board


def _play(choose, plies: int) -> tuple[list[chess.Move], str]:
    """The moves and the result of one game, which ends by the rules without a claim."""
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
        return super().__call__(board, [move for move, gain in zip(moves, gains) if gain == most])


def _gain(board: chess.Board, move: chess.Move) -> int:
    captured = chess.PAWN if board.is_en_passant(move) else board.piece_type_at(move.to_square) or 0
    return _GAIN[captured] + (_GAIN[move.promotion] - 1 if move.promotion else 0)


class _Stockfish(_Random):
    def __init__(self, engine: chess.engine.SimpleEngine, index: int):
        super().__init__(f"stockfish {index}")
        self.engine = engine
        self.game = object()  # a new game clears the engine's memory

    def __call__(self, board: chess.Board, moves: list[chess.Move]) -> chess.Move:
        if board.ply() < OPENING:
            return super().__call__(board, moves)
        return self.engine.play(board, chess.engine.Limit(nodes=NODES), game=self.game).move


def _engine(key: str, value: str) -> chess.engine.SimpleEngine:
    # Debian installs games in a separate folder.
    folders = [*os.get_exec_path(), "/usr/games"]
    path = shutil.which("stockfish", path=os.pathsep.join(folders))
    if path is None:
        accepted = "another one, or this one with the program stockfish (Stockfish) on the PATH"
        raise refusal(key, value, accepted)
    engine = chess.engine.SimpleEngine.popen_uci(path)
    try:
        engine.configure({"Threads": 1, "Hash": 16})
    except chess.engine.EngineError:
        engine.close()
        raise
    return engine
