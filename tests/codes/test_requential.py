"""The requential code: what it charges, against sums over all strings; who waits for whom; and what
it must come to on generators where the answer is known."""

import functools
import itertools
import math
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from epx.codes import _teachers, prequential, requential
from epx.generators.automata import eca
from epx.generators.sequences import iid
from epx.learning import learner, nll, optim
from epx.learning.batch import Batch
from epx.learning.learner import Learning
from epx.observers import counts, transformer
from epx.report import summary
from epx.run import evaluation
from epx.types import Example, Learner, Spec
from tests import linear, runs

GENERATOR = eca.make(jax.random.key(0), rule=54, width=4, steps=1)
OBSERVER = linear.make(2, 8)
BATCH = Batch(8, 4, decoded=8)
LEARNING = Learning(OBSERVER, BATCH)
# A teacher that learns once and then waits for a student that never gets near enough.
WAITING = requential.make(
    OBSERVER, BATCH, max_kl=0.0, message=4, teacher_window=0.9, student_window=0.8
)
sample = jax.jit(functools.partial(requential.sample, LEARNING))
kl_nats = jax.jit(functools.partial(requential.kl_nats, OBSERVER))


@jax.jit
def taught(seed):
    """Weights that predict something: initial ones are uniform."""
    params = OBSERVER.init(jax.random.key(seed))
    leaves, structure = jax.tree.flatten(params)
    keys = jax.random.split(jax.random.key(seed + 1), len(leaves))
    noisy = [x + 0.5 * jax.random.normal(k, x.shape) for k, x in zip(keys, leaves)]
    return jax.tree.unflatten(structure, noisy)


def trained(code, generator, steps, state=None, **hyper):
    """State and rows after some steps of one member."""
    return runs.stepped(code, generator, optim.make_hyper(0, **hyper), steps, state)


def test_student_equal_to_teacher_costs_exactly_nothing():
    example = learner.training_examples(
        GENERATOR, optim.make_hyper(0), jnp.arange(6, dtype=jnp.uint32)
    )
    for seed in range(5):
        assert (kl_nats(taught(seed), taught(seed), example) == 0).all()
    assert (kl_nats(taught(0), taught(1), example) > 1e-3).all()


def test_charge_equals_kl_enumerated_over_all_strings():
    """Averaged over the teacher's draws, the KL at each token is that of the whole message, which a
    sum over all of them gives by the definition."""
    teacher, student = taught(0), taught(1)
    given = jnp.array([0, 1, 1, 0], jnp.int32)
    strings = jnp.array(list(itertools.product((0, 1), repeat=4)), jnp.int32)
    tokens = jnp.concatenate([jnp.tile(given, (16, 1)), strings], axis=1)
    coded = jnp.tile(jnp.arange(8) >= 4, (16, 1))
    price = {}
    for name, params in (("teacher", teacher), ("student", student)):
        nats = nll.nats(OBSERVER.logits(params, tokens, None), tokens)
        price[name] = np.asarray(nll.coded_sum(nats, coded, axis=1), np.float64)
    weight = np.exp(-price["teacher"])
    assert weight.sum() == pytest.approx(1, abs=1e-5)
    divergence = weight @ (price["student"] - price["teacher"])
    charged = kl_nats(teacher, student, Example(tokens, coded))
    assert weight @ np.asarray(charged, np.float64) == pytest.approx(divergence, rel=1e-4)


