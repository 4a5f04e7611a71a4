"""Games as text: moves in SAN, UCI or LAN, and positions in FEN."""

import itertools

import numpy as np

from epx.data.chess.games import Games, field

NOTATIONS = ("san", "uci", "lan")

_PAWN, _ROOK = 1, 4
_PIECES = np.frombuffer(b"\0PNBRQK", np.uint8)
_CASTLING = np.frombuffer(b"O-O-O\0\0\0", np.uint8)
_NONE = np.uint8(0)  # no character


def moves_text(games: Games, notation: str, after_white: str, after_black: str) -> list[bytes]:
    """The moves of each game in a notation, each followed by a separator.

    Args:
      games: the games to write.
      notation: `san` (Nbxd2+), `uci` (b1d2) or `lan` (Nb1xd2+).
      after_white, after_black: one ASCII character each.
    """
    columns = _uci(games.moves_P) if notation == "uci" else _algebraic(games.moves_P, notation)
    white_P = (np.arange(len(games.moves_P)) - np.repeat(games.starts_G[:-1], games.plies_G)) % 2
    columns.append(np.where(white_P == 0, _ascii(after_white), _ascii(after_black)))
    characters = np.empty((len(games.moves_P), len(columns)), np.uint8)
    for place, column in enumerate(columns):
        characters[:, place] = column
    used = characters != 0
    ends = np.concatenate([[0], np.cumsum(used.sum(1))])[games.starts_G]
    text = characters[used].tobytes()
    return [text[begin:end] for begin, end in itertools.pairwise(ends)]


def _uci(moves_P: np.ndarray) -> list[np.ndarray]:
    """Characters of each move in UCI: uint8 columns, 0 for no character.

    Bytes, because a column of 64-bit integers takes 80 MB for ten million half-moves.
    """
    promotion = _PIECES[field(moves_P, "promotion")]
    small = np.where(promotion > 0, promotion + np.uint8(32), _NONE)
    return [*_square(field(moves_P, "source")), *_square(field(moves_P, "target")), small]


def _algebraic(moves_P: np.ndarray, notation: str) -> list[np.ndarray]:
    """Characters of each move in SAN or LAN, as columns like those of `_uci`."""
    piece, capture = field(moves_P, "piece"), field(moves_P, "capture")
    promotion = _PIECES[field(moves_P, "promotion")]
    long = notation == "lan"
    name_file = long | (field(moves_P, "name_file") > 0) | ((piece == _PAWN) & (capture > 0))
    name_rank = long | (field(moves_P, "name_rank") > 0)
    file, rank = _square(field(moves_P, "source"))
    columns = [
        np.where(piece == _PAWN, _NONE, _PIECES[piece]),
        np.where(name_file, file, _NONE),
        np.where(name_rank, rank, _NONE),
        np.where(capture, _ascii("x"), _ascii("-") if long else _NONE),
        *_square(field(moves_P, "target")),
        np.where(promotion > 0, _ascii("="), _NONE),
        promotion,
    ]
    castling = field(moves_P, "castling") > 0
    queenside = field(moves_P, "target") < field(moves_P, "source")
    for place, column in enumerate(columns):
        letter = _CASTLING[place]
        written = letter if place < 3 else np.where(queenside, letter, _NONE)
        columns[place] = np.where(castling, written, column)
    mate, check = field(moves_P, "mate"), field(moves_P, "check")
    return [*columns, np.where(mate, _ascii("#"), np.where(check, _ascii("+"), _NONE))]


