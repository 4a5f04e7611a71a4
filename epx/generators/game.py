"""Tic-tac-toe and connect four, played by a known player: whole games, or a move at a position.

View `games`: the moves of a game, one after the other, all coded. View `moves`: the cells of one
position of a game, as the player who moves sees them, and a token that asks for the move, which are
given; the move is coded and comes with a mask of the legal ones. View `both` asks in half of the
examples for the outcome of the game instead: what a search wants to know of a position.

The `random` player makes any legal move, the `optimal` one any that leads to the best outcome that
can be forced, and `search` looks ahead, with the learner of a record or without. Where the game is
solved, rows have the best moves, the other moves and the outcomes apart.

>>> generator = make(jax.random.key(0), None, view="games")
>>> generator.spec
Spec(vocab=10, length=9, size=None, version=1, held_out=0, given=0, side=0)
"""

import functools
from dataclasses import dataclass, field
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from epx.generators import _search
from epx.generators.kernels import boards
from epx.generators.kernels.boards import Game
from epx.types import Example, LearnerOf, Observer, PyTree, Spec, require, require_whole

VERSION = 1
TINY = dict(view="moves")

GAMES = {
    "tic_tac_toe": Game(3, 3, 3, drops=False),
    "connect_four_4x5": Game(4, 5, 4, drops=True),
    "connect_four": Game(6, 7, 4, drops=True),
}
PLAYERS = ("random", "optimal", "search")
VIEWS = ("games", "moves", "both")
MOST_CODES = 2**25  # of a table of best moves
MOST_SIMULATIONS = 1024

_STATIC = {"static": True}
# Tokens of a position: cells, questions, outcomes (loss, draw, win), and from FIRST_MOVE on moves.
EMPTY, MINE, THEIRS, ASK_MOVE, ASK_OUTCOME, LOSS, DRAW, WIN, FIRST_MOVE = range(9)
END = 0  # the token after the end of a game; a move is one more than its number


