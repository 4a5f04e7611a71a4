"""EpiGen: the reward is the fall of the loss, the writer follows it, and noise earns nothing."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from epx.codes import epigen, requential
from epx.generators.sequences import iid
from epx.learning import optim
from epx.learning.batch import Batch
from epx.learning.learner import Learning
from epx.observers import counts
from epx.run.setup import assemble
from epx.sweeps import local
from epx.types import Example
from tests import linear, runs
from tests.runs import stepped

V, T = 4, 6
GENERATOR = iid.make(jax.random.key(0), law="uniform", vocab=V, length=T)
BATCH = Batch(8, 4)
HYPER = optim.make_hyper(1, lr=0.05, warmup_steps=0)
OBSERVER = linear.make(V, T)
LEARNING = Learning(OBSERVER, BATCH)


def make(**arguments):
    return epigen.make(OBSERVER, BATCH, length=T, **arguments)


def loss(params, *tokens):
    """Nats per token of batches, by the plain formula."""
    tokens_BxT = np.concatenate([np.asarray(batch).reshape(-1, T) for batch in tokens])
    log_p = jax.nn.log_softmax(OBSERVER.logits(params, tokens_BxT), axis=-1)
    return -float(np.take_along_axis(np.asarray(log_p), tokens_BxT[:, :, None], axis=2).mean())


def test_the_first_charge_is_that_of_a_learner_that_knows_nothing():
    row = stepped(make(), GENERATOR, HYPER, 1)[1]
    assert row["coded_tok"][0] == 8 * T
    assert row["nats"][0] == pytest.approx(8 * T * np.log(V), rel=1e-6)


@pytest.mark.parametrize("buffer", [0, 2])
def test_the_reward_is_the_fall_of_the_loss_on_the_batch_and_the_buffer(buffer):
    code, drawn = make(buffer=buffer, learner_steps=3), []
    state, step = code.init(HYPER), jax.jit(code.step)
    for number in range(4):
        writer = state.teacher.params
        sample = requential.sample(LEARNING, GENERATOR, HYPER, jnp.int32(number), writer)
        drawn.append(sample.tokens_T)
        before, baseline = state.learner.params, state.teacher.baseline_nats
        state, row = step(GENERATOR, HYPER, state)
        seen = drawn[-1 - buffer :]
        fall = loss(before, *seen) - loss(state.learner.params, *seen)
        assert row["reward_nats"] == pytest.approx(fall, abs=1e-6)
        baseline = fall if number == 0 else float(baseline)
        assert state.teacher.baseline_nats == pytest.approx(0.99 * baseline + 0.01 * fall, abs=1e-6)


def test_the_writer_follows_the_reward_above_its_baseline():
    """One step of Adam along the gradient of its nats, as long as the reward is above or below."""
    code = make(buffer=2, learner_steps=3)
    state, _ = stepped(code, GENERATOR, HYPER, 3)
    writer = state.teacher
    sample = requential.sample(LEARNING, GENERATOR, HYPER, state.step, writer.params)
    drawn = Example(sample.tokens_T, sample.coded_T)
    after, row = jax.jit(code.step)(GENERATOR, HYPER, state)
    grads, _ = LEARNING.gradient(writer.params, drawn, lambda part: part)
    advantage = row["reward_nats"] - writer.baseline_nats
    grads = jax.tree.map(lambda leaf: advantage * leaf, grads)
    rate = 0.1 * optim.rate(HYPER, state.step)
    expected, _ = LEARNING.update(HYPER, grads, writer, rate, HYPER.ema_steps)
    for own, wanted in zip(*map(jax.tree.leaves, (after.teacher.params, expected.params))):
        np.testing.assert_allclose(own, wanted, rtol=1e-4, atol=1e-7)
    first = code.init(HYPER)
    same = jax.jit(code.step)(GENERATOR, HYPER, first)[0].teacher.params
    for own, wanted in zip(*map(jax.tree.leaves, (same, first.teacher.params))):
        np.testing.assert_array_equal(own, wanted)  # the first reward is the baseline


def test_a_writer_without_a_rate_stays_as_it_was():
    code = make(writer_rate=0.0)
    first = code.init(HYPER)
    state = stepped(code, GENERATOR, HYPER, 5)[0]
    for a, b in zip(*map(jax.tree.leaves, (first.teacher.params, state.teacher.params))):
        np.testing.assert_array_equal(a, b)
    moved = stepped(make(), GENERATOR, HYPER, 5)[0].teacher.params
    assert any(np.any(leaf) for leaf in jax.tree.leaves(moved))


def test_noise_that_is_learned_by_heart_earns_nothing_on_a_buffer():
    """The writer is uniform: what a learner takes from a batch does not help on the others."""
    shared = dict(learner_steps=5, writer_rate=0.0)
    alone = stepped(make(buffer=0, **shared), GENERATOR, HYPER, 40)[1]["reward_nats"][20:]
    buffered = stepped(make(buffer=16, **shared), GENERATOR, HYPER, 40)[1]["reward_nats"][20:]
    assert alone.min() > 0.05
    assert abs(buffered.mean()) < 0.1 * alone.mean()


@pytest.mark.slow
def test_devices_share_a_batch_and_a_run_resumes(tiny_config, tmp_path):
    """Every device has the examples of all in its buffer; the buffer is in the state."""
    config = tiny_config | {"code": {"name": "epigen", "buffer": 3, "learner_steps": 2}}
    config = runs.with_run(config, steps=20)
    whole = runs.rows(config, tmp_path / "whole")
    runs.rows(config, tmp_path / "stopped", stop_after=2)
    runs.same(runs.rows(config, tmp_path / "stopped"), whole)
    shared = runs.with_run(config, parallel="pmap", devices=4)
    found = runs.rows(shared, tmp_path / "shared")
    for name in ("nats", "coded_tok", "reward_nats", "baseline_nats"):
        np.testing.assert_allclose(
            found.rows[name][:, :10], whole.rows[name][:, :10], rtol=1e-3, atol=1e-4, err_msg=name
        )


def test_the_forecast_is_what_rows_count(tiny_config, tmp_path):
    config = tiny_config | {"code": {"name": "epigen", "buffer": 1, "learner_steps": 2}}
    config = runs.with_run(config, steps=10)
    setup, done = assemble(config), runs.rows(config, tmp_path)
    counted = sum(done.rows[name].sum(dtype=float) for name in ("flops", "draw_flops"))
    forward, _ = setup.observer.flops(setup.spec.length)
    evaluated = setup.members * 2 * setup.plan.eval_examples * forward
    assert local.whole_flops(setup) == pytest.approx(counted + evaluated, rel=1e-6)


def test_what_it_cannot_do_is_refused():
    with pytest.raises(ValueError, match=r"code\.name='epigen': accepted with observers that"):
        epigen.make(counts.make(V, T), BATCH, length=T)
    with pytest.raises(ValueError, match=r"code\.name='epigen': accepted with examples without"):
        make(side=3)
