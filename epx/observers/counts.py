"""The exact counter: an n-gram model with a Dirichlet prior, learned without a gradient.

The context of a token is the `order` tokens before it in its example, padded with the start symbol
`vocab`. If a context occurred N times before, n times followed by the token, the token costs
-ln (n + alpha) / (N + alpha V); alpha = 1/2 is the estimator of Krichevsky and Trofimov. Each token
is charged and then counted, so the total is a closed form of the final counts and does not depend
on the batches. The counter is the baseline of all other codelengths in the program.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp

from epx.observers.layers.basic import refuse_side
from epx.types import Observer, PyTree, refusal, require, require_whole

TINY = {"order": 2}

# 2^27 counts are 512 MiB, and keep every index within int32.
MAX_COUNTS = 2**27
MAX_ORDER = 27  # 2^27 contexts with a vocabulary of one token


class Counter(NamedTuple):
    """The arguments of `make`. The table of counts is int32 of shape CxV with C = (V+1)^order."""

    vocab: int
    order: int
    alpha: float

    @property
    def contexts(self) -> int:
        return (self.vocab + 1) ** self.order


class Cache(NamedTuple):
    """The state of decoding token by token.

    Attributes:
      first: bool, whether no token has been read yet.
      context_B: int32, the last `order` tokens as digits of a number to the base V+1.
    """

    first: jax.Array
    context_B: jax.Array


def make(vocab: int, length: int, order: int = 2, alpha: float = 0.5) -> Observer:
    """A counter of n-grams with n = order + 1.

    Args:
      vocab: number of tokens, V, from the generator's spec.
      length: tokens in an example, from the generator's spec; not used.
      order: tokens of context, 0 or more; the table may have at most 2^27 counts.
      alpha: pseudo-count added to every count, above 0.

    Returns:
      An Observer without side information. Its parameters are the counts, exact below 2^31.

    Raises:
      ValueError: an argument outside these bounds, or a larger table.
    """
    del length
    _check(vocab, order, alpha)
    counter = Counter(vocab, order, alpha)
    return Observer(
        init=partial(_init, counter),
        logits=partial(_logits, counter),
        flops=partial(_flops, counter),
        start=partial(_start, counter),
        step=partial(_step, counter),
        update=partial(_update, counter),
    )


def _check(vocab: int, order: int, alpha: float) -> None:
    require_whole(
        "vocab", vocab, 1, 2**31 - 2, "tokens are int32, and the start symbol is one more"
    )
    fitting = [k for k in range(MAX_ORDER + 1) if (vocab + 1) ** k * vocab <= MAX_COUNTS]
    if not fitting:
        raise refusal(
            "vocab", vocab, f"1 to {MAX_COUNTS}, the counts of the largest table (512 MiB)"
        )
    needed = (
        f"a table of {(vocab + 1):,}^order x {vocab:,} counts may have {MAX_COUNTS:,} (512 MiB)"
    )
    require_whole("observer.order", order, 0, fitting[-1], needed)
    require("observer.alpha", alpha, 1e-30 <= alpha <= 1e30, "1e-30 to 1e30, within float32")


def _init(counter: Counter, key: jax.Array) -> jax.Array:
    del key  # nothing is drawn
    return jnp.zeros((counter.contexts, counter.vocab), jnp.int32)


def _logits(
    counter: Counter, table_CxV: jax.Array, tokens_BxT: jax.Array, side: PyTree = None
) -> jax.Array:
    """Log probabilities under the current table, without counting."""
    refuse_side("the counter", side)
    return _log_probabilities(counter, table_CxV[_contexts(counter, tokens_BxT)])


def _update(
    counter: Counter,
    table_CxV: jax.Array,
    tokens_BxT: jax.Array,
    coded_BxT: jax.Array,
    side: PyTree = None,
) -> tuple[jax.Array, jax.Array]:
    """Charge and count the coded tokens in row-major order; contexts use all tokens.

    The count before a token is the table's count plus the number of equal tokens with the same
    context earlier in the batch.
    """
    refuse_side("the counter", side)
    coded_N, tokens_N = coded_BxT.reshape(-1), tokens_BxT.reshape(-1)
    contexts_N = _contexts(counter, tokens_BxT).reshape(-1)
    # Uncoded tokens get a context beyond the last one. It differs from all others, and the scatter
    # drops it.
    contexts_N = jnp.where(coded_N, contexts_N, counter.contexts)
    rows_NxV = table_CxV.at[contexts_N].get(mode="fill", fill_value=0)
    seen_N = jnp.take_along_axis(rows_NxV, tokens_N[:, None], axis=1)[:, 0]
    seen_N += _ranks(contexts_N * counter.vocab + tokens_N)
    others_N = rows_NxV.sum(-1, dtype=jnp.int32) + _ranks(contexts_N) - seen_N
    nats_N = jnp.where(coded_N, _price(counter, seen_N, others_N), 0.0)
    # A maximum instead of an addition of 1: the written values then depend on the values read.
    # Without that dependency XLA copies the full table.
    table_CxV = table_CxV.at[contexts_N, tokens_N].max(seen_N + 1, mode="drop")
    return table_CxV, nats_N.reshape(tokens_BxT.shape)


def _flops(counter: Counter, length: int) -> tuple[float, float]:
    """FLOPs to normalise one row of V counts for each token, and to add 1 to a count."""
    return float(counter.vocab * length), float(length)


def _start(
    counter: Counter, table_CxV: jax.Array, tokens_BxT: jax.Array, side: PyTree = None
) -> Cache:
    refuse_side("the counter", side)
    del table_CxV
    B, T = tokens_BxT.shape
    if T:  # the first step reads the last given token
        return Cache(jnp.array(False), _contexts(counter, tokens_BxT)[:, -1])
    # All digits are the start symbol, which is the largest digit.
    return Cache(jnp.array(True), jnp.full(B, counter.contexts - 1, jnp.int32))


def _step(
    counter: Counter, table_CxV: jax.Array, cache: Cache, tokens_B: jax.Array, side: PyTree = None
) -> tuple[Cache, jax.Array]:
    refuse_side("the counter", side)
    shifted_B = (cache.context_B * (counter.vocab + 1) + tokens_B) % counter.contexts
    context_B = jnp.where(cache.first, cache.context_B, shifted_B)
    cache = Cache(jnp.zeros_like(cache.first), context_B)
    return cache, _log_probabilities(counter, table_CxV[context_B])


def _contexts(counter: Counter, tokens_BxT: jax.Array) -> jax.Array:
    """The context of each token as a number to the base V+1, the latest token as last digit."""
    order, T = counter.order, tokens_BxT.shape[1]
    padded = jnp.pad(tokens_BxT, ((0, 0), (order, 0)), constant_values=counter.vocab)
    contexts_BxT = jnp.zeros_like(tokens_BxT)
    for back in range(order):
        contexts_BxT = contexts_BxT * (counter.vocab + 1) + padded[:, back : back + T]
    return contexts_BxT


def _ranks(keys_N: jax.Array) -> jax.Array:
    """The number of earlier entries equal to each entry, int32."""
    order_N = jnp.argsort(keys_N, stable=True)
    sorted_N = keys_N[order_N]
    place_N = jnp.arange(keys_N.size, dtype=jnp.int32)
    is_first_N = jnp.concatenate([jnp.ones(1, bool), sorted_N[1:] != sorted_N[:-1]])
    first_N = jax.lax.cummax(jnp.where(is_first_N, place_N, 0))
    return jnp.zeros_like(place_N).at[order_N].set(place_N - first_N, unique_indices=True)


def _price(counter: Counter, seen: jax.Array, others: jax.Array) -> jax.Array:
    """The price of a token `seen` n times in its context, with N - n `others`."""
    # -ln (n + alpha) / (N + alpha V) as ln(1 + odds against), precise for an almost certain token.
    against = others.astype(jnp.float32) + counter.alpha * (counter.vocab - 1)
    return jnp.log1p(against / (seen.astype(jnp.float32) + counter.alpha))


def _log_probabilities(counter: Counter, rows_BxV: jax.Array) -> jax.Array:
    return -_price(counter, rows_BxV, rows_BxV.sum(-1, dtype=jnp.int32, keepdims=True) - rows_BxV)