class _Guide(NamedTuple):
    """The learner of a search, which members of an ensemble share; None: there is none."""

    observer: Observer | None


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Played:
    """The generator made by `make`.

    Attributes:
      best_C: best moves of each position as bits, by its code; of shape 1 where they are not needed
        or not known.
      params: weights of the learner that guides the search, or ().
      rules: of the game.
      player, view, simulations: the arguments of `make`.
      guide: the learner.
    """

    best_C: jax.Array
    params: PyTree
    rules: Game = field(metadata=_STATIC)
    player: str = field(metadata=_STATIC)
    view: str = field(metadata=_STATIC)
    simulations: int = field(metadata=_STATIC)
    guide: _Guide = field(metadata=_STATIC)

    @property
    def spec(self) -> Spec:
        """Endless."""
        cells, moves = self.rules.cells, self.rules.moves
        if self.view == "games":
            return Spec(moves + 1, cells, size=None, version=VERSION)
        vocab, given = FIRST_MOVE + moves, cells + 1
        return Spec(vocab, given + 1, None, VERSION, given=given, side=moves, masked=True)

    def example(self, key: jax.Array, index: jax.Array) -> Example:
        """A game, or one of its positions; `index` is not used."""
        play_key, choice_key = jax.random.split(key)
        boards_PxN, moves_P, alive_P, outcome = self._game(play_key)
        if self.view == "games":
            return Example(jnp.where(alive_P, moves_P + 1, END), alive_P)
        ply_key, ask_key = jax.random.split(choice_key)
        ply = jax.random.randint(ply_key, (), 0, alive_P.sum(dtype=jnp.int32), jnp.int32)
        board_N, player, move = boards_PxN[ply], 1 + ply % 2, moves_P[ply]
        asks_outcome = jax.random.bernoulli(ask_key) & (self.view == "both")
        result = jnp.where(outcome == 0, DRAW, jnp.where(outcome == player, WIN, LOSS))
        answer = jnp.where(asks_outcome, result, FIRST_MOVE + move)
        asked = jnp.where(asks_outcome, ASK_OUTCOME, ASK_MOVE)
        cells_N = _seen_by(board_N, player)
        tokens_T = jnp.concatenate([cells_N, jnp.stack([asked, answer])]).astype(jnp.int32)
        legal_A = boards.legal(self.rules, board_N) & ~asks_outcome
        side_TxR = jnp.where(self._is_answer()[:, None], legal_A.astype(jnp.float32), 0.0)
        part_P = None
        if self.best_C.shape[-1] > 1:
            is_best = self._best(board_N)[move]
            part_P = jnp.stack([is_best & ~asks_outcome, ~is_best & ~asks_outcome, asks_outcome])
        return Example(tokens_T, self._is_answer(), side_TxR, part_P)

    def _best(self, board_N: jax.Array) -> jax.Array:
        """Which moves are best, bool of shape A."""
        bits = self.best_C[boards.code(self.rules, board_N)].astype(jnp.uint32)
        return (bits >> jnp.arange(self.rules.moves, dtype=jnp.uint32) & 1) == 1

    def _game(self, key: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array, jax.Array]:
        """Boards before each ply (PxN, int32), moves (P, int32), whether it is played (P), and who
        has won, 0 for nobody."""

        def step(state, ply):
            board_N, alive, winner = state
            player, own = 1 + ply % 2, jax.random.fold_in(key, ply)
            searches = self.player == "search"
            log_p_A = self._searched(board_N, own) if searches else self._law(board_N)
            move = jax.random.categorical(own, log_p_A).astype(jnp.int32)
            later_N = jnp.where(alive, boards.play(self.rules, board_N, move, player), board_N)
            won = alive & boards.has_won(self.rules, later_N, player)
            winner = jnp.where(won, player, winner)
            return (later_N, alive & ~won, winner), (board_N, move, alive)

        first = jnp.zeros(self.rules.cells, jnp.int32), jnp.bool_(True), jnp.int32(0)
        plies = jnp.arange(self.rules.cells, dtype=jnp.int32)
        last, played = jax.lax.scan(step, first, plies)
        return (*played, last[2])

    def _searched(self, board_N: jax.Array, key: jax.Array) -> jax.Array:
        """Log probabilities of the moves after a search, float32 of shape A."""
        evaluate = functools.partial(_search.rollout, self.rules)
        if self.guide.observer is not None:
            evaluate = self._evaluate
        own = jax.random.fold_in(key, 1)
        log_p_A = _search.law(self.rules, evaluate, self.simulations, board_N, own)
        return jnp.where(boards.legal(self.rules, board_N).any(), log_p_A, 0.0)

    def _evaluate(self, board_N, player, key):
        """The learner's logits of the moves, and its value of a position."""
        cells_N = _seen_by(board_N, player)
        questions_2 = jnp.array([ASK_MOVE, ASK_OUTCOME])
        tokens_2xT = jnp.concatenate(
            [jnp.tile(cells_N, (2, 1)), questions_2[:, None], jnp.zeros((2, 1), jnp.int32)], axis=1
        ).astype(jnp.int32)
        side_2xTxR = jnp.zeros((*tokens_2xT.shape, self.rules.moves), jnp.float32)
        logits_2xV = self.guide.observer.logits(self.params, tokens_2xT, side_2xTxR)[:, -1]
        outcomes_3 = jax.nn.softmax(logits_2xV[1, LOSS : WIN + 1])
        return logits_2xV[0, FIRST_MOVE:], outcomes_3[2] - outcomes_3[0]

    def _law(self, board_N: jax.Array) -> jax.Array:
        """Log probabilities of the moves of the player whose turn it is, float32 of shape A."""
        legal_A = boards.legal(self.rules, board_N)
        if self.player == "optimal":
            best_A = self._best(board_N)
            legal_A = jnp.where(best_A.any(), best_A, legal_A)
        # Where no move is legal, after the end, any law will do.
        legal_A = jnp.where(legal_A.any(), legal_A, True)
        return jnp.where(legal_A, -jnp.log(legal_A.sum(dtype=jnp.float32)), -jnp.inf)

    def oracle_nats(self, example: Example) -> jax.Array | None:
        """The logarithm of the number of moves that the player chooses from, float32 of shape T.

        None of a search, and of outcomes.
        """
        if self.player == "search" or self.view == "both":
            return None
        tokens_T = jnp.asarray(example.tokens_T)
        log_p_T = jnp.take_along_axis(self.oracle_logits(tokens_T), tokens_T[:, None], 1)[:, 0]
        return jnp.where(jnp.asarray(example.coded_T), -log_p_T, 0.0)

    def oracle_logits(self, tokens_T: jax.Array, side: jax.Array | None = None) -> jax.Array | None:
        """Log probabilities TxV, from the earlier tokens; None as above."""
        if self.player == "search" or self.view == "both":
            return None
        if self.view == "moves":
            cells_N = tokens_T[: self.rules.cells]
            player = 1 + (cells_N > 0).sum(dtype=jnp.int32) % 2
            board_N = jnp.where(
                cells_N == EMPTY, 0, jnp.where(cells_N == MINE, player, 3 - player)
            ).astype(jnp.int32)
            others = jnp.full(FIRST_MOVE, -jnp.inf, jnp.float32)
            last_V = jnp.concatenate([others, self._law(board_N)])
            return jnp.where(self._is_answer()[:, None], last_V, 0.0)

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
        cells = [".ox"[token] for token in tokens[:-2]]
        for last in range(self.rules.columns - 1, len(cells), self.rules.columns):
            cells[last] += "\n"
        answer = tokens[-1]
        named = {LOSS: "loss", DRAW: "draw", WIN: "win"}.get(answer, f"{answer - FIRST_MOVE + 1}")
        return [*cells, "move " if tokens[-2] == ASK_MOVE else "outcome ", named]

    def _is_answer(self) -> jax.Array:
        return jnp.arange(self.spec.length) == self.spec.length - 1


