"""A run that starts from the weights of another: which ones, checks, and the record of it."""

import jax
import numpy as np
import pytest

from epx import record, streams
from epx.run import checkpoint, loop, trained
from epx.run import setup as setups
from epx.run.setup import assemble
from experiments.cli import configs
from tests.runs import with_run

SMALL = {
    "observer.width": "8", "observer.depth": "1", "run.steps": "40", "run.chunk": "10",
    "run.batch": "8", "eval.examples": "32", "checkpoint.every": "20",
}  # fmt: skip
KEYS = SMALL | {
    "generator.rule": "204",
    "generator.width": "4",
    "generator.steps": "1",
    "optim.lr": "0.5",
}


def config_of(**changes):
    return with_run(configs.load("eca:tiny", KEYS), **changes)


def train(config, folder, members=None):
    setup = assemble(config, members)
    for _ in loop.train(setup, folder):
        pass
    return setup, record.load(folder)


@pytest.fixture(scope="module")
def taught(tmp_path_factory):
    folder = tmp_path_factory.mktemp("taught") / "base"
    setup, _ = train(config_of(seeds=3), folder)
    return setup, folder


def state(setup, folder, step):
    return checkpoint.read(folder / "ckpt", step, setup.abstract_state())


def test_members_start_from_the_averaged_weights_of_their_seed(taught, tmp_path):
    base, folder = taught
    for step in (20, 40):
        reference = str(folder) if step == 40 else f"{folder}:20"
        config = config_of(seed=1, seeds=2, start=reference)
        setup = assemble(config)
        averaged = state(base, folder, step).learner.ema
        expected = jax.tree.map(lambda leaf: leaf[1:], averaged)
        jax.tree.map(np.testing.assert_array_equal, setup.start, expected)
        first = jax.vmap(setup.init)(*setup.stacked)
        jax.tree.map(np.testing.assert_array_equal, first.learner.params, expected)
        jax.tree.map(np.testing.assert_array_equal, first.learner.ema, expected)
        assert setup.facts["start_step"] == step and first.step.tolist() == [0, 0]


def test_a_run_goes_on_where_the_other_one_ended(taught, tmp_path):
    """Its first charges are those of what was taught; and it is resumed bit for bit."""
    _, folder = taught
    config = config_of(start=str(folder), seeds=2)
    config["optim"] = config["optim"] | {"lr": 1e-9}
    _, whole = train(config, tmp_path / "whole")
    evals = record.load(folder).evals[40]
    held_out = (evals["ema_nats"].sum(1) / evals["coded_tok"].sum(1))[:2]
    losses = whole.rows["nats"].sum(1) / whole.rows["coded_tok"].sum(1)
    assert losses.max() < 0.9 * np.log(2) and np.abs(losses - held_out).max() < 0.05
    facts = whole.config["facts"]
    assert facts["start_step"] == 40 and len(facts["start_sha256"]) == 64
    chunks = loop.train(assemble(config), tmp_path / "halves")
    next(chunks), next(chunks), chunks.close()
    _, halves = train(config, tmp_path / "halves")
    np.testing.assert_array_equal(halves.rows["nats"], whole.rows["nats"])


def test_an_adapter_freezes_what_was_taught(taught, tmp_path):
    base, folder = taught
    config = config_of(start=str(folder), seeds=2)
    config["adapter"] = dict(rank=2, alpha=32.0, entries=9)
    setup, run = train(config, tmp_path)
    assert run.config["facts"]["learned_parameters"] == 9
    ended = state(setup, tmp_path, 40).learner
    averaged = jax.tree.map(lambda leaf: leaf[:2], state(base, folder, 40).learner.ema)
    for found in (ended.params, ended.ema):
        jax.tree.map(np.testing.assert_array_equal, found["base"], averaged)
    begun = jax.jit(jax.vmap(setup.init))(*setup.stacked).learner.params["low"]
    moved = jax.tree.map(lambda a, b: np.asarray(a) != b, begun, ended.params["low"])
    chosen = jax.tree.map(lambda leaf: leaf == 1, ended.params["chosen"])
    jax.tree.map(lambda m, c: np.testing.assert_array_equal(m & ~c, False), moved, chosen)
    assert 0 < sum(int(leaf.sum()) for leaf in jax.tree.leaves(moved)) <= 2 * 9
    with pytest.raises(ValueError, match="not an adapter"):
        assemble(config_of(start=str(tmp_path), seeds=2))


def test_a_record_of_something_else_is_refused(taught, tmp_path):
    _, folder = taught

    def refused(named, start=folder, **changes):
        config = config_of(start=str(start), seeds=2)
        config = {key: config[key] | changes.get(key, {}) for key in config}
        with pytest.raises(ValueError, match=rf"run\.start=.*accepted.*{named}"):
            assemble(config)

    refused("a folder with a record", start=tmp_path)
    refused("20, 40", start=f"{folder}:30")
    refused("width: 8 -> 16", observer=dict(width=16))
    refused("length: 8 -> 12", generator=dict(width=6))
    refused(r"it lacks \[3\] and has 0, 1, 2", run=dict(seed=2))


