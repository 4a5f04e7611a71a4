"""The decoder-only transformer of the paper's synthetic tasks (section B.7 of the specification).

Pre-norm LayerNorm with a learned gain and no bias, learned absolute positions, LayerNorm of queries
and keys by head, logits of attention scaled by 8/d_h, an MLP four times as wide, residual branches
divided by depth, an untied head. The output projections of every branch and the head start at zero,
so that an untrained model predicts uniformly and its first charge is exactly ln V a token.

Aligned: `logits[:, t]` predicts `tokens[:, t]`. Position t reads the token before it, and at t = 0,
where there is none, the zero vector. The position's own embedding is added at every t.

This file, with its siblings, is the only place that imports flax.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from epx.types import Observer, PyTree

TINY = dict(depth=2, width=8, head_dim=4)

ACTIVATIONS: dict[str, Callable[[jax.Array], jax.Array]] = {
    "gelu_erf": partial(nn.gelu, approximate=False),
    "gelu_tanh": partial(nn.gelu, approximate=True),
    "relu": nn.relu,
}
DTYPES = ("float32", "bfloat16")
# Embeddings, positions and gains learn at 6e-4 in the paper, at its base rate of 0.03.
VECTOR_SCALE = 6e-4 / 0.03

# Gains start at one and there is no bias; statistics are float32 whatever the activations are.
_Norm = partial(nn.LayerNorm, epsilon=1e-5, use_bias=False)
_fan_in = nn.initializers.variance_scaling(1.0, "fan_in", "normal")
_small = nn.initializers.normal(0.02)
_zeros = nn.initializers.zeros


class Cache(NamedTuple):
    """What one-token decoding remembers.

    Attributes:
      position: int32, the position to be predicted next.
      layers: for each layer its keys and values, each BxTxHxd_h; zeros from `position` on.
    """

    position: jax.Array
    layers: tuple[tuple[jax.Array, jax.Array], ...]


class Attention(nn.Module):
    """Causal self-attention with normalised queries and keys (H heads of size d_h = D / H)."""

    heads: int
    dtype: str

    @nn.compact
    def __call__(
        self, x_BxTxD: jax.Array, positions_T: jax.Array, past: tuple[jax.Array, jax.Array] | None
    ) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
        """Mixes the values of positions up to one's own.

        Args:
          x_BxTxD: normalised activations at `positions_T`, which are consecutive.
          positions_T: int32.
          past: keys and values of all positions (BxSxHxd_h) to be extended by these, or None where
            `x_BxTxD` is everything there is.

        Returns:
          The mix, BxTxD, and the keys and values including these positions.
        """
        B, T, D = x_BxTxD.shape
        # Heads are the outer axis of the fused matrix, so that the split leaves each contiguous.
        qkv = nn.Dense(3 * D, use_bias=False, dtype=self.dtype, kernel_init=_fan_in, name="qkv")
        fused = qkv(x_BxTxD).reshape(B, T, self.heads, 3 * (D // self.heads))
        queries, keys, values = jnp.split(fused, 3, axis=-1)
        queries = _Norm(name="norm_queries")(queries).astype(self.dtype)
        # 8/sqrt(d_h) on the keys times the usual 1/sqrt(d_h): the muP scale, usual at d_h = 64.
        keys = (_Norm(name="norm_keys")(keys) * (8 / keys.shape[-1])).astype(self.dtype)
        if past is not None:
            at = (0, positions_T[0], 0, 0)
            keys = jax.lax.dynamic_update_slice(past[0], keys, at)
            values = jax.lax.dynamic_update_slice(past[1], values, at)
        scores = jnp.einsum("bthd,bshd->bhts", queries, keys, preferred_element_type=jnp.float32)
        earlier_TxS = positions_T[:, None] >= jnp.arange(keys.shape[1])
        weights = nn.softmax(jnp.where(earlier_TxS, scores, -1e30)).astype(self.dtype)
        mixed_BxTxD = jnp.einsum("bhts,bshd->bthd", weights, values).reshape(B, T, D)
        out = nn.Dense(D, use_bias=False, dtype=self.dtype, kernel_init=_zeros, name="out")
        return out(mixed_BxTxD), (keys, values)


class Transformer(nn.Module):
    """The whole model; the arguments are those of `make`.

    The residual stream stays float32 where the matrix products are bfloat16.
    """

    vocab: int
    length: int
    depth: int
    width: int
    heads: int
    activation: str
    dtype: str

    @nn.compact
    def __call__(
        self, previous_BxT: jax.Array, positions_T: jax.Array, past: tuple | None = None
    ) -> tuple[jax.Array, tuple]:
        """Predicts the tokens at consecutive positions.

        Args:
          previous_BxT: int32, the token before each position; ignored at position 0.
          positions_T: int32, below `length`.
          past: keys and values by layer, see `Cache.layers`; None where T covers all positions.

        Returns:
          logits_BxTxV float32, and the keys and values by layer.
        """
        Dense = partial(nn.Dense, use_bias=False, dtype=self.dtype)
        embedding_VxD = self.param("embedding", _small, (self.vocab, self.width))
        positions_SxD = self.param("positions", _small, (self.length, self.width))
        x_BxTxD = jnp.where(positions_T[:, None] > 0, embedding_VxD[previous_BxT], 0.0)
        x_BxTxD += positions_SxD[positions_T]
        layers = []
        for i in range(self.depth):
            attention = Attention(self.heads, self.dtype, name=f"attention_{i}")
            h_BxTxD = _Norm(name=f"norm_attention_{i}")(x_BxTxD)
            h_BxTxD, layer = attention(h_BxTxD, positions_T, past and past[i])
            x_BxTxD += h_BxTxD / self.depth
            layers.append(layer)
            h_BxTxD = _Norm(name=f"norm_mlp_{i}")(x_BxTxD)
            h_BxTxF = Dense(4 * self.width, kernel_init=_fan_in, name=f"up_{i}")(h_BxTxD)
            h_BxTxF = ACTIVATIONS[self.activation](h_BxTxF)
            h_BxTxD = Dense(self.width, kernel_init=_zeros, name=f"down_{i}")(h_BxTxF)
            x_BxTxD += h_BxTxD / self.depth
        to_float32 = partial(jax.lax.dot_general, preferred_element_type=jnp.float32)
        head = Dense(self.vocab, kernel_init=_zeros, dot_general=to_float32, name="head")
        return head(_Norm(name="norm")(x_BxTxD)), tuple(layers)


def make(
    vocab: int,
    length: int,
    depth: int = 2,
    width: int = 32,
    head_dim: int = 64,
    activation: str = "gelu_tanh",
    dtype: str = "float32",
) -> Observer:
    """A transformer of 2VD + TD + L(12D^2 + 2D + 2d_h) + D parameters.

    Args:
      vocab: number of tokens, V, from the world's spec.
      length: tokens in an example, T, from the world's spec: the size of the position table.
      depth: number of layers, L.
      width: size of the residual stream, D.
      head_dim: size of a head; d_h = min(head_dim, width) must divide the width.
      activation: of the MLP: gelu_erf (the paper's), gelu_tanh (faster on a CPU) or relu.
      dtype: of activations and matrix products, float32 or bfloat16. Parameters, statistics of
        LayerNorm, softmax, the residual stream and the logits returned stay float32.

    Returns:
      An Observer that takes no side information.

    Raises:
      ValueError: where an argument is none of the above.
    """
    for name, value in dict(depth=depth, width=width, head_dim=head_dim).items():
        if value < 1:
            raise ValueError(f"observer.{name} = {value}: a whole number from 1 is accepted")
    if width % min(head_dim, width):
        accepted = [size for size in range(1, width + 1) if width % size == 0]
        raise ValueError(
            f"observer.head_dim = {head_dim} does not divide observer.width = {width}: "
            f"one of {accepted}, or more than the width, is accepted"
        )
    if activation not in ACTIVATIONS:
        raise ValueError(f"observer.activation = {activation!r}: accepted are {list(ACTIVATIONS)}")
    if dtype not in DTYPES:
        raise ValueError(f"observer.dtype = {dtype!r}: accepted are {list(DTYPES)}")
    heads = width // min(head_dim, width)
    model = Transformer(vocab, length, depth, width, heads, activation, dtype)
    return Observer(
        init=partial(_init, model),
        logits=partial(_logits, model),
        flops=partial(_flops, model),
        scales=_scales,
        start=partial(_start, model),
        step=partial(_step, model),
    )


def _init(model: Transformer, key: jax.Array) -> PyTree:
    nothing = jnp.zeros((1, 1), jnp.int32)
    return model.init(key, nothing, nothing[0])["params"]


def _logits(
    model: Transformer, params: PyTree, tokens_BxT: jax.Array, side: PyTree = None
) -> jax.Array:
    _refuse(side)
    T = tokens_BxT.shape[1]
    if T > model.length:
        raise ValueError(f"tokens of length {T}: at most the world's length, {model.length}")
    previous_BxT = jnp.roll(tokens_BxT, 1, axis=1)
    return model.apply({"params": params}, previous_BxT, jnp.arange(T))[0]


def _scales(params: PyTree) -> PyTree:
    """1/fan_in for matrices (muP), and `VECTOR_SCALE` for all that is added or multiplied."""

    def scale(path: tuple, leaf: jax.Array) -> float:
        return 1 / leaf.shape[-2] if path[-1].key == "kernel" else VECTOR_SCALE

    return jax.tree_util.tree_map_with_path(scale, params)


def _flops(model: Transformer, length: int) -> tuple[float, float]:
    """Matrix products alone: scores and mixes of attention at all positions (masked ones are
    computed too), the head included; look-ups are free. Learning costs twice the prediction."""
    L, D = model.depth, model.width
    matrices = 12 * L * D * D + model.vocab * D
    forward = 2.0 * matrices * length + 4.0 * L * D * length * length
    return forward, 2 * forward


def _start(model: Transformer, params: PyTree, batch: int) -> Cache:
    del params  # the cache's shape is the model's
    shape = (batch, model.length, model.heads, model.width // model.heads)
    zeros = jnp.zeros(shape, model.dtype)
    return Cache(jnp.zeros((), jnp.int32), ((zeros, zeros),) * model.depth)


def _step(
    model: Transformer, params: PyTree, cache: Cache, tokens_B: jax.Array, side: PyTree = None
) -> tuple[Cache, jax.Array]:
    _refuse(side)
    logits_Bx1xV, layers = model.apply(
        {"params": params}, tokens_B[:, None], cache.position[None], cache.layers
    )
    return Cache(cache.position + 1, layers), logits_Bx1xV[:, 0]


def _refuse(side: PyTree) -> None:
    if side is not None:
        raise ValueError(
            f"side = {jax.tree.structure(side)}: the transformer takes no side information; "
            "only None is accepted"
        )