def test_draws_follow_the_teacher_and_keep_given_tokens():
    params, hyper = taught(3), optim.make_hyper(0)
    batch = Batch(4096, 64, decoded=256)
    learning = Learning(OBSERVER, batch)
    many = jax.jit(lambda s: requential.sample(learning, GENERATOR, hyper, s, params))
    example = many(jnp.int32(5))
    tokens = np.asarray(example.tokens_T).reshape(-1, 8)
    real = learner.training_examples(
        GENERATOR, hyper, jnp.arange(5 * 4096, 6 * 4096, dtype=jnp.uint32)
    )
    np.testing.assert_array_equal(tokens[:, :4], np.asarray(real.tokens_T)[:, :4])
    strings = np.array(list(itertools.product((0, 1), repeat=4)), np.int32)
    chosen = [0, 1, 1, 0]
    mine = tokens[(tokens[:, :4] == chosen).all(1)][:, 4:]
    whole = jnp.concatenate([jnp.tile(jnp.array(chosen), (16, 1)), strings], axis=1)
    nats = nll.nats(OBSERVER.logits(params, whole, None), whole)[:, 4:].sum(1)
    expected = np.exp(-np.asarray(nats, np.float64)) * len(mine)
    counted = [(mine == string).all(1).sum() for string in strings]
    assert len(mine) > 150
    assert stats.chisquare(counted, expected * len(mine) / expected.sum()).pvalue > 1e-3
    other = np.asarray(many(jnp.int32(6)).tokens_T).reshape(-1, 8)
    assert (other[:, 4:] != tokens[:, 4:]).mean() > 0.2, "every step draws anew"


@pytest.mark.slow
def test_rows_do_not_depend_on_microbatches():
    found = [
        trained(requential.make(OBSERVER, batch), GENERATOR, 12, lr=0.3)[1]
        for batch in (BATCH, Batch(8, 2, decoded=4))
    ]
    for other in found[1:]:
        for name, value in found[0].items():
            np.testing.assert_allclose(other[name], value, rtol=1e-3, atol=1e-5, err_msg=name)


def close(found, expected, message=""):
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6, err_msg=message),
        found, expected,
    )  # fmt: skip


def test_step_updates_teacher_then_charges_then_updates_student():
    """By hand, where the teacher has waited for five of six steps: the rate is that of its own
    second lesson, its average spans 0.9 of one lesson and the student's 0.8 of six exercises, and
    the student pays before it learns."""
    hyper = optim.make_hyper(0, lr=0.3, warmup_steps=20, ema_steps=0.1)
    before, _ = runs.stepped(WAITING, GENERATOR, hyper, 6)
    assert (before.step, before.teacher.step, before.teacher.student_steps) == (6, 1, 6)
    before = before._replace(teacher=before.teacher._replace(kl_nats=jnp.float32(0)))
    after, row = jax.jit(WAITING.step)(GENERATOR, hyper, before)

    rate, index = optim.rate(hyper, 1), BATCH.indices(GENERATOR.spec.size, before.step)
    update_teacher, update_student = (
        jax.jit(functools.partial(update, LEARNING))
        for update in (requential.update_teacher, requential.update_student)
    )
    expert, real, teacher_finite = update_teacher(
        GENERATOR, hyper, index, rate, 0.9, before.teacher
    )
    example = sample(GENERATOR, hyper, before.step, expert.ema)
    learned, cost, student_finite = update_student(hyper, example, rate, 0.8 * 6, before.learner)
    assert teacher_finite and student_finite
    for name in ("params", "opt", "ema"):
        close(getattr(after.learner, name), getattr(learned, name), f"student's {name}")
        close(getattr(after.teacher, name), getattr(expert, name), f"teacher's {name}")
    close(row["nats"], real["nats"])
    close(row["sampled_nats"], cost["sampled_nats"])
    flat = jax.tree.map(lambda leaf: leaf.reshape(8, -1), example)

    def price(params):
        return float(kl_nats(expert.ema, params, flat).sum())

    assert row["kl_nats"] == pytest.approx(price(before.learner.params), rel=1e-4)
    assert row["kl_nats"] != pytest.approx(price(after.learner.params), rel=1e-2)


def test_teacher_gradients_are_clipped_and_student_gradients_are_not():
    hypers = [optim.make_hyper(0, lr=0.3, warmup_steps=0, clip_norm=norm) for norm in (1e9, 1e-3)]
    before, _ = runs.stepped(WAITING, GENERATOR, hypers[0], 3)
    index = BATCH.indices(GENERATOR.spec.size, before.step)
    example = sample(GENERATOR, hypers[0], before.step, before.teacher.ema)
    update_student = jax.jit(
        lambda h: requential.update_student(LEARNING, h, example, 0.3, 1.0, before.learner)[0]
    )
    jax.tree.map(np.testing.assert_array_equal, *map(update_student, hypers))
    update_teacher = jax.jit(
        lambda h: requential.update_teacher(
            LEARNING, GENERATOR, h, index, 0.3, 1.0, before.teacher
        )[0]
    )
    kernels = [update_teacher(hyper).params["weight"] for hyper in hypers]
    assert np.abs(kernels[0] - kernels[1]).max() > 1e-3


