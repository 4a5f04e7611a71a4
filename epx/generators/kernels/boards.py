"""Games of lines on a board: tic-tac-toe, and connect four of any size.

A board is a row of cells, row by row from the top: 0 empty, 1 of the player who began, 2 of the
other. Positions have a code, by which a table of the best moves is read; it is filled backwards
from the full boards.
"""

import functools
import itertools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

MOST_CODES = 2**25  # of a game that is solved


class Game(NamedTuple):
    """The rules.

    Attributes:
      rows, columns: of the board.
      line: as many cells in a row, a column or a diagonal win.
      drops: whether a move is a column, in which a piece falls down; else it is a cell.
    """

    rows: int
    columns: int
    line: int
    drops: bool

    @property
    def cells(self) -> int:
        """Number of cells, the longest game."""
        return self.rows * self.columns

    @property
    def moves(self) -> int:
        """Number of moves, some of which may not be legal."""
        return self.columns if self.drops else self.cells


@functools.cache
def lines(game: Game) -> np.ndarray:
    """The cells of each winning line, of shape (lines, length)."""
    directions = ((0, 1), (1, 0), (1, 1), (1, -1))
    found = []
    for row, column, (down, right) in itertools.product(
        range(game.rows), range(game.columns), directions
    ):
        places = [(row + n * down, column + n * right) for n in range(game.line)]
        if all(0 <= r < game.rows and 0 <= c < game.columns for r, c in places):
            found.append([r * game.columns + c for r, c in places])
    return np.array(found, np.int32)


def legal(game: Game, board_N: jax.Array) -> jax.Array:
    """Which moves may be made on a board that is not won, bool of shape A."""
    return board_N[: game.columns] == 0 if game.drops else board_N == 0


def play(game: Game, board_N: jax.Array, move: jax.Array, player: jax.Array) -> jax.Array:
    """The board after a legal move."""
    cell = move
    if game.drops:
        column_R = board_N.reshape(game.rows, game.columns)[:, move]
        empty = (column_R == 0).sum(dtype=jnp.int32)
        cell = (empty - 1) * game.columns + move
    return board_N.at[cell].set(player)


def has_won(game: Game, board_N: jax.Array, player: jax.Array) -> jax.Array:
    """Whether a player has a line."""
    return (board_N[..., lines(game)] == player).all(-1).any(-1)


def code(game: Game, board_N: jax.Array) -> jax.Array:
    """The number of a board, below `codes`.

    A column of a game whose pieces drop has a code by its height and pieces; a cell has three.
    """
    if not game.drops:
        return (board_N @ (3 ** np.arange(game.cells))).astype(jnp.int32)
    columns_CxR = board_N.reshape(game.rows, game.columns)[::-1].T  # from the bottom up
    filled = (columns_CxR > 0).sum(1)
    bits = ((columns_CxR == 2) * (2 ** np.arange(game.rows))).sum(1)
    each = 2**filled - 1 + bits
    return (each @ ((2 ** (game.rows + 1) - 1) ** np.arange(game.columns))).astype(jnp.int32)


def codes(game: Game) -> int:
    """The number of codes."""
    if game.drops:
        return (2 ** (game.rows + 1) - 1) ** game.columns
    return 3**game.cells


class Table(NamedTuple):
    """The best moves of the S reachable positions at which a player is to move.

    Attributes:
      code_S: int32, the codes of the positions, ascending.
      best_S: uint8 or uint16, the moves that lead to the best outcome that can be forced, as bits.
    """

    code_S: np.ndarray
    best_S: np.ndarray


NO_TABLE = Table(np.zeros(1, np.int32), np.zeros(1, np.uint8))


def solvable(game: Game) -> bool:
    """Whether all positions of a game can be looked at."""
    return codes(game) <= MOST_CODES


