"""The decoder-only transformer of the paper's synthetic tasks (section B.7 of the specification).

Pre-norm LayerNorm with a learned gain and no bias, learned absolute positions, LayerNorm of queries
and keys by head, logits of attention scaled by 8/d_h, an MLP four times as wide, residual branches
divided by depth, an untied head. The output projections of every branch and the head start at zero,
so that an untrained model predicts uniformly and its first charge is exactly ln V a token.

Aligned: `logits[:, t]` predicts `tokens[:, t]`. Position t reads the token before it, and at t = 0,
where there is none, the zero vector. The position's own embedding is added at every t.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from epx.types import Observer, PyTree

TINY = {"depth": 2, "width": 8, "head_dim": 4}

ACTIVATIONS: dict[str, Callable[[jax.Array], jax.Array]] = {
    "gelu_erf": partial(nn.gelu, approximate=False),
    "gelu_tanh": partial(nn.gelu, approximate=True),
    "relu": nn.relu,
}
DTYPES = ("float32", "bfloat16")
# Embeddings, positions and gains learn at 6e-4 in the paper, whose base rate is 0.03. Here that
# ratio is kept, so that they follow a sweep of the rate.
VECTOR_SCALE = 6e-4 / 0.03

# Gains start at one and there is no bias; statistics are float32 whatever the activations are.
_Norm = partial(nn.LayerNorm, epsilon=1e-5, use_bias=False)
_fan_in = nn.initializers.variance_scaling(1.0, "fan_in", "normal")
_small = nn.initializers.normal(0.02)
_zeros = nn.initializers.zeros
_to_float32 = partial(jax.lax.dot_general, preferred_element_type=jnp.float32)
_Head = partial(nn.Dense, use_bias=False, kernel_init=_zeros, dot_general=_to_float32)

KeysValues = tuple[jax.Array, jax.Array]


@jax.custom_vjp
def product(x_NxI: jax.Array, kernel_IxO: jax.Array) -> jax.Array:
    """The product of activations and a kernel, NxO, with the gradient of the kernel computed as its
    platform likes it: on a CPU a product whose left operand is transposed first, in memory, saves 4
    to 10 % of a step up to width 128."""
    return x_NxI @ kernel_IxO


def _pull_back(operands: tuple[jax.Array, jax.Array], gradient_NxO: jax.Array) -> tuple:
    x_NxI, kernel_IxO = operands
    gradient_IxO = jax.lax.platform_dependent(
        x_NxI,
        gradient_NxO,
        cpu=lambda x, gradient: jax.lax.optimization_barrier(x.T) @ gradient,
        default=lambda x, gradient: x.T @ gradient,
    )
    return gradient_NxO @ kernel_IxO.T, gradient_IxO


def _dot_general(x_NxI, kernel_IxO, dimension_numbers, precision=None):
    """`product` as `nn.Dense` calls it, here always with one axis of tokens."""
    del dimension_numbers, precision
    return product(x_NxI, kernel_IxO)


product.defvjp(lambda x, kernel: (product(x, kernel), (x, kernel)), _pull_back)


class Cache(NamedTuple):
    """What one-token decoding remembers.

    Attributes:
      position: int32, the position to be predicted next.
      layers: for each layer its keys and values, each BxTxHxd_h; zeros from `position` on.
    """

    position: jax.Array
    layers: tuple[KeysValues, ...]


class Layer(nn.Module):
    """Causal self-attention over H heads of size d_h = D / H, then the MLP."""

    heads: int
    depth: int
    activation: str
    dtype: str

    @nn.compact
    def __call__(
        self, x_NxD: jax.Array, positions_T: jax.Array, past: KeysValues | None
    ) -> tuple[jax.Array, KeysValues]:
        """The residual stream after this layer, NxD float32, with the layer's keys and values.

        The N = B T tokens of all examples have one axis outside of attention: with two, XLA
        transposes the gradient of every product in memory, which costs a third of a step on a CPU.
        `positions_T` are int32 and consecutive. `past` holds the keys and values of all positions
        (BxSxHxd_h), into which these are written; None where `positions_T` is all there is.
        """
        D, T = x_NxD.shape[1], len(positions_T)
        Dense = partial(nn.Dense, use_bias=False, dtype=self.dtype, dot_general=_dot_general)
        h_NxD = _Norm(name="norm_attention")(x_NxD)
        # One product for all three, split within each head: no transposition, no copy.
        fused = Dense(3 * D, kernel_init=_fan_in, name="qkv")(h_NxD)
        queries, keys, values = jnp.split(
            fused.reshape(-1, T, self.heads, 3 * D // self.heads), 3, axis=-1
        )
        # 8/sqrt(d_h) on the keys times the usual 1/sqrt(d_h): the muP scale, usual at d_h = 64.
        keys = (_Norm(name="norm_keys")(keys) * (8 / keys.shape[-1])).astype(self.dtype)
        queries = _Norm(name="norm_queries")(queries).astype(self.dtype)
        if past is not None:
            at = (0, positions_T[0], 0, 0)
            keys = jax.lax.dynamic_update_slice(past[0], keys, at)
            values = jax.lax.dynamic_update_slice(past[1], values, at)
        mixed_NxD = _attend(queries, keys, values, positions_T).reshape(-1, D)
        h_NxD = Dense(D, kernel_init=_zeros, name="out")(mixed_NxD)
        x_NxD += h_NxD / self.depth
        h_NxF = Dense(4 * D, kernel_init=_fan_in, name="up")(_Norm(name="norm_mlp")(x_NxD))
        h_NxD = Dense(D, kernel_init=_zeros, name="down")(ACTIVATIONS[self.activation](h_NxF))
        return x_NxD + h_NxD / self.depth, (keys, values)


class Transformer(nn.Module):
    """The whole model; its fields are the arguments of `make`, with H heads for the head's size.

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
    ) -> tuple[jax.Array, tuple[KeysValues, ...]]:
        """logits_BxTxV (float32) of consecutive positions, and the keys and values by layer.

        `previous_BxT` are the tokens before each position, ignored at position 0; `positions_T`
        are below `length`; `past` is as in `Layer`, by layer.
        """
        embedding_VxD = self.param("embedding", _small, (self.vocab, self.width))
        positions_SxD = self.param("positions", _small, (self.length, self.width))
        x_BxTxD = jnp.where(positions_T[:, None] > 0, embedding_VxD[previous_BxT], 0.0)
        x_NxD = (x_BxTxD + positions_SxD[positions_T]).reshape(-1, self.width)
        present = []
        for i in range(self.depth):
            layer = Layer(self.heads, self.depth, self.activation, self.dtype, name=f"layer_{i}")
            x_NxD, keys_values = layer(x_NxD, positions_T, past and past[i])
            present.append(keys_values)
        head = _Head(self.vocab, dtype=self.dtype, name="head")
        logits_NxV = head(_Norm(name="norm")(x_NxD))
        return logits_NxV.reshape(*previous_BxT.shape, self.vocab), tuple(present)


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
    _check(depth, width, head_dim, activation, dtype)
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