def test_flops_count_teacher_steps_student_steps_and_draws():
    """A lesson is a prediction and an update of 8 examples, and so is an exercise; to draw is one
    prediction, and the KL two. Nothing is spent by who waits."""
    forward, update = OBSERVER.flops(8)
    _, rows = trained(WAITING, GENERATOR, 3, lr=0.3)
    assert rows["flops"].tolist() == [8 * (forward + update)] * 3
    assert rows["teacher_flops"].tolist() == [8 * (forward + update), 0, 0]
    assert rows["draw_flops"].tolist() == [8 * 3 * forward] * 3
    assert rows["all_tok"].tolist() == [8 * 8] * 3


def regained_after(losses, target, ema_steps=10):
    """Lessons until a teacher with these losses a token has regained the target, or None."""
    hyper = optim.make_hyper(0, ema_steps=ema_steps)
    expert = jax.jit(requential.make(OBSERVER, BATCH).init)(hyper).teacher
    expert = expert._replace(target_nats=jnp.float32(target))
    drawn = {"kl_nats": jnp.float32(0), "sampled_tok": jnp.int32(0)}
    pacing = _teachers.make_pacing("projection", None, 100, 1.5, None)
    update = jax.jit(lambda e, real: pacing.update(e, hyper, real, drawn, jnp.array(False)))
    for lesson, loss in enumerate(losses, start=1):
        expert = update(expert, {"nats": jnp.float32(10 * loss), "coded_tok": jnp.int32(10)})
        assert expert.student_steps == 0 and expert.kl_nats == 0, "the student waits"
        if np.isnan(expert.target_nats):
            return lesson
    return None


def test_recovered_when_the_running_mean_loss_is_back():
    """1 - exp(-k/10) is above one half from the seventh lesson on."""
    assert regained_after([0.99] * 100, target=1.0) == 7
    assert regained_after([1.01] * 300, target=1.0) is None
    # Seven lessons of 2 and then of 0.9: the first count less and less.
    weights = np.exp(-np.arange(100) / 10)
    losses = np.array([2.0] * 7 + [0.9] * 93)
    means = [weights[:k] @ losses[:k][::-1] / weights[:k].sum() for k in range(1, 101)]
    assert regained_after(losses, target=1.0) == 1 + int(np.argmax(np.array(means) <= 1.0)) > 20


def test_projections_are_spaced_by_the_growth_factor():
    hyper = optim.make_hyper(0)
    state = jax.jit(requential.make(OBSERVER, BATCH).init)(hyper)
    expert = state.teacher._replace(
        params=taught(1), ema=taught(2), loss_nats=jnp.float32(6), weight=jnp.float32(3),
        student_steps=jnp.int32(99), next_projection=jnp.int32(100),
    )  # fmt: skip
    student = Learner(taught(3), state.learner.opt, taught(4))
    pacing = _teachers.make_pacing("projection", None, 100, 1.5, None)
    jax.tree.map(np.testing.assert_array_equal, pacing.project(expert, student), expert)
    found = pacing.project(expert._replace(student_steps=jnp.int32(100)), student)
    assert found.target_nats == 2.0 and found.next_projection == 150
    assert found.loss_nats == found.weight == 0
    for name in student._fields:
        jax.tree.map(np.testing.assert_array_equal, getattr(found, name), getattr(student, name))
    again = pacing.project(found._replace(student_steps=jnp.int32(150)), student)
    assert again.next_projection == 225


