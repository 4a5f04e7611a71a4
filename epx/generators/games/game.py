"""Tic-tac-toe and connect four, played by a known player: whole games, or a move at a position.

View `games`: the moves of a game, one after the other, all coded. View `moves`: the cells of one
position of a game, as the player who moves sees them, and a token that asks for the move, which are
given; the move is coded and comes with a mask of the legal ones. View `both` asks in half of the
examples for the outcome of the game instead: what a search wants to know of a position. Only this
view has tokens for outcomes, so that the record of another one cannot guide a search.

The `random` player makes any legal move, the `optimal` one any that leads to the best outcome that
can be forced, and the `determined` one the first of these, so that all its games are the same;
`search` looks ahead, with the learner of a record or without. Where the game is
solved, rows have 2A + 1 parts: the best moves where 1, 2, ... A moves are legal, the other moves in
the same order, and the outcomes.

>>> generator = make(jax.random.key(0), None, view="games")
>>> generator.spec
Spec(vocab=10, length=9, size=None, version=2, held_out=0, given=0, side=0)
"""

import dataclasses
import functools
from dataclasses import dataclass, field
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from epx.generators.games import _search
from epx.generators.games._search import ASK_MOVE, ASK_OUTCOME, DRAW, LOSS, WIN
from epx.generators.kernels import boards
from epx.generators.kernels.boards import Game
from epx.types import Example, LearnerOf, Observer, PyTree, Refusal, Spec, require, require_whole

VERSION = 2
TINY = dict(view="moves")

GAMES = {
    "tic_tac_toe": Game(3, 3, 3, drops=False),
    "connect_four_4x5": Game(4, 5, 4, drops=True),
    "connect_four": Game(6, 7, 4, drops=True),
}
PLAYERS = ("random", "optimal", "determined", "search")
SOLVED = ("optimal", "determined")  # players that need a table
# The token of the first move in each view; tokens of moves are the last ones.
FIRST_MOVE = {"games": 1, "moves": ASK_MOVE + 1, "both": WIN + 1}
END = 0  # in view games, the token after the end of a game
MOST_SIMULATIONS = 1024

_STATIC = {"static": True}


