"""Policies: laws that are known, where they send the next chunk, and runs that are resumed."""

import numpy as np
import pytest

from epx import record
from epx.policies import _curves, _laws, ado, episelect, highest_loss, skill_it, stages
from epx.run.setup import assemble
from experiments.cli import configs
from tests.params import parametrize
from tests.runs import rows, same

PRIOR = np.full((1, 3), 1 / 3)
K, TOKENS = 600, 30.0
# Irreducible loss, slope and exponent of each part: noise, what is learned, and what was learned.
NOISE, LEARNED, KNOWN = (2.0, 3.0, 0.8), (0.3, 6.0, 0.4), (0.1, 5.0, 0.8)


def history(*laws, weights=None, period=100):
    """Rows of a run whose parts follow these laws; all are drawn alike."""
    tokens_K = TOKENS * np.arange(1, K + 1)
    nats = [
        TOKENS * (entropy + slope * tokens_K**-exponent)[None, :]
        for entropy, slope, exponent in laws
    ]
    weights = np.full(len(laws), 1 / len(laws)) if weights is None else np.array(weights)
    return {
        "nats": np.ones((1, K)),
        "part_nats": np.stack(nats, axis=-1),
        "part_coded_tok": np.full((1, K, len(laws)), TOKENS),
        "part_weights": np.broadcast_to(weights, (1, K, len(laws))).copy(),
    }


@pytest.mark.parametrize("law", [(0.5, 1.0, 0.5), (-1.0, 2.0, 0.3), (1.2, 0.0, 0.1)])
def test_a_law_without_noise_is_found(law):
    tokens = np.geomspace(50, 20_000, 60)
    entropy, slope, exponent = law
    nats = np.exp(entropy) + np.exp(slope) * tokens**-exponent
    found = _laws.fit(tokens, nats, bounded=False)
    predicted = np.exp(found.entropy) + np.exp(found.slope) * tokens**-found.exponent
    np.testing.assert_allclose(predicted, nats, rtol=0.01)


def test_bounds_keep_the_irreducible_loss_up():
    tokens = np.geomspace(50, 20_000, 60)
    nats = 0.2 + 3 * tokens**-0.4
    assert _laws.fit(tokens, nats, bounded=False).irreducible < 0.5
    # Huber's loss in all is less than the penalty of a unit, so that the bound is a wall.
    assert _laws.fit(tokens, nats, bounded=True).entropy == pytest.approx(0.5, abs=1e-3)


def test_weights_between_two_choices_are_those_of_the_rows():
    policy = highest_loss.make(PRIOR, period=K + 1)
    given = history(NOISE, LEARNED, KNOWN, weights=[0.2, 0.5, 0.3])
    np.testing.assert_array_equal(policy(given)["weights_P"], given["part_weights"][:, -1])
    np.testing.assert_array_equal(policy({})["weights_P"], PRIOR)


def test_the_highest_loss_is_that_of_noise():
    policy = highest_loss.make(PRIOR, period=100, least=0.05)
    found = policy(history(NOISE, LEARNED, KNOWN))["weights_P"]
    np.testing.assert_allclose(found, [[0.9, 0.05, 0.05]])


@pytest.mark.parametrize("closed", [0, 1, 2])
@pytest.mark.parametrize("module", [highest_loss, ado, episelect])
def test_a_part_without_a_prior_is_never_drawn(module, closed):
    """Also where it is never seen; the highest loss is that of a part that is drawn."""
    arguments = {"period": 100} | ({"warmup": 50} if module is ado else {})
    prior = np.where(np.arange(3) == closed, 0.0, 0.5)
    policy = module.make(prior[None], **arguments)
    given = history(NOISE, LEARNED, KNOWN, weights=prior)
    given["part_coded_tok"][:, :, closed] = 0
    (weights_P,) = policy(given)["weights_P"]
    assert weights_P[closed] == 0 and weights_P.sum() == pytest.approx(1)
    if module is highest_loss:
        assert weights_P.argmax() == (1 if closed == 0 else 0)