def test_student_learns_while_its_teacher_is_paused():
    state, rows = trained(WAITING, GENERATOR, 6, lr=0.3)
    assert rows["kl_nats"][0] > 0 and rows["sampled_tok"].tolist() == [32] * 6
    # The teacher learned once and then waits: the student gets no nearer than what it was told.
    assert rows["coded_tok"].tolist() == [32] + [0] * 5
    assert rows["nats"][0] == pytest.approx(32 * math.log(2), rel=1e-6)
    assert (np.asarray(rows["nats"][1:]) == 0).all()
    assert state.teacher.step == 1 and state.teacher.student_steps == 6
    unlimited, rows = trained(requential.make(OBSERVER, BATCH), GENERATOR, 6, lr=0.3)
    assert unlimited.teacher.step == 6 and rows["coded_tok"].tolist() == [32] * 6


def test_projected_teacher_equals_student_and_charges_nothing():
    """At no rate to speak of both stay at the start: a uniform teacher, a uniform student."""
    _, rows = trained(requential.make(OBSERVER, BATCH), GENERATOR, 3, lr=1e-30)
    assert (np.asarray(rows["kl_nats"]) == 0).all()


def test_both_stop_after_the_teacher_steps():
    code = requential.make(OBSERVER, BATCH, teacher_steps=4)
    state, rows = trained(code, GENERATOR, 7, lr=0.3)
    assert rows["coded_tok"].tolist() == rows["sampled_tok"].tolist() == [32] * 4 + [0] * 3
    before, _ = trained(code, GENERATOR, 4, lr=0.3)
    jax.tree.map(np.testing.assert_array_equal, state.learner, before.learner)
    assert not rows["kl_nats"][4:].any() and not rows["flops"][4:].any()
    assert not rows["teacher_flops"][4:].any() and rows["finite"].all()


def test_message_bits_are_kl_plus_overhead():
    """Between weights far enough apart for it to matter which examples share a message."""
    hyper = optim.make_hyper(0, lr=0.3)
    before, _ = trained(WAITING, GENERATOR, 4, lr=0.3)
    expert = before.teacher._replace(ema=taught(0))
    before = before._replace(learner=before.learner._replace(params=taught(1)), teacher=expert)
    after, row = jax.jit(WAITING.step)(GENERATOR, hyper, before)
    example = sample(GENERATOR, hyper, before.step, after.teacher.ema)
    flat = jax.tree.map(lambda leaf: leaf.reshape(8, -1), example)
    kl = np.asarray(kl_nats(after.teacher.ema, before.learner.params, flat), np.float64)
    assert row["kl_nats"] == pytest.approx(kl.sum(), rel=1e-4) and row["messages"] == 2
    bits = kl.reshape(2, 4).sum(1) / math.log(2)
    overhead, otherwise = (
        (2 * np.log2(1 + each) + 5.21).sum() * math.log(2)
        for each in (bits, kl.reshape(4, 2).sum(0) / math.log(2))
    )
    assert row["overhead_nats"] == pytest.approx(overhead, rel=1e-5)
    assert otherwise != pytest.approx(overhead, rel=1e-3)


def test_overhead_equals_the_published_bound():
    b = math.log2(math.e) / math.e + 1
    exact = 1 + b + 2 * math.log2(1 + b)
    assert exact == pytest.approx(5.2099, abs=1e-4) and exact < requential.MESSAGE_BITS


@pytest.mark.slow
def test_projected_teacher_starts_from_the_student_and_recovers():
    code = requential.make(
        OBSERVER, BATCH, pacing="projection", first_projection=5, projection_growth=4.0
    )
    hyper = optim.make_hyper(0, lr=0.5, ema_steps=5)
    step, states, studied = jax.jit(code.step), [jax.jit(code.init)(hyper)], []
    for _ in range(60):
        state, row = step(GENERATOR, hyper, states[-1])
        states.append(state)
        studied.append(row["sampled_tok"] > 0)
    first = studied.index(False)
    assert first == 5, "the student waits from its fifth step on"
    assert states[-1].teacher.student_steps == sum(studied)
    resumed = first + studied[first:].index(True)
    assert resumed - first >= 4, "one lucky lesson is not enough: half a window of five"
    for state in states[first : resumed + 1]:
        jax.tree.map(np.testing.assert_array_equal, state.learner, states[first].learner)
    for state in states[first + 1 : resumed]:
        assert np.isfinite(state.teacher.target_nats)
    assert np.isnan(states[resumed].teacher.target_nats), "the loss is regained"
    # One lesson after the projection it is one lesson away from the student.
    alone = prequential.make(OBSERVER, BATCH)
    student = states[first]._replace(teacher=())
    taught_once, _ = jax.jit(alone.step)(GENERATOR, hyper, student)
    for found, expected in zip(
        jax.tree.leaves(states[first + 1].teacher.params),
        jax.tree.leaves(taught_once.learner.params),
    ):
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)


