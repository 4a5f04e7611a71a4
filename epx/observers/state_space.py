"""A state space: each number of the state decays at a rate that the input gates.

The real-gated linear recurrent unit of Griffin (De et al. 2024, arXiv 2402.19427, section 2.4),

    r_t = sigmoid(W_r x_t)    i_t = sigmoid(W_i x_t)    a_t = exp(-8 softplus(decay) r_t)
    h_t = a_t h_(t-1) + sqrt(1 - a_t^2) i_t x_t

in pre-norm residual layers with a convolution over 4 tokens before it, a gate after it, and an MLP.
The recurrence is elementwise: on a CPU it is a scan over tokens, whose body is the cached step, and
elsewhere an associative scan. The head starts at zero: an untrained network predicts uniformly.
"""

from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax

from epx.observers.layers import sequential
from epx.observers.layers.basic import ACTIVATIONS, Dense, LayerNorm, fan_in, require_choices, zeros
from epx.types import Observer

TINY = {"depth": 1, "width": 8}

# For each layer: the state BxD, and the last inputs of its convolution, Bx(TAPS-1)xD, oldest first.
State = tuple[tuple[jax.Array, jax.Array], ...]
TAPS = 4
SHARPNESS = 8.0  # the constant c of the source


class Layer(nn.Module):
    """The recurrence with its convolution and gate, then the MLP; `layers` is the model's depth."""

    layers: int
    activation: str
    dtype: str

    @nn.compact
    def __call__(self, x_BxTxD: jax.Array, state: tuple) -> tuple[jax.Array, tuple]:
        shape, D = x_BxTxD.shape, x_BxTxD.shape[-1]
        dense = partial(Dense, dtype=self.dtype)
        activation = ACTIVATIONS[self.activation]
        hidden_BxD, past_BxPxD = state
        h_NxD = LayerNorm(name="norm_state")(x_BxTxD).reshape(-1, D)
        gate_NxD = activation(dense(D, kernel_init=fan_in, name="gate")(h_NxD))
        in_BxTxD = dense(D, kernel_init=fan_in, name="in")(h_NxD).reshape(shape)
        known_BxSxD = jnp.concatenate([past_BxPxD, in_BxTxD.astype(jnp.float32)], axis=1)
        taps = [known_BxSxD[:, n : n + shape[1]] for n in range(TAPS)]
        taps_NxE = jnp.concatenate(taps, axis=-1).reshape(-1, TAPS * D)
        u_NxD = dense(D, kernel_init=fan_in, name="convolution")(taps_NxE)
        keep_NxD, enter_NxD = jnp.split(
            jax.nn.sigmoid(dense(2 * D, kernel_init=fan_in, name="gates")(u_NxD)), 2, axis=-1
        )
        decay_D = self.param("decay", _slow_to_fast, (D,))
        log_a_NxD = -SHARPNESS * jax.nn.softplus(decay_D) * keep_NxD.astype(jnp.float32)
        entering_NxD = jnp.sqrt(-jnp.expm1(2 * log_a_NxD)) * (enter_NxD * u_NxD)
        states_BxTxD = recur(
            jnp.exp(log_a_NxD).reshape(shape), entering_NxD.reshape(shape), hidden_BxD
        )
        mixed_NxD = gate_NxD * states_BxTxD.reshape(-1, D).astype(self.dtype)
        h_NxD = dense(D, kernel_init=zeros, name="out")(mixed_NxD)
        x_NxD = x_BxTxD.reshape(-1, D) + h_NxD / self.layers
        h_NxF = dense(4 * D, kernel_init=fan_in, name="up")(LayerNorm(name="norm_mlp")(x_NxD))
        x_NxD += dense(D, kernel_init=zeros, name="down")(activation(h_NxF)) / self.layers
        return x_NxD.reshape(shape), (states_BxTxD[:, -1], known_BxSxD[:, shape[1] :])


