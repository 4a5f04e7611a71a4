"""The Poisson functional representation (Li and El Gamal 2018).

The encoder picks, among proposals from the decoder's distribution P, one that is distributed as the
encoder's distribution Q. Both sides know P, the student's prediction, and draw from it the same
endless list of proposals Y_1, Y_2, ..., each with a key made from its number. The proposals arrive
at the times T_1 < T_2 < ... of a Poisson process of rate 1. The encoder also knows Q, the teacher's
prediction, and sends

    J = argmin_i T_i P(Y_i) / Q(Y_i)

The V^c completions of a message of c coded tokens are all listed. That gives the largest ratio Q/P,
which tells the encoder when no later proposal can win.
"""

import zlib
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from epx.learning import nll
from epx.types import Observer, PyTree, Spec, require

# Most completions of a message.
LARGEST_LIST = 2**12
# Proposals examined together.
CHUNK = 64
# After this many proposals the best so far is taken. The probability that a later one wins is below
# (largest ratio) x 2^-24.
MOST_PROPOSALS = 2**24


class Predictive(NamedTuple):
    """An observer's prediction of each of B messages.

    Attributes:
      log_p_BxC: ln of the probability of every completion, float32.
      order_BxC: int32, the completions by rising probability, so that cumulative sums of rare ones
        keep the relative precision of float32.
      bounds_BxC: cumulative probabilities in that order, from which proposals are drawn. Both sides
        compute them by the same program, because different last bits could change a proposal.
    """

    log_p_BxC: jax.Array
    order_BxC: jax.Array
    bounds_BxC: jax.Array


class Choice(NamedTuple):
    """The encoder's choice for each of B messages.

    Attributes:
      number_B: int32, J, counted from 1; it is sent.
      completion_B: int32, the completion that is proposal J.
      proposals_B: int32, proposals examined until no later one can win.
    """

    number_B: jax.Array
    completion_B: jax.Array
    proposals_B: jax.Array


def completions(spec: Spec) -> np.ndarray:
    """All strings of the c coded tokens, those after `given`; int32 of shape (V^c, c).

    Raises:
      ValueError: there are more than LARGEST_LIST.
    """
    coded = spec.length - spec.given
    count = spec.vocab**coded
    accepted = f"1 to {LARGEST_LIST} completions of a message; {spec.vocab}^{coded} are too many"
    require("generator.length", spec.length, count <= LARGEST_LIST, accepted)
    digits = np.arange(count)[:, None] // spec.vocab ** np.arange(coded - 1, -1, -1)
    return (digits % spec.vocab).astype(np.int32)


def predict(
    observer: Observer, params: PyTree, given_BxG: jax.Array, strings_CxT: jax.Array
) -> Predictive:
    """The prediction of an observer after the given tokens."""

    def message(given_G: jax.Array) -> jax.Array:
        front_CxG = jnp.broadcast_to(given_G, (len(strings_CxT), len(given_G)))
        tokens_CxT = jnp.concatenate([front_CxG, strings_CxT], axis=1)
        nats_CxT = nll.nats(observer.logits(params, tokens_CxT, None), tokens_CxT)
        return -nll.pairwise_sum(nats_CxT[:, len(given_G) :], axis=1)

    return make_predictive(lax.map(message, given_BxG))


def make_predictive(log_p_BxC: jax.Array) -> Predictive:
    """The predictive with these log probabilities of all completions."""
    order_BxC = jnp.argsort(log_p_BxC, axis=1).astype(jnp.int32)
    rising_BxC = jnp.exp(jnp.take_along_axis(log_p_BxC, order_BxC, axis=1))
    return Predictive(log_p_BxC, order_BxC, jnp.cumsum(rising_BxC, axis=1))


def choose(key: jax.Array, student: Predictive, teacher: Predictive) -> Choice:
    """The encoder's side of a step: J = argmin_i T_i P(Y_i) / Q(Y_i) for each message.

    P is the student's prediction, Q the teacher's; `key` belongs to the step.
    """
    # ln P/Q of every completion
    penalty_BxC = student.log_p_BxC - teacher.log_p_BxC

    def message(number: jax.Array, student: Predictive, penalty_C: jax.Array) -> Choice:
        message_key = jax.random.fold_in(key, number)
        least = penalty_C.min()

        def undecided(carry):
            first, time, best, *_ = carry
            # The next proposal arrives at `time` or later, with at least the least penalty.
            return (jnp.log(time) + least < best) & (first < MOST_PROPOSALS)

        def examine(carry):
            first, time, best, number, completion, proposals = carry
            number_K = first + jnp.arange(CHUNK, dtype=jnp.int32)
            completion_K = jax.vmap(lambda n: propose(message_key, n, student))(number_K)
            gaps_K = jax.vmap(lambda n: jax.random.exponential(_key(message_key, "gap", n)))(
                number_K
            )
            time_K = time + jnp.cumsum(gaps_K)
            # ln of T_i P(Y_i) / Q(Y_i) (Li and El Gamal 2018; arXiv 2607.11883)
            score_K = jnp.log(time_K) + penalty_C[completion_K]
            winner = jnp.argmin(score_K)
            wins = score_K[winner] < best
            before_K = lax.cummin(jnp.append(best, score_K))[:-1]
            can_win_K = jnp.log(time_K) + least < before_K
            return (
                first + CHUNK,
                time_K[-1],
                jnp.where(wins, score_K[winner], best),
                jnp.where(wins, number_K[winner] + 1, number),
                jnp.where(wins, completion_K[winner], completion),
                proposals + can_win_K.sum(dtype=jnp.int32),
            )

        zero = jnp.int32(0)
        start = (zero, jnp.float32(0), jnp.float32(jnp.inf), zero, zero, zero)
        return Choice(*lax.while_loop(undecided, examine, start)[3:])

    number_B = jnp.arange(len(penalty_BxC), dtype=jnp.uint32)
    return lax.map(lambda args: message(*args), (number_B, student, penalty_BxC))


def decode(key: jax.Array, student: Predictive, number_B: jax.Array) -> jax.Array:
    """The decoder's side of a step: the completions that are the proposals of these numbers."""

    def message(index: jax.Array, student: Predictive, number: jax.Array) -> jax.Array:
        return propose(jax.random.fold_in(key, index), number - 1, student)

    index_B = jnp.arange(len(number_B), dtype=jnp.uint32)
    return lax.map(lambda args: message(*args), (index_B, student, number_B))


def propose(key: jax.Array, number: jax.Array, student: Predictive) -> jax.Array:
    """The completion that is proposal `number` (from 0) of a message, a draw from P.

    The arrays of `student` have no axis B here.
    """
    return sample(jax.random.bits(_key(key, "proposal", number), dtype=jnp.uint32), student)


def sample(bits: jax.Array, student: Predictive) -> jax.Array:
    """The completion selected by 32 uniform bits.

    Probabilities are exact to 2^-32, or to the rounding of float32 where that is larger.
    """
    draw = bits.astype(jnp.float32) * 2.0**-32 * student.bounds_BxC[-1]
    rank = jnp.searchsorted(student.bounds_BxC, draw, side="right")
    return student.order_BxC[jnp.minimum(rank, len(student.order_BxC) - 1)]


def _key(key: jax.Array, name: str, number: jax.Array) -> jax.Array:
    return jax.random.fold_in(jax.random.fold_in(key, zlib.crc32(name.encode())), number)