def test_loss_that_is_not_finite_freezes_both():
    observer = OBSERVER._replace(
        logits=lambda params, tokens, side: (
            OBSERVER.logits(params, tokens, side)
            + jnp.where(jnp.abs(params["weight"]).max() > 0.001, jnp.nan, 0.0)
        )
    )
    state, rows = trained(requential.make(observer, BATCH), GENERATOR, 30, lr=1.0)
    failed = int(state.failed_step)
    assert 0 < failed < 29
    assert (
        np.asarray(rows["finite"])[:failed].all() and not np.asarray(rows["finite"])[failed:].any()
    )
    assert all((np.asarray(value)[failed + 1 :] == 0).all() for value in rows.values())
    assert all(
        np.isfinite(leaf).all()
        for leaf in jax.tree.leaves((state.learner.params, state.teacher.params))
    )


@pytest.mark.parametrize(
    "arguments, part",
    [
        (dict(pacing="self"), "code.pacing='self': accepted max_kl or projection"),
        (dict(max_kl=-1.0), "code.max_kl=-1.0"),
        (dict(max_kl=0.1, pacing="projection"), "code.max_kl=0.1: accepted none"),
        (dict(message=3), "code.message=3: accepted divisors of the 8"),
        (dict(first_projection=0), "code.first_projection=0"),
        (
            dict(first_projection=2**33),
            "code.first_projection=8589934592: accepted 1 to 2147483647",
        ),
        (dict(projection_growth=1.0), "code.projection_growth=1.0"),
        (dict(teacher_steps=0), "code.teacher_steps=0"),
        (dict(teacher_window=2.0), "code.teacher_window=2.0"),
    ],
)
def test_refused_arguments_are_named(arguments, part):
    with pytest.raises(ValueError, match=part):
        requential.make(OBSERVER, BATCH, **arguments)


def test_counts_observer_is_refused():
    with pytest.raises(
        ValueError, match=r"code.name='requential': accepted with observers that learn"
    ):
        requential.make(counts.make(2, 8, order=1), BATCH)


# What it must come to where the answer is known. Bits, over all coded tokens.


def bits(nats):
    return float(np.sum(np.asarray(nats, np.float64)) / math.log(2))


def test_noise_and_repetition_have_next_to_no_structure():
    """And the same data cost the prequential code all of their entropy, or nearly nothing."""
    batch = Batch(32, 32, decoded=32)
    code = requential.make(transformer.make(4, 8, depth=1, width=16), batch, max_kl=0.01)
    for law, entropy in (("uniform", 2.0), ("constant", 0.0)):
        generator = iid.make(jax.random.key(0), law, vocab=4, length=8)
        _, rows = trained(code, generator, 300, lr=0.1)
        first, last = (float(rows["sampled_tok"][k].sum()) for k in (slice(150), slice(150, None)))
        real = bits(rows["nats"][150:]) / float(rows["coded_tok"][150:].sum())
        assert real == pytest.approx(entropy, abs=0.05)
        assert bits(rows["kl_nats"][:150]) / first < 0.05
        assert bits(rows["kl_nats"][150:]) / last < 4e-3, "flat after the start"


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class NoisyLabels:
    """An input of 8, not coded, and its class of 10, another one with the chance `noise`."""

    noise: jax.Array

    @property
    def spec(self):
        return Spec(vocab=10, length=2, size=None, version=1, given=1)

    def example(self, key, index):
        x_key, flip_key, other_key = jax.random.split(key, 3)
        x = jax.random.randint(x_key, (), 0, 8)
        right = (3 * x + 1) % 10
        other = (right + jax.random.randint(other_key, (), 1, 10)) % 10
        label = jnp.where(jax.random.bernoulli(flip_key, self.noise), other, right)
        return Example(jnp.stack([x, label]).astype(jnp.int32), jnp.array([False, True]))


