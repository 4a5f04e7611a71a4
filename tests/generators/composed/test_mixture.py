"""Mixtures: shares by weight, examples of the parts themselves, and the charge of each part."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import epx
from epx.codes import prequential
from epx.learning import optim
from epx.learning.batch import Batch
from epx.observers import counts, mlp
from epx.streams import example_key, stream

PARTS = "iid law=uniform vocab=2 length=6; eca rule=54 width=4 steps=1"
LAST = "iid law=bernoulli p=1 length=8"
TRAIN_KEY = stream(0, "train")


def batch(generator, indices):
    def one(index):
        return generator.example(example_key(TRAIN_KEY, index), index)

    return jax.jit(jax.vmap(one))(jnp.asarray(indices, jnp.uint32))


def test_shares_are_the_weights():
    """Within 5 standard errors of a binomial."""
    generator = epx.generator("mixture", parts=PARTS, weights="1 3")
    share = batch(generator, range(4000)).part_P[:, 1].mean()
    assert abs(share - 0.75) < 5 * np.sqrt(0.75 * 0.25 / 4000)


@pytest.mark.parametrize("weights", ["1 3", "0 1", "1 0", "5 2"])
def test_even_parts_follow_the_weights_within_two_examples(weights):
    """In every run of examples; drawn ones miss by the root of the number."""
    generator = epx.generator("mixture", parts=PARTS, weights=weights, even=True)
    is_second_N = np.asarray(batch(generator, range(1024)).part_P[:, 1])
    share = float(generator.weights_P[1])
    for start in range(0, 1024, 32):
        assert abs(is_second_N[start : start + 32].sum() - 32 * share) < 2
    assert share not in (0, 1) or is_second_N.mean() == share


def test_even_parts_in_blocks_are_refused():
    with pytest.raises(ValueError, match=r"generator\.even=True: accepted false with generator"):
        epx.generator("mixture", parts=PARTS, even=True, block=4)


def test_an_example_is_that_of_its_part():
    mixture = epx.generator("mixture", parts=PARTS)
    alone = [
        epx.generator("iid", law="uniform", vocab=2, length=6),
        epx.generator("eca", rule=54, width=4, steps=1),
    ]
    mixed = batch(mixture, range(32))
    for n, generator in enumerate(alone):
        length, chosen = generator.spec.length, np.asarray(mixed.part_P[:, n])
        own = batch(generator, range(32))
        assert 0 < chosen.sum() < 32
        for name in ("tokens_T", "coded_T"):
            np.testing.assert_array_equal(
                getattr(mixed, name)[chosen, :length], getattr(own, name)[chosen]
            )
        assert not mixed.coded_T[chosen, length:].any()


def test_parts_with_the_same_text_are_equal_and_a_draw_makes_them_differ():
    law = "iid law=markov vocab=4 length=8"
    generator = epx.generator("mixture", parts=f"{law}; {law}; {law} draw=1")
    first, second, third = (jax.tree.leaves(part) for part in generator.parts)
    assert all((a == b).all() for a, b in zip(first, second))
    assert any((a != b).any() for a, b in zip(first, third))


def test_held_out_examples_have_weights_of_their_own():
    generator = epx.generator("mixture", parts=PARTS, weights="1 0", held_out="0 1", size=100)
    spec = generator.spec
    assert spec.size == 100 and spec.held_out > 0
    assert batch(generator, range(100)).part_P[:, 0].all()
    assert batch(generator, range(100, 140)).part_P[:, 1].all()


def test_examples_in_blocks_are_of_one_part_after_the_other():
    """Those of a part are the same whatever parts come after it."""
    few, more = PARTS, f"{PARTS}; iid law=constant length=8"
    first = epx.generator("mixture", parts=few, block=4)
    then = epx.generator("mixture", parts=f"{more}; {LAST}", block=4, weights="1 1 1 0")
    short, long = batch(first, range(8)), batch(then, range(16))
    assert short.part_P.argmax(1).tolist() == [0] * 4 + [1] * 4
    assert long.part_P.argmax(1).tolist() == [0] * 4 + [1] * 4 + [2] * 4 + [0] * 4
    np.testing.assert_array_equal(long.tokens_T[:8], short.tokens_T)


def test_a_finite_part_gives_the_mixture_its_size(tmp_path):
    path = tmp_path / "own.npy"
    np.save(path, np.arange(300) % 7)
    parts = f"tokens path={path} length=6; iid law=uniform vocab=2 length=6"
    mixture = epx.generator("mixture", parts=parts, weights="1 0")
    own = epx.generator("tokens", path=str(path), length=6)
    assert (mixture.spec.size, mixture.spec.held_out) == (own.spec.size, own.spec.held_out)
    indices = [0, own.spec.size - 1, own.spec.size, own.spec.size + own.spec.held_out - 1]
    np.testing.assert_array_equal(batch(mixture, indices).tokens_T, batch(own, indices).tokens_T)


@pytest.mark.parametrize("name", ["counts", "mlp"])
def test_the_charges_of_the_parts_add_up(name):
    """A constant soon costs less than uniform tokens: each has its own sum."""
    parts = "iid law=uniform vocab=2 length=8; iid law=bernoulli p=0 length=8"
    generator = epx.generator("mixture", parts=parts, weights="1 1")
    module = {"counts": counts, "mlp": mlp}[name]
    observer = module.make(2, 8)
    code = prequential.make(observer, Batch(32, 8))
    hyper = optim.make_hyper(0, lr=0.3)
    step = jax.jit(lambda state: code.step(generator, hyper, state))
    state, rows = code.init(hyper), []
    for _ in range(20):
        state, row = step(state)
        rows.append(jax.device_get(row))
    nats, tokens = (np.stack([row[key] for row in rows]) for key in ("part_nats", "part_coded_tok"))
    np.testing.assert_allclose(nats.sum(1), [row["nats"] for row in rows], rtol=1e-5)
    np.testing.assert_array_equal(tokens.sum(1), [row["coded_tok"] for row in rows])
    price = nats[-5:].sum(0) / tokens[-5:].sum(0)
    assert price[1] < price[0] - 0.2


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (dict(parts=""), "generator.parts="),
        (dict(parts="eca rule"), "generator.parts="),
        (dict(parts='eca rule="54'), "No closing quotation"),
        (dict(parts="nothing"), "generator.parts='nothing'"),
        (dict(parts="eca rule=256"), "generator.rule=256"),
        (dict(parts="iid lenght=3"), "did you mean length"),
        (dict(parts="iid draw=-1"), "generator.parts.draw=-1"),
        (dict(parts=PARTS, weights="1"), "generator.weights='1': accepted 2 numbers"),
        (dict(parts=PARTS, weights="0 0"), "generator.weights='0 0'"),
        (dict(parts=PARTS, weights="1 -1"), "generator.weights='1 -1'"),
        (dict(parts=PARTS, weights="one two"), "generator.weights='one two'"),
        (dict(parts=PARTS, held_out="1 0"), "generator.held_out='1 0'"),
        (dict(parts=PARTS, size=-1), "generator.size=-1"),
        (dict(parts=PARTS, block=-1), "generator.block=-1"),
        (dict(parts="game view=moves; iid length=11"), "parts of which none has a mask"),
    ],
)
def test_what_is_not_accepted_is_named(arguments, named):
    with pytest.raises(ValueError) as refused:
        epx.generator("mixture", **arguments)
    assert named in str(refused.value)
