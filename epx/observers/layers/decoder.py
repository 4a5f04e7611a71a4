"""The decoder that the transformer and its weight-tied form share: model, cache and functions.

`logits[:, t]` predicts `tokens[:, t]`. The input at t is the embedding of token t - 1 (the zero
vector at t = 0) plus the embedding of position t. Where tokens come with vectors of side
information, a linear map of the vector of token t - 1 is added.
"""

from functools import partial
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax

from epx.observers.layers import attention
from epx.observers.layers.basic import (
    ACTIVATIONS,
    Dense,
    Head,
    LayerNorm,
    fan_in,
    learning_rate_scales,
    previous_tokens,
    previous_vectors,
    require_choices,
    require_parameters,
    require_side,
    small_normal,
    vector_before,
    zeros,
)
from epx.types import Observer, PyTree, require, require_whole

KeysValues = tuple[jax.Array, jax.Array]

MAX_DEPTH = 256
MAX_SCORES = 2**30  # 4 GiB in float32


class Cache(NamedTuple):
    """The state of decoding token by token.

    Attributes:
      position: int32, the next position to predict.
      layers: for each application of a layer its keys and values, each BxTxHxd_h; zeros from
        `position` on.
    """

    position: jax.Array
    layers: tuple[KeysValues, ...]