@pytest.mark.slow
def test_label_noise_is_charged_by_the_prequential_code_only():
    """Noise 0.2 among 10 classes: 1.36 bits an example that hold no structure."""
    batch, observer = Batch(64, 64, decoded=64), transformer.make(10, 2, depth=1, width=32)
    entropy = -0.8 * math.log2(0.8) - 0.2 * math.log2(0.2 / 9)
    assert entropy == pytest.approx(1.36, abs=0.005)
    paid = {}
    for noise in (0.0, 0.2):
        code = requential.make(observer, batch, max_kl=0.05)
        generator = NoisyLabels(jnp.float32(noise))
        _, rows = trained(code, generator, 600, lr=0.3, ema_steps=20)
        examples = float(rows["sampled_tok"].sum())
        paid[noise] = bits(rows["kl_nats"]) / examples
        whole = bits(rows["nats"]) / float(rows["coded_tok"].sum())
        assert whole > noise / 0.2 * entropy
        assert whole < noise / 0.2 * entropy + 0.5
    assert paid[0.2] < paid[0.0] + 0.05 * entropy
    assert paid[0.2] < 0.25 * entropy


def test_static_teacher_costs_the_prequential_area():
    """Appendix B.2 of the paper: the student's KL to a converged teacher, summed, is the area of a
    prequential run on the same generator above the teacher's loss. Both learn by the same steps,
    from labels that follow from their inputs, so that what a converged teacher samples is the data
    again. To a hundredth: its probabilities are not quite 0 and 1."""
    generator = eca.make(jax.random.key(0), rule=15, width=6, steps=1)
    observer, batch = transformer.make(2, 12, depth=1, width=32), Batch(32, 32, decoded=32)
    hyper = dict(lr=0.05, warmup_steps=0, clip_norm=1e9)
    learned, rows = trained(prequential.make(observer, batch), generator, 400, **hyper)
    charge = evaluation.make_evaluator(observer, batch, 2048)
    held_out = jax.jit(charge)(generator, optim.make_hyper(0, **hyper), learned)
    anchor = float(held_out["ema_nats"].sum() / held_out["coded_tok"].sum())
    assert anchor < 1e-4, "the teacher has converged"
    area = bits(rows["nats"]) - float(rows["coded_tok"].sum()) * anchor / math.log(2)

    code = requential.make(observer, batch, max_kl=0.0)
    state = jax.jit(code.init)(optim.make_hyper(0, **hyper))
    still = state.teacher._replace(ema=learned.learner.ema, kl_nats=jnp.float32(1.0))
    _, rows = trained(code, generator, 400, state._replace(teacher=still), **hyper)
    assert (np.asarray(rows["coded_tok"]) == 0).all(), "it stands still"
    assert bits(rows["kl_nats"]) == pytest.approx(area, rel=0.01)


@pytest.mark.slow
def test_draws_come_from_the_weights_that_are_charged():
    """To 1e-6 nats a token, as in the contract of the observers, on real weights of real sizes."""
    for depth, width, cells, steps, lr in ((2, 32, 32, 150, 0.8), (3, 64, 64, 60, 0.3)):
        generator = eca.make(jax.random.key(0), rule=54, width=cells, steps=2)
        observer = transformer.make(2, 2 * cells, depth=depth, width=width)
        code = prequential.make(observer, Batch(16, 4))
        state, rows = trained(code, generator, steps, lr=lr)
        loss = bits(rows["nats"][-1]) / float(rows["coded_tok"][-1])
        assert 0.5 < loss < 0.95, "it has learned, and is not done"
        index = jnp.arange(16, dtype=jnp.uint32)
        tokens = learner.training_examples(generator, optim.make_hyper(0), index).tokens_T
        whole = nll.nats(observer.logits(state.learner.params, tokens, None), tokens)
        cache, step = (
            observer.start(state.learner.params, tokens[:, :cells], None),
            jax.jit(observer.step),
        )
        for at in range(cells, 2 * cells):
            cache, logits = step(state.learner.params, cache, tokens[:, at - 1], None)
            alone = -jax.nn.log_softmax(logits)[jnp.arange(16), tokens[:, at]]
            assert np.abs(alone - whole[:, at]).max() < 1e-6


