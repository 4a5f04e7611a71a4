"""The online code in blocks: what is charged when, and under whom."""

import json
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from epx.analysis import ledger
from epx.codes import blocks, prequential
from epx.generators.automata import eca
from epx.generators.sequences import iid
from epx.learning import learner, nll, optim
from epx.learning.batch import Batch
from epx.observers import counts
from epx.report import summary, tables
from epx.run import setup as setups
from tests import linear, runs

GENERATOR = eca.make(jax.random.key(0), rule=54, width=4, steps=1)
OBSERVER = linear.make(2, 8)
HYPER = optim.make_hyper(0, lr=0.3, warmup_steps=0)


def trained(code, generator=GENERATOR, hyper=HYPER):
    return runs.stepped(code, generator, hyper, code.steps)


def test_blocks_double_and_all_examples_are_charged_once():
    code = blocks.make(OBSERVER, Batch(8, 4, examples=50), first_block=4, stage_steps=3)
    _, rows = trained(code)
    assert code.steps == 5 * 3  # blocks end at 4, 8, 16, 32, 50
    labels = 4
    expected = np.zeros(15, int)
    expected[::3] = labels * np.array([4, 4, 8, 16, 18])
    np.testing.assert_array_equal(rows["coded_tok"], expected)
    assert (np.asarray(rows["nats"])[expected == 0] == 0).all()
    assert rows["nats"][0] == pytest.approx(16 * math.log(2), rel=1e-6), "the first is uniform"
    assert not np.asarray(rows["passes"]).any(), "nothing is charged twice"


def test_a_block_is_charged_under_an_observer_trained_on_those_before_it():
    """The same steps by hand: from scratch, on the first 8 examples over and over, and then the
    charge of examples 8 to 16; and again from scratch on the first 16 for the next."""
    code = blocks.make(OBSERVER, Batch(8, 8, examples=32), first_block=8, stage_steps=20)
    _, rows = trained(code)
    assert code.steps == 60
    predict = jax.jit(OBSERVER.logits)
    for stage, (start, end) in ((1, (8, 16)), (2, (16, 32))):
        alone = prequential.make(OBSERVER, Batch(8, 8, examples=start))
        state, _ = runs.stepped(alone, GENERATOR, HYPER, 20)
        block = learner.training_examples(
            GENERATOR, HYPER, jnp.arange(start, end, dtype=jnp.uint32)
        )
        nats = nll.nats(predict(state.learner.params, block.tokens_T, None), block.tokens_T)
        expected = float(nll.coded_sum(nats, block.coded_T, axis=1).sum())
        assert rows["nats"][20 * stage] == pytest.approx(expected, rel=1e-3)


def test_a_long_block_is_charged_exactly():
    """float32 additions one after the other lose digits: 2^15 parts of ln 2 each, an example a
    part, which is what an untrained observer pays."""
    generator, count = iid.make(jax.random.key(0), "uniform", vocab=2, length=1), 2**15
    code = blocks.make(linear.make(2, 1), Batch(1, 1, examples=count), count, stage_steps=1)
    _, rows = trained(code, generator)
    assert rows["coded_tok"][0] == count
    assert rows["nats"][0] == pytest.approx(count * math.log(2), rel=2e-7)


def test_random_labels_cannot_be_shortened_and_structure_can():
    batch = Batch(16, 16, examples=256)
    code = blocks.make(linear.make(4, 8), batch, first_block=16, stage_steps=50)
    found = {}
    for law in ("uniform", "constant"):
        generator = iid.make(jax.random.key(0), law, vocab=4, length=8)
        _, rows = trained(code, generator, optim.make_hyper(0, lr=0.1))
        assert rows["coded_tok"].sum() == 256 * 8
        found[law] = float(rows["nats"].sum()) / math.log(2)
    uniform = 256 * 8 * 2
    assert found["uniform"] > uniform - 50  # a code of noise is not shorter than its entropy
    assert found["constant"] < 0.1 * uniform
    assert found["constant"] > 16 * 8 * 2, "the first block is paid in full"


def test_record_has_an_excess_and_no_tail_anchor(tiny_config, tmp_path):
    """From config to cell: many epochs over 32 examples, which the code charges once: no
    `run.repeats` has to allow that."""
    config = tiny_config | {"code": {"name": "blocks", "first_block": 8, "stage_steps": 10}}
    config["run"] |= {"steps": 30, "examples": 32, "repeats": 1}
    done = runs.rows(config, tmp_path)
    assert done.rows["coded_tok"].sum(1).tolist() == [32 * 9] * 2
    assert "tail" not in ledger.anchors(done)
    (cell,) = summary.cells([done], target_loss=0.9)
    assert cell["code"] == "blocks" and cell["EDL_bits"] == cell["S_bits"]
    assert "S_preq_bits" not in cell and "EDL bit" in tables.table([cell])
    assert cell["SDL_tok"][0] <= 32 * 9 and json.dumps(cell, allow_nan=False)
    for change, part in (
        ({"steps": 20}, "run.steps=20: accepted 30"),
        ({"examples": None}, "run.examples=None: accepted a number of examples"),
    ):
        with pytest.raises(ValueError, match=part):
            setups.assemble(runs.with_run(config, **change))


def test_examples_repeat_within_a_block(tiny_config, tmp_path):
    """By the prequential code: 16 examples, five times; a generator that has fewer is refused."""
    config = runs.with_run(tiny_config, examples=16, repeats=5, steps=10)
    config["checkpoint"] |= {"every": None}
    config["eval"] |= {"every": None}
    done = runs.rows(config, tmp_path)
    assert done.rows["passes"][0].tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]
    (cell,) = summary.cells([done])
    assert cell["passes"] == 5 and cell["EDL_bits"] != cell["S_preq_bits"]
    finite = {"generator": {"name": "chess", "corpus": "selfplay-random", "games": 20}}
    accepted = r"run.examples=10000: accepted 1 to \d+, the training examples"
    with pytest.raises(ValueError, match=accepted):
        setups.assemble(runs.with_run(config, examples=10_000) | finite)


@pytest.mark.slow
def test_devices_share_a_batch(tiny_config, tmp_path):
    config = tiny_config | {"code": {"name": "blocks", "first_block": 8, "stage_steps": 10}}
    config["run"] |= {"steps": 30, "examples": 32, "repeats": 8, "seeds": 1}
    found = [
        runs.rows(runs.with_run(config, devices=devices, parallel=parallel), tmp_path / parallel)
        for devices, parallel in ((1, "jit"), (4, "pmap"))
    ]
    np.testing.assert_allclose(found[1].rows["nats"], found[0].rows["nats"], rtol=2e-3)
    np.testing.assert_array_equal(found[1].rows["coded_tok"], found[0].rows["coded_tok"])


@pytest.mark.parametrize(
    "observer, batch, arguments, part",
    [
        (
            counts.make(2, 8, order=1),
            Batch(8, 4, examples=16),
            {},
            "code.name='blocks': accepted with observers that learn by gradient",
        ),
        (OBSERVER, Batch(8, 4), {}, "run.examples=None: accepted a number of examples"),
        (
            OBSERVER,
            Batch(8, 4, examples=8),
            dict(first_block=9),
            "code.first_block=9: accepted 1 to 8",
        ),
        (
            OBSERVER,
            Batch(8, 4, examples=64),
            dict(stage_steps=0),
            "code.stage_steps=0: accepted 1 to 16777216",
        ),
    ],
)
def test_refused_arguments_are_named(observer, batch, arguments, part):
    with pytest.raises(ValueError, match=part):
        blocks.make(observer, batch, **arguments)
