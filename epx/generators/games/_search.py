"""The search of a player that looks ahead, by the package mctx, with or without a learner.

Gumbel MuZero's policy on the real rules (arXiv 2202.00633; the recipe of the AlphaZero example of
pgx): a learner gives a prior over moves and the value of a position; without one the prior is
uniform and the value the outcome of a single game of random moves. A learner reads the cells of a
position as tokens, and a token that asks for the move or for the outcome.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from epx.generators.kernels import boards
from epx.generators.kernels.boards import Game
from epx.types import Observer, PyTree, refusal

# Tokens: cells, questions, outcomes; those of moves follow.
EMPTY, MINE, THEIRS, ASK_MOVE, ASK_OUTCOME, LOSS, DRAW, WIN = range(8)
# (board, player, key) -> logits of the moves and the value of the position to that player.
Evaluate = Callable[[jax.Array, jax.Array, jax.Array], tuple[jax.Array, jax.Array]]


class Position(NamedTuple):
    """A position of the tree.

    Attributes:
      board_N: int32, the cells.
      player: int32, whose turn it is.
      over: bool, whether the game has ended.
    """

    board_N: jax.Array
    player: jax.Array
    over: jax.Array


def law(
    rules: Game, evaluate: Evaluate, simulations: int, board_N: jax.Array, key: jax.Array
) -> jax.Array:
    """Log probabilities of the moves after a search from a position, float32 of shape A."""
    mctx = package()
    player = 1 + (board_N > 0).sum(dtype=jnp.int32) % 2
    value_key, search_key = jax.random.split(key)
    logits_A, value = evaluate(board_N, player, value_key)
    position = Position(board_N, player, jnp.bool_(False))
    root = mctx.RootFnOutput(
        prior_logits=logits_A[None],
        value=value[None],
        embedding=jax.tree.map(lambda leaf: leaf[None], position),
    )

    def recurrent(_, key, moves_B, position_B):
        keys_B = jax.random.split(key, len(moves_B))
        return jax.vmap(lambda *one: _after(rules, evaluate, *one))(keys_B, moves_B, position_B)

    found = mctx.gumbel_muzero_policy(
        params=(),
        rng_key=search_key,
        root=root,
        recurrent_fn=recurrent,
        num_simulations=simulations,
        invalid_actions=~boards.legal(rules, board_N)[None],
        max_depth=rules.cells,
    )
    legal_A = boards.legal(rules, board_N)
    return jnp.where(legal_A, jnp.log(found.action_weights[0] + 1e-9), -jnp.inf)


def package():
    """The package mctx. Raises ValueError if it is not installed."""
    try:
        import mctx
    except ImportError as error:
        accepted = "another player, or this one with mctx: pip install 'epx-jax[games]'"
        raise refusal("generator.player", "search", accepted) from error
    return mctx


def _after(rules: Game, evaluate: Evaluate, key: jax.Array, move: jax.Array, position: Position):
    """What a move leads to: reward to the player who made it, and the next position."""
    mctx = package()
    board_N, player, over = position
    later_N = boards.play(rules, board_N, move, player)
    later_N = jnp.where(over, board_N, later_N)
    won = boards.has_won(rules, later_N, player) & ~over
    ends = over | won | ~boards.legal(rules, later_N).any()
    logits_A, value = evaluate(later_N, 3 - player, key)
    output = mctx.RecurrentFnOutput(
        reward=jnp.where(won, 1.0, 0.0),
        discount=jnp.where(ends, 0.0, -1.0),
        prior_logits=jnp.where(boards.legal(rules, later_N), logits_A, -1e9),
        value=jnp.where(ends, 0.0, value),
    )
    return output, Position(later_N, 3 - player, ends)


def rollout(
    rules: Game, board_N: jax.Array, player: jax.Array, key: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Uniform logits, and the outcome to a player of a game of random moves from a position."""

    def step(state, ply):
        board_N, mover, over, value = state
        legal_A = boards.legal(rules, board_N)
        logits_A = jnp.where(legal_A, 0.0, -jnp.inf)
        drawn = jax.random.categorical(
            jax.random.fold_in(key, ply), jnp.where(legal_A.any(), logits_A, 0.0)
        ).astype(jnp.int32)
        goes_on = ~over & legal_A.any()
        later_N = jnp.where(goes_on, boards.play(rules, board_N, drawn, mover), board_N)
        won = goes_on & boards.has_won(rules, later_N, mover)
        value = jnp.where(won, jnp.where(mover == player, 1.0, -1.0), value)
        return (later_N, 3 - mover, ~goes_on | won, value), None

    over = boards.has_won(rules, board_N, 3 - player)
    first = board_N, player, over, jnp.where(over, -1.0, 0.0)
    plies = jnp.arange(rules.cells, dtype=jnp.int32)
    value = jax.lax.scan(step, first, plies)[0][3]
    return jnp.zeros(rules.moves, jnp.float32), value


def learned(
    rules: Game,
    observer: Observer,
    params: PyTree,
    board_N: jax.Array,
    player: jax.Array,
    key: jax.Array,
) -> tuple[jax.Array, jax.Array]:
    """A learner's logits of the moves, and its value of a position: how much likelier it is won
    than lost."""
    cells_1xN = seen_by(board_N, player)[None]
    # What is read first ends before the question, which differs.
    given_1xG = jnp.pad(cells_1xN, ((0, 0), (0, 1)))
    no_mask = jnp.zeros((1, rules.cells + 2, rules.moves), jnp.float32)
    cache = observer.start(params, given_1xG, no_mask)

    def answer(question: jax.Array) -> jax.Array:
        return observer.step(params, cache, question[None], no_mask)[1][0]

    logits_2xV = jax.vmap(answer)(jnp.array([ASK_MOVE, ASK_OUTCOME]))
    outcomes_3 = jax.nn.softmax(logits_2xV[1, LOSS : WIN + 1])
    return logits_2xV[0, WIN + 1 :], outcomes_3[2] - outcomes_3[0]


def seen_by(board_N: jax.Array, player: jax.Array) -> jax.Array:
    """The cells as a player sees them, int32."""
    own_N = jnp.where(board_N == player, MINE, THEIRS)
    return jnp.where(board_N == 0, EMPTY, own_N).astype(jnp.int32)


def board_of(cells_N: jax.Array) -> jax.Array:
    """The board of which the player who moves sees these cells, int32."""
    player = 1 + (cells_N != EMPTY).sum(dtype=jnp.int32) % 2
    own_N = jnp.where(cells_N == MINE, player, 3 - player)
    return jnp.where(cells_N == EMPTY, 0, own_N).astype(jnp.int32)
