"""The oracle: the observer with time enough. It is given the law of its data and learns nothing.

It simulates the rule, solves the equations or tries every seed, whatever the `oracle_logits` of a
generator do (`epx.types.Lawful`), and predicts each token by its probability given the earlier
ones. Its H is the least that any observer can reach; its S is the length of a fixed program, which
a run does not count, so that it is 0 there. Its compute is counted in the operations of that
program.
"""

import math
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from epx.observers.layers import whole
from epx.types import Generator, Observer, PyTree, refusal, require

# Operations that move numbers and compute none.
_MOVES = {
    "broadcast_in_dim", "concatenate", "convert_element_type", "copy", "dynamic_slice",
    "dynamic_update_slice", "gather", "iota", "pad", "reshape", "rev", "slice", "split", "squeeze",
    "transpose",
}  # fmt: skip


def make(vocab: int, length: int, *, generator: Generator, side: int = 0) -> Observer:
    """The oracle of a generator.

    Args:
      vocab, length, side: V, T and R of the generator's spec.
      generator: whose law it knows; the members of an ensemble have the laws of their own.

    Returns:
      An Observer whose parameters are the arrays of the generator.

    Raises:
      ValueError: a generator whose law cannot be computed token by token.
    """
    law = _law(generator)
    shape = (1, length)
    side_1xTxR = jax.ShapeDtypeStruct((*shape, side), jnp.float32) if side else None
    example = law, jax.ShapeDtypeStruct(shape, jnp.int32), side_1xTxR
    predict = partial(_logits, generator)
    accepted = "a learner, as the law of this generator cannot be computed token by token"
    has_law = hasattr(generator, "oracle_logits") and jax.eval_shape(predict, *example) is not None
    require("observer.name", "oracle", has_law, accepted)
    count = _operations(predict, *example)
    del vocab
    return Observer(
        init=lambda key: law,
        logits=predict,
        # The law of an example is computed as a whole; a part of it is counted by its share.
        flops=lambda tokens: (count * tokens / length, 0.0),
        start=partial(whole.start, length),
        step=partial(whole.step, predict),
        update=partial(_update, generator),
        knows=_law,
    )


def _law(generator: Generator) -> list[jax.Array]:
    """The arrays of a generator; empty ones say nothing and cannot be saved."""
    return [leaf for leaf in jax.tree.leaves(generator) if jnp.size(leaf)]


def _logits(
    form: Generator, law: PyTree, tokens_BxT: jax.Array, side: jax.Array | None = None
) -> jax.Array:
    """The law's predictions; `form` is a generator with empty arrays in their places."""
    arrays = iter(law)
    leaves, structure = jax.tree.flatten(form)
    filled = [next(arrays) if jnp.size(leaf) else leaf for leaf in leaves]
    generator = jax.tree.unflatten(structure, filled)
    if side is None:
        return jax.vmap(generator.oracle_logits)(tokens_BxT)
    return jax.vmap(generator.oracle_logits)(tokens_BxT, side)


def _update(
    form: Generator,
    law: PyTree,
    tokens_BxT: jax.Array,
    coded_BxT: jax.Array,
    side: jax.Array | None = None,
) -> tuple[PyTree, jax.Array]:
    """Charge the coded tokens; there is nothing to learn."""
    logits_BxTxV = _logits(form, law, tokens_BxT, side)
    nats_BxT = -jnp.take_along_axis(logits_BxTxV, tokens_BxT[..., None], axis=-1)[..., 0]
    return law, jnp.where(coded_BxT, nats_BxT, 0.0)


def _operations(function: Any, *arguments: PyTree) -> float:
    """Operations of a function: one for each element that is computed or summed up.

    A multiplication with its addition are two. A step of a loop counts as often as it is run.
    """
    return _count(jax.make_jaxpr(function)(*arguments).jaxpr)


def _count(program: Any) -> float:
    return sum((_cost(equation) for equation in program.eqns), 0.0)


def _cost(equation: Any) -> float:
    name, parameters = equation.primitive.name, equation.params
    if name == "while":
        accepted = "loops whose number of steps is known before they run"
        raise refusal("oracle_logits", "a while loop", accepted)
    if name == "scan":
        return parameters["length"] * _count(parameters["jaxpr"].jaxpr)
    if name == "cond":
        return max(_count(branch.jaxpr) for branch in parameters["branches"])
    inner = [getattr(value, "jaxpr", value) for value in parameters.values()]
    inner = [program for program in inner if hasattr(program, "eqns")]
    if inner:
        return sum(map(_count, inner))
    if name in _MOVES:
        return 0.0
    sizes = [math.prod(var.aval.shape) for var in (*equation.invars, *equation.outvars)]
    if name == "dot_general":
        (contracted, _), _ = parameters["dimension_numbers"]
        shape = equation.invars[0].aval.shape
        return 2.0 * sizes[-1] * math.prod(shape[axis] for axis in contracted)
    return float(max(sizes))
