"""Every generator of the folder with its smallest legal arguments, for tests that walk over all."""

import atexit
import functools
import inspect
import shutil
import tempfile
from pathlib import Path

import jax
import numpy as np

from epx.observers import mlp
from epx.run.config import components

FOLDER = Path(tempfile.mkdtemp(prefix="epx-tests-"))
atexit.register(shutil.rmtree, FOLDER, ignore_errors=True)
NAMES = components.names("generator")


def module_of(name):
    return components.find("generator", name)


@functools.cache
def arguments(name) -> dict:
    """The module's TINY; a generator with an argument `path` also gets a file of 320 tokens."""
    module = module_of(name)
    if "path" not in inspect.signature(module.make).parameters:
        return module.TINY
    n = np.arange(320)
    path = FOLDER / "tokens.npz"
    np.savez(path, tokens=(n * n + n // 3) % 5, coded=n % 8 > 2)
    return module.TINY | {"path": str(path)}


@functools.cache
def _observer(vocab, length):
    return mlp.make(vocab, length, depth=1, width=8)


def untrained(key, reference, like):
    """In place of the learner of a record: one that was never trained, with weights of its own."""
    observer = _observer(like.spec.vocab, like.spec.length)
    params = observer.init(jax.random.key(5))
    leaves, structure = jax.tree.flatten(params)
    keys = jax.random.split(jax.random.key(6), len(leaves))
    moved = [leaf + jax.random.normal(k, leaf.shape, leaf.dtype) for k, leaf in zip(keys, leaves)]
    return observer, jax.tree.unflatten(structure, moved)


def supplied(name) -> dict:
    """What the program supplies to the module's make beside its key."""
    known = {"make_parts": components.make_parts, "learner_of": untrained}
    parameters = inspect.signature(module_of(name).make).parameters
    return {argument: value for argument, value in known.items() if argument in parameters}


def make(name, key):
    return module_of(name).make(key, **supplied(name), **arguments(name))
