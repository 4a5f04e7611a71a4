"""A residual convolution over words of bits: the distinguisher of Gohr (CRYPTO 2019).

It reads all tokens of an example but the last one, as words side by side (the four of two
ciphertexts of Speck), and predicts the last one, the label; any other token it predicts uniformly.
A convolution of one tap mixes the words at each place, residual layers of two convolutions of three
taps mix neighbouring places, and two dense layers decide. Where the original has batch norm, which
would let the charge of a label depend on other examples, there is layer norm; the loss is the cross
entropy, which is a codelength, and not the squared error.
"""

from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp

from epx.observers.layers import whole
from epx.observers.layers.basic import (
    Dense,
    Head,
    LayerNorm,
    fan_in,
    learning_rate_scales,
    refuse_side,
    require_choices,
    require_parameters,
)
from epx.types import Observer, PyTree, require, require_whole

TINY = {"words": 1, "depth": 1, "filters": 4, "dense": 8}
PREDICTED = 1  # tokens of an example that are predicted, the last ones


class Tower(nn.Module):
    """The network, tokens_BxN -> logits_BxV of the token that follows N = words x places."""

    vocab: int
    words: int
    depth: int
    filters: int
    dense: int
    dtype: str

    @nn.compact
    def __call__(self, tokens_BxN: jax.Array) -> jax.Array:
        B, places = len(tokens_BxN), tokens_BxN.shape[1] // self.words
        product = partial(Dense, kernel_init=fan_in, dtype=self.dtype)
        bits_BxWxPxV = nn.one_hot(tokens_BxN, self.vocab).reshape(B, self.words, places, self.vocab)
        bits_NxI = bits_BxWxPxV.swapaxes(1, 2).reshape(B * places, self.words * self.vocab)
        x_NxF = nn.relu(LayerNorm(name="norm_mix")(product(self.filters, name="mix")(bits_NxI)))
        x_BxPxF = x_NxF.reshape(B, places, self.filters)
        for layer in range(self.depth):
            h_BxPxF = x_BxPxF
            for n in (1, 2):
                taps = jnp.pad(h_BxPxF, ((0, 0), (1, 1), (0, 0)))
                taps = [taps[:, tap : tap + places] for tap in range(3)]
                taps_NxT = jnp.concatenate(taps, axis=-1).reshape(-1, 3 * self.filters)
                h = product(self.filters, name=f"taps_{layer}_{n}")(taps_NxT)
                h = nn.relu(LayerNorm(name=f"norm_{layer}_{n}")(h))
                h_BxPxF = h.reshape(x_BxPxF.shape)
            x_BxPxF += h_BxPxF
        h_BxD = x_BxPxF.reshape(B, -1)
        for n in (1, 2):
            h_BxD = product(self.dense, name=f"dense_{n}")(h_BxD)
            h_BxD = nn.relu(LayerNorm(name=f"norm_dense_{n}")(h_BxD))
        return Head(self.vocab, dtype=self.dtype, name="head")(h_BxD)


def make(
    vocab: int,
    length: int,
    *,
    words: int = 4,
    depth: int = 1,
    filters: int = 32,
    dense: int = 64,
    dtype: str = "float32",
) -> Observer:
    """A distinguisher of about 6LF^2 + FPD + D^2 parameters for P places of a word.

    Args:
      vocab, length: tokens V and tokens of an example T, from the generator's spec.
      words: into which the tokens before the last one are cut, a divisor of T - 1.
      depth: residual layers, L.
      filters: channels, F.
      dense: size of the two dense layers, D.
      dtype: of activations and matrix products, float32 or bfloat16.

    Raises:
      ValueError: an argument outside these bounds, or a model too large for any device.
    """
    require_whole("observer.depth", depth, 1, 64, "more layers do not compile in reasonable time")
    require_whole("observer.filters", filters, 1, 2**12, "wider models do not fit into memory")
    require_whole("observer.dense", dense, 1, 2**14, "wider models do not fit into memory")
    before = length - 1
    accepted = f"divisors of the {before} tokens before the last one of an example"
    legal = isinstance(words, int) and 1 <= words <= before and before % words == 0
    require("observer.words", words, legal, accepted)
    require_choices(dtype)
    places = before // words
    of_place = filters * words * vocab + 6 * depth * filters**2
    of_all = places * filters * dense + dense**2 + dense * vocab
    require_parameters("observer.filters", filters, of_place + of_all)
    model = Tower(vocab, words, depth, filters, dense, dtype)
    predict = partial(_logits, model, length)
    forward = 2.0 * (places * of_place + of_all)
    return Observer(
        init=lambda key: model.init(key, jnp.zeros((1, before), jnp.int32))["params"],
        logits=predict,
        # Of an example whose last token is predicted; shorter ones cost their share.
        flops=lambda tokens: (forward * tokens / length, 2 * forward * tokens / length),
        scales=learning_rate_scales,
        start=partial(_start, length),
        step=partial(whole.step, predict),
    )


def _logits(
    model: Tower, length: int, params: PyTree, tokens_BxT: jax.Array, side: PyTree = None
) -> jax.Array:
    refuse_side("the residual network", side)
    B, T = tokens_BxT.shape
    require("length", T, length == T, f"{length}, the length that this observer was made for")
    last_BxV = model.apply({"params": params}, tokens_BxT[:, :-1])
    return jnp.zeros((B, T, model.vocab), jnp.float32).at[:, -1].set(last_BxV)


def _start(length: int, params: PyTree, tokens_BxT: jax.Array, side: PyTree = None) -> whole.Cache:
    refuse_side("the residual network", side)
    return whole.start(length, params, tokens_BxT)
