"""Moves of the package `chess` as the bits of `epx.data.chess.games`."""

from collections.abc import Iterable, Iterator

import chess
import numpy as np

from epx.data.chess.games import RESULTS, Games, pack


def encode(played: Iterable[tuple[list[chess.Move], str]]) -> Games:
    """Games from the initial position, given as legal moves and a result."""
    moves, starts, results = [], [0], []
    for game, result in played:
        moves += _packed(game)
        starts.append(len(moves))
        results.append(RESULTS.index(result))
    return Games(
        np.array(moves, np.uint32), np.array(starts, np.int64), np.array(results, np.uint8)
    )


def _packed(moves: Iterable[chess.Move]) -> Iterator[int]:
    """The packed half-moves of one game."""
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
        ) | _distinguishing(board, move)
        board.push(move)
        check = board.is_check()
        mate = check and not any(board.generate_legal_moves())
        yield pack(**fields, check=check, mate=mate, en_passant_next=board.has_legal_en_passant())


def _distinguishing(board: chess.Board, move: chess.Move) -> dict[str, bool]:
    """Whether SAN names the file and the rank that a piece leaves, to make a move unambiguous.

    A rival is another piece of the same kind that may legally go to the same square. SAN names the
    file if no rival is on it, else the rank if no rival is on it, else both.
    """
    piece = board.piece_type_at(move.from_square)
    if piece in (chess.PAWN, chess.KING):
        return {}
    same_kind = board.pieces_mask(piece, board.turn) & ~chess.BB_SQUARES[move.from_square]
    target = chess.BB_SQUARES[move.to_square]
    if not same_kind:
        return {}
    rivals = [rival.from_square for rival in board.generate_legal_moves(same_kind, target)]
    same_file = any(square % 8 == move.from_square % 8 for square in rivals)
    same_rank = any(square // 8 == move.from_square // 8 for square in rivals)
    return {"name_file": bool(rivals) and (same_rank or not same_file), "name_rank": same_file}
