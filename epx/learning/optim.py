"""Adam with the settings of the paper's synthetic tasks (arXiv 2601.03220, appendix C).

Gradients clipped by their global norm, linear warm-up to a constant rate, one learning-rate
multiplier per parameter (muP), and an exponential moving average of the weights instead of a
decaying rate.
"""

import jax
import jax.numpy as jnp
import numpy as np
import optax

from epx.types import Hyper, PyTree, require

LARGEST_FLOAT32 = float(np.finfo(np.float32).max)


def make_hyper(
    seed: int,
    lr: float = 0.03,
    warmup_steps: float = 50,
    b1: float = 0.9,
    b2: float = 0.95,
    eps: float = 1e-20,
    clip_norm: float = 1.0,
    ema_steps: float = 50,
) -> Hyper:
    """The hyper-parameters of one member, by default those of the paper's synthetic tasks.

    Raises:
      ValueError: a value out of range; the message names the key and the accepted values.
    """
    positive = dict(lr=lr, eps=eps, clip_norm=clip_norm, ema_steps=ema_steps)
    accepted = "a number above 0, finite in float32"
    for key, value in positive.items():
        require(f"optim.{key}", value, 0 < value <= LARGEST_FLOAT32, accepted)
    for key, value in dict(b1=b1, b2=b2).items():
        require(f"optim.{key}", value, 0 <= value < 1, "a number from 0 to below 1")
    legal = 0 <= warmup_steps <= LARGEST_FLOAT32
    require("optim.warmup_steps", warmup_steps, legal, "a number from 0 on, finite in float32")
    require("run.seed", seed, 0 <= seed < 2**32, "0 to 2^32 - 1, as a seed has 32 bits")
    floats = (lr, warmup_steps, b1, b2, eps, clip_norm, ema_steps)
    return Hyper(np.uint32(seed), *(np.float32(value) for value in floats))


def rate(hyper: Hyper, step: jax.Array) -> jax.Array:
    """Learning rate of a step counted from 0: linear over `warmup_steps`, then constant.

    The first step has lr / warmup_steps, not 0: the code would charge a step that learns nothing.
    """
    return hyper.lr * jnp.minimum(1.0, (step + 1) / jnp.maximum(hyper.warmup_steps, 1.0))


def chain(hyper: Hyper, scales: PyTree, rate: float | jax.Array) -> optax.GradientTransformation:
    """The optimiser of one member at one learning rate.

    `scales` has a learning-rate multiplier for every parameter.
    """
    per_parameter = optax.stateless(lambda updates, _: jax.tree.map(jnp.multiply, updates, scales))
    return optax.chain(
        optax.clip_by_global_norm(hyper.clip_norm),
        optax.scale_by_adam(hyper.b1, hyper.b2, hyper.eps),
        per_parameter,
        optax.scale_by_learning_rate(rate),
    )


def average(steps: jax.Array, ema: PyTree, params: PyTree) -> PyTree:
    """One step of the moving average with decay exp(-1 / steps), without bias correction."""
    decay = jnp.exp(-1.0 / steps)

    def one(old, new):
        # A frozen weight keeps its bits; the sum would round.
        return jnp.where(old == new, old, decay * old + (1.0 - decay) * new)

    return jax.tree.map(one, ema, params)
