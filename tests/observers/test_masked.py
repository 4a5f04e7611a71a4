"""A mask around observers: uniform over what may occur, cached steps, and random play without S."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import epx
from epx import streams
from epx.learning import nll, sampling
from epx.observers import counts, masked, mlp, transformer
from epx.run.config.observing import make_observer
from experiments.cli import configs
from tests.runs import rows

V, R, T, B = 7, 4, 5, 3
TOKENS = jnp.asarray(np.random.default_rng(0).integers(0, V, (B, T)), jnp.int32)


def marks():
    side = np.zeros((B, T, R), np.float32)
    side[:, 2] = [1, 0, 1, 0]
    side[0, 4] = [0, 0, 0, 1]
    return jnp.asarray(side)


@pytest.fixture(scope="module", params=[transformer, mlp], ids=["transformer", "mlp"])
def wrapped(request):
    module = request.param
    return masked.around(module.make(V, T, **module.TINY))


def noisy(observer):
    leaves, structure = jax.tree.flatten(observer.init(jax.random.key(0)))
    keys = jax.random.split(jax.random.key(1), len(leaves))
    moved = [leaf + jax.random.normal(k, leaf.shape) for k, leaf in zip(keys, leaves)]
    return jax.tree.unflatten(structure, moved)


def test_an_untrained_observer_is_uniform_over_what_may_occur(wrapped):
    logits = wrapped.logits(wrapped.init(jax.random.key(0)), TOKENS, marks())
    p = np.asarray(jax.nn.softmax(logits))
    np.testing.assert_allclose(p[:, 2], [[0, 0, 0, 0.5, 0, 0.5, 0]] * B, atol=1e-7)
    np.testing.assert_allclose(p[0, 4], [0] * 6 + [1], atol=1e-7)
    np.testing.assert_allclose(p[:, :2], 1 / V, rtol=1e-6)


def test_steps_equal_the_full_pass_and_samples_keep_to_the_mask(wrapped):
    params, side = noisy(wrapped), marks()
    logits = wrapped.logits(params, TOKENS, side)
    cache = wrapped.start(params, TOKENS[:, :1], side)
    for t in range(1, T):
        cache, found = wrapped.step(params, cache, TOKENS[:, t - 1], side)
        np.testing.assert_allclose(found, logits[:, t], rtol=1e-4, atol=1e-4)
    keys = jax.random.split(jax.random.key(3), B)
    none = jnp.zeros((B, T), bool)
    drawn = sampling.complete(wrapped, params, keys, TOKENS, none, side)
    assert set(np.unique(drawn[:, 2])) <= {3, 5} and drawn[0, 4] == 6


def test_gradients_are_finite_and_leave_excluded_tokens_alone(wrapped):
    params, side = noisy(wrapped), marks()

    def loss(params):
        tokens = TOKENS.at[:, 2].set(3).at[0, 4].set(6)
        return nll.nats(wrapped.logits(params, tokens, side), tokens).sum()

    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(jax.grad(loss)(params)))


@pytest.mark.parametrize(
    "board", ["tic_tac_toe", pytest.param("connect_four_4x5", marks=pytest.mark.slow)]
)
def test_random_moves_cost_an_untrained_observer_their_law(board):
    """The logarithm of the number of legal moves, so that there is nothing to learn."""
    generator = epx.generator("game", game=board, player="random", view="moves")
    observer = make_observer({"name": "mlp", "depth": 1, "width": 8}, generator, "float32")
    train = streams.stream(0, "train")
    draw = jax.vmap(lambda i: generator.example(streams.example_key(train, i), i))
    examples = draw(jnp.arange(256))
    logits = observer.logits(observer.init(jax.random.key(0)), examples.tokens_T, examples.side)
    nats_B = nll.nats(logits, examples.tokens_T)[:, -1]
    np.testing.assert_allclose(nats_B, np.log(examples.side[:, -1].sum(-1)), atol=1e-6)
    np.testing.assert_allclose(nats_B, jax.vmap(generator.oracle_nats)(examples)[:, -1], atol=1e-6)


def test_random_moves_cost_what_rows_say_of_their_number(tmp_path):
    """Rows count moves by the number of legal ones: the sum of the logarithms is what is charged to
    an observer that hardly moves, to float32, and what it pays on held-out moves."""
    keys = {"generator.view": "moves", "generator.player": "random", "observer.width": "8",
            "observer.depth": "1", "optim.lr": "1e-9", "run.steps": "50", "run.chunk": "50",
            "run.batch": "32", "eval.examples": "512", "run.seeds": "2"}  # fmt: skip
    run = rows(configs.load("game:tiny", keys), tmp_path)
    legal = np.arange(1, 10)
    uniform_P = np.log([*legal, *legal, 1])
    law = run.rows["part_coded_tok"] @ uniform_P
    np.testing.assert_allclose(run.rows["nats"], law, rtol=1e-5)
    held_out = run.evals[50]
    np.testing.assert_allclose(held_out["ema_nats"], uniform_P[held_out["part"]], atol=1e-5)


def test_counters_have_no_mask():
    with pytest.raises(
        ValueError, match=r"observer='an exact counter': accepted an observer that learns"
    ):
        masked.around(counts.make(V, T))


def test_a_mask_is_a_fact_of_the_record(tmp_path):
    keys = {"generator.view": "moves", "observer.width": "8", "observer.depth": "1",
            "run.steps": "50", "eval.examples": "16"}  # fmt: skip
    assert rows(configs.load("game:tiny", keys), tmp_path).config["facts"]["masked"] is True
