"""Tic-tac-toe and connect four, played by a known player: whole games, or a move at a position.

View `games`: the moves of a game, one after the other, all coded. View `moves`: the cells of one
position of a game, as the player who moves sees them, which are given, and the move, which is coded
and comes with a mask of the legal ones. The `random` player makes any legal move, the
`optimal` one any that leads to the best outcome that can be forced.

>>> generator = make(jax.random.key(0), view="games")
>>> generator.spec
Spec(vocab=10, length=9, size=None, version=1, held_out=0, given=0, side=0)
"""

from dataclasses import dataclass, field

import jax
import jax.numpy as jnp
import numpy as np

from epx.generators.kernels import boards
from epx.generators.kernels.boards import Game
from epx.types import Example, Spec, require

VERSION = 1
TINY = dict(view="moves")

GAMES = {
    "tic_tac_toe": Game(3, 3, 3, drops=False),
    "connect_four_4x5": Game(4, 5, 4, drops=True),
    "connect_four": Game(6, 7, 4, drops=True),
}
PLAYERS = ("random", "optimal")
VIEWS = ("games", "moves")
MOST_CODES = 2**25  # of a table of best moves

_STATIC = {"static": True}
EMPTY, MINE, THEIRS, FIRST_MOVE = 0, 1, 2, 3  # tokens of a position
END = 0  # the token after the end of a game; a move is one more than its number


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Played:
    """The generator made by `make`.

    Attributes:
      best_C: best moves of each position as bits, by its code; of shape 1 for the random player.
      rules: of the game.
      player, view: the arguments of `make`.
    """

    best_C: jax.Array
    rules: Game = field(metadata=_STATIC)
    player: str = field(metadata=_STATIC)
    view: str = field(metadata=_STATIC)

    @property
    def spec(self) -> Spec:
        """Endless."""
        cells, moves = self.rules.cells, self.rules.moves
        if self.view == "games":
            return Spec(moves + 1, cells, size=None, version=VERSION)
        vocab, length = FIRST_MOVE + moves, cells + 1
        return Spec(vocab, length, None, VERSION, given=cells, side=moves, masked=True)

    def example(self, key: jax.Array, index: jax.Array) -> Example:
        """A game, or one of its positions; `index` is not used."""
        play_key, choice_key = jax.random.split(key)
        boards_PxN, moves_P, alive_P = self._game(play_key)
        if self.view == "games":
            return Example(jnp.where(alive_P, moves_P + 1, END), alive_P)
        ply = jax.random.randint(choice_key, (), 0, alive_P.sum(dtype=jnp.int32), jnp.int32)
        board_N, player = boards_PxN[ply], 1 + ply % 2
        cells_N = jnp.where(board_N == 0, EMPTY, jnp.where(board_N == player, MINE, THEIRS))
        tokens_T = jnp.append(cells_N, FIRST_MOVE + moves_P[ply]).astype(jnp.int32)
        return Example(tokens_T, self._is_move(), self._legal_at_end(board_N))

    def _game(self, key: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
        """Boards before each ply (PxN, int32), moves (P, int32), and whether it is played (P)."""

        def step(state, ply):
            board_N, alive = state
            player = 1 + ply % 2
            log_p_A = self._law(board_N)
            move = jax.random.categorical(jax.random.fold_in(key, ply), log_p_A).astype(jnp.int32)
            later_N = jnp.where(alive, boards.play(self.rules, board_N, move, player), board_N)
            won = boards.has_won(self.rules, later_N, player)
            return (later_N, alive & ~won), (board_N, move, alive)

        first = jnp.zeros(self.rules.cells, jnp.int32), jnp.bool_(True)
        plies = jnp.arange(self.rules.cells, dtype=jnp.int32)
        return jax.lax.scan(step, first, plies)[1]

    def _law(self, board_N: jax.Array) -> jax.Array:
        """Log probabilities of the moves of the player whose turn it is, float32 of shape A."""
        legal_A = boards.legal(self.rules, board_N)
        if self.player == "optimal":
            bits = self.best_C[boards.code(self.rules, board_N)].astype(jnp.uint32)
            best_A = (bits >> jnp.arange(self.rules.moves, dtype=jnp.uint32) & 1) == 1
            legal_A = jnp.where(best_A.any(), best_A, legal_A)
        # Where no move is legal, after the end, any law will do.
        legal_A = jnp.where(legal_A.any(), legal_A, True)
        return jnp.where(legal_A, -jnp.log(legal_A.sum(dtype=jnp.float32)), -jnp.inf)

    def oracle_nats(self, example: Example) -> jax.Array:
        """The logarithm of the number of moves that the player chooses from, float32 of shape T."""
        tokens_T = jnp.asarray(example.tokens_T)
        log_p_T = jnp.take_along_axis(self.oracle_logits(tokens_T), tokens_T[:, None], 1)[:, 0]
        return jnp.where(jnp.asarray(example.coded_T), -log_p_T, 0.0)

    def oracle_logits(self, tokens_T: jax.Array, side: jax.Array | None = None) -> jax.Array:
        """Log probabilities TxV, from the earlier tokens."""
        if self.view == "moves":
            cells_N = tokens_T[: self.rules.cells]
            player = 1 + (cells_N > 0).sum(dtype=jnp.int32) % 2
            board_N = jnp.where(
                cells_N == EMPTY, 0, jnp.where(cells_N == MINE, player, 3 - player)
            ).astype(jnp.int32)
            others = jnp.full(FIRST_MOVE, -jnp.inf, jnp.float32)
            last_V = jnp.concatenate([others, self._law(board_N)])
            return jnp.where(self._is_move()[:, None], last_V, 0.0)

        def step(state, column):
            board_N, alive = state
            ply, token = column
            logits_V = jnp.concatenate([jnp.full(1, -jnp.inf, jnp.float32), self._law(board_N)])
            logits_V = jnp.where(alive, logits_V, 0.0)
            later_N = boards.play(self.rules, board_N, token - 1, 1 + ply % 2)
            goes_on = alive & (token > END)
            later_N = jnp.where(goes_on, later_N, board_N)
            return (later_N, goes_on & ~boards.has_won(self.rules, later_N, 1 + ply % 2)), logits_V

        first = jnp.zeros(self.rules.cells, jnp.int32), jnp.bool_(True)
        plies = jnp.arange(self.rules.cells, dtype=jnp.int32)
        return jax.lax.scan(step, first, (plies, tokens_T))[1]

    def symbols(self, tokens_T: np.ndarray | jax.Array) -> list[str]:
        """Cells as `.`, `o` (mine) and `x`, a row on a line; moves as numbers from 1."""
        tokens = np.asarray(tokens_T).tolist()
        if self.view == "games":
            return [f"{token} " if token > END else "" for token in tokens]
        cells = [".ox"[token] for token in tokens[:-1]]
        for last in range(self.rules.columns - 1, len(cells), self.rules.columns):
            cells[last] += "\n"
        return [*cells, str(tokens[-1] - FIRST_MOVE + 1)]

    def _is_move(self) -> jax.Array:
        return jnp.arange(self.rules.cells + 1) == self.rules.cells

    def _legal_at_end(self, board_N: jax.Array) -> jax.Array:
        """The vector of legal moves at the place of the move, zeros elsewhere, TxR."""
        legal_A = boards.legal(self.rules, board_N).astype(jnp.float32)
        return jnp.where(self._is_move()[:, None], legal_A, 0.0)


def make(
    key: jax.Array, game: str = "tic_tac_toe", player: str = "random", view: str = "games"
) -> Played:
    """Games of a player against itself.

    Args:
      key: not used; nothing is drawn once for all examples.
      game: `tic_tac_toe`, `connect_four_4x5` (4 rows, 5 columns) or `connect_four` (6 rows, 7).
      player: `random`, or `optimal` where all positions can be looked at.
      view: `games` or `moves`.

    Raises:
      ValueError: an unknown game, player or view, or a game that is too large to be solved here.
    """
    require("generator.game", game, game in GAMES, " or ".join(GAMES))
    require("generator.player", player, player in PLAYERS, " or ".join(PLAYERS))
    require("generator.view", view, view in VIEWS, " or ".join(VIEWS))
    rules = GAMES[game]
    if player == "random":
        return Played(jnp.zeros(1, jnp.uint8), rules, player, view)
    solved = boards.codes(rules) <= MOST_CODES
    accepted = f"random in {game}, which has too many positions to be solved here"
    require("generator.player", player, solved, accepted)
    dtype = np.uint8 if rules.moves <= 8 else np.uint16
    return Played(jnp.asarray(boards.best_moves(rules).astype(dtype)), rules, player, view)