class Layer(nn.Module):
    """Causal self-attention over H heads of size d_h = D / H, then the MLP.

    Each of the two branches is divided by `applied`, the number of layers that are applied.
    """

    heads: int
    applied: int
    activation: str
    dtype: str

    @nn.compact
    def __call__(
        self, x_NxD: jax.Array, positions_T: jax.Array, past: KeysValues | None
    ) -> tuple[jax.Array, KeysValues]:
        """The residual stream after this layer, NxD float32, and the layer's keys and values.

        Outside of attention the N = B T tokens have one axis: with two, XLA transposes the gradient
        of every product in memory, which costs a third of a step on a CPU. `positions_T` are int32
        and consecutive. `past` holds the keys and values of all positions (BxSxHxd_h), and the new
        ones are written into it; None if `positions_T` are all positions.
        """
        D, T = x_NxD.shape[1], len(positions_T)
        dense = partial(Dense, dtype=self.dtype)
        h_NxD = LayerNorm(name="norm_attention")(x_NxD)
        # One product for all three, split within each head: that needs no transposition or copy.
        fused = dense(3 * D, kernel_init=fan_in, name="qkv")(h_NxD)
        queries, keys, values = jnp.split(
            fused.reshape(-1, T, self.heads, 3 * D // self.heads), 3, axis=-1
        )
        # 8/sqrt(d_h) times the usual 1/sqrt(d_h): the muP scale, equal to the usual at d_h = 64.
        keys = (LayerNorm(name="norm_keys")(keys) * (8 / keys.shape[-1])).astype(self.dtype)
        queries = LayerNorm(name="norm_queries")(queries).astype(self.dtype)
        seen_T = None if past is None else positions_T
        if past is not None:
            write = partial(lax.dynamic_update_slice_in_dim, start_index=positions_T[0], axis=1)
            keys, values = write(past[0], keys), write(past[1], values)
        mixed_NxD = attention.attend(queries, keys, values, seen_T).reshape(-1, D)
        h_NxD = dense(D, kernel_init=zeros, name="out")(mixed_NxD)
        x_NxD += h_NxD / self.applied
        h_NxF = dense(4 * D, kernel_init=fan_in, name="up")(LayerNorm(name="norm_mlp")(x_NxD))
        h_NxD = dense(D, kernel_init=zeros, name="down")(ACTIVATIONS[self.activation](h_NxF))
        return x_NxD + h_NxD / self.applied, (keys, values)


class Decoder(nn.Module):
    """The model; its fields are the arguments of `observer`, with `heads` for `head_dim`.

    The residual stream is float32 even where the matrix products are bfloat16.
    """

    vocab: int
    length: int
    side: int
    depth: int
    loops: int
    width: int
    heads: int
    activation: str
    dtype: str

    @nn.compact
    def __call__(
        self,
        previous_BxT: jax.Array,
        vectors_BxTxR: jax.Array | None,
        positions_T: jax.Array,
        past: tuple | None = None,
        change: tuple[int, jax.Array] | None = None,
    ) -> tuple[jax.Array, tuple[KeysValues, ...], tuple[jax.Array, ...]]:
        """logits_BxTxV (float32) of consecutive positions, each layer's keys and values, and the
        residual stream before the first layer and after each, NxD.

        `previous_BxT` are the tokens before each position, ignored at position 0, and
        `vectors_BxTxR` their side information, or None; `positions_T` are below `length`; `past`
        has an entry as in `Layer` for each application of a layer. `change` is added to the stream
        (NxD) after a number of layers.
        """
        embedding_VxD = self.param("embedding", small_normal, (self.vocab, self.width))
        positions_SxD = self.param("positions", small_normal, (self.length, self.width))
        x_BxTxD = jnp.where(positions_T[:, None] > 0, embedding_VxD[previous_BxT], 0.0)
        x_NxD = (x_BxTxD + positions_SxD[positions_T]).reshape(-1, self.width)
        if self.side:
            vectors_NxR = vectors_BxTxR.reshape(-1, self.side)
            x_NxD += Dense(self.width, kernel_init=fan_in, name="side")(vectors_NxR)
        applied = self.depth * self.loops
        layers = [
            Layer(self.heads, applied, self.activation, self.dtype, name=f"layer_{i}")
            for i in range(self.depth)
        ]
        edited, change_NxD = change or (None, None)
        present, streams = [], [x_NxD + change_NxD if edited == 0 else x_NxD]
        for i, layer in enumerate(layers * self.loops):
            x_NxD, keys_values = layer(streams[-1], positions_T, past and past[i])
            present.append(keys_values)
            streams.append(x_NxD + change_NxD if edited == i + 1 else x_NxD)
        head = Head(self.vocab, dtype=self.dtype, name="head")
        logits_NxV = head(LayerNorm(name="norm")(streams[-1]))
        logits_BxTxV = logits_NxV.reshape(*previous_BxT.shape, self.vocab)
        return logits_BxTxV, tuple(present), tuple(streams)


def observer(
    vocab: int,
    length: int,
    side: int,
    depth: int,
    loops: int,
    width: int,
    head_dim: int,
    activation: str,
    dtype: str,
) -> Observer:
    """An observer whose model applies `depth` layers `loops` times, with the same weights.

    Args:
      vocab, length, side: V, T and R of the generator's spec.
      depth, width, head_dim, activation, dtype: as in `transformer.make`.
      loops: applications of the layers; their cost is counted as often.

    Raises:
      ValueError: an argument outside its bounds, or a model too large for any device.
    """
    reason = "more layers do not compile in reasonable time"
    require_whole("observer.depth", depth, 1, MAX_DEPTH, reason)
    require_whole("observer.loops", loops, 1, MAX_DEPTH // depth, f"{reason}, with depth={depth}")
    require_whole("observer.width", width, 1, 2**16, "wider models do not fit into memory")
    require_whole("observer.head_dim", head_dim, 1, 2**16, "no width is larger")
    divisors = f"divisors of width={width}, or any number above it"
    require("observer.head_dim", head_dim, width % min(head_dim, width) == 0, divisors)
    require_choices(dtype, activation)
    head_dim = min(head_dim, width)
    layer = 12 * width**2 + 2 * width + 2 * head_dim
    parameters = (2 * vocab + length + side + 1) * width + depth * layer
    require_parameters("observer.width", width, parameters)
    heads = width // head_dim
    scores = heads * length**2
    accepted = (
        f"examples whose attention holds at most {MAX_SCORES:,} scores (4 GiB); this one has "
        f"{scores:,} ({scores / 2**28:,.1f} GiB)"
    )
    require("length", length, scores <= MAX_SCORES, accepted)
    model = Decoder(vocab, length, side, depth, loops, width, heads, activation, dtype)
    return Observer(
        init=partial(_init, model),
        logits=partial(_logits, model),
        flops=partial(_flops, model),
        scales=learning_rate_scales,
        start=partial(_start, model),
        step=partial(_step, model),
        hidden=partial(_hidden, model),
        edited=partial(_edited, model),
    )


def _init(model: Decoder, key: jax.Array) -> PyTree:
    token = jnp.zeros((1, 1), jnp.int32)
    return model.init(key, token, jnp.zeros((1, 1, model.side)), token[0])["params"]


def _logits(
    model: Decoder, params: PyTree, tokens_BxT: jax.Array, side: jax.Array | None = None
) -> jax.Array:
    return _read(model, params, tokens_BxT, side)[0]


def _hidden(
    model: Decoder, params: PyTree, tokens_BxT: jax.Array, side: jax.Array | None = None
) -> tuple[jax.Array, ...]:
    _, _, streams = _read(model, params, tokens_BxT, side)
    return tuple(x_NxD.reshape(*tokens_BxT.shape, model.width) for x_NxD in streams)


def _edited(
    model: Decoder,
    params: PyTree,
    tokens_BxT: jax.Array,
    side: jax.Array | None,
    layer: int,
    change_BxTxD: jax.Array,
) -> jax.Array:
    require_whole("layer", layer, 0, model.depth * model.loops, "layers of this observer")
    change_NxD = change_BxTxD.reshape(-1, model.width)
    return _read(model, params, tokens_BxT, side, (layer, change_NxD))[0]


def _read(
    model: Decoder,
    params: PyTree,
    tokens_BxT: jax.Array,
    side: jax.Array | None,
    change: tuple[int, jax.Array] | None = None,
) -> tuple[jax.Array, tuple[KeysValues, ...], tuple[jax.Array, ...]]:
    """What the model returns for all positions."""
    require_side(side, model.side)
    T = tokens_BxT.shape[1]
    accepted = f"at most {model.length}, the length that this observer was made for"
    require("length", T, model.length >= T, accepted)
    vectors_BxTxR = None if side is None else previous_vectors(side[:, :T])
    return model.apply(
        {"params": params},
        previous_tokens(tokens_BxT),
        vectors_BxTxR,
        _positions(T),
        change=change,
    )


def _positions(length: int) -> jax.Array:
    return jnp.arange(length, dtype=jnp.int32)


def _flops(model: Decoder, length: int) -> tuple[float, float]:
    """FLOPs of the matrix products; learning costs twice the prediction.

    Attention counts all positions, because masked ones are computed too. Look-ups are free.
    """
    L, D = model.depth * model.loops, model.width
    per_token = 2.0 * (12 * L * D * D + (model.vocab + model.side) * D)
    forward = per_token * length + 4.0 * L * D * length * length
    return forward, 2 * forward


def _start(
    model: Decoder, params: PyTree, tokens_BxT: jax.Array, side: jax.Array | None = None
) -> Cache:
    require_side(side, model.side)
    B, T = tokens_BxT.shape
    zeros = jnp.zeros((B, model.length, model.heads, model.width // model.heads), model.dtype)
    layers = ((zeros, zeros),) * (model.depth * model.loops)
    if T:
        _, given, _ = _read(model, params, tokens_BxT, side)
        layers = jax.tree.map(lambda all_S, given_T: all_S.at[:, :T].set(given_T), layers, given)
    return Cache(jnp.int32(T), layers)


def _step(
    model: Decoder,
    params: PyTree,
    cache: Cache,
    tokens_B: jax.Array,
    side: jax.Array | None = None,
) -> tuple[Cache, jax.Array]:
    require_side(side, model.side)
    logits_Bx1xV, layers, _ = model.apply(
        {"params": params},
        tokens_B[:, None],
        vector_before(side, cache.position),
        cache.position[None],
        cache.layers,
    )
    return Cache(cache.position + 1, layers), logits_Bx1xV[:, 0]
