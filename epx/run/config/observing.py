"""The observer of a config, for the examples of a generator."""

import functools
import inspect
from typing import Any

import jax

from epx.observers import masked
from epx.run.config import components
from epx.types import Generator, Observer, require


def make_observer(section: dict[str, Any], generator: Generator, dtype: str) -> Observer:
    """The observer of a section, for the examples of a generator.

    Args:
      section: the name of the observer and its keys.
      generator: whose examples it observes.
      dtype: of its activations.

    Raises:
      ValueError: as `make`, or an observer that reads no side information, where there is some.
    """
    spec = generator.spec
    name, read = section.get("name", ""), 0 if spec.masked else spec.side
    parameters = inspect.signature(components.find("observer", name).make).parameters
    reads = "side" in parameters
    accepted = (
        f"an observer whose make has the argument side: each token of this generator comes with a "
        f"vector of {spec.side} numbers"
    )
    require("observer.name", name, reads or not read, accepted)
    shape = (spec.vocab, spec.length, read, dtype)
    plain = all(isinstance(value, int | float | str | None) for value in section.values())
    if plain and "generator" not in parameters and name in components.names("observer"):
        made = _shared(shape, **section)
    else:  # the module of a user may change
        made = _made(section, shape, generator=generator)
    return masked.around(made) if spec.masked else made


@functools.lru_cache(maxsize=64, typed=True)
def _shared(shape: tuple[int, int, int, str], /, **section: Any) -> Observer:
    """One observer for all ensembles of a sweep that have the same; its `init` is traced once."""
    made = _made(section, shape)
    return made._replace(init=jax.jit(made.init))


def _made(section: dict[str, Any], shape: tuple[int, int, int, str], **more: Any) -> Observer:
    supplied = dict(zip(("vocab", "length", "side", "dtype"), shape))
    return components.make("observer", section, **supplied, **more)