@functools.lru_cache(maxsize=4)
def best_moves(game: Game) -> Table:
    """The table of a solvable game, filled from the full boards backwards."""
    layers, value = _reachable(game), np.zeros(codes(game), np.int8)
    kind = np.uint8 if game.moves <= 8 else np.uint16
    parts = []
    for ply in range(len(layers) - 1, -1, -1):
        boards_PxN, player = layers[ply], 1 + ply % 2
        own = code_of(game, boards_PxN)
        lost_P = _won(game, boards_PxN, 3 - player)
        after = np.full((len(boards_PxN), game.moves), -2, np.int8)
        for move in range(game.moves):
            may_P = _legal(game, boards_PxN)[:, move] & ~lost_P
            if may_P.any():
                later = code_of(game, _play(game, boards_PxN[may_P], move, player))
                after[may_P, move] = -value[later]
        top_P = after.max(1)
        open_P = ~lost_P & (top_P > -2)
        # To the player who moves: 1 wins, -1 loses.
        value[own] = np.where(lost_P, -1, np.where(open_P, top_P, 0))
        bits_P = ((after == top_P[:, None]) * (1 << np.arange(game.moves))).sum(1)
        parts.append((own[open_P], bits_P[open_P]))
    code_S, best_S = map(np.concatenate, zip(*parts))
    order = np.argsort(code_S)
    return Table(code_S[order].astype(np.int32), best_S[order].astype(kind))


def best(game: Game, table: Table, board_N: jax.Array) -> jax.Array:
    """Which moves are best, bool of shape A; none on a board that is not in the table."""
    own = code(game, board_N)
    place = jnp.searchsorted(table.code_S, own)
    bits = jnp.where(table.code_S[place] == own, table.best_S[place], 0).astype(jnp.uint32)
    return (bits >> jnp.arange(game.moves, dtype=jnp.uint32) & 1) == 1


def _reachable(game: Game) -> list[np.ndarray]:
    """The positions after each number of moves, each once; of those that are over too."""
    layers = [np.zeros((1, game.cells), np.int8)]
    for ply in range(game.cells):
        boards_PxN, player = layers[-1], 1 + ply % 2
        open_PxN = boards_PxN[~_won(game, boards_PxN, 3 - player)]
        later = [
            _play(game, open_PxN[_legal(game, open_PxN)[:, move]], move, player)
            for move in range(game.moves)
        ]
        together = np.concatenate(later)
        _, first = np.unique(code_of(game, together), return_index=True)
        layers.append(together[first])
        if not len(first):
            break
    return layers


def positions(game: Game) -> tuple[int, int]:
    """The number of reachable positions, and of those at which a player is to move."""
    layers = _reachable(game)
    over = sum(int(_won(game, layer, 2 - ply % 2).sum()) for ply, layer in enumerate(layers))
    full = layers[-1] if len(layers) > game.cells else layers[-1][:0]
    drawn = int((~_won(game, full, 2 - game.cells % 2)).sum())
    total = sum(len(layer) for layer in layers)
    return total, total - over - drawn


def code_of(game: Game, boards_PxN: np.ndarray) -> np.ndarray:
    """The codes of many boards, on the host."""
    boards = boards_PxN.astype(np.int64)
    if not game.drops:
        return boards @ (3 ** np.arange(game.cells))
    columns = boards.reshape(-1, game.rows, game.columns)[:, ::-1].swapaxes(1, 2)
    filled = (columns > 0).sum(2)
    bits = ((columns == 2) * (2 ** np.arange(game.rows))).sum(2)
    each = 2**filled - 1 + bits
    return each @ ((2 ** (game.rows + 1) - 1) ** np.arange(game.columns))


def _legal(game: Game, boards_PxN: np.ndarray) -> np.ndarray:
    return boards_PxN[:, : game.moves] == 0


def _won(game: Game, boards_PxN: np.ndarray, player: int) -> np.ndarray:
    return (boards_PxN[:, lines(game)] == player).all(2).any(1)


def _play(game: Game, boards_PxN: np.ndarray, move: int, player: int) -> np.ndarray:
    later = boards_PxN.copy()
    cell = np.full(len(later), move)
    if game.drops:
        empty = (later.reshape(-1, game.rows, game.columns)[:, :, move] == 0).sum(1)
        cell = (empty - 1) * game.columns + move
    later[np.arange(len(later)), cell] = player
    return later
