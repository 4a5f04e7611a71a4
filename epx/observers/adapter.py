"""An adapter around any observer: its weights are frozen, and small matrices beside them learn.

The matrix W of every product (embeddings are none) becomes W + alpha / (2 r) A B, with A of shape
IxR and B of shape RxO (LoRA, arXiv 2106.09685, with the scale of arXiv 2601.04728). B starts at
zero, so that the observer starts as it was. With `entries` only that many numbers of all A and B
learn, chosen uniformly: a choice that carries no information about the task. The number that learn,
P, is the unit in which what was taught is compared with what there was room for.

The adapter is not a family of its own: `adapter.rank` puts it around the observer of a config.
"""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import traverse_util

from epx.observers.layers.basic import fan_in
from epx.types import Observer, PyTree, require, require_whole

MOST_RANK = 2**12


def around(
    observer: Observer, rank: int, alpha: float = 32.0, entries: int | None = None
) -> Observer:
    """An observer whose weights are frozen, with low-rank matrices that learn.

    Args:
      observer: learns by gradient.
      rank: R, columns of every A.
      alpha: A B is scaled by alpha / (2 rank); above 0.
      entries: numbers of all A and B that learn, chosen by the key of `init`; None: all.

    Returns:
      An Observer. Its parameters are `base`, those of the observer, `low`, the A and B of each of
      its matrices, and with `entries` also `chosen`, 1 for what learns and 0 for the rest. `starts`
      puts the weights of another run into `base`.

    Raises:
      ValueError: an argument out of its bounds, or an observer without matrices.
    """
    learns = observer.update is None and observer.knows is None
    require("adapter.rank", rank, learns, "none for an observer that has no gradient")
    require_whole("adapter.rank", rank, 1, MOST_RANK, "a matrix has no higher rank that matters")
    shapes = jax.eval_shape(observer.init, jax.random.key(0))
    own = sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(shapes))
    total = sum(rank * sum(shape) for shape in _matrices(shapes).values())
    require("adapter.rank", rank, total > 0, "none for an observer without matrices")
    if entries is not None:
        require_whole("adapter.entries", entries, 1, total, f"with rank={rank}")
    init = partial(_init, observer.init, rank, entries)
    effective = partial(_effective, alpha / (2 * rank))

    def of_effective(function: Callable | None) -> Callable | None:
        if function is None:
            return None
        return lambda params, *rest: function(effective(params), *rest)

    return observer._replace(
        init=init,
        logits=of_effective(observer.logits),
        flops=partial(_flops, observer.flops, total),
        scales=_scales,
        start=of_effective(observer.start),
        step=of_effective(observer.step),
        hidden=of_effective(observer.hidden),
        edited=of_effective(observer.edited),
        starts=lambda key, params: init(key) | {"base": params},
        learned=total if entries is None else entries,
        parameters=own + total,
    )


def _matrices(params: PyTree) -> dict[tuple, tuple[int, int]]:
    """The shape of each matrix, by its path."""
    flat = traverse_util.flatten_dict(params)
    return {
        path: leaf.shape for path, leaf in flat.items() if path[-1] == "kernel" and leaf.ndim == 2
    }


def _init(
    base: Callable[[jax.Array], PyTree], rank: int, entries: int | None, key: jax.Array
) -> dict[str, PyTree]:
    params = base(key)
    low = {}
    for n, (path, (inputs, outputs)) in enumerate(_matrices(params).items()):
        a_IxR = fan_in(jax.random.fold_in(key, n), (inputs, rank), jnp.float32)
        low["/".join(path)] = {"A": a_IxR, "B": jnp.zeros((rank, outputs), jnp.float32)}
    found: dict[str, Any] = {"base": params, "low": low}
    if entries is None:
        return found
    return found | {"chosen": _choice(jax.random.fold_in(key, 2**31), low, entries)}


def _choice(key: jax.Array, low: PyTree, entries: int) -> PyTree:
    """1 for so many of all entries, uniformly, 0 for the others; shaped like `low`."""
    leaves, structure = jax.tree.flatten(low)
    sizes = [leaf.size for leaf in leaves]
    order = jax.random.permutation(key, sum(sizes))
    parts = jnp.split((order < entries).astype(jnp.float32), np.cumsum(sizes)[:-1])
    return structure.unflatten([p.reshape(leaf.shape) for p, leaf in zip(parts, leaves)])


def _effective(scale: float, params: dict[str, PyTree]) -> PyTree:
    """The weights W + scale A B. What is frozen has no gradient."""
    low = params["low"]
    if "chosen" in params:
        chosen = jax.lax.stop_gradient(params["chosen"])
        low = jax.tree.map(
            lambda x, keep: keep * x + (1 - keep) * jax.lax.stop_gradient(x), low, chosen
        )
    flat = traverse_util.flatten_dict(jax.lax.stop_gradient(params["base"]))
    for path in _matrices(params["base"]):
        pair = low["/".join(path)]
        flat[path] = flat[path] + scale * (pair["A"] @ pair["B"])
    return traverse_util.unflatten_dict(flat)


def _scales(params: dict[str, PyTree]) -> PyTree:
    """0 for what is frozen; 1 / fan-in for A and for B, as for all matrices (muP)."""
    scales = jax.tree.map(lambda leaf: 0.0, params)
    low = jax.tree.map(lambda leaf: 1 / leaf.shape[0], params["low"])
    if "chosen" in params:
        low = jax.tree.map(jnp.multiply, low, params["chosen"])
    return scales | {"low": low}


def _flops(
    base: Callable[[int], tuple[float, float]], entries: int, length: int
) -> tuple[float, float]:
    """As if A and B were applied to every token, and the gradient of W were taken too, as it is."""
    forward, update = base(length)
    return forward + 2 * entries * length, update + 4 * entries * length