def _check(depth: int, width: int, head_dim: int, activation: str, dtype: str) -> None:
    for name, value in {"depth": depth, "width": width, "head_dim": head_dim}.items():
        if value < 1:
            raise ValueError(f"observer.{name} = {value}: a whole number from 1 is accepted")
    if width % min(head_dim, width):
        raise ValueError(
            f"observer.head_dim = {head_dim} with observer.width = {width}: a divisor of the "
            "width, or more than the width, is accepted"
        )
    for name, value, known in (("activation", activation, ACTIVATIONS), ("dtype", dtype, DTYPES)):
        if value not in known:
            raise ValueError(f"observer.{name} = {value!r}: accepted are {', '.join(known)}")


def _init(model: Transformer, key: jax.Array) -> PyTree:
    token = jnp.zeros((1, 1), jnp.int32)
    return model.init(key, token, token[0])["params"]


def _logits(
    model: Transformer, params: PyTree, tokens_BxT: jax.Array, side: PyTree = None
) -> jax.Array:
    _refuse(side)
    T = tokens_BxT.shape[1]
    if model.length < T:
        raise ValueError(f"tokens of length {T}: at most the world's length, {model.length}")
    previous_BxT = jnp.roll(tokens_BxT, 1, axis=1)
    return model.apply({"params": params}, previous_BxT, jnp.arange(T))[0]


def _attend(
    queries: jax.Array, keys: jax.Array, values: jax.Array, positions_T: jax.Array
) -> jax.Array:
    """Mixes the values of the positions up to each of `positions_T` (arrays are BxTxHxd_h)."""
    scores = jnp.einsum("bthd,bshd->bhts", queries, keys, preferred_element_type=jnp.float32)
    earlier_TxS = positions_T[:, None] >= jnp.arange(keys.shape[1])
    weights = nn.softmax(jnp.where(earlier_TxS, scores, -1e30)).astype(values.dtype)
    return jnp.einsum("bhts,bshd->bthd", weights, values)


def _scales(params: PyTree) -> PyTree:
    """1/fan_in for matrices (muP), and `VECTOR_SCALE` for all that is added or multiplied."""

    def scale(path: tuple, leaf: jax.Array) -> float:
        return 1 / leaf.shape[-2] if path[-1].key == "kernel" else VECTOR_SCALE

    return jax.tree_util.tree_map_with_path(scale, params)


def _flops(model: Transformer, length: int) -> tuple[float, float]:
    """Matrix products alone: scores and mixes of attention at all positions (masked ones are
    computed too), the head included; look-ups are free. Learning costs twice the prediction."""
    L, D = model.depth, model.width
    forward = 2.0 * (12 * L * D * D + model.vocab * D) * length + 4.0 * L * D * length * length
    return forward, 2 * forward


def _start(model: Transformer, params: PyTree, tokens_BxT: jax.Array, side: PyTree = None) -> Cache:
    _refuse(side)
    B, T = tokens_BxT.shape
    zeros = jnp.zeros((B, model.length, model.heads, model.width // model.heads), model.dtype)
    layers = ((zeros, zeros),) * model.depth
    if T:
        previous_BxT = jnp.roll(tokens_BxT, 1, axis=1)
        read = model.apply({"params": params}, previous_BxT, jnp.arange(T))[1]
        layers = jax.tree.map(lambda room, known: room.at[:, :T].set(known), layers, read)
    return Cache(jnp.int32(T), layers)


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
