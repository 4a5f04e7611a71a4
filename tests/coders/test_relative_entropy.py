"""Messages by the number of a proposal: their law, their length, and what finding them takes."""

import dataclasses
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from epx.coders import elias, poisson, relative_entropy
from epx.codes import requential
from epx.generators.automata import eca
from epx.learning import learner, nll, optim
from epx.learning.batch import Batch
from epx.observers import transformer
from epx.report.figures import curves
from epx.types import Spec
from tests import linear
from tests.binaries import refused, run
from tests.runs import jitted

SPEC = Spec(vocab=2, length=7, size=None, version=1, given=3)


def predictive(probabilities, messages):
    log_p = jnp.log(
        jnp.broadcast_to(jnp.asarray(probabilities, jnp.float32), (messages, len(probabilities)))
    )
    return poisson.make_predictive(log_p)


def laws(seed, size=16, sharpness=1.0):
    rng = np.random.default_rng(seed)
    p, q = rng.dirichlet(np.ones(size), 2)
    q = q**sharpness
    return p, q / q.sum()


CHOOSE = jax.jit(poisson.choose)


@pytest.mark.parametrize("seed", range(2))
def test_selected_completions_follow_the_teacher(seed):
    p, q = laws(seed, sharpness=1 + seed)
    messages = 5_000
    found = CHOOSE(jax.random.key(seed), predictive(p, messages), predictive(q, messages))
    counted = np.bincount(np.asarray(found.completion_B), minlength=len(q))
    likely = q * messages > 5
    expected = np.append(q[likely], q[~likely].sum()) * messages
    observed = np.append(counted[likely], counted[~likely].sum())
    observed, expected = observed[expected > 0], expected[expected > 0]
    expected *= observed.sum() / expected.sum()
    assert stats.chisquare(observed, expected).pvalue > 1e-3
    # Proposals alone are distributed as the student: what is sent is not what comes first.
    assert stats.chisquare(counted, p * messages).pvalue < 1e-6


@pytest.mark.parametrize("seed", range(2))
def test_decoder_finds_the_completion_from_its_index(seed):
    p, q = laws(seed)
    student, teacher = predictive(p, 500), predictive(q, 500)
    found = CHOOSE(jax.random.key(seed), student, teacher)
    again = jax.jit(poisson.decode)(jax.random.key(seed), student, found.number_B)
    np.testing.assert_array_equal(again, found.completion_B)
    assert found.number_B.min() >= 1 and (found.proposals_B >= found.number_B).all()


@pytest.mark.parametrize("sharpness", [0.5, 2.0, 8.0, 40.0])
def test_message_length_is_below_the_bound(sharpness):
    p, q = laws(7, size=64, sharpness=sharpness)
    messages = 4000
    found = CHOOSE(jax.random.key(1), predictive(p, messages), predictive(q, messages))
    lengths = [len(elias.encode(int(n))) for n in found.number_B]
    divergence = float((q[q > 0] * np.log2(q[q > 0] / p[q > 0])).sum())
    bound = divergence + 2 * math.log2(1 + divergence) + requential.MESSAGE_BITS
    error = np.std(lengths) / math.sqrt(messages)
    assert np.mean(lengths) + 4 * error < bound
    # And no code of draws from Q, given P alone, is shorter than the divergence on average.
    assert np.mean(lengths) > divergence


def test_proposals_follow_the_predictive():
    """Of the 2^32 draws that there are, those for each of three completions are counted; the rarest
    is believed to come once in 2^26, which makes 64."""
    rare = 2.0**-26
    believed = jax.tree.map(lambda leaf: leaf[0], predictive([rare, 0.75, 0.25 - rare], 1))
    stands_for = jax.jit(jax.vmap(lambda bits: poisson.sample(bits, believed)))

    def between(first, last):
        return np.asarray(stands_for(jnp.arange(first, last, dtype=jnp.uint32)))

    lowest, middle, highest = (
        between(0, 1024),
        between(2**30 - 512, 2**30 + 512),
        between(2**32 - 1024, 2**32 - 1),
    )
    assert (lowest == 0).sum() in (63, 64, 65) and set(lowest[65:]) == {2}
    assert middle[0] == 2 and middle[-1] == 1
    assert (highest == 1).all()


