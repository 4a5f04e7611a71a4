"""The oracle computes the law of every generator that has one, from earlier tokens alone."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs import base
from epx import streams
from epx.analysis import ledger
from epx.coders import arithmetic
from epx.generators.automata import eca, life, nca
from epx.generators.composed import verbose
from epx.generators.games import game
from epx.generators.sequences import cipher, iid, linear, markov
from epx.generators.texts import arithmetic as problems
from epx.generators.texts import story
from epx.learning.batch import Batch
from epx.observers import oracle
from epx.run.config import components
from epx.run.config.observing import make_observer
from epx.types import Refusal
from tests import runs
from tests.coders.test_arithmetic import HYPER, examples_of
from tests.generators import tiny
from tests.runs import jitted

KEY = jax.random.key(0)
# Beside the smallest arguments: both orders, what is coded, patches, several frames, two bits.
MORE = {
    "eca": [dict(width=5, steps=4, loops=2, burnin=0, coded="all", bos=True, rule=30)],
    "life": [dict(height=4, width=6, patch=2, frames=3, stride=2)],
    "linear": [dict(bits=6, nonzeros=4, order="reverse", coded="all")],
    "iid": [dict(law="repeat", vocab=3, period=3, length=8), dict(law="markov", length=6)],
    "arithmetic": [dict(digits=2, operation="subtract", notation="words", labels="shuffled")],
    "game": [dict(player="optimal"), dict(player="optimal", view="moves"), dict()],
    "nca": [dict(states=3, height=3, width=4, frames=3, stride=2, hidden=5)],
    "cipher": [dict(algorithm="chacha", key_bits=6, bits_per_token=2, length=8)],
}
MAKERS = dict(
    arithmetic=problems, cipher=cipher, eca=eca, game=game, iid=iid, life=life, linear=linear,
    markov=markov, nca=nca, story=story, verbose=verbose,
)  # fmt: skip
GENERATORS = [
    (name, MAKERS[name].make(KEY, **tiny.supplied(name), **arguments))
    for name in MORE
    for arguments in MORE[name]
] + [(name, tiny.make(name, KEY)) for name in tiny.NAMES]
# Of a seed of more bits than can be searched no law is known where the shown bit may vary.
LAWFUL = [
    n
    for n, (_, made) in enumerate(GENERATORS)
    if hasattr(made, "oracle_logits") and getattr(made, "key_bits", 0) <= 18
]
B = 4


@pytest.fixture(params=LAWFUL, ids=lambda n: GENERATORS[n][0], scope="module")
def generator(request):
    return GENERATORS[request.param][1]


@pytest.fixture(scope="module")
def case(generator):
    spec = generator.spec
    made = oracle.make(spec.vocab, spec.length, generator=generator, side=spec.side)
    examples = examples_of(generator, B)
    return jitted(made), made.knows(generator), examples


def test_every_generator_with_a_tractable_law_is_covered():
    covered = {name for name, generator in GENERATORS if hasattr(generator, "oracle_logits")}
    assert covered == {*MAKERS, "sampled"}  # made of a record


def test_its_price_is_that_of_the_closed_form(generator, case):
    observer, law, examples = case
    _, nats_BxT = observer.update(law, examples.tokens_T, examples.coded_T, examples.side)
    for n in range(B):
        example = jax.tree.map(lambda leaf, n=n: jnp.asarray(leaf[n]), examples)
        expected_T = np.where(example.coded_T, generator.oracle_nats(example), 0.0)
        np.testing.assert_allclose(nats_BxT[n], expected_T, rtol=1e-5, atol=1e-6)


def test_it_predicts_probabilities(case):
    observer, law, examples = case
    logits = np.asarray(observer.logits(law, examples.tokens_T, examples.side), np.float64)
    total_BxT = np.exp(logits).sum(-1)
    np.testing.assert_allclose(total_BxT[np.asarray(examples.coded_T)], 1.0, rtol=1e-5)


def test_no_token_sees_itself_or_later_ones(generator, case):
    observer, law, examples = case
    tokens, vocab = jnp.asarray(examples.tokens_T), generator.spec.vocab
    logits = np.asarray(observer.logits(law, tokens, examples.side))
    for t in range(tokens.shape[1]):
        other = tokens.at[:, t:].set((tokens[:, t:] + 1) % vocab)
        changed = np.asarray(observer.logits(law, other, examples.side))
        seen = np.asarray(examples.coded_T)[:, : t + 1]
        np.testing.assert_array_equal(changed[:, : t + 1][seen], logits[:, : t + 1][seen])


def test_step_by_step_equals_the_whole(case):
    observer, law, examples = case
    full = observer.logits(law, examples.tokens_T, examples.side)
    cache = observer.start(law, examples.tokens_T[:, :0], examples.side)
    for t in range(full.shape[1]):
        before = jnp.asarray(examples.tokens_T)[:, t - 1]
        cache, logits = observer.step(law, cache, before, examples.side)
        np.testing.assert_array_equal(logits, full[:, t])


def test_what_the_rule_forbids_has_no_probability():
    ring = eca.make(KEY, rule=54, width=6, steps=2)
    example = ring.example(KEY, 0)
    wrong_T = 1 - example.tokens_T
    observer = oracle.make(2, 12, generator=ring)
    law = observer.knows(ring)
    tokens_T = jnp.concatenate([example.tokens_T[:6], wrong_T[6:]])[None]
    _, nats = observer.update(law, tokens_T, example.coded_T[None])
    assert np.isinf(nats[0, 6:]).all()


def plain(generator, **more):
    config = base.get_config("tiny").to_dict()
    config["generator"], config["observer"] = generator, {"name": "oracle"}
    config["run"] |= {"steps": 2, "batch": 4, "chunk": 1}
    return config | {"eval": config["eval"] | {"examples": 64}} | more


def test_members_have_laws_of_their_own(tmp_path):
    """Rules that members vary, and for a Markov chain the rows that each seed draws."""
    config = plain({"name": "eca", "width": 8, "steps": 2})
    rules = [{"run.seed": n, "generator.rule": rule} for n, rule in enumerate((30, 54))]
    record = runs.rows(config, tmp_path / "rules", rules)
    assert not record.rows["nats"].any() and (record.rows["coded_tok"] == 4 * 8).all()
    section = {"name": "iid", "law": "markov", "vocab": 3, "length": 64}
    record = runs.rows(plain(section), tmp_path / "chains", [{"run.seed": n} for n in (0, 1)])
    nats_MxE = record.evals[2]["raw_nats"] / 64
    for seed in (0, 1):
        chain = components.make("generator", section, key=streams.stream(seed, "world"))
        error = nats_MxE[seed].std(ddof=1) / 8
        assert abs(nats_MxE[seed].mean() - chain.entropy_rate_nats()) < 5 * error < 0.1


def test_its_structure_is_zero_and_its_compute_is_that_of_its_program(tmp_path):
    """LCG: the search of 2^4 seeds; each of 8 states is a product and a sum, or a few more."""
    section = dict(name="cipher", algorithm="lcg", low_bit=3, shown_bits=1, key_bits=4, length=8)
    record = runs.rows(plain(section), tmp_path)
    found = ledger.measure(record)
    assert abs(found.structure_bits.mean) < 5 * found.structure_bits.half_width + 1e-6
    assert found.entropy_bits_per_tok.mean == pytest.approx(4 / 8, abs=1e-6)
    per_token = record.rows["flops"][0, 0] / record.rows["all_tok"][0, 0]
    assert 2**4 * 2 < per_token < 2**4 * 20


def test_a_law_without_numbers_is_saved_and_resumed(tmp_path):
    """Of a chain whose rows are all hidden nothing is given."""
    config = plain({"name": "markov", "states": 3, "hidden": 3, "length": 8})
    config["run"]["seeds"] = 1
    runs.rows(config, tmp_path, stop_after=2)
    assert runs.rows(config, tmp_path).done["steps"] == 2


def test_operations_are_counted_as_they_run():
    x = jax.ShapeDtypeStruct((3, 4), jnp.float32)
    matrix = jax.ShapeDtypeStruct((4, 5), jnp.float32)
    count = oracle._operations
    assert count(lambda a: a[0], x) == 0
    assert count(lambda a: a * a, x) == 12
    assert count(lambda a: a.sum(), x) == 12
    assert count(lambda a, b: a @ b, x, matrix) == 2 * 3 * 4 * 5
    assert count(lambda a: jax.lax.fori_loop(0, 7, lambda _, b: b + 1, a), x) == 7 * (12 + 1)
    assert count(jax.jit(lambda a: -a), x) == 12
    with pytest.raises(Refusal, match="loops whose number of steps is known"):
        count(lambda a: jax.lax.while_loop(lambda b: b[0, 0] > 0, lambda b: b - 1, a), x)


def test_a_generator_without_a_law_is_refused():
    for arguments in (dict(order="reverse"), dict(hidden=1)):
        ring = eca.make(KEY, width=4, steps=1, **arguments)
        with pytest.raises(Refusal, match=r"observer\.name='oracle': accepted a learner"):
            make_observer({"name": "oracle"}, ring, "float32")
    for name in ("tokens", "cipher"):
        with pytest.raises(Refusal, match=r"observer\.name='oracle': accepted a learner"):
            make_observer({"name": "oracle"}, tiny.make(name, KEY), "float32")


def test_it_drives_the_arithmetic_code():
    generator = linear.make(KEY, bits=4, nonzeros=3)
    examples, spec = examples_of(generator, 6), generator.spec
    observer = oracle.make(2, 8, generator=generator)
    law = observer.knows(generator)
    coder = arithmetic.prepare(observer, HYPER, spec, Batch(4, 4), params=law)
    sent, nats = arithmetic.encode(coder, examples)
    shared = examples._replace(tokens_T=np.where(examples.coded_T, 0, examples.tokens_T))
    np.testing.assert_array_equal(arithmetic.decode(coder, sent, shared), examples.tokens_T)
    assert nats / np.log(2) == pytest.approx(6 * 4, rel=1e-6)
    assert 8 * len(sent) <= 6 * 4 + 64
