"""What a generator and an observer promise, checked by tracing them before anything is compiled.

The user's may raise anything. Those of this package are not traced once more at every start: tests
hold them to their contracts.
"""

import inspect
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from epx.run.components import place
from epx.types import Example, Generator, Observer, PyTree, Refusal, refusal, require


def check(generator: Generator, observer: Observer, config: dict[str, Any]) -> None:
    """Trace an example and its prediction.

    Args:
      generator, observer: of a run.
      config: of the run, which may have their names.

    Raises:
      ValueError: a function raises, or what it returns has another shape or type than `epx.types`
        promises.
    """
    functions = (generator.example, observer.init, observer.logits)
    if all(_is_shipped(function) for function in functions):
        return
    names = {part: config.get(part, {}).get("name", "yours") for part in ("generator", "observer")}
    spec = generator.spec
    key = jax.eval_shape(jax.random.key, 0)
    index = jax.ShapeDtypeStruct((), jnp.uint32)
    found = _trace("generator", names, generator.example, key, index)
    forms = {"tokens_T": _form((spec.length,), jnp.int32), "coded_T": _form((spec.length,), bool)}
    has_form = isinstance(found, Example) and all(
        _form_of(getattr(found, name)) == form for name, form in forms.items()
    )
    wanted = ", ".join(f"{name} {form}" for name, form in forms.items())
    accepted = f"a generator whose example is an epx.types.Example of {wanted}; this is {found!r}"
    require("generator.name", names["generator"], has_form, accepted)

    params = _trace("observer", names, observer.init, key)
    tokens_BxT, side_B = jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct((1, *leaf.shape), leaf.dtype),
        (found.tokens_T, found.side),
    )
    logits = _trace("observer", names, observer.logits, params, tokens_BxT, side_B)
    shape = (1, spec.length, spec.vocab)
    accepted = (
        f"an observer whose logits for one example have the shape {shape}; this is {logits!r}"
    )
    require("observer.name", names["observer"], getattr(logits, "shape", None) == shape, accepted)


def _is_shipped(function: Callable) -> bool:
    return (getattr(function, "__module__", None) or "").startswith("epx.")


def _trace(part: str, names: dict[str, str], function: Callable, *arguments: PyTree) -> PyTree:
    """The shapes and dtypes of what a function returns."""
    try:
        return jax.eval_shape(function, *arguments)
    except Refusal:
        raise
    except Exception as error:
        accepted = f"a module whose {part} can be traced; it raised {place(error, _file(function))}"
        raise refusal(f"{part}.name", names[part], accepted) from error


def _file(function: Callable) -> str:
    """The file of a function; empty for what has none, such as `functools.partial`."""
    try:
        return inspect.getsourcefile(inspect.unwrap(function)) or ""
    except TypeError:
        return ""


def _form(shape: tuple[int, ...], dtype: Any) -> str:
    return f"{jnp.dtype(dtype)}{list(shape)}"


def _form_of(array: Any) -> str:
    return _form(array.shape, array.dtype) if isinstance(array, jax.ShapeDtypeStruct) else ""