def _square(square: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Characters of file and rank, uint8."""
    file, rank = square % 8 + _ascii("a"), square // 8 + _ascii("1")
    return file.astype(np.uint8), rank.astype(np.uint8)


def _ascii(character: str) -> np.uint8:
    return np.uint8(ord(character))


_BACK_RANK = [4, 2, 3, 5, 6, 3, 2, 4]
_BLACK = 8  # added to the number of a black piece
# White's and Black's pieces in FEN, by number.
_LETTERS = np.frombuffer(b".PNBRQK??pnbrqk", np.uint8)
# The castling rights KQkq lost when a piece leaves or reaches a square, as bits.
_LOST = np.zeros(64, np.uint8)
_LOST[[7, 0, 63, 56]] = 1, 2, 4, 8
_LOST[[4, 60]] = 3, 12


def boards(games: Games) -> list[bytes]:
    """The position after the last half-move of each game, in FEN.

    The en passant square is given only if such a capture is legal, as in the package `chess`.
    """
    board_GxS = np.zeros((len(games.plies_G), 64), np.uint8)
    board_GxS[:, :8], board_GxS[:, 56:] = _BACK_RANK, np.array(_BACK_RANK) + _BLACK
    board_GxS[:, 8:16], board_GxS[:, 48:56] = _PAWN, _PAWN + _BLACK
    rights_G = np.full(len(board_GxS), 15, np.uint8)
    quiet_G = np.zeros(len(board_GxS), np.int64)
    for ply in range(games.plies_G.max(initial=0)):
        game = np.flatnonzero(games.plies_G > ply)
        move = games.moves_P[games.starts_G[game] + ply]
        source, target = field(move, "source"), field(move, "target")
        _play(board_GxS, game, move, source, target, black=ply % 2)
        rights_G[game] &= ~(_LOST[source] | _LOST[target])
        resets = (field(move, "piece") == _PAWN) | (field(move, "capture") > 0)
        quiet_G[game] = np.where(resets, 0, quiet_G[game] + 1)
    return _fen(games, board_GxS, rights_G, quiet_G)


def _play(board_GxS, game, move, source, target, black: int) -> None:
    """Play one half-move in each of these games; the board changes in place."""
    promotion = field(move, "promotion")
    piece = np.where(promotion > 0, promotion, field(move, "piece"))
    board_GxS[game, target] = piece + _BLACK * black
    board_GxS[game, source] = 0
    passing = field(move, "en_passant") > 0
    board_GxS[game[passing], (source // 8 * 8 + target % 8)[passing]] = 0
    castling = field(move, "castling") > 0
    game, source, target = game[castling], source[castling], target[castling]
    kingside = target > source
    board_GxS[game, np.where(kingside, target + 1, target - 2)] = 0
    board_GxS[game, np.where(kingside, target - 1, target + 1)] = _ROOK + _BLACK * black


def _fen(games: Games, board_GxS, rights_G, quiet_G) -> list[bytes]:
    ranks = np.full((len(board_GxS), 8, 9), b"/"[0], np.uint8)  # the eighth rank comes first
    ranks[:, :, :8] = _LETTERS[board_GxS].reshape(-1, 8, 8)[:, ::-1]
    text = ranks.tobytes()
    plies_G = games.plies_G
    last = np.where(plies_G > 0, games.starts_G[1:] - 1, 0)
    move = games.moves_P[last] if len(games.moves_P) else np.zeros(len(last), np.uint32)
    target = field(move, "target")
    passed = np.where(plies_G % 2, target - 8, target + 8)
    may_pass = (plies_G > 0) & (field(move, "en_passant_next") > 0)
    fens = []
    for game, plies in enumerate(plies_G.tolist()):
        squares = text[72 * game : 72 * game + 71]
        for empty in range(8, 0, -1):
            squares = squares.replace(b"." * empty, b"%d" % empty)
        right = bytes(c for bit, c in enumerate(b"KQkq") if rights_G[game] >> bit & 1) or b"-"
        file, rank = _square(passed[game])
        square = bytes([file, rank]) if may_pass[game] else b"-"
        turn, number = b"wb"[plies % 2 : plies % 2 + 1], plies // 2 + 1
        fens.append(b" ".join([squares, turn, right, square, b"%d %d" % (quiet_G[game], number)]))
    return fens
