"""What every observer promises (see `epx.types.Observer`), for every file in the folder."""

import importlib
import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from epx.learning import nll
from epx.run.config import components
from tests.runs import jitted

VOCAB, LENGTH, BATCH = 5, 12, 3
# The oracle, which is given a law and learns none, is held to its own tests.
NAMES = [name for name in components.names("observer") if name != "oracle"]


@pytest.fixture(params=NAMES, scope="module")
def module(request):
    return importlib.import_module(f"epx.observers.{request.param}")


@pytest.fixture(scope="module")
def eager(module):
    return module.make(vocab=VOCAB, length=LENGTH, **module.TINY)


@pytest.fixture(scope="module")
def first(module):
    """The first position that is predicted; a family may predict the last tokens only."""
    return LENGTH - getattr(module, "PREDICTED", LENGTH)


@pytest.fixture(scope="module")
def observer(eager):
    """The same observer with compiled functions, as every run calls them."""
    return jitted(eager)


READERS = [
    name
    for name in NAMES
    if "side" in inspect.signature(importlib.import_module(f"epx.observers.{name}").make).parameters
]
SIDE = 3


@pytest.fixture(params=READERS, scope="module")
def reader(request):
    """An observer that reads vectors with its tokens."""
    module = importlib.import_module(f"epx.observers.{request.param}")
    return jitted(module.make(vocab=VOCAB, length=LENGTH, side=SIDE, **module.TINY))


def vectors_BxTxR(seed=0):
    return jnp.asarray(np.random.default_rng(seed).normal(size=(BATCH, LENGTH, SIDE)), jnp.float32)


def tokens_BxT(seed=0):
    return jnp.asarray(np.random.default_rng(seed).integers(0, VOCAB, (BATCH, LENGTH)), jnp.int32)


def trained(observer, seed=0):
    """Parameters that predict something: initial ones are uniform, and so hide everything."""
    params = observer.init(jax.random.key(seed))
    if observer.update is not None:
        for batch in range(5):
            coded = jnp.ones((BATCH, LENGTH), bool)
            params, _ = observer.update(params, tokens_BxT(100 + 10 * seed + batch), coded)
        return params
    leaves, structure = jax.tree.flatten(params)
    keys = jax.random.split(jax.random.key(seed + 1), len(leaves))
    noisy = [x + 0.5 * jax.random.normal(k, x.shape, x.dtype) for k, x in zip(keys, leaves)]
    return jax.tree.unflatten(structure, noisy)


def test_the_contract_covers_the_families():
    assert {"counts", "transformer"} <= set(NAMES)


def test_logits_have_the_promised_shape_and_type(observer, first):
    logits = observer.logits(trained(observer), tokens_BxT(), None)
    assert logits.shape == (BATCH, LENGTH, VOCAB) and logits.dtype == jnp.float32
    spread_BxT = np.ptp(np.asarray(logits), axis=-1)
    assert spread_BxT[:, first:].min() > 0.1 and not spread_BxT[:, :first].any()


def test_an_untrained_observer_predicts_exactly_uniformly(observer):
    logits = observer.logits(observer.init(jax.random.key(0)), tokens_BxT(), None)
    assert np.ptp(np.asarray(logits), axis=-1).max() == 0
    np.testing.assert_allclose(nll.nats(logits, tokens_BxT()), np.log(VOCAB), rtol=1e-6)


def test_init_is_a_function_of_the_key(observer):
    first, again = (observer.init(jax.random.key(7)) for _ in range(2))
    jax.tree.map(np.testing.assert_array_equal, first, again)


def test_no_token_sees_itself_or_later_ones(observer, first):
    params, tokens = trained(observer), tokens_BxT()
    logits = np.asarray(observer.logits(params, tokens, None))
    for t in range(LENGTH):
        other = tokens.at[:, t:].set((tokens[:, t:] + 1) % VOCAB)
        changed = np.asarray(observer.logits(params, other, None))
        np.testing.assert_array_equal(changed[:, : t + 1], logits[:, : t + 1])
        if first <= t + 1 < LENGTH:  # and the token before is seen
            assert np.abs(changed[:, t + 1] - logits[:, t + 1]).max() > 1e-3


def test_step_by_step_equals_the_full_forward_pass(observer):
    params, tokens = trained(observer), tokens_BxT()

    @jax.jit
    def decode(params, tokens):
        # What is fed at the first position is to be ignored: feed a token that would matter.
        fed_TxB = jnp.roll(tokens, 1, axis=1).T
        return jax.lax.scan(
            lambda cache, token: observer.step(params, cache, token, None),
            observer.start(params, tokens[:, :0]),
            fed_TxB,
        )[1].swapaxes(0, 1)

    full = observer.logits(params, tokens, None)
    np.testing.assert_allclose(decode(params, tokens), full, atol=1e-5)


