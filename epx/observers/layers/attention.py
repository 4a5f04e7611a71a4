"""Causal attention, with a gradient of its own.

The gradient that JAX derives transposes weights, TxT for each head, in memory; on a CPU that takes
a third of a step at T = 512. Here every product is written so that what is transposed is Txd_h. The
gradient of the softmax is that of the scores, weight x (its gradient - row sum of output x its
gradient). Long examples are cut into blocks of queries, each against the keys that it may see.
"""

import jax
import jax.numpy as jnp

# Queries of a block: one block below 256 tokens, two from there on, four from 512 on.
BLOCK, MOST_BLOCKS = 128, 4


def attend(
    queries: jax.Array, keys: jax.Array, values: jax.Array, positions_T: jax.Array | None
) -> jax.Array:
    """Attention over the keys up to each of `positions_T`; arrays are BxTxHxd_h.

    None: queries and keys are those of all positions, each over those up to itself.
    """
    if positions_T is None:
        return causal(queries, keys, values)
    scores = jnp.einsum("bthd,bshd->bhts", queries, keys, preferred_element_type=jnp.float32)
    earlier_TxS = positions_T[:, None] >= jnp.arange(keys.shape[1])
    weights = jax.nn.softmax(jnp.where(earlier_TxS, scores, -1e30)).astype(values.dtype)
    return jnp.einsum("bhts,bshd->bthd", weights, values)


def causal(queries: jax.Array, keys: jax.Array, values: jax.Array) -> jax.Array:
    """Attention over the positions up to each one; arrays are BxTxHxd_h.

    Weights are float32, and products have the dtype of the arrays.
    """
    heads_first = (leaf.swapaxes(1, 2) for leaf in (queries, keys, values))
    return _causal(*heads_first).swapaxes(1, 2)


def blocks(length: int) -> list[tuple[int, int]]:
    """First and last query of each block, the last one excluded."""
    count = max(1, min(MOST_BLOCKS, length // BLOCK))
    size = -(-length // count)
    return [(first, min(first + size, length)) for first in range(0, length, size)]


@jax.custom_vjp
def _causal(queries: jax.Array, keys: jax.Array, values: jax.Array) -> jax.Array:
    """As `causal`, of arrays BxHxTxd_h."""
    return _forward(queries, keys, values)[0]


def _forward(queries: jax.Array, keys: jax.Array, values: jax.Array) -> tuple:
    keys_t, mixed, weights = _transposed(keys), [], []
    for first, last in blocks(queries.shape[2]):
        scores = _product(queries[:, :, first:last], keys_t[..., :last])
        seen = jnp.arange(first, last)[:, None] >= jnp.arange(last)
        weights.append(jax.nn.softmax(jnp.where(seen, scores, -1e30)))
        rounded = weights[-1].astype(values.dtype)
        mixed.append(_product(rounded, values[:, :, :last]).astype(values.dtype))
    mixed = jnp.concatenate(mixed, axis=2)
    return mixed, (queries, keys, values, mixed, tuple(weights))


def _backward(saved: tuple, gradient: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    queries, keys, values, mixed, weights = saved
    values_t = _transposed(values)
    of_rows = (gradient.astype(jnp.float32) * mixed.astype(jnp.float32)).sum(-1, keepdims=True)
    of_queries = []
    of_keys_t = jnp.zeros((*keys.shape[:2], *keys.shape[:1:-1]), jnp.float32)
    of_values_t = jnp.zeros_like(of_keys_t)
    for (first, last), weight in zip(blocks(queries.shape[2]), weights):
        part = gradient[:, :, first:last]
        of_weight = _product(part, values_t[..., :last])
        of_scores = weight * (of_weight - of_rows[:, :, first:last])
        rounded = of_scores.astype(keys.dtype)
        of_queries.append(_product(rounded, keys[:, :, :last]))
        own = _transposed(queries[:, :, first:last])
        of_keys_t = of_keys_t.at[..., :last].add(_product(own, rounded))
        of_value = _product(_transposed(part), weight.astype(part.dtype))
        of_values_t = of_values_t.at[..., :last].add(of_value)
    found = jnp.concatenate(of_queries, axis=2), _transposed(of_keys_t), _transposed(of_values_t)
    return tuple(leaf.astype(of.dtype) for leaf, of in zip(found, (queries, keys, values)))


_causal.defvjp(_forward, _backward)


def _product(left: jax.Array, right: jax.Array) -> jax.Array:
    """The product of the last two axes, float32."""
    return jnp.matmul(left, right, preferred_element_type=jnp.float32)


def _transposed(leaf: jax.Array) -> jax.Array:
    """The last two axes exchanged, on a CPU also in memory, before XLA merges it into a product."""
    return jax.lax.platform_dependent(
        leaf,
        cpu=lambda x: jax.lax.optimization_barrier(x.swapaxes(-1, -2)),
        default=lambda x: x.swapaxes(-1, -2),
    )
