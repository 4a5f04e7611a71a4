"""The prequential code: what is charged, and under which weights."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from epx.codes import prequential
from epx.generators.automata import eca
from epx.learning import flops, learner, nll, optim
from epx.learning.batch import Batch
from epx.observers import counts
from tests import linear

GENERATOR = eca.make(jax.random.key(0), rule=54, width=4, steps=1)
OBSERVER = linear.make(2, 8)
HYPER = optim.make_hyper(0, lr=0.3, warmup_steps=0, ema_steps=3)
BATCH = Batch(8, 4)


def test_the_average_is_charged_and_learning_stays_the_same():
    """By hand: the price of the batch of each step under the average before the step."""
    averaged = prequential.make(OBSERVER, BATCH, charged="ema")
    last = prequential.make(OBSERVER, BATCH)
    predict = jax.jit(OBSERVER.logits)
    for steps in (0, 1, 6):
        state = jax.jit(last.init)(HYPER)
        for _ in range(steps):
            state, _ = jax.jit(last.step)(GENERATOR, HYPER, state)
        index_B = jnp.arange(8 * steps, 8 * steps + 8, dtype=jnp.uint32)
        batch = learner.training_examples(GENERATOR, HYPER, index_B)
        nats = nll.nats(predict(state.learner.ema, batch.tokens_T, None), batch.tokens_T)
        expected = float(nll.coded_sum(nats, batch.coded_T, axis=1).sum())
        found, row = jax.jit(averaged.step)(GENERATOR, HYPER, state)
        assert row["nats"] == pytest.approx(expected, rel=1e-5)
        learned, other = jax.jit(last.step)(GENERATOR, HYPER, state)
        assert steps == 0 or row["nats"] != other["nats"]
        jax.tree.map(
            lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5), found, learned
        )


def test_the_charge_of_the_average_is_paid_for():
    """One more forward pass."""
    averaged = prequential.make(OBSERVER, BATCH, charged="ema")
    state = averaged.init(HYPER)
    _, row = jax.jit(averaged.step)(GENERATOR, HYPER, state)
    forward, update = OBSERVER.flops(8)
    assert row["flops"] == 8 * (2 * forward + update)
    assert flops.step_flops(OBSERVER, 8, 8) == 8 * (forward + update)


def test_only_known_weights_are_charged():
    with pytest.raises(ValueError, match=r"^code.charged='mean': accepted raw or ema"):
        prequential.make(OBSERVER, BATCH, charged="mean")
    with pytest.raises(ValueError, match=r"^code.charged='ema': accepted raw, as a counter"):
        prequential.make(counts.make(2, 8), BATCH, charged="ema")
