"""The baseline: the exact counter against closed forms and against plain float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import betaln, gammaln

from epx.observers import counts
from epx.report import elicit, summary
from experiments.cli import configs
from tests.runs import rows


def reference_nats(tokens_ExT, coded_ExT, vocab, order, alpha):
    """The counter token by token in float64: nats of shape ExT, 0 where not coded."""
    visits = {}
    nats_ExT = np.zeros(np.shape(tokens_ExT))
    for e, tokens_T in enumerate(np.asarray(tokens_ExT).tolist()):
        for t, token in enumerate(tokens_T):
            if not coded_ExT[e][t]:
                continue
            context = ([vocab] * order + tokens_T[:t])[t : t + order]
            row_V = visits.setdefault(tuple(context), np.zeros(vocab))
            nats_ExT[e, t] = -np.log((row_V[token] + alpha) / (row_V.sum() + alpha * vocab))
            row_V[token] += 1
    return nats_ExT


def stream(seed, examples, length, vocab):
    """A skewed stream, so that counts differ, with about two thirds of the tokens coded."""
    rng = np.random.default_rng(seed)
    tokens = np.minimum(rng.geometric(0.4, (examples, length)) - 1, vocab - 1)
    return jnp.asarray(tokens, jnp.int32), jnp.asarray(rng.random((examples, length)) < 0.7)


@pytest.mark.parametrize("probability", [0.5, 0.1, 0.0])
def test_reference_equals_the_closed_form_on_a_bernoulli_source(probability):
    tokens = (np.random.default_rng(0).random((1, 2000)) < probability).astype(int)
    ones, total = tokens.sum(), tokens.size
    expected = betaln(0.5, 0.5) - betaln(ones + 0.5, total - ones + 0.5)
    nats = reference_nats(tokens, np.ones_like(tokens, bool), vocab=2, order=0, alpha=0.5)
    assert abs(nats.sum() - expected) < 1e-9 * max(1, expected)


def test_reference_equals_the_closed_form_of_dirichlet():
    tokens, coded = (np.asarray(x) for x in stream(1, 1, 3000, 6))
    seen, alpha = np.bincount(tokens[coded], minlength=6), 0.3
    expected = gammaln(coded.sum() + 6 * alpha) - gammaln(6 * alpha)
    expected -= (gammaln(seen + alpha) - gammaln(alpha)).sum()
    nats = reference_nats(tokens, coded, vocab=6, order=0, alpha=alpha)
    assert abs(nats.sum() - expected) < 1e-9 * expected


@pytest.mark.parametrize("vocab, order, alpha", [(2, 0, 0.5), (2, 5, 0.5), (3, 2, 0.1), (9, 1, 2)])
def test_device_equals_the_reference(vocab, order, alpha):
    observer = counts.make(vocab, 20, order, alpha)
    tokens, coded = stream(2, 12, 20, vocab)
    expected = reference_nats(tokens, coded, vocab, order, alpha)
    table, update = observer.init(jax.random.key(0)), jax.jit(observer.update)
    for batch in range(0, 12, 4):
        part = slice(batch, batch + 4)
        table, nats = update(table, tokens[part], coded[part])
        assert nats.dtype == jnp.float32
        np.testing.assert_allclose(nats, expected[part], rtol=1e-5)
    assert table.sum() == coded.sum()


def test_a_nearly_certain_token_keeps_its_digits():
    observer = counts.make(2, 10, order=0)
    table = jnp.array([[1_000_000, 0]], jnp.int32)
    _, nats = observer.update(table, jnp.zeros((1, 1), int), jnp.ones((1, 1), bool))
    np.testing.assert_allclose(nats, -np.log1p(-0.5 / 1_000_001), rtol=1e-5)


def test_the_code_does_not_depend_on_the_cut_into_batches():
    observer = counts.make(4, 16, order=2)
    tokens, coded = stream(3, 24, 16, 4)
    results = []
    for batch in (1, 3, 24):
        cut = (x.reshape(-1, batch, 16) for x in (tokens, coded))
        table, nats = jax.lax.scan(
            lambda table, x: observer.update(table, *x),
            observer.init(jax.random.key(0)),
            tuple(cut),
        )
        results.append((np.asarray(table), np.asarray(nats).reshape(24, 16)))
    for table, nats in results[1:]:
        np.testing.assert_array_equal(table, results[0][0])
        np.testing.assert_array_equal(nats, results[0][1])


def test_only_coded_tokens_are_charged_and_counted():
    observer = counts.make(3, 8, order=1)
    tokens, coded = stream(4, 5, 8, 3)
    table, nats = observer.update(observer.init(jax.random.key(0)), tokens, coded)
    np.testing.assert_array_equal(np.asarray(nats) > 0, coded)
    expected = np.zeros((4, 3), int)
    previous = np.pad(np.asarray(tokens), ((0, 0), (1, 0)), constant_values=3)[:, :-1]
    np.add.at(expected, (previous[np.asarray(coded)], np.asarray(tokens)[np.asarray(coded)]), 1)
    np.testing.assert_array_equal(table, expected)


def test_members_can_be_stacked():
    observer = counts.make(3, 8, order=1)
    batches = [stream(seed, 5, 8, 3) for seed in (5, 6)]
    tables = jnp.stack([observer.init(jax.random.key(0))] * 2)
    stacked = jax.vmap(observer.update)(tables, *map(jnp.stack, zip(*batches)))
    for member, batch in enumerate(batches):
        alone = observer.update(tables[member], *batch)
        np.testing.assert_array_equal(stacked[0][member], alone[0])
        np.testing.assert_allclose(stacked[1][member], alone[1], rtol=1e-6)


def test_a_donated_table_is_updated_in_place():
    observer = counts.make(9, 8, order=5)
    table = observer.init(jax.random.key(0))
    update = jax.jit(observer.update, donate_argnums=0)
    memory = update.lower(table, *stream(7, 2, 8, 9)).compile().memory_analysis()
    assert memory.alias_size_in_bytes >= table.nbytes > 100 * memory.temp_size_in_bytes


def test_logits_are_those_of_the_frozen_table():
    observer = counts.make(3, 8, order=1, alpha=0.5)
    table = jnp.array([[5, 0, 1], [0, 0, 0], [2, 2, 2], [0, 7, 0]], jnp.int32)
    logits = observer.logits(table, jnp.array([[0, 2, 1]]), None)
    rows = np.array([[0, 7, 0], [5, 0, 1], [2, 2, 2]]) + 0.5
    expected = np.log(rows / rows.sum(-1, keepdims=True))
    np.testing.assert_allclose(logits[0], expected, rtol=1e-6)


@pytest.mark.parametrize(
    "arguments, message",
    [
        (dict(vocab=9, order=9), "observer.order=9: accepted whole numbers from 0 to 7"),
        (
            dict(vocab=1, order=2**31),
            "observer.order=2147483648: accepted whole numbers from 0 to 27",
        ),
        (dict(vocab=9, order=-1), "observer.order=-1: accepted whole numbers from 0 to 7"),
        (dict(vocab=9, order=1.5), "observer.order=1.5: accepted whole numbers"),
        (dict(vocab=2**28, order=0), "vocab=268435456: accepted 1 to 134217728"),
        (dict(vocab=2**31), "vocab=2147483648: accepted whole numbers from 1"),
        (dict(vocab=9, alpha=0), "observer.alpha=0: accepted 1e-30 to 1e30"),
        (dict(vocab=9, alpha=float("nan")), "observer.alpha=nan: accepted 1e-30 to 1e30"),
    ],
)
def test_counts_refuses_illegal_arguments(arguments, message):
    with pytest.raises(ValueError) as error:
        counts.make(length=8, **arguments)
    assert str(error.value).startswith(message)


@pytest.mark.parametrize(("labels", "bits"), [(100, 2.25), (1000, 3.88)])
def test_random_labels_teach_a_counter_a_few_bits(labels, bits, tmp_path):
    """EDL of n labels of two classes, as simulated in arXiv 2601.04728's toy (a), over 64 seeds."""
    keys = {
        "generator.law": "uniform", "generator.vocab": "2", "generator.length": "1",
        "observer.name": "counts", "observer.order": "0", "run.batch": "1", "run.chunk": "50",
        "run.steps": str(labels), "run.examples": str(labels), "eval.examples": "20000",
        "checkpoint.every": "none",
    }  # fmt: skip
    config = configs.load("iid:tiny", keys)
    members = [{"run.seed": seed} for seed in range(64)]
    (run,) = summary.runs([rows(config, tmp_path / "labels", members)])
    found = np.array(list(elicit.excess_bits(run).values()))
    assert len(found) == 64
    assert abs(found.mean() - bits) < 4 * found.std() / 8, found.mean()
    assert found.std() / 8 < 0.2 * bits, "the bound is narrow enough to fail"
