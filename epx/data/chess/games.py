"""Chess games as arrays of half-moves.

A half-move holds everything that a notation needs (squares, piece, capture, check, ambiguity), so
that `epx.data.chess.notation` needs no rules of chess. Squares are numbered from a1 = 0 along the
ranks to h8 = 63; pieces are 1 to 6 for P N B R Q K.
"""

from typing import NamedTuple

import numpy as np

RESULTS = ("*", "1-0", "0-1", "1/2-1/2")


class Field(NamedTuple):
    """The position of a value in the 32 bits of a half-move."""

    shift: int
    bits: int = 1


FIELDS = {
    "source": Field(0, 6),  # square that the piece leaves; the king's in castling
    "target": Field(6, 6),  # square that it reaches; the king's in castling
    "piece": Field(12, 3),  # 1 to 6, before a promotion
    "promotion": Field(15, 3),  # 2 to 5, or 0
    "capture": Field(18),
    "name_file": Field(19),  # SAN names the file that the piece leaves
    "name_rank": Field(20),  # SAN names the rank that it leaves
    "check": Field(21),
    "mate": Field(22),
    "castling": Field(23),
    "en_passant": Field(24),
    "en_passant_next": Field(25),  # the next half-move may legally capture en passant
}


class Games(NamedTuple):
    """Legal games from the initial position.

    Attributes:
      moves_P: uint32, the half-moves of all games in sequence, packed by `pack`.
      starts_G: int64, the index of each game's first half-move; the last entry is their number.
      results_G: uint8, indices into RESULTS.
    """

    moves_P: np.ndarray
    starts_G: np.ndarray
    results_G: np.ndarray

    @property
    def plies_G(self) -> np.ndarray:
        """The number of half-moves of each game, int64."""
        return np.diff(self.starts_G)


def pack(**values: int) -> int:
    """A half-move with these FIELDS; all others are 0."""
    return sum(int(value) << FIELDS[name].shift for name, value in values.items())


def field(moves: np.ndarray, name: str) -> np.ndarray:
    """The values of one of FIELDS, int16, of the shape of `moves`."""
    shift, bits = FIELDS[name]
    return ((moves >> np.uint32(shift)) & np.uint32((1 << bits) - 1)).astype(np.int16)


def truncate(games: Games, plies: int) -> Games:
    """The first `plies` half-moves of every game; a longer game loses its result."""
    return prefixes(games, np.minimum(games.plies_G, plies))


def prefixes(games: Games, plies_G: np.ndarray) -> Games:
    """The first half-moves of every game, as many as it has; a longer game loses its result."""
    unfinished = RESULTS.index("*")
    results_G = np.where(games.plies_G > plies_G, unfinished, games.results_G).astype(np.uint8)
    return _gather(games, games.starts_G[:-1], plies_G, results_G)


def take(games: Games, numbers: np.ndarray | slice) -> Games:
    """The games with these numbers, in this order."""
    begins_G = games.starts_G[:-1][numbers]
    return _gather(games, begins_G, games.plies_G[numbers], games.results_G[numbers])


def _gather(
    games: Games, begins_G: np.ndarray, plies_G: np.ndarray, results_G: np.ndarray
) -> Games:
    """Games of `plies_G` half-moves that begin at half-moves `begins_G` of `games`."""
    starts_G = np.concatenate([[0], np.cumsum(plies_G)])
    place_P = np.arange(starts_G[-1]) + np.repeat(begins_G - starts_G[:-1], plies_G)
    return Games(games.moves_P[place_P], starts_G, results_G)


def join(parts: list[Games]) -> Games:
    """The games of all parts, in order."""
    lengths = [0, *np.cumsum([len(part.moves_P) for part in parts])]
    starts = [part.starts_G[:-1] + before for part, before in zip(parts, lengths)]
    return Games(
        np.concatenate([part.moves_P for part in parts]),
        np.concatenate([*starts, lengths[-1:]]).astype(np.int64),
        np.concatenate([part.results_G for part in parts]),
    )
