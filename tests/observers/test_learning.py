"""What every family promises of its learning, for every file in the folder: it does not depend on
how a batch is divided over microbatches and devices, and it drives the arithmetic code."""

import importlib
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from epx import streams
from epx.codes import prequential
from epx.generators.sequences import iid
from epx.learning import optim
from epx.learning.batch import Batch
from tests.coders.test_arithmetic import all_coded, there_and_back
from tests.observers.test_contract import NAMES
from tests.runs import stepped

HYPER = optim.make_hyper(0, lr=0.3, warmup_steps=2)
GENERATOR = iid.make(streams.stream(0, "world"), "markov", vocab=3, length=7)
STEPS, DEVICES = 4, 4
# Programs are compiled for each family: in the gate are those that compile soonest.
QUICK = ("counts", "mlp")
FAMILIES = [
    pytest.param(name, marks=() if name in QUICK else pytest.mark.slow, id=name) for name in NAMES
]


def observer_of(name):
    module = importlib.import_module(f"epx.observers.{name}")
    return module.make(GENERATOR.spec.vocab, GENERATOR.spec.length, **module.TINY)


def learned(name, batch):
    return stepped(prequential.make(observer_of(name), batch), GENERATOR, HYPER, STEPS)


def on_devices(name, batch):
    """State and rows of the first of some devices that share a batch; all have the same."""
    code = prequential.make(observer_of(name), batch._replace(axis="device", shards=DEVICES))
    step = jax.pmap(code.step, "device", in_axes=(None, None, 0))
    state = jax.tree.map(lambda leaf: jnp.stack([leaf] * DEVICES), jax.jit(code.init)(HYPER))
    rows = []
    for _ in range(STEPS):
        state, row = step(GENERATOR, HYPER, state)
        rows.append(row["nats"])
    for leaf in jax.tree.leaves((state, rows)):
        np.testing.assert_array_equal(leaf, jnp.broadcast_to(leaf[:1], leaf.shape))
    return jax.tree.map(lambda leaf: leaf[0], state), np.stack(rows)[:, 0]


@pytest.mark.parametrize("name", FAMILIES)
def test_learning_does_not_depend_on_how_a_batch_is_divided(name):
    """Four steps: each is charged under what the ones before have taught."""
    whole, rows = learned(name, Batch(8, 8))
    parts, of_parts = learned(name, Batch(8, 2))
    spread, nats = on_devices(name, Batch(8, 2))
    assert np.ptp(rows["nats"]) > 1e-3 * rows["nats"][0], "and something is learned"
    np.testing.assert_allclose(of_parts["nats"], rows["nats"], rtol=1e-4)
    np.testing.assert_allclose(nats, rows["nats"], rtol=1e-4)
    for other in (parts, spread):
        for leaf, wanted in zip(
            *map(jax.tree.leaves, (other.learner.params, whole.learner.params))
        ):
            np.testing.assert_allclose(leaf, wanted, atol=1e-3)


@pytest.mark.parametrize("name", FAMILIES)
def test_what_every_family_sends_comes_back(name):
    """On batches after updates; the last one is not full."""
    tokens = np.random.default_rng(0).integers(0, 3, (158, 7))
    tokens[:, 2:] = tokens[:, [0, 1, 0, 1, 0]]  # what is seen without a state tells nothing
    batch = Batch(4, 4)
    sent, ledger = there_and_back(observer_of(name), GENERATOR.spec, all_coded(tokens), batch)
    assert -8 < sent - ledger < 64
    assert abs(ledger / (tokens.size * math.log2(3)) - 1) > 0.01, "and it is not by chance"
