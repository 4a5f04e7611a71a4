"""The simplest observer that learns by gradient, for tests of what any observer will do: logits are
linear in the tokens before, and compile in a fraction of a transformer's time."""

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from epx.types import Observer


def make(vocab: int, length: int) -> Observer:
    """Logits at position t are a bias and, for each earlier position s, `weight[s, token_s, t]`."""
    earlier_SxT = np.triu(np.ones((length, length), np.float32), 1)

    def init(key):
        return {
            "bias": jnp.zeros((length, vocab), jnp.float32),
            "weight": jnp.zeros((length, vocab, length, vocab), jnp.float32),
        }

    def sums_BxTxV(params, tokens_BxS):
        seen = tokens_BxS.shape[1]
        weight = params["weight"][:seen] * earlier_SxT[:seen, None, :, None]
        one_hot = jax.nn.one_hot(tokens_BxS, vocab, dtype=jnp.float32)
        added = jnp.einsum("bsv,svtw->btw", one_hot, weight, precision=lax.Precision.HIGHEST)
        return params["bias"] + added

    def logits(params, tokens, side=None):
        return sums_BxTxV(params, tokens)[:, : tokens.shape[1]]

    def start(params, tokens, side=None):
        return jnp.int32(tokens.shape[1]), sums_BxTxV(params, tokens[:, :-1])

    def step(params, cache, tokens_B, side=None):
        t, sums = cache
        added = params["weight"][jnp.maximum(t - 1, 0), tokens_B]
        sums = sums + jnp.where(t > 0, added, 0)
        return (t + 1, sums), sums[:, t]

    return Observer(
        init=init,
        logits=logits,
        flops=lambda length: (2.0 * vocab**2 * length**2, 4.0 * vocab**2 * length**2),
        scales=lambda params: jax.tree.map(jnp.ones_like, params),
        start=start,
        step=step,
    )
