"""Compute in two accountings, both stored.

Exact: the FLOPs that an observer declares for an example (matrix products with attention and head,
for every processed token). The paper's: T = 6 N D + 2 N 𝒟 with all parameters N and all processed
tokens (arXiv 2601.03220, section 4).
"""

import math

import jax

from epx.types import Observer


def step_flops(observer: Observer, length: int, examples: int, predictions: int = 1) -> float:
    """FLOPs to predict `examples` examples of `length` tokens, once or more, and to learn."""
    forward, update = observer.flops(length)
    return examples * (predictions * forward + update)


def parameters(observer: Observer) -> int:
    """Number of parameters N, position table included."""
    if observer.parameters is not None:
        return observer.parameters
    shapes = jax.eval_shape(observer.init, jax.random.key(0))
    return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(shapes))