def recur(a_BxTxD: jax.Array, entering_BxTxD: jax.Array, first_BxD: jax.Array) -> jax.Array:
    """The states h_t = a_t h_(t-1) + entering_t, BxTxD float32, from the state before them."""
    return lax.platform_dependent(
        a_BxTxD, entering_BxTxD, first_BxD, cpu=in_order, default=in_pairs
    )


def in_order(a_BxTxD: jax.Array, entering_BxTxD: jax.Array, first_BxD: jax.Array) -> jax.Array:
    """The recurrence as a scan over tokens, the faster way on a CPU."""

    def step(hidden_BxD, token):
        a_BxD, entering_BxD = token
        hidden_BxD = a_BxD * hidden_BxD + entering_BxD
        return hidden_BxD, hidden_BxD

    tokens = a_BxTxD.swapaxes(0, 1), entering_BxTxD.swapaxes(0, 1)
    return lax.scan(step, first_BxD, tokens)[1].swapaxes(0, 1)


def in_pairs(a_BxTxD: jax.Array, entering_BxTxD: jax.Array, first_BxD: jax.Array) -> jax.Array:
    """The recurrence as an associative scan, of logarithmic depth."""

    def combine(earlier, later):
        return earlier[0] * later[0], later[0] * earlier[1] + later[1]

    decayed, entered = lax.associative_scan(combine, (a_BxTxD, entering_BxTxD), axis=1)
    return decayed * first_BxD[:, None] + entered


def _slow_to_fast(key: jax.Array, shape: tuple[int, ...], dtype=jnp.float32) -> jax.Array:
    """Values of `decay` for which a half-open gate keeps 0.9 to 0.999 of the state a token."""
    kept_D = jax.random.uniform(key, shape, dtype, 0.9, 0.999)
    return jnp.log(jnp.expm1(-2 * jnp.log(kept_D) / SHARPNESS))


class Layers(nn.Module):
    """All layers, each with its state."""

    depth: int
    activation: str
    dtype: str

    @nn.compact
    def __call__(self, x_BxTxD: jax.Array, state: State) -> tuple[list[jax.Array], State]:
        streams, later = [], []
        for i, of_layer in enumerate(state):
            layer = Layer(self.depth, self.activation, self.dtype, name=f"layer_{i}")
            x_BxTxD, of_layer = layer(x_BxTxD, of_layer)
            streams.append(x_BxTxD)
            later.append(of_layer)
        return streams, tuple(later)


def make(
    vocab: int,
    length: int,
    *,
    side: int = 0,
    depth: int = 2,
    width: int = 32,
    activation: str = "gelu_tanh",
    dtype: str = "float32",
) -> Observer:
    """A state space of about (2V + T + R)D + 17LD^2 parameters.

    Args:
      vocab, length, side: tokens V, tokens of an example T, and numbers R of the vector read with
        each token, from the generator's spec.
      depth: number of layers, L.
      width: size of the residual stream and of the state of a layer, D.
      activation: gelu_erf, gelu_tanh or relu.
      dtype: of activations and matrix products, float32 or bfloat16; the state is float32.

    Raises:
      ValueError: an argument outside these bounds, or a model too large for any device.
    """
    sequential.require_sizes(depth, width)
    require_choices(dtype, activation)
    body = Layers(depth, activation, dtype)
    model = sequential.Sequential(vocab, length, side, width, dtype, body)
    # Gate, input, output, two gates, four taps and eight for the MLP: 17 products of D x D.
    body_flops = 34.0 * depth * width**2
    return sequential.observer(model, partial(_initial, depth, width), body_flops)


def _initial(depth: int, width: int, batch: int) -> State:
    hidden_BxD = jnp.zeros((batch, width), jnp.float32)
    past_BxPxD = jnp.zeros((batch, TAPS - 1, width), jnp.float32)
    return ((hidden_BxD, past_BxPxD),) * depth
