"""Gohr's distinguisher: its size, and that it tells real pairs of few rounds from random ones."""

import jax
import numpy as np
import pytest

from configs import base
from epx.learning.flops import parameters
from epx.observers import residual
from tests import runs


def test_it_has_the_size_of_the_published_network():
    """43,873 with biases and batch norms, which add 2 numbers a channel where one is here."""
    made = residual.make(2, 65)
    assert parameters(made) == pytest.approx(43_873, rel=0.01)
    forward, update = made.flops(65)
    assert forward == pytest.approx(0.27e6, rel=0.1) and update == 2 * forward


def test_only_the_last_token_is_predicted_and_it_sees_all_others():
    made = residual.make(2, 9, words=4, filters=4, dense=8)
    params = jax.tree.map(lambda x: x + 0.3, made.init(jax.random.key(0)))
    tokens = jax.random.bernoulli(jax.random.key(1), 0.5, (1, 9)).astype("int32")
    logits = np.asarray(made.logits(params, tokens))
    assert not logits[:, :-1].any() and logits[:, -1].any()


def config(rounds):
    found = base.get_config("tiny").to_dict()
    found["generator"] = dict(
        name="cipher", mode="pairs", algorithm="speck32_64", rounds=rounds, length=65
    )
    found["observer"] = {"name": "residual", "filters": 16, "dense": 32}
    found["optim"] |= {"lr": 0.3, "warmup_steps": 10}
    found["run"] |= {"steps": 100, "batch": 500, "seeds": 1}
    return found | {"eval": found["eval"] | {"examples": 2000}}


@pytest.mark.slow
def test_pairs_of_few_rounds_are_told_apart_and_those_of_all_rounds_are_not(tmp_path):
    shares = {}
    for rounds in (3, 22):
        done = runs.rows(config(rounds), tmp_path / str(rounds))
        (hits,) = done.evals[100]["ema_hits"]
        # With one coded token of two values, a hit is a price below one bit.
        assert ((done.evals[100]["ema_nats"][0] < np.log(2)) == hits).mean() > 0.999
        shares[rounds] = hits.mean()
    assert shares[3] > 0.9
    assert abs(shares[22] - 0.5) < 5 * 0.5 / 2000**0.5
