"""Replay: charges are those of new examples alone, and streams read the history in order."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from epx.codes import prequential, replay
from epx.generators.automata import eca
from epx.learning import optim
from epx.learning.batch import Batch
from epx.observers import counts
from tests import linear
from tests.runs import stepped

GENERATOR = eca.make(jax.random.key(0), rule=30, width=4, steps=1)
BATCH = Batch(4, 2)
HYPER = optim.make_hyper(1, lr=0.05, warmup_steps=0)
OBSERVER = linear.make(GENERATOR.spec.vocab, GENERATOR.spec.length)


def steps_of(readers, segment, steps=200, seed=1):
    hyper = optim.make_hyper(seed)
    found = jax.vmap(lambda step: replay.earlier(hyper, step, readers, segment))
    return np.asarray(found(jnp.arange(steps, dtype=jnp.int32)))


@pytest.mark.parametrize(("readers", "segment"), [(1, 1), (3, 16), (5, 7)])
def test_only_what_was_charged_is_replayed(readers, segment):
    """Every step reads at most its own batch: the receiver has it."""
    found = steps_of(readers, segment)
    assert found.shape == (200, readers) and found.min() == 0
    assert (found <= np.arange(200)[:, None]).all() and not found[0].any()


def test_a_stream_reads_in_order_and_goes_back_at_its_own_steps():
    found = steps_of(4, 16, steps=400)
    late = np.diff(found[100:], axis=0)
    in_order = (late == 1).mean()
    assert in_order == pytest.approx(15 / 16, abs=0.02)
    jumps = [set(np.flatnonzero(late[:, reader] != 1) % 16) for reader in range(4)]
    regular = [places for places in jumps if len(places) == 1]
    assert len(regular) >= 2 and len(set(map(frozenset, regular))) == len(regular)


def test_places_are_drawn_uniformly_from_the_history():
    found = np.concatenate([steps_of(8, 1, 100, seed)[60:] for seed in range(40)])
    shares = found / np.tile(np.arange(60, 100), 40)[:, None]
    assert abs(shares.mean() - 0.5) < 0.01 and abs(shares.var() - 1 / 12) < 0.005


def test_the_first_charge_is_that_of_the_prequential_code_and_later_ones_are_of_new_examples():
    plain = stepped(prequential.make(OBSERVER, BATCH), GENERATOR, HYPER, 6)[1]
    rows = stepped(replay.make(OBSERVER, BATCH, readers=2), GENERATOR, HYPER, 6)[1]
    np.testing.assert_array_equal(rows["nats"][0], plain["nats"][0])
    np.testing.assert_array_equal(rows["coded_tok"], plain["coded_tok"])
    np.testing.assert_allclose(rows["flops"], 3 * plain["flops"], rtol=1e-6)
    assert not np.allclose(rows["nats"][2:], plain["nats"][2:])


def test_at_the_first_step_replay_changes_nothing():
    """All streams read the only batch there is: the mean gradient is the same."""
    plain, _ = stepped(prequential.make(OBSERVER, BATCH), GENERATOR, HYPER, 1)
    state, _ = stepped(replay.make(OBSERVER, BATCH, readers=3), GENERATOR, HYPER, 1)
    for a, b in zip(*(jax.tree.leaves(s.learner.params) for s in (plain, state))):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def test_what_cannot_be_replayed_is_refused():
    counter = counts.make(GENERATOR.spec.vocab, GENERATOR.spec.length)
    with pytest.raises(ValueError, match=r"code\.name='replay': accepted prequential"):
        replay.make(counter, BATCH)
    with pytest.raises(ValueError, match=r"code\.readers=0"):
        replay.make(OBSERVER, BATCH, readers=0)
    with pytest.raises(ValueError, match=r"code\.segment=0"):
        replay.make(OBSERVER, BATCH, segment=0)