def test_equal_predictives_select_the_first_proposal():
    p, _ = laws(0)
    found = CHOOSE(jax.random.key(0), predictive(p, 300), predictive(p, 300))
    assert (found.number_B == 1).all()


def test_search_length_equals_the_largest_ratio():
    """Its cost grows with the teacher's surprise: where the teacher knows the answer, proposals are
    looked at until it comes, one in so many."""
    for ratio in (2, 16, 128):
        q = np.array([1.0, 0.0]) * (1 - 1e-9) + 5e-10
        p = np.array([1 / ratio, 1 - 1 / ratio])
        found = CHOOSE(jax.random.key(ratio), predictive(p, 400), predictive(q, 400))
        assert (found.completion_B == 0).all()
        assert float(found.proposals_B.mean()) == pytest.approx(ratio, rel=4 / math.sqrt(400))
        np.testing.assert_array_equal(found.proposals_B, found.number_B)


def test_predictive_sums_to_one_and_equals_the_observer():
    observer = jitted(transformer.make(2, 7, depth=1, width=8))
    params = jax.tree.map(
        lambda leaf: leaf + 0.3 * jax.random.normal(jax.random.key(leaf.size), leaf.shape),
        observer.init(jax.random.key(0)),
    )
    strings = poisson.completions(SPEC)
    assert strings.shape == (16, 4) and len({tuple(row) for row in strings}) == 16
    given = jnp.array([[0, 1, 1], [1, 0, 0]], jnp.int32)
    found = jax.jit(lambda p, g: poisson.predict(observer, p, g, strings))(params, given)
    np.testing.assert_allclose(np.exp(found.log_p_BxC).sum(1), 1.0, rtol=1e-5)
    np.testing.assert_allclose(found.bounds_BxC[:, -1], 1.0, rtol=1e-5)
    tokens = jnp.concatenate([given[1], strings[5]])[None]
    nats = nll.nats(observer.logits(params, tokens, None), tokens)[0, 3:].sum()
    assert found.log_p_BxC[1, 5] == pytest.approx(-float(nats), rel=1e-5)


GENERATOR = eca.make(jax.random.key(0), rule=15, width=4, steps=1)
STEPS = 120


def prepared():
    observer = linear.make(2, 8)
    hyper = optim.make_hyper(0, lr=0.2, warmup_steps=5, ema_steps=5)
    return relative_entropy.prepare(observer, hyper, GENERATOR, Batch(8, 8))


@pytest.fixture(scope="module")
def sides():
    return prepared()


@pytest.fixture(scope="module")
def sent(sides):
    return relative_entropy.send(sides, STEPS)


def test_a_decoder_that_never_saw_the_data_ends_with_the_student(sides, sent):
    """To the bit: it is handed the inputs and the bits, and none of the labels. It has compiled its
    side itself."""
    inputs = [sides.inputs(jnp.int32(step)) for step in range(STEPS)]
    blind = prepared()._replace(update_teacher=None, choose=None, inputs=None)
    blind = blind._replace(state=blind.state._replace(teacher=None))
    decoded = relative_entropy.receive(blind, sent.bits, inputs)
    jax.tree.map(np.testing.assert_array_equal, decoded, sent.student)
    changed = [
        np.abs(np.asarray(a) - np.asarray(b)).max()
        for a, b in zip(
            jax.tree.leaves(decoded.params), jax.tree.leaves(sides.state.learner.params)
        )
    ]
    assert max(changed) > 0.01, "it has learned something"


def test_the_student_has_learned_what_was_sent(sides, sent):
    """4 bits a message before, and less of messages that it never saw."""
    index_B = jnp.arange(8000, 8064, dtype=jnp.uint32)
    tokens_BxT = learner.training_examples(GENERATOR, optim.make_hyper(0), index_B).tokens_T
    completion_B = np.asarray(tokens_BxT)[:, 4:] @ [8, 4, 2, 1]

    def bits(params):
        log_p_BxC = np.asarray(sides.predict(params, tokens_BxT[:, :4]).log_p_BxC)
        return -log_p_BxC[np.arange(64), completion_B].mean() / math.log(2)

    assert bits(sides.state.learner.params) == pytest.approx(4.0)
    assert bits(sent.student.params) < 3.2


