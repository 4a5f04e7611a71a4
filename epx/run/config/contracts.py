"""What a generator and an observer promise, checked by tracing them before anything is compiled.

Tracing runs a function on shapes alone. A user's function may raise anything. Those of this package
are not traced once more at every start, as tests hold them to their promises.
"""

import functools
import inspect
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from epx.run.config.components import place
from epx.types import Example, Generator, Observer, PyTree, Refusal, refusal, require


def check(generator: Generator, observer: Observer, config: dict[str, Any]) -> None:
    """Trace an example and its prediction, with leaves as arrays, as in compiled code.

    Args:
      generator, observer: of a run.
      config: of the run, which may have their names.

    Raises:
      ValueError: a function raises, or an example or logits have another shape or dtype than
        `epx.types` promises.
    """
    functions = (generator.example, observer.init, observer.logits)
    if all(_is_shipped(function) for function in functions):
        return
    spec = generator.spec
    key = jax.eval_shape(jax.random.key, 0)
    index = jax.ShapeDtypeStruct((), jnp.uint32)

    def example(generator, key, index):
        return generator.example(key, index)

    part, name = where = _key(config, "generator")
    found = _trace(where, "example", generator.example, example, shapes(generator), key, index)
    forms = {"tokens_T": _form((spec.length,), jnp.int32), "coded_T": _form((spec.length,), bool)}
    has_form = isinstance(found, Example) and all(
        _form_of(getattr(found, field)) == form for field, form in forms.items()
    )
    wanted = ", ".join(f"{field} {form}" for field, form in forms.items())
    accepted = f"a generator whose example is an epx.types.Example of {wanted}; this is {found!r}"
    require(part, name, has_form, f"{accepted:.400}")

    part, name = where = _key(config, "observer")
    params = _trace(where, "init", observer.init, observer.init, key)
    tokens_BxT, side_B = jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct((1, *leaf.shape), leaf.dtype),
        (found.tokens_T, found.side),
    )
    arguments = (params, tokens_BxT, side_B)
    logits = _trace(where, "logits", observer.logits, observer.logits, *arguments)
    form = _form((1, spec.length, spec.vocab), jnp.float32)
    accepted = f"an observer whose logits for one example are {form}; this is {logits!r}"
    require(part, name, _form_of(logits) == form, f"{accepted:.400}")


def shapes(tree: PyTree) -> PyTree:
    """A tree with the shapes and dtypes of its leaves, which members of an ensemble share.

    Raises:
      ValueError: a leaf of a generator is not an array.
    """
    for leaf in jax.tree.leaves(tree):
        accepted = "a pytree of arrays, as jax.tree_util.register_dataclass makes of a dataclass"
        require("generator", leaf, isinstance(leaf, jax.typing.ArrayLike), accepted)
    return jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct(jnp.shape(leaf), jnp.result_type(leaf)), tree
    )


def _key(config: dict[str, Any], part: str) -> tuple[str, str]:
    """The key and the value that a refusal names; in a notebook there is no config."""
    name = config.get(part, {}).get("name")
    return (part, "yours") if name is None else (f"{part}.name", name)


def _trace(
    where: tuple[str, str], name: str, source: Callable, function: Callable, *arguments: PyTree
) -> PyTree:
    """The shapes and dtypes of what a function returns, whose code is that of `source`."""
    try:
        return jax.eval_shape(function, *arguments)
    except Refusal:
        raise
    except Exception as error:
        key, value = where
        raised = place(error, _file(source))
        accepted = f"a module whose function {name} can be traced; it raised {raised}"
        raise refusal(key, value, accepted) from error


def _is_shipped(function: Callable) -> bool:
    return (getattr(_whole(function), "__module__", None) or "").startswith("epx.")


def _whole(function: Callable) -> Callable:
    """The function behind `functools.partial` and decorators such as `jax.jit`."""
    while isinstance(function, functools.partial) or hasattr(function, "__wrapped__"):
        is_partial = isinstance(function, functools.partial)
        function = function.func if is_partial else function.__wrapped__
    return function


def _file(function: Callable) -> str:
    """The file of a function; empty for an object that has none."""
    try:
        return inspect.getsourcefile(_whole(function)) or ""
    except TypeError:
        return ""


def _form(shape: tuple[int, ...], dtype: Any) -> str:
    return f"{jnp.dtype(dtype)}{list(shape)}"


def _form_of(array: Any) -> str:
    return _form(array.shape, array.dtype) if isinstance(array, jax.ShapeDtypeStruct) else ""
