"""Shared parts of the observers: products, norms, initial values, rates and refusals.

Weights and the residual stream are float32 for activations of any dtype. Matrices learn at
1 / fan-in (muP); parameters that are added or multiplied elementwise learn at `VECTOR_SCALE`.
"""

from collections.abc import Callable
from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp

from epx.types import PyTree, refusal, require

ACTIVATIONS: dict[str, Callable[[jax.Array], jax.Array]] = {
    "gelu_erf": partial(nn.gelu, approximate=False),
    "gelu_tanh": partial(nn.gelu, approximate=True),
    "relu": nn.relu,
}
DTYPES = ("float32", "bfloat16")
# In the paper embeddings, positions and gains learn at 6e-4 with a base rate of 0.03. Their ratio
# is constant here, so that a sweep of the base rate includes them.
VECTOR_SCALE = 6e-4 / 0.03
# 4 GiB in float32. A run holds four times as much, with the gradient and Adam's two moments.
MAX_PARAMETERS = 2**30

fan_in = nn.initializers.variance_scaling(1.0, "fan_in", "normal", dtype=jnp.float32)
small_normal = nn.initializers.normal(0.02, dtype=jnp.float32)
zeros = nn.initializers.zeros
EPSILON = 1e-5  # of a LayerNorm


@jax.custom_vjp
def normalised(x: jax.Array, scale_D: jax.Array) -> jax.Array:
    """The last axis of x with mean 0 and variance 1, times gains; float32.

    The gradient is written down, as the one that JAX derives makes more passes over x.
    """
    return _normalised(x, scale_D)[0]


def _normalised(x: jax.Array, scale_D: jax.Array) -> tuple[jax.Array, tuple]:
    wide = x.astype(jnp.float32)
    mean = wide.mean(-1, keepdims=True)
    variance = jnp.maximum((wide * wide).mean(-1, keepdims=True) - mean * mean, 0.0)
    inverse = jax.lax.rsqrt(variance + EPSILON)
    return (wide - mean) * (inverse * scale_D), (x, scale_D, mean, inverse)


def _normalised_gradients(saved: tuple, gradient: jax.Array) -> tuple[jax.Array, jax.Array]:
    x, scale_D, mean, inverse = saved
    unit = (x.astype(jnp.float32) - mean) * inverse
    of_unit = gradient * scale_D
    along = (of_unit * unit).mean(-1, keepdims=True)
    of_x = inverse * (of_unit - of_unit.mean(-1, keepdims=True) - unit * along)
    return of_x.astype(x.dtype), (gradient * unit).sum(tuple(range(x.ndim - 1)))


normalised.defvjp(_normalised, _normalised_gradients)


class LayerNorm(nn.Module):
    """`normalised` with gains that start at one; there is no bias."""

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """An array of the shape of x, float32."""
        ones = nn.initializers.ones
        return normalised(x, self.param("scale", ones, (x.shape[-1],), jnp.float32))


@jax.custom_vjp
def product(x_NxI: jax.Array, kernel_IxO: jax.Array) -> jax.Array:
    """The product NxO of activations and a kernel, with a gradient that is fast on a CPU.

    On a CPU the gradient of the kernel uses a copy of x transposed in memory, which saves 4 to 10 %
    of a step up to width 128.
    """
    return x_NxI @ kernel_IxO


def _product_gradients(operands: tuple[jax.Array, jax.Array], gradient_NxO: jax.Array) -> tuple:
    x_NxI, kernel_IxO = operands
    gradient_IxO = jax.lax.platform_dependent(
        x_NxI,
        gradient_NxO,
        cpu=lambda x, gradient: jax.lax.optimization_barrier(x.T) @ gradient,
        default=lambda x, gradient: x.T @ gradient,
    )
    return gradient_NxO @ kernel_IxO.T, gradient_IxO


product.defvjp(lambda x, kernel: (product(x, kernel), (x, kernel)), _product_gradients)


def _product_for_dense(x_NxI, kernel_IxO, dimension_numbers, precision=None):
    """`product` with the signature that `nn.Dense` calls; its input has one axis of tokens."""
    del dimension_numbers, precision
    return product(x_NxI, kernel_IxO)


# A product for arrays of shape NxI: `Dense(features, kernel_init=, dtype=, name=)`.
Dense = partial(nn.Dense, use_bias=False, dot_general=_product_for_dense)
# The last product, which starts at zero and returns float32 logits: `Head(vocab, dtype=, name=)`.
Head = partial(
    nn.Dense,
    use_bias=False,
    kernel_init=zeros,
    dot_general=partial(jax.lax.dot_general, preferred_element_type=jnp.float32),
)


def learning_rate_scales(params: PyTree) -> PyTree:
    """1 / fan-in for every `kernel` (muP) and `VECTOR_SCALE` for every other leaf."""

    def scale(path: tuple, leaf: jax.Array) -> float:
        return 1 / leaf.shape[-2] if path[-1].key == "kernel" else VECTOR_SCALE

    return jax.tree_util.tree_map_with_path(scale, params)


def previous_tokens(tokens_BxT: jax.Array) -> jax.Array:
    """The token before each position, BxT; the first column is meaningless and must be ignored."""
    return jnp.roll(tokens_BxT, 1, axis=1)


def previous_vectors(side_BxTxR: jax.Array) -> jax.Array:
    """The vector read with the token before each position, BxTxR; zeros at the first position."""
    return jnp.roll(side_BxTxR, 1, axis=1).at[:, 0].set(0)


def vector_before(side_BxTxR: jax.Array | None, position: jax.Array) -> jax.Array | None:
    """The vector read with the token before one position, Bx1xR; zeros at the first position."""
    if side_BxTxR is None:
        return None
    read_Bx1xR = jax.lax.dynamic_slice_in_dim(side_BxTxR, position - 1, 1, axis=1)
    return jnp.where(position > 0, read_Bx1xR, 0.0)


def refuse_side(family: str, side: PyTree) -> None:
    """Raise a ValueError if a family without side information is given some."""
    if side is not None:
        raise refusal("side", jax.tree.structure(side), f"none: {family} takes no such context")


def require_side(side: jax.Array | None, size: int) -> None:
    """Raise a ValueError unless the side information has vectors of this size, or is None for 0."""
    found = None if side is None else f"{side.dtype}{list(side.shape)}"
    fits = side is None if size == 0 else side is not None and side.shape[2:] == (size,)
    accepted = f"an array BxTx{size}, one vector for each token" if size else "none"
    require("side", found, fits, f"{accepted}: this observer was made for side={size}")


def require_choices(dtype: str, activation: str | None = None) -> None:
    """Raise a refusal of a dtype or an activation that is not known; None: the family has none."""
    require("observer.dtype", dtype, dtype in DTYPES, ", ".join(DTYPES))
    known = activation is None or activation in ACTIVATIONS
    require("observer.activation", activation, known, ", ".join(ACTIVATIONS))


def require_parameters(key: str, value: int, count: int) -> None:
    """Raise a refusal of `key=value` if a model has more than `MAX_PARAMETERS`."""
    accepted = (
        f"models of at most {MAX_PARAMETERS:,} parameters (4 GiB); this one has {count:,} "
        f"({count / 2**28:,.1f} GiB)"
    )
    require(key, value, count <= MAX_PARAMETERS, accepted)
