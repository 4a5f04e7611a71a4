"""The prequential code as bytes: what goes in comes out, at the length that the ledger says."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from epx import streams
from epx.coders import arithmetic
from epx.codes import prequential
from epx.generators.automata import eca
from epx.generators.sequences import iid
from epx.learning import optim
from epx.learning.batch import Batch
from epx.observers import counts, transformer
from epx.types import Example, Spec
from tests import linear, runs
from tests.generators import tiny

HYPER = optim.make_hyper(0, lr=0.3, warmup_steps=5)


def observer_of(name, spec):
    if name == "counts":
        return counts.make(spec.vocab, spec.length, order=1)
    if name == "transformer":
        return transformer.make(spec.vocab, spec.length, side=spec.side, depth=1, width=8)
    return linear.make(spec.vocab, spec.length)


def examples_of(generator, count):
    index = jnp.arange(count if generator.spec.size is None else min(count, generator.spec.size))
    key = streams.stream(HYPER.seed, "train")
    draw = jax.jit(jax.vmap(lambda i: generator.example(streams.example_key(key, i), i)))
    return jax.device_get(draw(index))


def there_and_back(observer, spec, examples, batch, apart=False, charged="raw"):
    """Bits of what was sent and of the ledger; where they are apart, the decoder compiles anew."""
    coder = arithmetic.prepare(observer, HYPER, spec, batch, charged)
    sent, nats = arithmetic.encode(coder, examples)
    tokens, coded = examples.tokens_T, examples.coded_T
    # coded ones are not looked at
    shared = examples._replace(tokens_T=np.where(coded, spec.vocab - 1 - tokens, tokens))
    if apart:
        coder = arithmetic.prepare(observer, HYPER, spec, batch, charged)
    np.testing.assert_array_equal(arithmetic.decode(coder, sent, shared), tokens)
    return 8 * len(sent), nats / math.log(2)


def all_coded(tokens):
    return Example(tokens.astype(np.int32), np.ones(tokens.shape, bool))


@pytest.mark.parametrize("name", tiny.NAMES)
def test_the_coded_tokens_of_every_generator_come_back(name):
    generator = tiny.make(name, streams.stream(0, "world"))
    # What the tokens of a generator are does not matter to how an observer is compiled and called.
    name = "transformer" if name in ("eca", "markov", "game") else "counts"
    observer = observer_of(name, generator.spec)
    sent, ledger = there_and_back(observer, generator.spec, examples_of(generator, 10), Batch(4, 2))
    assert abs(sent - ledger) < 1e-3 * ledger + 64


@pytest.mark.parametrize(
    "name, charged", [("transformer", "raw"), ("transformer", "ema"), ("counts", "raw")]
)
def test_the_bytes_are_as_long_as_the_ledger_of_a_run_says(name, charged):
    """The same steps as a run's, whose rows they are held against, on more than one batch."""
    generator = eca.make(jax.random.key(0), rule=54, width=8, steps=2)
    observer, batch, steps = observer_of(name, generator.spec), Batch(8, 4), 12
    code = prequential.make(observer, batch, charged=charged)
    _, rows = runs.stepped(code, generator, HYPER, steps)
    ledger = float(rows["nats"].sum(dtype=np.float64)) / math.log(2)
    examples = examples_of(generator, steps * batch.size)
    sent, computed = there_and_back(
        observer, generator.spec, examples, batch, apart=True, charged=charged
    )
    assert computed == pytest.approx(ledger, rel=1e-4)
    assert -8 < sent - ledger < 1e-3 * ledger + 64


def test_partial_and_empty_batches():
    spec = Spec(vocab=5, length=6, size=None, version=1)
    coder = arithmetic.prepare(observer_of("linear", spec), HYPER, spec, Batch(4, 4))
    for count in (0, 1, 3, 5):
        examples = all_coded(np.random.default_rng(count).integers(0, 5, (count, 6)))
        sent, _ = arithmetic.encode(coder, examples)
        found = arithmetic.decode(coder, sent, examples)
        np.testing.assert_array_equal(found, examples.tokens_T)


def test_side_information_is_shared_and_not_sent():
    """An observer that is told in advance which token it will be pays next to nothing."""
    spec = Spec(vocab=8, length=6, size=None, version=1, side=8)
    plain = observer_of("linear", spec)

    def told(logits, side):
        return logits + 50 * side

    def step(params, cache, tokens, side):
        cache, logits = plain.step(params, cache, tokens, None)
        return cache, told(logits, side[:, 0])

    observer = plain._replace(
        logits=lambda params, tokens, side: told(plain.logits(params, tokens, None), side),
        start=lambda params, tokens, side: plain.start(params, tokens, None),
        step=step,
    )
    hint = np.random.default_rng(0).integers(0, 8, 40).astype(np.int32)
    examples = all_coded(np.repeat(hint[:, None], 6, axis=1))._replace(
        side=np.eye(8, dtype=np.float32)[np.repeat(hint[:, None], 6, axis=1)]
    )
    sent, ledger = there_and_back(observer, spec, examples, Batch(8, 8))
    assert sent < 100 and abs(sent - ledger) < 64  # of 720 bits


def test_noise_costs_its_entropy_and_repetition_next_to_nothing():
    bits = {}
    for law in ("uniform", "constant"):
        generator = iid.make(jax.random.key(0), law, vocab=4, length=16)
        observer = observer_of("counts", generator.spec)
        bits[law], _ = there_and_back(
            observer, generator.spec, examples_of(generator, 200), Batch(1, 1)
        )
    assert 6400 <= bits["uniform"] < 6400 * 1.02
    assert bits["constant"] < 200


def test_a_finite_generator_is_learned_from_once():
    """12 examples in batches of 8: the second batch is filled up with nothing, not with the first
    examples over again."""
    tokens = np.random.default_rng(0).integers(0, 5, (12, 6))
    observer = observer_of("linear", Spec(vocab=5, length=6, size=None, version=1))
    charged = []
    for size, examples in ((None, None), (12, None), (None, 12)):
        spec = Spec(vocab=5, length=6, size=size, version=1)
        batch = Batch(8, 4, examples=examples)
        charged.append(there_and_back(observer, spec, all_coded(tokens), batch)[1])
    assert charged[0] == charged[1] == charged[2]


def test_weights_are_whole_numbers_that_every_token_has():
    logits = jnp.array([[0.0, 0.0, 0.0], [50.0, -50.0, -1e30], [1e30, -1e30, 0.0]])
    found = np.asarray(arithmetic.weights(logits))
    assert found.dtype == np.int32 and found.min() == 1
    assert (abs(found.sum(1) - 2**24) <= 3).all()
    np.testing.assert_allclose(found[0], 2**24 / 3, rtol=1e-6)


def test_changed_bytes_decode_to_other_tokens():
    spec = Spec(vocab=16, length=8, size=None, version=1)
    observer = observer_of("linear", spec)
    tokens = np.random.default_rng(0).integers(0, 16, (16, 8))
    examples = all_coded(tokens)
    coder = arithmetic.prepare(observer, HYPER, spec, Batch(8, 8))
    sent, _ = arithmetic.encode(coder, examples)
    damaged = bytearray(sent)
    damaged[3] ^= 1
    assert (arithmetic.decode(coder, bytes(damaged), examples) != tokens).any()


def test_an_observer_without_single_steps_is_refused():
    spec = Spec(vocab=2, length=4, size=None, version=1)
    observer = observer_of("linear", spec)._replace(step=None)
    with pytest.raises(ValueError, match="start and step"):
        arithmetic.prepare(observer, HYPER, spec, Batch(1, 1))