def test_sent_bits_lie_between_kl_and_bound(sent):
    assert len(sent.bits) == sent.length_bits.sum()
    bound = sent.kl_bits + 2 * np.log2(1 + sent.kl_bits) + requential.MESSAGE_BITS
    error = sent.length_bits.std() / math.sqrt(sent.length_bits.size)
    assert sent.kl_bits.mean() + 4 * error < sent.length_bits.mean()
    assert sent.length_bits.mean() + 4 * error < bound.mean()


def test_bits_of_no_encoder_are_refused(sides, sent):
    inputs = [sides.inputs(jnp.int32(step)) for step in range(STEPS)]
    with pytest.raises(ValueError, match="end within a number"):
        relative_entropy.receive(sides, sent.bits[:-3], inputs)
    with pytest.raises(ValueError, match="bits=2: accepted 0, as the last number ends"):
        relative_entropy.receive(sides, sent.bits + "10", inputs)
    with pytest.raises(
        ValueError,
        match="number=1099511627776: accepted 1 to 16777216, as no encoder examines more",
    ):
        relative_entropy.receive(sides, elias.encode(2**40), inputs)


def test_generators_with_gaps_are_refused():
    """All behind the given tokens is listed, so all of it has to be coded."""
    generator = eca.make(jax.random.key(0), rule=15, width=4, steps=1, bos=True, coded="all")
    for index in range(2):
        coded = generator.example(jax.random.key(0), jnp.uint32(index)).coded_T
        assert (
            np.asarray(coded) == (np.arange(generator.spec.length) >= generator.spec.given)
        ).all()
    gap = dataclasses.replace(generator, coded="labels")

    class Gap:
        spec = dataclasses.replace(gap.spec, given=0)
        example = gap.example

    with pytest.raises(
        ValueError, match=r"generator.name='Gap': accepted generators without side .* all coded"
    ):
        relative_entropy.prepare(None, None, Gap(), Batch(8, 8))


def test_too_many_completions_are_refused():
    with pytest.raises(ValueError, match=r"generator.length=20: accepted 1 to 4096 completions"):
        poisson.completions(Spec(vocab=2, length=20, size=None, version=1, given=3))


def test_the_figure_shows_means_of_enough_messages(tmp_path):
    """Ten messages of 2 bits and ten of 8; a single one of 5 is no point."""
    kl = np.array([2.0] * 10 + [8.0] * 10 + [5.0])
    length, looked = kl + np.arange(21) % 2, 2**kl
    figure = curves.messages(kl, length, looked, requential.MESSAGE_BITS, tmp_path / "a.png")
    left, right = figure.axes
    means = left.containers[0].lines[0]
    assert means.get_xdata().tolist() == [2, 8] and means.get_ydata().tolist() == [2.5, 8.5]
    assert right.get_lines()[0].get_ydata().tolist() == [4, 256]
    bound = next(line for line in left.get_lines() if "5.21" in str(line.get_label()))
    assert bound.get_ydata()[0] == requential.MESSAGE_BITS
    curves.messages(np.zeros(10), length[:10], np.ones(10), 5.21, tmp_path / "b.png")
    with pytest.raises(ValueError, match="messages=5: accepted enough"):
        curves.messages(kl[:5], length[:5], looked[:5], 5.21, tmp_path / "c.png")


@pytest.mark.slow
def test_the_binary_sends_and_draws(tmp_path):
    figure = tmp_path / "send.png"
    done = run("send", "--width=4", "--steps=9", f"--figure={figure}")
    assert done.code == 0, done.err
    assert "has the student's exact weights" in done.out and "KL" in done.out
    assert figure.read_bytes().startswith(b"\x89PNG")
    refused(run("send", "--width=20"), "in the range [2, 12]")
