"""The observer of a config, for the examples of a generator."""

import inspect
from typing import Any

from epx.observers import masked
from epx.run import components
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
    reads = "side" in inspect.signature(components.find("observer", name).make).parameters
    accepted = (
        f"an observer whose make has the argument side: each token of this generator comes with a "
        f"vector of {spec.side} numbers"
    )
    require("observer.name", name, reads or not read, accepted)
    supplied = dict(vocab=spec.vocab, length=spec.length, side=read, dtype=dtype)
    made = components.make("observer", section, generator=generator, **supplied)
    return masked.around(made) if spec.masked else made
