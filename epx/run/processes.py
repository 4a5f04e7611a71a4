"""Several processes of one run, by `jax.distributed`: the first alone reads and writes the record.

Every process makes its own data, as examples are functions of their index, and runs the same
programs over the devices of all. With a single process these functions act on it alone.
"""

import contextlib
from collections.abc import Callable, Iterator

import jax
import numpy as np
from jax.experimental import multihost_utils

from epx.record import RecordError
from epx.types import PyTree


class LostError(RecordError):
    """Another process of the run is gone; the message is for the user."""


@contextlib.contextmanager
def losses() -> Iterator[None]:
    """Turn the error of a lost process into a LostError."""
    try:
        yield
    except jax.errors.JaxRuntimeError as error:
        if jax.process_count() == 1:
            raise
        reason = (str(error).splitlines() or ["no reason"])[0]
        raise LostError(
            f"process {jax.process_index() + 1} of {jax.process_count()} has lost another one, or "
            f"failed itself ({reason:.120}); start all of them again: the run goes on from its "
            "last state"
        ) from error


def is_first() -> bool:
    """Whether this process reads and writes the record."""
    return jax.process_index() == 0


def of_first(function: Callable[[], PyTree], like: PyTree) -> PyTree:
    """What a function returns in the first process, in all of them; others do not call it.

    Args:
      function: returns arrays of the shapes and dtypes of `like`.
      like: abstract or concrete.

    Raises:
      RecordError: the function raised; in the first process its own error, whatever it is.
    """
    if jax.process_count() == 1:
        return function()
    value, failure = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), like), None
    if is_first():
        try:
            value = function()
        except Exception as error:  # others wait for the answer
            failure = error
    if any_of(failure is not None):
        raise failure or RecordError("the first process of this run has failed, and said why")
    return multihost_utils.broadcast_one_to_all(value)


def any_of(flag: bool) -> bool:
    """Whether the flag is true in any process; all must ask."""
    if jax.process_count() == 1:
        return flag
    with losses():
        return bool(multihost_utils.process_allgather(np.array(flag)).any())


def fetch(tree: PyTree) -> PyTree:
    """Arrays of all devices as numpy arrays, in every process; all must ask."""
    if jax.process_count() == 1:
        return jax.device_get(tree)

    def one(leaf: jax.Array) -> np.ndarray:
        if leaf.is_fully_replicated:
            return np.asarray(leaf.addressable_data(0))
        return multihost_utils.process_allgather(leaf, tiled=True)

    return jax.tree.map(one, tree)