def _seen_by(board_N: jax.Array, player: jax.Array) -> jax.Array:
    """The cells as a player sees them, int32."""
    own_N = jnp.where(board_N == player, MINE, THEIRS)
    return jnp.where(board_N == 0, EMPTY, own_N).astype(jnp.int32)


def make(
    key: jax.Array,
    learner_of: LearnerOf,
    game: str = "tic_tac_toe",
    player: str = "random",
    view: str = "games",
    simulations: int = 16,
    record: str = "",
) -> Played:
    """Games of a player against itself.

    Args:
      key: not used; nothing is drawn once for all examples.
      learner_of: reads the averaged weights of a record, those of the same seed.
      game: `tic_tac_toe`, `connect_four_4x5` (4 rows, 5 columns) or `connect_four` (6 rows, 7).
      player: `random`, `optimal` where all positions can be looked at, or `search`.
      view: `games`, `moves` or `both`.
      simulations: of a search, for each move.
      record: of the learner that guides a search, trained on view=both: a folder, or
        `ensemble:NAME` in a sweep; "" searches without one.

    Raises:
      ValueError: an unknown game, player or view, a game that is too large to be solved here, or a
        record that is not accepted.
    """
    require("generator.game", game, game in GAMES, " or ".join(GAMES))
    require("generator.player", player, player in PLAYERS, " or ".join(PLAYERS))
    require("generator.view", view, view in VIEWS, " or ".join(VIEWS))
    require_whole("generator.simulations", simulations, 1, MOST_SIMULATIONS, "for each move")
    accepted = "none without player=search"
    require("generator.record", record, player == "search" or not record, accepted)
    rules = GAMES[game]
    solved = boards.codes(rules) <= MOST_CODES
    accepted = f"random or search in {game}, which has too many positions to be solved here"
    require("generator.player", player, player != "optimal" or solved, accepted)
    table = jnp.zeros(1, jnp.uint8)
    if solved and (player == "optimal" or view != "games"):
        dtype = np.uint8 if rules.moves <= 8 else np.uint16
        table = jnp.asarray(boards.best_moves(rules).astype(dtype))
    made = Played(table, (), rules, player, view, simulations, _Guide(None))
    if player == "search":
        _search.package()
    if not record:
        return made
    both = Played(jnp.zeros(1, jnp.uint8), (), rules, "random", "both", 1, _Guide(None))
    observer, params = learner_of("generator.record", record, both)
    return Played(table, params, rules, player, view, simulations, _Guide(observer))