@pytest.mark.parametrize("given", [1, 2, LENGTH - 1])
def test_start_with_given_tokens_continues_as_the_full_forward_pass(observer, given):
    """To 1e-6 nats a token: sampling draws from the law that is charged."""
    params, tokens = trained(observer), tokens_BxT()
    cache = observer.start(params, tokens[:, :given])
    full = observer.logits(params, tokens, None)
    for t in range(given, LENGTH):
        cache, logits = observer.step(params, cache, tokens[:, t - 1])
        np.testing.assert_allclose(logits, full[:, t], atol=1e-5)
        nats = nll.nats(logits[:, None], tokens[:, t, None])
        assert np.abs(nats - nll.nats(full, tokens)[:, t, None]).mean() < 1e-6
        assert nll.kl_nats(full[:, t], logits).max() < 1e-10


def test_members_can_be_stacked(observer):
    members = [trained(observer, seed) for seed in (0, 1)]
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *members)
    together = jax.vmap(lambda p: observer.logits(p, tokens_BxT(), None))(stacked)
    for params, logits in zip(members, together):
        alone = observer.logits(params, tokens_BxT(), None)
        np.testing.assert_allclose(logits, alone, rtol=1e-5, atol=2e-6)


def test_jit_equals_eager(observer, eager):
    params, tokens = trained(observer), tokens_BxT()
    expected = eager.logits(params, tokens, None)
    np.testing.assert_allclose(observer.logits(params, tokens), expected, rtol=1e-5, atol=1e-5)


def test_hidden_states_are_what_the_last_prediction_is_made_of(observer, first):
    """One stream before the layers and one after each; a position has read the tokens before it."""
    if observer.hidden is None:
        assert observer.scales is None or first, "a counter has none, nor what reads all at once"
        return
    params, tokens = trained(observer), tokens_BxT()
    streams = observer.hidden(params, tokens, None)
    assert len(streams) > 1 and len({x.shape for x in streams}) == 1
    assert streams[0].shape[:2] == (BATCH, LENGTH) and streams[0].dtype == jnp.float32
    for t in (1, LENGTH - 1):
        other = tokens.at[:, t:].set((tokens[:, t:] + 1) % VOCAB)
        for before, after in zip(streams, observer.hidden(params, other, None)):
            np.testing.assert_array_equal(after[:, : t + 1], before[:, : t + 1])
            if t + 1 < LENGTH:
                assert np.abs(after[:, t + 1] - before[:, t + 1]).max() > 1e-3
    norm, head = params["norm"]["scale"], params["head"]["kernel"]
    last = np.asarray(streams[-1], np.float64)
    last = (last - last.mean(-1, keepdims=True)) / np.sqrt(last.var(-1, keepdims=True) + 1e-5)
    logits = observer.logits(params, tokens, None)
    np.testing.assert_allclose(last * norm @ head, logits, rtol=1e-4, atol=1e-4)


def test_an_edit_changes_later_predictions_as_the_stream_says(observer):
    """At the last layer it is exactly what the head makes of the changed stream."""
    if observer.edited is None:
        return
    params, tokens = trained(observer), tokens_BxT()
    streams = observer.hidden(params, tokens, None)
    logits = np.asarray(observer.logits(params, tokens, None))
    at = 5
    wave = jnp.cos(jnp.arange(streams[0].shape[-1]))
    change = jnp.zeros_like(streams[0]).at[:, at].set(wave)
    for layer in range(len(streams)):
        edit = jax.jit(observer.edited, static_argnums=3)
        np.testing.assert_allclose(
            edit(params, tokens, None, layer, 0 * change), logits, rtol=1e-5, atol=1e-5
        )
        found = np.asarray(edit(params, tokens, None, layer, change))
        np.testing.assert_allclose(found[:, :at], logits[:, :at], rtol=1e-5, atol=1e-5)
        is_last = layer == len(streams) - 1
        same_later = np.abs(found[:, at + 1 :] - logits[:, at + 1 :]).max() < 1e-4
        assert same_later == is_last, "attention carries an earlier change on"


def test_compute_is_positive_and_grows_with_length(observer):
    for short, long in zip(observer.flops(LENGTH), observer.flops(2 * LENGTH)):
        assert 0 < short < long


