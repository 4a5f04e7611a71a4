"""The Poisson functional representation (Li and El Gamal 2018): how the encoder picks a proposal of
the decoder's distribution that is distributed as its own.

Both sides know what the student predicts, P, and draw from it the same endless list of proposals
Y_1, Y_2, ..., each with a key of its own number. They arrive at the times T_1 < T_2 < ... of a
Poisson process of rate 1. The encoder, who also knows the teacher's prediction Q, sends the number
J of the proposal with the least T_i P(Y_i) / Q(Y_i).

All completions of a message are listed, so that the largest ratio Q/P, which says when no later
proposal can win, is known: V^c of them for c coded tokens.
"""

import zlib
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from epx.learning import nll
from epx.types import Observer, PyTree, Spec, require

# Completions of a message that are listed at most.
LARGEST_LIST = 2**12
# Proposals that are examined together.
CHUNK = 64
# After this many proposals a message takes the best so far: the chance that a later one wins is
# below (largest ratio) x 2^-24.
MOST_PROPOSALS = 2**24


class Predictive(NamedTuple):
    """What an observer predicts for each of B messages.

    Attributes:
      log_p_BxC: ln of the probability of every completion, float32.
      order_BxC: int32, the completions by rising probability: among small numbers a float32 tells
        rare ones apart as exactly as others.
      bounds_BxC: their cumulative probabilities in that order, from which proposals are drawn. Both
        sides take them from one program: another one's last bits could differ, and so could a
        proposal.
    """

    log_p_BxC: jax.Array
    order_BxC: jax.Array
    bounds_BxC: jax.Array


class Choice(NamedTuple):
    """What the encoder picked for each of B messages.

    Attributes:
      number_B: int32, J from 1 on: what is sent.
      completion_B: int32, which completion proposal J is.
      proposals_B: int32, proposals to examine, in order, until none can win any more.
    """

    number_B: jax.Array
    completion_B: jax.Array
    proposals_B: jax.Array


def completions(spec: Spec) -> np.ndarray:
    """All strings of the coded tokens, int32 of shape (V^c, c), where all after `given` are coded.

    Raises:
      ValueError: more than LARGEST_LIST of them.
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
    """What an observer predicts after the given tokens."""

    def message(given_G: jax.Array) -> jax.Array:
        front_CxG = jnp.broadcast_to(given_G, (len(strings_CxT), len(given_G)))
        tokens_CxT = jnp.concatenate([front_CxG, strings_CxT], axis=1)
        nats_CxT = nll.nats(observer.logits(params, tokens_CxT, None), tokens_CxT)
        return -nll.pairwise_sum(nats_CxT[:, len(given_G) :], axis=1)

    return make_predictive(lax.map(message, given_BxG))


def make_predictive(log_p_BxC: jax.Array) -> Predictive:
    """The predictive of these log probabilities of all completions."""
    order_BxC = jnp.argsort(log_p_BxC, axis=1).astype(jnp.int32)
    rising_BxC = jnp.exp(jnp.take_along_axis(log_p_BxC, order_BxC, axis=1))
    return Predictive(log_p_BxC, order_BxC, jnp.cumsum(rising_BxC, axis=1))


def choose(key: jax.Array, student: Predictive, teacher: Predictive) -> Choice:
    """The encoder's side of a step, whose key this is: J = argmin_i T_i P(Y_i) / Q(Y_i).

    P is the student's prediction, Q the teacher's.
    """
    penalty_BxC = student.log_p_BxC - teacher.log_p_BxC

    def message(number: jax.Array, student: Predictive, penalty_C: jax.Array) -> Choice:
        message_key = jax.random.fold_in(key, number)
        least = penalty_C.min()

        def undecided(carry):
            first, time, best, *_ = carry
            # The earliest proposal that is left arrives at `time`, at best with the least penalty.
            return (jnp.log(time) + least < best) & (first < MOST_PROPOSALS)

        def examine(carry):
            first, time, best, number, completion, proposals = carry
            number_K = first + jnp.arange(CHUNK, dtype=jnp.int32)
            completion_K = jax.vmap(lambda n: propose(message_key, n, student))(number_K)
            gaps_K = jax.vmap(lambda n: jax.random.exponential(_key(message_key, "gap", n)))(
                number_K
            )
            time_K = time + jnp.cumsum(gaps_K)
            # ln of T_i P(Y_i) / Q(Y_i)
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
    """The decoder's side of a step: the completions of the proposals with these numbers."""

    def message(index: jax.Array, student: Predictive, number: jax.Array) -> jax.Array:
        return propose(jax.random.fold_in(key, index), number - 1, student)

    index_B = jnp.arange(len(number_B), dtype=jnp.uint32)
    return lax.map(lambda args: message(*args), (index_B, student, number_B))


def propose(key: jax.Array, number: jax.Array, student: Predictive) -> jax.Array:
    """The completion that is proposal `number` (from 0) of a message: a draw from P.

    The student's prediction has no axis B here.
    """
    return sample(jax.random.bits(_key(key, "proposal", number), dtype=jnp.uint32), student)


def sample(bits: jax.Array, student: Predictive) -> jax.Array:
    """The completion of 32 even bits: each has its probability to within 2^-32, or the rounding of
    a float32 where that is more."""
    draw = bits.astype(jnp.float32) * 2.0**-32 * student.bounds_BxC[-1]
    rank = jnp.searchsorted(student.bounds_BxC, draw, side="right")
    return student.order_BxC[jnp.minimum(rank, len(student.order_BxC) - 1)]


def _key(key: jax.Array, name: str, number: jax.Array) -> jax.Array:
    return jax.random.fold_in(jax.random.fold_in(key, zlib.crc32(name.encode())), number)