class _Guide(NamedTuple):
    """The learner of a search, which members of an ensemble share; None: there is none."""

    observer: Observer | None


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Played:
    """The generator made by `make`.

    Attributes:
      table: of best moves; `boards.NO_TABLE` where these are not needed or not known.
      params: weights of the learner that guides the search, or ().
      rules: of the game.
      player, view, simulations: the arguments of `make`.
      guide: the learner.
    """

    table: boards.Table
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
        vocab, given = FIRST_MOVE[self.view] + moves, cells + 1
        if self.view == "games":
            return Spec(vocab, cells, size=None, version=VERSION)
        return Spec(vocab, given + 1, None, VERSION, given=given, side=moves, masked=True)

    def example(self, key: jax.Array, index: jax.Array) -> Example:
        """A game, or one of its positions; `index` is not used."""
        play_key, choice_key = jax.random.split(key)
        boards_PxN, moves_P, alive_P, outcome = self._game(play_key)
        answers_P = FIRST_MOVE[self.view] + moves_P
        if self.view == "games":
            return Example(jnp.where(alive_P, answers_P, END), alive_P)
        ply_key, ask_key = jax.random.split(choice_key)
        ply = jax.random.randint(ply_key, (), 0, alive_P.sum(dtype=jnp.int32), jnp.int32)
        board_N, player = boards_PxN[ply], 1 + ply % 2
        asks_outcome = jax.random.bernoulli(ask_key) & (self.view == "both")
        result = jnp.where(outcome == 0, DRAW, jnp.where(outcome == player, WIN, LOSS))
        answer = jnp.where(asks_outcome, result, answers_P[ply])
        asked = jnp.where(asks_outcome, ASK_OUTCOME, ASK_MOVE)
        cells_N = _search.seen_by(board_N, player)
        tokens_T = jnp.concatenate([cells_N, jnp.stack([asked, answer])]).astype(jnp.int32)
        legal_A, moves = boards.legal(self.rules, board_N), self.rules.moves
        masks_TxA = self._is_answer()[:, None] & legal_A & ~asks_outcome
        part_P = None
        if self.table.code_S.shape[-1] > 1:
            is_best = boards.best(self.rules, self.table, board_N)[moves_P[ply]]
            part = legal_A.sum() - 1 + jnp.where(is_best, 0, moves)
            part_P = jnp.arange(2 * moves + 1) == jnp.where(asks_outcome, 2 * moves, part)
        return Example(tokens_T, self._is_answer(), masks_TxA.astype(jnp.float32), part_P)

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
            guide = self.guide.observer, self.params
            evaluate = functools.partial(_search.learned, self.rules, *guide)
        own = jax.random.fold_in(key, 1)
        log_p_A = _search.law(self.rules, evaluate, self.simulations, board_N, own)
        return jnp.where(boards.legal(self.rules, board_N).any(), log_p_A, 0.0)

    def _law(self, board_N: jax.Array) -> jax.Array:
        """Log probabilities of the moves of the player whose turn it is, float32 of shape A."""
        legal_A = boards.legal(self.rules, board_N)
        if self.player in SOLVED:
            best_A = boards.best(self.rules, self.table, board_N)
            if self.player == "determined":
                best_A = best_A & (jnp.arange(self.rules.moves) == jnp.argmax(best_A))
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
        others = jnp.full(FIRST_MOVE[self.view], -jnp.inf, jnp.float32)
        if self.view == "moves":
            board_N = _search.board_of(tokens_T[: self.rules.cells])
            last_V = jnp.concatenate([others, self._law(board_N)])
            return jnp.where(self._is_answer()[:, None], last_V, 0.0)

        def step(state, column):
            board_N, alive = state
            ply, token = column
            logits_V = jnp.where(alive, jnp.concatenate([others, self._law(board_N)]), 0.0)
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
        if tokens[-2] == ASK_MOVE:
            return [*cells, "move ", f"{tokens[-1] - FIRST_MOVE[self.view] + 1}"]
        return [*cells, "outcome ", {LOSS: "loss", DRAW: "draw", WIN: "win"}[tokens[-1]]]

    def _is_answer(self) -> jax.Array:
        return jnp.arange(self.spec.length) == self.spec.length - 1


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
      player: `random` or `search`; `optimal` or `determined` where all positions can be looked at.
      view: `games`, `moves` or `both`.
      simulations: of a search, for each move.
      record: of the learner that guides a search, trained on view=both of the same game: a folder,
        or `ensemble:NAME` in a sweep; "" searches without one.

    Raises:
      ValueError: an unknown game, player or view, a game that is too large to be solved here, or a
        record that is not accepted.
    """
    require("generator.game", game, game in GAMES, " or ".join(GAMES))
    require("generator.player", player, player in PLAYERS, " or ".join(PLAYERS))
    require("generator.view", view, view in FIRST_MOVE, " or ".join(FIRST_MOVE))
    require_whole("generator.simulations", simulations, 1, MOST_SIMULATIONS, "for each move")
    accepted = "none without player=search"
    require("generator.record", record, player == "search" or not record, accepted)
    rules = GAMES[game]
    solvable = boards.solvable(rules)
    accepted = f"random or search in {game}, which has too many positions to be solved here"
    require("generator.player", player, player not in SOLVED or solvable, accepted)
    needs_table = solvable and (player in SOLVED or view != "games")
    table = boards.best_moves(rules) if needs_table else boards.NO_TABLE
    on_device = jax.tree.map(jnp.asarray, table)
    made = Played(on_device, (), rules, player, view, simulations, _Guide(None))
    if player == "search":
        _search.package()
    if not record:
        return made
    both = dataclasses.replace(made, view="both")
    try:
        observer, params = learner_of("generator.record", record, both)
    except Refusal as error:
        raise Refusal(f"{error}; it guides a search in {game}, so view=both") from error
    accepted = "a record of an observer that can sample"
    require("generator.record", record, bool(observer.start and observer.step), accepted)
    return dataclasses.replace(made, params=params, guide=_Guide(observer))
