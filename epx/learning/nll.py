"""Prices in nats: of a token under a prediction, and of one prediction under another.

The only log_softmax in the program. All arithmetic is float32, for logits of any dtype.
"""

import jax
import jax.numpy as jnp


def nats(logits_BxTxV: jax.Array, tokens_BxT: jax.Array) -> jax.Array:
    """The price of each token, -ln softmax(logits)[token].

    Args:
      logits_BxTxV: unnormalised log probabilities; any leading axes may replace B and T.
      tokens_BxT: int, below V; the same leading axes.

    Returns:
      Nats per token, float32 of shape BxT. Nothing is masked: see `coded_sum`.
    """
    log_p_BxTxV = jax.nn.log_softmax(logits_BxTxV.astype(jnp.float32))
    return -jnp.take_along_axis(log_p_BxTxV, tokens_BxT[..., None], axis=-1)[..., 0]


def possible(logits_BxTxV: jax.Array, tokens_BxT: jax.Array) -> jax.Array:
    """Whether the probability of each token is above 0, bool of shape BxT."""
    return jnp.isfinite(nats(logits_BxTxV, tokens_BxT))


def kl_nats(logits_p_BxTxV: jax.Array, logits_q_BxTxV: jax.Array) -> jax.Array:
    """KL(p || q) over the vocabulary: the excess price under q of tokens drawn from p.

    Summed as p ln(p/q) - p + q, which is never negative for a single token. The plain p ln(p/q) has
    a rounding error of 1e-7 of either sign, as large as the KL of two nearly equal models.

    Args:
      logits_p_BxTxV, logits_q_BxTxV: unnormalised log probabilities over equal axes.

    Returns:
      Nats, float32 over the leading axes; exactly 0 where the logits are identical.
    """
    log_p_BxTxV = jax.nn.log_softmax(logits_p_BxTxV.astype(jnp.float32))
    log_q_BxTxV = jax.nn.log_softmax(logits_q_BxTxV.astype(jnp.float32))
    p_BxTxV, q_BxTxV = jnp.exp(log_p_BxTxV), jnp.exp(log_q_BxTxV)
    possible_BxTxV = p_BxTxV > 0
    gap_BxTxV = jnp.where(possible_BxTxV, log_p_BxTxV - log_q_BxTxV, 0.0)
    # sign(gap) max(p, q) expm1(-|gap|) is q - p without cancellation, and cannot overflow.
    difference_BxTxV = (
        jnp.sign(gap_BxTxV) * jnp.maximum(p_BxTxV, q_BxTxV) * jnp.expm1(-jnp.abs(gap_BxTxV))
    )
    terms_BxTxV = jnp.maximum(p_BxTxV * gap_BxTxV + difference_BxTxV, 0.0)
    return jnp.where(possible_BxTxV, terms_BxTxV, q_BxTxV).sum(-1)


def coded_sum(nats_BxT: jax.Array, coded_BxT: jax.Array, axis: int) -> jax.Array:
    """The sum of the charged nats over an axis, by `pairwise_sum`.

    Uncharged tokens are masked by selection, not multiplied by 0, so that an infinite or undefined
    price reaches neither the sum nor its gradient.
    """
    return pairwise_sum(jnp.where(coded_BxT, nats_BxT, 0.0), axis)


def pairwise_sum(x: jax.Array, axis: int) -> jax.Array:
    """The sum over an axis, by repeatedly adding its two halves.

    Sequential float32 addition of thousands of nearly equal prices has a relative error of 1e-6,
    as large as a small S. Pairwise the error stays near that of a single addition.
    """
    x = jnp.moveaxis(x, axis, 0)
    while len(x) > 1:
        half = len(x) // 2
        x = jnp.concatenate([x[:half] + x[half : 2 * half], x[2 * half :]])
    return x[0]