@pytest.mark.parametrize(
    "make",
    [
        lambda: ado.make(PRIOR, period=100, warmup=50, bounded=False),
        lambda: episelect.make(PRIOR, period=100),
        lambda: episelect.make(PRIOR, period=100, cross="full"),
    ],
    ids=["ado", "episelect", "full"],
)
def test_what_is_being_learned_gets_most(make):
    (weights_P,) = make()(history(NOISE, LEARNED, KNOWN))["weights_P"]
    assert weights_P.argmax() == 1 and weights_P.sum() == pytest.approx(1)
    assert (weights_P > 0).all()


def step_by_step(chosen_RxP, period, chunk):
    """Weights of each step: 0.9 of the mean of the choices of all steps so far, 0.1 of the last."""
    mean_P, rows_ = chosen_RxP[0], []
    for step in range(len(chosen_RxP) * period):
        new_P = chosen_RxP[step // period]
        if step % chunk == 0:
            weights_P = 0.9 * mean_P + 0.1 * new_P
        rows_.append(weights_P)
        mean_P = mean_P + (new_P - mean_P) / (step + 1)
    return np.array(rows_), mean_P


@pytest.mark.parametrize("chunk", [20, 100])
def test_the_mean_is_that_of_the_choices_and_is_found_again_from_the_weights(chunk):
    chosen_RxP = np.random.default_rng(0).dirichlet(np.ones(4), size=12)
    weights_KxP, mean_P = step_by_step(chosen_RxP, 100, chunk)
    found_P, last_P = _curves.choices(weights_KxP.astype(np.float32).astype(np.float64))
    np.testing.assert_allclose(found_P, mean_P, atol=1e-5)
    np.testing.assert_allclose(last_P, chosen_RxP[-1], atol=1e-4)


def test_an_averaging_policy_makes_these_weights_chunk_by_chunk():
    chosen_RxP = np.random.default_rng(1).dirichlet(np.ones(3), size=5)
    expected_KxP, _ = step_by_step(chosen_RxP, 100, 20)
    policy = _curves.averaged(
        100, chosen_RxP[:1], lambda curves, weights_KxP: chosen_RxP[len(weights_KxP) // 100]
    )
    given = history(NOISE, LEARNED, KNOWN)
    for end in range(20, 500, 20):
        drawn = {name: values[:, :end] for name, values in given.items()}
        drawn["part_weights"] = expected_KxP[None, :end].astype(np.float32)
        np.testing.assert_allclose(policy(drawn)["weights_P"][0], expected_KxP[end], atol=1e-5)


def test_ado_is_that_of_its_formula():
    """exponent x reducible loss / n, times prior and root of the recent share; then the mean."""
    policy = ado.make(PRIOR, period=K // 2, warmup=0, bounded=False)
    given = history((0.5, 3.0, 0.5), (0.5, 6.0, 0.5), (0.5, 3.0, 0.8))
    # Of the first half the prior, of the second half 0.1 of a choice: (0, 0.4, 0.6) in all.
    first, second = np.full(3, 1 / 3), np.array([0.0, 0.4, 0.6])
    given["part_weights"][:, K // 2 :] = 0.9 * first + 0.1 * second
    last = TOKENS * K
    speeds = np.array([0.5 * 3 * last**-0.5, 0.5 * 6 * last**-0.5, 0.8 * 3 * last**-0.8])
    fresh = _curves.floored(speeds * np.sqrt(0.9 * first + 0.1 * second), 0.01)
    expected = 0.9 * (first + second) / 2 + 0.1 * fresh
    np.testing.assert_allclose(policy(given)["weights_P"][0], expected, rtol=0.02)


def test_episelect_is_that_of_its_formula():
    """With gamma the identity a gain is exponent x reducible loss: ADO's speed times n."""
    policy = episelect.make(PRIOR, period=K)
    given = history((0.5, 3.0, 0.5), (0.5, 60.0, 0.5), (0.5, 3.0, 0.8))
    last = TOKENS * K
    gains = np.array([0.5 * 3 * last**-0.5, 0.5 * 60 * last**-0.5, 0.8 * 3 * last**-0.8])
    fresh = np.exp(gains) / np.exp(gains).sum()
    np.testing.assert_allclose(policy(given)["weights_P"][0], 0.9 / 3 + 0.1 * fresh, rtol=0.02)


def test_a_part_that_helps_another_is_found():
    """The loss of the first part falls with the tokens of the second, and its own are few."""
    tokens = np.stack([np.linspace(10, 20, 60), np.geomspace(50, 20_000, 60)])
    nats = 0.5 + 3 * tokens[1] ** -0.4
    own = _laws.fit(tokens[0], nats, bounded=False)
    _, gamma = episelect.fit_cross(tokens, nats, 0, own)
    assert gamma[1] > gamma[0]


KEYS = {
    "generator.parts": "iid law=constant length=6; iid law=markov vocab=2 length=6",
    "optim.lr": "0.3",
    "observer.width": "8", "observer.depth": "1", "run.steps": "60", "run.chunk": "10",
    "run.batch": "8", "eval.examples": "16", "run.seeds": "2", "generator.weights": "1 1",
    "checkpoint.every": "20",
}  # fmt: skip


@parametrize("name", ["highest_loss", "ado", "episelect"], gate=["highest_loss"])
def test_a_run_follows_its_policy_and_is_resumed_bit_for_bit(name, tmp_path):
    config = configs.load("mixture:tiny", KEYS | {"policy.name": name, "policy.period": "30"}
                          | ({"policy.warmup": "0"} if name == "ado" else {}))  # fmt: skip
    whole = rows(config, tmp_path / "whole")
    rows(config, tmp_path / "parts", stop_after=4)
    same(rows(config, tmp_path / "parts"), whole)
    weights = whole.rows["part_weights"]
    assert weights.shape == (2, 60, 2)
    np.testing.assert_array_equal(weights[:, :30], 0.5)
    assert np.allclose(weights.sum(2), 1)
    # Of 30 steps ADO fits three points, which may say nothing.
    assert name == "ado" or (weights[:, 30:] != 0.5).any()
    if name == "highest_loss":
        share = whole.rows["part_coded_tok"][:, 30:].sum(1)
        assert (share.max(1) > 0.9 * share.sum(1)).all()


def test_held_out_examples_keep_their_weights(tmp_path):
    config = configs.load("mixture:tiny", KEYS | {"policy.name": "highest_loss"})
    found = rows(config | {"policy": config["policy"] | {"period": 10}}, tmp_path)
    parts = found.evals[60]["part"]
    assert 0.1 < parts.mean() < 0.9


@pytest.mark.parametrize(
    ("keys", "named"),
    [
        (
            {"policy.name": "best"},
            "policy.name='best': accepted ado, episelect, fixed, highest_loss, skill_it, stages",
        ),
        ({"policy.name": "skill_it", "policy.graph": "1 0"}, "policy.graph='1 0': accepted 2 rows"),
        ({"policy.name": "skill_it", "policy.rate": "0"}, "policy.rate=0"),
        ({"policy.name": "ado", "policy.warmup": "1000"}, "policy.warmup=1000"),
        ({"policy.name": "ado", "policy.period": "3"}, "policy.period=3"),
        ({"policy.name": "highest_loss", "policy.least": "0.9"}, "policy.least=0.9"),
        ({"policy.name": "episelect", "policy.cross": "some"}, "policy.cross='some'"),
        ({"policy.name": "episelect", "policy.temperature": "0"}, "policy.temperature=0"),
        (
            {"policy.name": "stages", "policy.stages": "1 2 3", "policy.steps": "9"},
            "policy.stages='1 2 3': accepted stages with 2 numbers",
        ),
        ({"policy.name": "stages", "policy.stages": "1 a", "policy.steps": "9"}, "policy.stages="),
        (
            {"policy.name": "stages", "policy.stages": "1 2; 0 1", "policy.steps": "9"},
            "policy.steps='9': accepted 2 multiples of run.chunk=10",
        ),
        ({"policy.name": "stages", "policy.stages": "1 2", "policy.steps": "0.5"}, "policy.steps="),
        (
            {"policy.name": "stages", "policy.stages": "1 2; 2 1", "policy.steps": "10 25"},
            "policy.steps='10 25': accepted 2 multiples of run.chunk=10",
        ),
        ({"policy.name": "stages", "policy.stages": "1 -2", "policy.steps": "9"}, "policy.stages="),
        ({"policy.name": "ado", "run.distributed": "true"}, "policy.name='ado'"),
        ({"policy.name": "ado", "code.name": "requential"}, "policy.name='ado'"),
        ({"policy.name": "ado", "run.examples": "64", "run.repeats": "9"}, "policy.name='ado'"),
        ({"policy.name": "ado", "policy.period": "25"}, "accepted multiples of run.chunk=10"),
    ],
)
def test_what_is_not_accepted_is_named(keys, named):
    with pytest.raises(ValueError) as refused:
        assemble(configs.load("mixture:tiny", KEYS | keys))
    assert named in str(refused.value)


def test_skill_it_is_that_of_its_formula():
    """Losses of 1, 2 and 3 nats, then 2, 2 and 1; the graph lets part 0 help part 1."""
    nats = np.array([[1.0, 2.0, 3.0]] * 40 + [[2.0, 2.0, 1.0]] * 20)[None]
    given = {
        "nats": np.ones((1, 60)), "part_nats": TOKENS * nats,
        "part_coded_tok": np.full((1, 60, 3), TOKENS), "part_weights": np.full((1, 60, 3), 1 / 3),
    }  # fmt: skip
    policy = skill_it.make(
        PRIOR, period=20, graph="1 1 0; 0 1 0; 0 0 1", rate=0.5, choices=2, window=20
    )
    exponents = 0.5 * np.array([(2 + 2) + (1 + 2), 2 + 2, 1 + 3])
    expected = np.exp(exponents) / np.exp(exponents).sum()
    np.testing.assert_allclose(policy(given)["weights_P"], [expected], rtol=1e-6)


def test_stages_follow_each_other_and_the_last_stays():
    policy = stages.make(PRIOR, chunk=1, stages="1 0 0; 1 1 2; 0 0 1", steps="20 10 1")
    found = [
        policy({"nats": np.ones((1, done))} if done else {}) for done in (0, 19, 20, 29, 30, 99)
    ]
    first, second, last = [1, 0, 0], [0.25, 0.25, 0.5], [0, 0, 1]
    expected = [first, first, second, second, last, last]
    np.testing.assert_array_equal([weights["weights_P"][0] for weights in found], expected)


def test_a_policy_needs_a_mixture():
    with pytest.raises(ValueError, match=r"policy\.name='ado': accepted fixed with a generator"):
        assemble(configs.load("eca:tiny", {"policy.name": "ado"}))


def test_records_without_the_key_are_those_of_no_policy(tmp_path, tiny_config):
    done = rows(tiny_config, tmp_path)
    assert done.config["policy"] == {"name": "fixed"} and record.load(tmp_path).done


def test_slopes_are_those_of_differences():
    rng = np.random.default_rng(0)
    log_n, log_loss = np.log(np.geomspace(50, 2e4, 30)), rng.normal(size=30)
    point, step = np.array([0.3, 1.1, 0.4]), 1e-6
    _, slopes, of_log_n = _laws.misfit(point, log_n, log_loss)
    for n, slope in enumerate(slopes):
        moved = [point + sign * step * (np.arange(3) == n) for sign in (1, -1)]
        high, low = (_laws.misfit(at, log_n, log_loss)[0] for at in moved)
        assert (high - low) / (2 * step) == pytest.approx(slope, rel=1e-4)
    moved = [log_n + sign * step * (np.arange(30) == 4) for sign in (1, -1)]
    high, low = (_laws.misfit(point, at, log_loss)[0] for at in moved)
    assert (high - low) / (2 * step) == pytest.approx(of_log_n[4], rel=1e-3)
