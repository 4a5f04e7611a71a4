"""Adapters: nothing changes at first, what is frozen keeps its bits, and the count is exact."""

import importlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from epx.learning import optim
from epx.learning.batch import Batch
from epx.learning.learner import Learning
from epx.observers import adapter, counts, transformer
from epx.run.config import components
from tests.params import parametrize
from tests.runs import jitted

VOCAB, LENGTH = 5, 12
KEY = jax.random.key(3)
TOKENS = jax.random.randint(jax.random.key(0), (3, LENGTH), 0, VOCAB, jnp.int32)
FAMILIES = [n for n in components.names("observer") if n not in ("counts", "oracle")]


def base(**arguments):
    return transformer.make(VOCAB, LENGTH, **transformer.TINY | arguments)


def noisy(params, seed=1):
    leaves, structure = jax.tree.flatten(params)
    keys = jax.random.split(jax.random.key(seed), len(leaves))
    return structure.unflatten(
        [x + 0.3 * jax.random.normal(k, x.shape, x.dtype) for k, x in zip(keys, leaves)]
    )


def learn(observer, params, steps=8, seed=0):
    """Params after some steps of Adam, their average, and the norms of the gradients."""
    learning = Learning(observer, Batch(3, 3))
    hyper = optim.make_hyper(seed, lr=0.1, warmup_steps=0, ema_steps=3)
    state = learning.init(hyper, params).learner

    @jax.jit
    def step(learner):
        def charge(params):
            logits = observer.logits(params, TOKENS, None)
            return -jax.nn.log_softmax(logits)[..., 0].mean()

        grads = jax.grad(charge)(learner.params)
        learner, _ = learning.update(hyper, grads, learner, jnp.float32(0.1), hyper.ema_steps)
        return learner, grads

    for _ in range(steps):
        state, grads = step(state)
    return state, grads


@parametrize("family", FAMILIES, gate=("transformer", "state_space"))
def test_every_family_takes_an_adapter(family):
    """It starts as the observer was; its step agrees with its forward pass; B alone moves first."""
    module = importlib.import_module(f"epx.observers.{family}")
    plain = jitted(module.make(VOCAB, LENGTH, **module.TINY))
    around = adapter.around(plain, rank=2)
    params = around.init(KEY)
    weights = noisy(params["base"])
    started = around.starts(KEY, weights)
    logits = around.logits(started, TOKENS, None)
    np.testing.assert_array_equal(logits, plain.logits(weights, TOKENS, None))
    assert around.learned == sum(leaf.size for leaf in jax.tree.leaves(params["low"]))
    changed = started | {"low": noisy(params["low"], 2)}
    full = around.logits(changed, TOKENS, None)
    assert jnp.abs(full - logits).max() > 1e-3
    if plain.step is not None and getattr(module, "PREDICTED", None) is None:
        cache = around.start(changed, TOKENS[:, :0], None)
        for t in range(LENGTH):
            cache, one = around.step(changed, cache, TOKENS[:, max(t - 1, 0)], None)
            np.testing.assert_allclose(one, full[:, t], atol=2e-5)


def test_a_matrix_is_changed_by_the_scaled_product():
    """One matrix by hand: W + alpha / 2r A B."""
    around = adapter.around(base(), rank=2, alpha=6.0)
    params = around.init(KEY)
    params["low"]["head/kernel"]["B"] = jnp.ones_like(params["low"]["head/kernel"]["B"])
    a = params["low"]["head/kernel"]["A"]
    by_hand = jax.tree.map(lambda leaf: leaf, params["base"])
    by_hand["head"]["kernel"] += 6 / 4 * a @ jnp.ones((2, VOCAB))
    expected = base().logits(by_hand, TOKENS, None)
    np.testing.assert_allclose(around.logits(params, TOKENS, None), expected, atol=1e-6)


def test_frozen_weights_keep_their_bits_and_count_in_no_norm():
    around = adapter.around(base(), rank=2)
    before = around.starts(KEY, noisy(around.init(KEY)["base"]))
    learner, grads = learn(around, before)
    for found in (learner.params, learner.ema):
        jax.tree.map(np.testing.assert_array_equal, found["base"], before["base"])
        moved = jax.tree.map(lambda a, b: (a != b).any(), found["low"], before["low"])
        assert any(jax.tree.leaves(moved))
    assert not any(leaf.any() for leaf in jax.tree.leaves(grads["base"]))


@pytest.mark.parametrize("entries", [1, 17])
def test_so_many_entries_learn_and_no_other(entries):
    around = adapter.around(base(), rank=2, entries=entries)
    assert around.learned == entries
    # B is not zero here, so that entries of A have a gradient too.
    before = around.init(KEY)
    before = before | {"low": noisy(before["low"]), "base": noisy(before["base"])}
    learner, _ = learn(around, before)
    for found in (learner.params, learner.ema):
        moved = jax.tree.map(lambda a, b: a != b, found["low"], before["low"])
        chosen = before["chosen"]
        jax.tree.map(lambda m, c: np.testing.assert_array_equal(m, c == 1), moved, chosen)
        for part in ("base", "chosen"):
            jax.tree.map(np.testing.assert_array_equal, found[part], before[part])


def test_entries_are_chosen_uniformly_over_all_matrices():
    around = adapter.around(base(), rank=1, entries=10)
    total = adapter.around(base(), rank=1).learned

    def chosen(key):
        return jnp.concatenate(
            [leaf.reshape(-1) for leaf in jax.tree.leaves(around.init(key)["chosen"])]
        )

    found = np.asarray(jax.lax.map(chosen, jax.random.split(KEY, 2000)))
    assert (found.sum(1) == 10).all()
    expected = 2000 * 10 / total
    statistic = ((found.sum(0) - expected) ** 2 / expected).sum()
    assert statistic < total + 5 * np.sqrt(2 * total)


def test_flops_count_both_matrices_for_every_token():
    plain, around = base(), adapter.around(base(), rank=3)
    forward, update = plain.flops(LENGTH)
    extra = 2 * around.learned * LENGTH
    assert around.flops(LENGTH) == (forward + extra, update + 2 * extra)


@pytest.mark.parametrize(
    ("arguments", "key"),
    [
        (dict(rank=0), "rank"),
        (dict(rank=1, entries=10**6), "entries"),
    ],
)
def test_what_cannot_be_is_refused(arguments, key):
    with pytest.raises(ValueError, match=rf"adapter\.{key}=.*accepted"):
        adapter.around(base(), **arguments)


def test_a_counter_has_nothing_to_freeze():
    with pytest.raises(ValueError, match="no gradient"):
        adapter.around(counts.make(VOCAB, LENGTH), rank=1)
