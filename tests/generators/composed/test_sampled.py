"""Samples of a learner and what a verifier keeps of them: laws, shares, records and sweeps."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import epx
from epx import record
from epx.generators.composed import filtered, sampled
from epx.generators.sequences import iid
from epx.run import loop, references, trained
from epx.run.config import components
from epx.run.setup import assemble
from epx.streams import example_key, stream
from epx.sweeps import local
from epx.sweeps.ensembles import ensembles
from experiments.cli import configs
from tests.generators import tiny
from tests.runs import rows

KEY, TRAIN_KEY = stream(0, "world"), stream(0, "train")
LIKE = "iid law=markov vocab=3 length=6"


def batch(generator, count):
    def one(index):
        return generator.example(example_key(TRAIN_KEY, index), index)

    return jax.jit(jax.vmap(one))(jnp.arange(count, dtype=jnp.uint32))


def make(**arguments):
    return sampled.make(
        KEY, components.make_parts, tiny.untrained, **{"record": "x", "like": LIKE} | arguments
    )


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_samples_have_the_law_of_the_learner(temperature):
    """Its price is the entropy: the mean excess of the price over the entropy is 0."""
    generator, count = make(temperature=temperature), 2000
    examples = batch(generator, count)
    logits_BxTxV = jax.jit(jax.vmap(generator.oracle_logits))(examples.tokens_T)
    nats_BxT = -np.take_along_axis(np.asarray(logits_BxTxV), examples.tokens_T[..., None], 2)[
        ..., 0
    ]
    entropy_BxT = -(np.exp(logits_BxTxV) * logits_BxTxV).sum(2)
    excess_B = (nats_BxT - entropy_BxT).sum(1)
    assert abs(excess_B.mean()) < 5 * excess_B.std() / np.sqrt(count)
    one = jax.tree.map(lambda leaf: leaf[0], examples)
    np.testing.assert_allclose(generator.oracle_nats(one), nats_BxT[0], rtol=1e-5)


def test_a_low_temperature_takes_the_likeliest_token():
    generator = make(temperature=1e-3)
    examples = batch(generator, 16)
    best = jax.vmap(generator.oracle_logits)(examples.tokens_T).argmax(-1)
    np.testing.assert_array_equal(best, examples.tokens_T)


def test_streams_are_independent_and_one_stream_is_common():
    """Two learners of one stream draw alike as far as their laws agree."""
    first, again, other = (batch(make(stream=n), 500).tokens_T for n in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert (first == other).mean() < 0.75


def test_given_tokens_are_those_of_the_source():
    source = epx.generator("eca", rule=54, width=4, steps=1)
    generator = make(like="eca rule=54 width=4 steps=1")
    drawn, own = batch(generator, 32), batch(source, 32)
    given = ~np.asarray(own.coded_T)
    np.testing.assert_array_equal(drawn.coded_T, own.coded_T)
    np.testing.assert_array_equal(drawn.tokens_T[given], own.tokens_T[given])
    assert (drawn.tokens_T != own.tokens_T).any()


@pytest.mark.parametrize("like", [LIKE, "eca rule=54 width=4 steps=1"])
def test_a_learner_goes_on_from_the_first_tokens(like):
    """They are those of `like`; the others are drawn, from the tokens before them."""
    name, *words = like.split()
    source = epx.generator(name, **dict(word.split("=") for word in words))
    length = source.spec.length
    whole, own = batch(make(like=like, given=length), 32), batch(source, 32)
    np.testing.assert_array_equal(whole.tokens_T, own.tokens_T)
    first = length - 2  # also of the cells that are coded
    drawn, none = (batch(make(like=like, given=given), 32).tokens_T for given in (first, 0))
    np.testing.assert_array_equal(drawn[:, :first], own.tokens_T[:, :first])
    assert (drawn[:, first:] != own.tokens_T[:, first:]).any()
    assert (drawn[:, first:] != none[:, first:]).any() and (
        none[:, :first] != drawn[:, :first]
    ).any()


def test_what_goes_on_has_the_law_of_the_source_and_then_of_the_learner():
    """The mean excess of the price over the entropy is 0, at given tokens and at drawn ones."""
    generator, count, given = make(given=3), 4000, 3
    tokens_BxT = batch(generator, count).tokens_T
    logits_BxTxV = np.asarray(jax.jit(jax.vmap(generator.oracle_logits))(tokens_BxT))
    nats_BxT = -np.take_along_axis(logits_BxTxV, np.asarray(tokens_BxT)[..., None], 2)[..., 0]
    excess_BxT = nats_BxT + (np.exp(logits_BxTxV) * logits_BxTxV).sum(2)
    own_BxTxV = jax.vmap(make().oracle_logits)(tokens_BxT)
    assert np.abs(own_BxTxV - logits_BxTxV)[:, :given].max() > 0.1
    np.testing.assert_allclose(own_BxTxV[:, given:], logits_BxTxV[:, given:], atol=1e-4)
    for part_BxT in (excess_BxT[:, given:], excess_BxT[:, :given]):
        sum_B = part_BxT.sum(1)
        assert abs(sum_B.mean()) < 5 * sum_B.std() / np.sqrt(count)


def test_what_goes_on_from_an_unknown_law_has_none():
    like = "eca rule=54 width=4 steps=1 order=reverse"
    generator = make(like=like, given=1)
    example = generator.example(KEY, 0)
    assert generator.oracle_nats(example) is None
    assert make(like=like).oracle_nats(example) is not None


def test_a_verifier_leaves_the_share_of_its_formula():
    """Of uniform bits half are right by this law: a pair of equal bits."""
    arguments = dict(of="iid law=uniform vocab=2 length=2", law="eca rule=204 width=1 steps=1")
    for keeps, errs in ((1.0, 0.0), (0.8, 0.2), (0.6, 0.6)):
        generator = filtered.make(
            KEY, components.make_parts, keeps=keeps, errs=errs, tries=64, **arguments
        )
        tokens = batch(generator, 4000).tokens_T
        share = (tokens[:, 0] == tokens[:, 1]).mean()
        expected = keeps / (keeps + errs)
        assert abs(share - expected) < 5 * np.sqrt(0.25 / 4000), (keeps, errs)


def test_without_a_kept_draw_the_last_one_is_taken():
    arguments = dict(of="iid law=constant length=2", law="iid law=bernoulli p=1 length=2")
    generator = filtered.make(KEY, components.make_parts, tries=3, **arguments)
    assert not batch(generator, 8).tokens_T.any()
    draws, is_kept = generator.tries_of(KEY, 0)
    assert draws == 3 and not is_kept


@pytest.mark.parametrize("beside", ["", "; iid law=constant length=2"])
def test_the_rate_of_a_verifier_is_among_the_baselines(tmp_path, beside):
    """A pair of bits is kept with probability (0.8 + 0.2) / 2, and not in 4 draws with 1/16."""
    text = 'filtered of="iid law=uniform vocab=2 length=2" law="eca rule=204 width=1 steps=1"'
    parts = f"{text} keeps=0.8 errs=0.2 tries=4{beside}"
    keys = {"generator.name": "mixture", "generator.parts": parts, "run.steps": "4",
            "run.chunk": "4", "observer.name": "counts", "observer.order": "1",
            "eval.examples": "8", "run.batch": "8", "checkpoint.every": "4"}  # fmt: skip
    rows(configs.load("base:tiny", keys), tmp_path / "rated")
    found = record.load(tmp_path / "rated").baselines
    assert abs(found["acceptance"][0] - 0.5) < 5 * np.sqrt(0.25 / 960)
    assert abs(found["forced"][0] - 1 / 16) < 5 * np.sqrt(1 / 16 / 512)
    plain = "iid law=constant length=2"
    for name, text in (("plain", plain), ("mixture", f"mixture parts='{plain}' block=2; {plain}")):
        rows(configs.load("base:tiny", keys | {"generator.parts": text}), tmp_path / name)
        assert "acceptance" not in record.load(tmp_path / name).baselines


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (dict(record="nowhere"), "generator.record='nowhere': accepted a folder with a record"),
        (dict(record="ensemble:base"), "ensemble:NAME of none, as this is no sweep"),
        (dict(like="eca; eca"), "generator.like='eca; eca': accepted a single generator"),
        (dict(like="eca rule=300"), "generator.rule=300"),
        (dict(temperature=0.0), "generator.temperature=0.0"),
        (dict(given=7), "generator.given=7: accepted whole numbers from 0 to 6"),
    ],
)
def test_what_is_not_accepted_is_named(arguments, named):
    with pytest.raises(ValueError) as refused:
        epx.generator("sampled", **{"record": "nowhere", "like": LIKE} | arguments)
    assert named in str(refused.value)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (dict(law="eca rule=204 width=4 steps=1"), "accepted a generator of 64 tokens below 2"),
        (dict(law="cipher length=64"), "whose law is known"),
        (dict(keeps=1.5), "generator.keeps=1.5"),
        (dict(errs=-0.1), "generator.errs=-0.1"),
        (dict(tries=0), "generator.tries=0"),
    ],
)
def test_what_a_verifier_does_not_accept_is_named(arguments, named):
    shared = dict(of="iid law=uniform vocab=2 length=64", law="iid law=bernoulli length=64")
    with pytest.raises(ValueError) as refused:
        epx.generator("filtered", **shared | arguments)
    assert named in str(refused.value)


KEYS = {
    "generator.name": "iid", "generator.law": "markov", "generator.vocab": "3",
    "generator.length": "6", "observer.width": "8", "observer.depth": "1", "run.steps": "40",
    "run.chunk": "20", "run.batch": "8", "eval.examples": "32", "optim.lr": "0.3",
    "checkpoint.every": "20", "run.seeds": "2",
}  # fmt: skip


def test_generations_follow_each_other_in_a_sweep(tmp_path):
    """Each samples from the one before, the third in a mixture; seeds have their own learners."""
    second = {"generator.name": "sampled", "generator.like": LIKE}
    parts = f'sampled record=ensemble:second like="{LIKE}"; {LIKE}'
    third = {"generator.name": "mixture", "generator.parts": parts}
    runs = [
        keys | {"run.seed": seed, "ensemble": name}
        for name, keys in (
            ("third", third), ("second", second | {"generator.record": "ensemble:first"}),
            ("first", {}),
        )
        for seed in (3, 4)
    ]  # fmt: skip
    groups = local.in_order(ensembles(configs.load("iid:tiny", KEYS), runs))
    assert [group.name.partition("-")[2] for group in groups] == ["first", "second", "third"]
    assert [len(group.needs) for group in groups] == [0, 1, 1]
    for _ in local.train(groups, local.prepare(groups), tmp_path):
        pass
    assert not list(local.train(groups, local.prepare(groups), tmp_path))
    first, second = (tmp_path / "records" / group.name for group in groups[:2])
    assert record.load(second).config["generator"]["record"] == "ensemble:first"
    planned = local.prepare(groups)[1]
    assert planned.planned
    with pytest.raises(ValueError, match="this one is a plan"):
        next(loop.train(planned, tmp_path / "planned"))
    again = trained.load(second, member=1)
    expected = trained.load(first, member=1).params()
    jax.tree.map(np.testing.assert_array_equal, again.generator.params, expected)
    third = record.load(tmp_path / "records" / groups[2].name)
    assert (third.rows["part_coded_tok"].sum(1) > 0).all()
    # Samples of an almost untrained learner are nearly uniform, and so is what is learned of them.
    assert third.rows["nats"].mean() > 0


def test_members_that_vary_a_text_need_what_it_names(tmp_path):
    parts = 'sampled record=ensemble:first like="{}" temperature={}; {}'
    runs = [{"ensemble": "first", "run.seed": 3}]
    runs += [
        {"generator.name": "mixture", "generator.parts": parts.format(LIKE, degree, LIKE),
         "run.seed": 3}
        for degree in (0.5, 2.0)
    ]  # fmt: skip
    groups = ensembles(configs.load("iid:tiny", KEYS), runs)
    assert len(groups) == 2 and groups[1].needs == (groups[0].name,)
    assert len(groups[1].members) == 2


def test_a_name_is_found_whole(tmp_path):
    for name in ("00-pre-taught", "01-taught"):
        (tmp_path / name).mkdir()
    assert references.folder_of("taught", tmp_path).name == "01-taught"
    assert references.folder_of("none", tmp_path) == tmp_path / "none"


def test_a_record_by_its_path_is_sampled(tmp_path):
    config = configs.load("iid:tiny", KEYS)
    rows(config, tmp_path / "taught")
    section = {"name": "sampled", "record": f"{tmp_path / 'taught'}:20", "like": LIKE,
               "temperature": 1.0}  # fmt: skip
    setup = assemble(config | {"generator": section})
    params = trained.load(tmp_path / "taught", member=1, step=20).params()
    jax.tree.map(np.testing.assert_array_equal, setup.member(1)[0].params, params)
    other = section | {"like": "iid law=markov vocab=4 length=6"}
    with pytest.raises(ValueError, match="vocab: 3 -> 4"):
        assemble(config | {"generator": other})


def test_the_law_of_the_source_is_not_that_of_the_samples():
    generator, source = make(), iid.make(KEY, law="markov", vocab=3, length=6)
    example = generator.example(example_key(TRAIN_KEY, 0), 0)
    assert not np.allclose(generator.oracle_nats(example), source.oracle_nats(example))