def test_learns_by_scales_or_by_update(observer):
    assert (observer.scales is None) != (observer.update is None)
    params = observer.init(jax.random.key(0))
    if observer.scales is not None:
        scales = observer.scales(params)
        assert jax.tree.structure(scales) == jax.tree.structure(params)
        assert all(scale > 0 for scale in jax.tree.leaves(scales))


def test_64_bit_mode_changes_nothing(observer):
    """With JAX_ENABLE_X64=1 every dtype is the same, and so is every number."""

    def results():
        params = trained(observer)
        logits = observer.logits(params, tokens_BxT(), None)
        cache, first = observer.step(
            params, observer.start(params, tokens_BxT()[:, :1]), tokens_BxT()[:, 0]
        )
        coded_BxT = jnp.ones((BATCH, LENGTH), bool)
        update = observer.update and observer.update(params, tokens_BxT(), coded_BxT)
        return jax.device_get(
            (observer.init(jax.random.key(3)), params, logits, cache, first, update)
        )

    expected = results()
    with jax.enable_x64(True):
        wide = results()
    assert jax.tree.structure(wide) == jax.tree.structure(expected)
    for leaf, other in zip(jax.tree.leaves(wide), jax.tree.leaves(expected)):
        assert leaf.dtype == other.dtype
        np.testing.assert_allclose(leaf, other, rtol=1e-6, atol=1e-6)


def test_a_vector_is_read_with_its_token(reader):
    """The prediction of token t uses the vectors of the tokens before it, and no other."""
    params, tokens, side = trained(reader), tokens_BxT(), vectors_BxTxR()
    logits = np.asarray(reader.logits(params, tokens, side))
    for t in range(LENGTH):
        changed = np.asarray(reader.logits(params, tokens, side.at[:, t:].add(1.0)))
        np.testing.assert_array_equal(changed[:, : t + 1], logits[:, : t + 1])
        if t + 1 < LENGTH:
            assert np.abs(changed[:, t + 1] - logits[:, t + 1]).max() > 1e-3


def test_no_gradient_flows_from_a_token_to_itself_or_before(reader):
    """Through the vectors that are read with the tokens; from the one before always."""
    params, tokens, side = trained(reader), tokens_BxT()[:1], vectors_BxTxR()[:1]
    weight_V = jnp.cos(jnp.arange(VOCAB))
    slopes = jax.jit(jax.jacobian(lambda side: reader.logits(params, tokens, side)[0] @ weight_V))
    slopes_TxT = np.abs(slopes(side)[:, 0]).sum(-1)  # prediction t by vector s
    assert not np.triu(slopes_TxT).any() and (np.diag(slopes_TxT, -1) > 1e-4).all()


@pytest.mark.parametrize("given", [0, 1, LENGTH - 1])
def test_vectors_are_read_step_by_step_as_in_the_full_forward_pass(reader, given):
    params, tokens, side = trained(reader), tokens_BxT(), vectors_BxTxR()
    full = reader.logits(params, tokens, side)
    cache = reader.start(params, tokens[:, :given], side)
    for t in range(given, LENGTH):
        cache, logits = reader.step(params, cache, tokens[:, t - 1], side)
        np.testing.assert_allclose(logits, full[:, t], rtol=1e-4, atol=5e-5)


def test_a_reader_starts_uniform_and_counts_its_compute(reader):
    logits = reader.logits(reader.init(jax.random.key(0)), tokens_BxT(), vectors_BxTxR())
    assert np.ptp(np.asarray(logits), axis=-1).max() == 0
    scales = reader.scales(reader.init(jax.random.key(0)))
    assert all(scale > 0 for scale in jax.tree.leaves(scales))


def test_vectors_of_another_size_are_refused(reader):
    params = reader.init(jax.random.key(0))
    for side in (None, jnp.zeros((BATCH, LENGTH, SIDE + 1))):
        with pytest.raises(ValueError, match=rf"side=.*: accepted an array BxTx{SIDE}"):
            reader.logits(params, tokens_BxT(), side)
        with pytest.raises(ValueError, match=rf"side=.*: accepted an array BxTx{SIDE}"):
            reader.start(params, tokens_BxT(), side)


def test_side_information_is_refused(observer):
    params = observer.init(jax.random.key(0))
    with pytest.raises(ValueError, match=r"side=.*: accepted none: "):
        observer.logits(params, tokens_BxT(), jnp.zeros(3))
    with pytest.raises(ValueError, match=r"side=.*: accepted none: "):
        observer.step(
            params, observer.start(params, tokens_BxT()[:, :0]), tokens_BxT()[:, 0], jnp.zeros(3)
        )
    with pytest.raises(ValueError, match=r"side=.*: accepted none: "):
        observer.start(params, tokens_BxT(), jnp.zeros(3))