# A run of it.


@pytest.fixture
def config(tiny_config):
    config = tiny_config | {"code": {"name": "requential", "max_kl": 0.02, "message": 2}}
    config["run"] |= {"steps": 20}
    config["eval"] |= {"every": None}
    return config


def test_run_resumes_bit_for_bit(config, tmp_path):
    """Student, teacher and what each of them waits for are all in the state that is kept."""
    whole = runs.rows(config, tmp_path / "whole")
    runs.rows(config, tmp_path / "stopped", stop_after=2)
    runs.same(runs.rows(config, tmp_path / "stopped"), whole)
    assert (whole.rows["messages"] == 4).all()
    assert {"raw_nats", "teacher_raw_nats", "teacher_ema_nats"} < set(whole.evals[20])
    (cell,) = summary.cells([whole])
    assert cell["code"] == "requential" and cell["S_bits"] == cell["S_req_bits"]
    assert cell["decodable_bits"][0] > cell["S_req_bits"][0] and cell["messages"] == 80
    assert cell["S_preq_bits"] != cell["S_req_bits"]


@pytest.mark.slow
@pytest.mark.parametrize("pacing", _teachers.PACINGS)
def test_devices_share_a_batch(config, pacing, tmp_path):
    """Also where the teacher becomes the student, from the third step on."""
    config["code"] = {"name": "requential", "pacing": pacing, "message": 2, "first_projection": 3}
    whole = runs.rows(config, tmp_path / "whole")
    shared = runs.with_run(config, parallel="pmap", devices=4)
    found = runs.rows(shared, tmp_path / "shared")
    for name in ("nats", "kl_nats", "overhead_nats", "sampled_tok"):
        np.testing.assert_allclose(
            found.rows[name][:, :10], whole.rows[name][:, :10], rtol=1e-3, atol=1e-4, err_msg=name
        )


@pytest.mark.slow
def test_area_of_a_noisy_generator_equals_the_structure_of_its_law():
    """A chain of four tokens, whose law keeps most of its entropy: the student is shown what the
    teacher draws, which is the generator but for the teacher's error. The area is taken above the
    teacher's own charge for the same tokens, as the noise of the tokens would hide it. To a
    twentieth."""
    generator = iid.make(jax.random.key(3), "markov", vocab=4, length=16)
    observer, batch, steps = (
        transformer.make(4, 16, depth=1, width=32),
        Batch(64, 64, decoded=64),
        600,
    )
    hyper = dict(lr=0.05, warmup_steps=0, clip_norm=1e9)
    code = prequential.make(observer, batch)
    long = optim.make_hyper(1, **hyper, ema_steps=400)  # another seed: it has not seen the tokens
    expert = runs.stepped(code, generator, long, 4000)[0].learner.ema
    _, row = trained(code, generator, steps, **hyper)

    @jax.jit
    def charged(step):
        index = batch.indices(None, step).reshape(-1)
        example = learner.training_examples(generator, optim.make_hyper(0), index)
        return nll.nats(observer.logits(expert, example.tokens_T, None), example.tokens_T).sum()

    area = bits(row["nats"]) - bits([charged(jnp.int32(step)) for step in range(steps)])
    code = requential.make(observer, batch, max_kl=0.0)
    state = jax.jit(code.init)(optim.make_hyper(0, **hyper))
    still = state.teacher._replace(ema=expert, kl_nats=jnp.float32(1.0))
    _, drawn = trained(code, generator, steps, state._replace(teacher=still), **hyper)
    assert bits(drawn["kl_nats"]) == pytest.approx(area, rel=0.05), area