def test_entries_without_a_rank_are_refused():
    config = config_of() | {"adapter": dict(rank=None, alpha=32.0, entries=3)}
    with pytest.raises(ValueError, match=r"adapter\.entries=3: accepted none without"):
        assemble(config)


def test_the_body_is_taken_to_examples_of_another_shape(taught, tmp_path):
    """Tables of tokens and places, and the head, are new; everything between is what was taught."""
    base, folder = taught
    config = config_of(start=str(folder), start_keeps="body", seeds=2)
    config["generator"] = {"name": "iid", "law": "markov", "vocab": 5, "length": 9}
    begun = assemble(config).start
    other = assemble(config | {"run": config["run"] | {"start": None}}).observer
    keys = jax.vmap(lambda seed: streams.stream(seed, "init"))(np.arange(2))
    new = jax.vmap(other.init)(keys)
    averaged = state(base, folder, 40).learner.ema
    kept = {}
    for path, leaf in jax.tree_util.tree_leaves_with_path(begun):
        name = jax.tree_util.keystr(path)
        old = dict(jax.tree_util.tree_leaves_with_path(averaged))[path][:2]
        fresh = dict(jax.tree_util.tree_leaves_with_path(new))[path]
        kept[name] = old.shape == leaf.shape and (old == leaf).all()
        assert kept[name] or (leaf == fresh).all(), name
    tables = {name for name in kept if not kept[name]}
    assert tables == {"['embedding']", "['head']['kernel']", "['positions']"}
    assert sum(kept.values()) > len(tables)
    _, run = train(config, tmp_path)
    assert np.isfinite(run.rows["nats"]).all()


@pytest.mark.parametrize("keeps", ["head", ""])
def test_only_all_or_the_body_is_kept(keeps):
    with pytest.raises(ValueError, match=r"run\.start_keeps=.*accepted all or body"):
        assemble(config_of(start_keeps=keeps))


def test_a_start_that_changed_is_another_run(taught, tmp_path):
    _, folder = taught
    config = config_of(start=f"{folder}:20", seeds=2)
    chunks = loop.train(assemble(config), tmp_path)
    next(chunks), next(chunks), chunks.close()
    other = config_of(start=f"{folder}:40", seeds=2)
    with pytest.raises(record.RecordError, match="start_sha256"):
        next(loop.train(assemble(other), tmp_path))


def test_marks_of_tokens_change_no_weight_and_so_no_start(tmp_path):
    """The answer may be known to have digits in the one run and not in the other."""
    sums = {"generator.name": "arithmetic", "generator.digits": "1", "generator.marked": "true"}
    folder = tmp_path / "unmarked"
    setup, _ = train(
        configs.load("base:tiny", SMALL | sums | {"generator.marked": "false"}), folder
    )
    again = assemble(with_run(configs.load("base:tiny", SMALL | sums), start=str(folder)))
    assert again.spec.masked and not setup.spec.masked
    jax.tree.map(np.testing.assert_array_equal, again.start, state(setup, folder, 40).learner.ema)


def test_setups_without_a_start_have_none():
    setup = setups.assemble(config_of())
    assert setup.start is None and dict(setup.facts) == {}


def test_blocks_start_anew_and_take_no_start(taught):
    _, folder = taught
    config = config_of(start=str(folder), seeds=2, examples=16)
    config["code"] = {"name": "blocks", "first_block": 8, "stage_steps": 20}
    with pytest.raises(ValueError, match=r"run\.start=.*accepted none with code\.name=blocks"):
        assemble(config)


def test_a_counter_starts_from_its_counts(tmp_path):
    config = config_of()
    config["observer"] = {"name": "counts", "order": 2, "alpha": 0.5}
    first, _ = train(config, tmp_path / "first")
    again = with_run(config, start=str(tmp_path / "first"))
    setup, run = train(again, tmp_path / "again")
    counted = checkpoint.read(tmp_path / "first/ckpt", 40, first.abstract_state()).learner.params
    np.testing.assert_array_equal(setup.start, counted)
    assert run.rows["nats"][:, 0].sum() < record.load(tmp_path / "first").rows["nats"][:, 0].sum()


def test_a_started_record_is_read_without_what_it_started_from(taught, tmp_path):
    """Moved or removed: its weights are in its own states."""
    _, folder = taught
    config = config_of(start=str(folder), seeds=2)
    train(config, tmp_path / "run")
    (tmp_path / "run/config.json").write_text(
        (tmp_path / "run/config.json").read_text().replace(str(folder), "/nowhere")
    )
    found = trained.load(tmp_path / "run")
    assert found.step == 40 and found.setup.start is None
