"""Runs for tests: from a config to its record."""

import functools
import itertools
import json

import jax
import numpy as np

from epx import record
from epx.run import loop
from epx.run import setup as setups


def rows(config, path, members=None, stop_after=None):
    """The record of a run, stopped after a number of chunks if asked."""
    chunks = train(config, path, members)
    for _ in itertools.islice(chunks, stop_after):
        pass
    chunks.close()
    return record.load(path)


def train(config, path, members=None):
    """The chunks of a run; the programs of equal configs are compiled once."""
    described = json.dumps([config, members], sort_keys=True)
    setup, programs = _compiled(described, jax.config.read("jax_enable_x64"))
    return loop.train(setup, path, programs)


@functools.lru_cache(maxsize=16)
def _compiled(described, _):
    setup = setups.assemble(*json.loads(described))
    return setup, loop.Programs.start(setup)


def jitted(observer):
    """The observer with compiled functions: uncompiled ones compile every operation alone."""
    names = ("init", "logits", "start", "step", "update", "hidden")
    functions = {name: getattr(observer, name) for name in names}
    return observer._replace(**{name: f and jax.jit(f) for name, f in functions.items()})


def with_run(config, **changes):
    return config | {"run": config["run"] | changes}


def same(a, b):
    """Whether two records hold the same numbers to the bit, timings aside."""
    assert a.rows.keys() == b.rows.keys() and a.evals.keys() == b.evals.keys()
    for name in a.rows.keys() - {"seconds"}:
        np.testing.assert_array_equal(a.rows[name], b.rows[name], err_msg=name)
    for step, name in ((s, n) for s in a.evals for n in a.evals[s]):
        np.testing.assert_array_equal(a.evals[step][name], b.evals[step][name], err_msg=name)


def stepped(code, generator, hyper, steps, state=None):
    """State and rows, as arrays with a leading axis K, after some steps of one member. One step is
    compiled, whatever their number, and tests that take the same one share it."""
    step = jax.jit(code.step)
    state = jax.jit(code.init)(hyper) if state is None else state
    found = []
    for _ in range(steps):
        state, row = step(generator, hyper, state)
        found.append(row)
    return state, {name: np.stack([row[name] for row in found]) for name in found[0]}
