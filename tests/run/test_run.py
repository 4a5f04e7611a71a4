"""Runs: equal for every way to cut and compile them, resumed bit for bit, and free of leaks."""

import dataclasses
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from epx import record
from epx.analysis import ledger
from epx.codes import prequential
from epx.generators.automata import life
from epx.generators.sequences import iid
from epx.generators.texts import text
from epx.learning.batch import Batch
from epx.observers import counts, transformer
from epx.report import export
from epx.run import devices, evaluation, loop, measure
from epx.run import setup as setups
from epx.run.devices import Layout, make_layout
from epx.run.plan import Plan
from epx.run.setup import make_batch, stack
from epx.streams import example_key, stream
from epx.sweeps import grid
from epx.types import Example
from tests import linear
from tests.runs import rows, same, train, with_run


def test_rows_hold_what_they_say(tiny_config, tmp_path):
    done = rows(tiny_config, tmp_path)
    coded, everything = 8 * 9, 8 * 18
    assert done.rows["nats"].shape == (2, 40)
    assert (done.rows["coded_tok"] == coded).all() and (done.rows["all_tok"] == everything).all()
    assert done.rows["finite"].all() and (done.rows["passes"] == 0).all()
    np.testing.assert_allclose(done.rows["nats"][:, 0], coded * np.log(2), rtol=1e-6)
    assert sorted(done.evals) == [20, 40]
    assert done.evals[40]["ema_nats"].shape == (2, 32)
    assert done.done["steps"] == 40


def test_baselines_count_what_differs():
    """A context is equal where all that is not coded is: tokens, and vectors if there are any."""
    tokens_ExT = np.array([[1, 2, 0], [1, 2, 0], [1, 2, 1], [3, 2, 1]], np.int32)
    coded_ExT = np.broadcast_to([False, True, True], (4, 3))
    counted = {"distinct_examples": 3, "distinct_contexts": 2}
    assert evaluation.distinct(Example(tokens_ExT, coded_ExT)) == counted
    side = np.zeros((4, 3, 1), np.float32)
    side[1] = 1
    counted = {"distinct_examples": 4, "distinct_contexts": 3}
    assert evaluation.distinct(Example(tokens_ExT, coded_ExT, side)) == counted


VARIANTS = {
    "pmap by member": dict(parallel="pmap"),
    "one device": dict(devices=1),
    "shared batch": dict(devices=4),
    "pmap, shared batch": dict(devices=4, parallel="pmap"),
    "microbatches": dict(microbatch=2),
    "another chunk": dict(chunk=20),
}
SLOW = {"another chunk": pytest.mark.slow}


@pytest.mark.parametrize(
    "change", [pytest.param(v, id=k, marks=SLOW.get(k, ())) for k, v in VARIANTS.items()]
)
def test_rows_do_not_depend_on_how_the_run_is_compiled(reference, change, tmp_path):
    config, wanted = reference
    found = rows(with_run(config, **change), tmp_path)
    np.testing.assert_array_equal(found.rows["coded_tok"], wanted.rows["coded_tok"])
    np.testing.assert_allclose(
        found.rows["nats"][:, :20], wanted.rows["nats"][:, :20], rtol=1e-4,
        err_msg="the codelength depends on how the program is compiled or cut",
    )  # fmt: skip


def test_member_rows_do_not_depend_on_other_members(reference, tmp_path):
    config, wanted = reference
    alone = rows(with_run(config, devices=1), tmp_path, members=[{"run.seed": 1}])
    np.testing.assert_allclose(alone.rows["nats"][0, :20], wanted.rows["nats"][1, :20], rtol=1e-4)


@pytest.mark.parametrize("axis", [None, "device"])
def test_batch_indices_do_not_depend_on_devices(axis):
    """Four devices and microbatches of two see the examples of one device, in order."""
    whole = Batch(16, 16).indices(None, jnp.int32(3))
    batch = Batch(16, 2, axis, 4 if axis else 1)
    if axis:
        found = jax.pmap(lambda _: batch.indices(None, jnp.int32(3)), axis)(jnp.arange(4))
    else:
        found = batch.indices(None, jnp.int32(3))
    np.testing.assert_array_equal(np.ravel(found), np.ravel(whole))
    assert np.ravel(whole).tolist() == list(range(48, 64))


@pytest.mark.parametrize(
    "batch, length, devices, wanted",
    [
        (96, 64, 1, 4),  # 256 tokens
        (96, 128, 2, 2),
        (96, 512, 2, 1),  # never less than an example
        (90, 64, 2, 3),  # 45 for each device, and 4 divides no 45
        (4, 8, 1, 4),  # never more than there are
    ],
)
def test_microbatch_fits_the_cache_of_a_core(batch, length, devices, wanted):
    plan = Plan(steps=1, batch=batch, devices=devices)
    layout = make_layout("jit", devices, members=1, batch=batch, length=length)
    assert make_batch(plan, layout, length).microbatch == wanted
    for asked in (1, batch):  # what is asked for goes, up to all that a device sees
        divided = make_batch(dataclasses.replace(plan, microbatch=asked), layout, length)
        assert divided.microbatch == min(asked, batch // devices)


def test_accelerator_takes_the_whole_batch():
    class Accelerator:
        platform = "gpu"

    spread = Layout("jit", (Accelerator(),) * 2, by_member=False)
    assert make_batch(Plan(steps=1, batch=96), spread, 512).microbatch == 48


def test_indices_wrap_and_count_passes():
    batch = Batch(4, 4)
    assert np.ravel(batch.indices(10, jnp.int32(2))).tolist() == [8, 9, 0, 1]
    assert [int(batch.passes(10, jnp.int32(s))) for s in range(6)] == [0, 0, 1, 1, 1, 2]


def test_blocks_are_read_in_turn():
    batch = Batch(6, 6, examples=12, turns=3)
    first, second, again = (np.ravel(batch.indices(None, jnp.int32(step))) for step in range(3))
    assert first.tolist() == [0, 4, 8, 1, 5, 9] and second.tolist() == [2, 6, 10, 3, 7, 11]
    assert again.tolist() == first.tolist()


def test_tokens_do_not_depend_on_batch_or_device():
    generator = life.make(stream(0, "world"), height=4, width=4)
    key = stream(5, "train")

    @jax.jit
    def draw(index_B):
        return jax.vmap(lambda i: generator.example(example_key(key, i), i).tokens_T)(index_B)

    together = draw(jnp.arange(16, dtype=jnp.uint32))
    spread = jax.pmap(draw)(jnp.arange(16, dtype=jnp.uint32).reshape(4, 4))
    one = jnp.stack([draw(jnp.arange(n, n + 1, dtype=jnp.uint32))[0] for n in range(16)])
    np.testing.assert_array_equal(together, spread.reshape(16, -1))
    np.testing.assert_array_equal(together, one)


@pytest.mark.parametrize("crash", [False, True])
@pytest.mark.parametrize("every", [10, 20, None])
def test_resumes_bit_for_bit(reference, every, crash, tmp_path):
    """After an orderly stop, and after a crash that left rows later than the newest state."""
    config, wanted = reference
    config = config | {"checkpoint": dict(every=every, keep=None)}
    rows(config, tmp_path, stop_after=4)
    if crash:
        shutil.rmtree(tmp_path / "ckpt" / "000000030")
    started = next(train(config, tmp_path)).step
    assert started == ({10: 20, 20: 20, None: 0}[every] if crash else 30)
    same(rows(config, tmp_path), wanted)


@pytest.mark.parametrize("devices", [pytest.param(2, marks=pytest.mark.slow), 4])
def test_resumes_bit_for_bit_where_devices_share_a_batch(reference, devices, tmp_path):
    """The order in which devices add their gradients is part of the promise."""
    config = with_run(reference[0], devices=devices, seeds=1)
    whole = rows(config, tmp_path / "whole")
    rows(config, tmp_path / "stopped", stop_after=3)
    same(rows(config, tmp_path / "stopped"), whole)


@pytest.mark.parametrize("visible", [1, 2, 4])
@pytest.mark.parametrize("members", [1, 2, 3, 4, 5, 12])
@pytest.mark.parametrize("length", [2, 128])
def test_any_number_of_members_finds_a_layout(visible, members, length, monkeypatch):
    found = jax.devices()[:visible]
    monkeypatch.setattr(jax, "devices", lambda: found)
    spread = make_layout("jit", None, members, 32, length)
    used = len(spread.devices)
    assert (members + spread.padding) % used == 0 if spread.by_member else 32 % used == 0
    assert used == visible or length == 2


@pytest.mark.parametrize(
    "members, batch, length, wanted",
    [
        (1, 4, 24, (True, 1, 0)),  # devices that share so few tokens are slower than one
        (1, 32, 64, (False, 2, 0)),
        (4, 32, 64, (True, 2, 0)),
        (5, 4, 24, (True, 2, 1)),  # as fast as six members
        (5, 32, 128, (False, 2, 0)),  # to do a sixth for nothing would take longer
    ],
)
def test_devices_divide_members_or_share_batches(members, batch, length, wanted, monkeypatch):
    """Which was faster when it was measured on two cores."""
    two = jax.devices()[:2]
    monkeypatch.setattr(jax, "devices", lambda: two)
    found = make_layout("jit", None, members, batch, length)
    assert (found.by_member, len(found.devices), found.padding) == wanted


@pytest.mark.parametrize("parallel", ["jit", "pmap"])
def test_members_that_do_not_divide_are_padded(parallel):
    layout, x_MxK = make_layout(parallel, 4, 6, 1, 1), np.arange(18.0).reshape(6, 3)
    assert (layout.by_member, layout.padding, layout.copies) == (True, 2, 4)
    keys_M = jax.random.split(jax.random.key(0), 6)

    def run(key, x_K):
        return jnp.cumsum(x_K) + jax.random.uniform(key)

    found = devices.compile_over(layout, run, keys_M, x_MxK)(
        *devices.place(layout, (keys_M, x_MxK))
    )
    np.testing.assert_allclose(found, jax.vmap(run)(keys_M, x_MxK), rtol=1e-6)


@pytest.mark.parametrize("parallel", ["jit", "pmap"])
def test_padded_members_have_the_rows_of_one_device(reference, parallel, tmp_path):
    config = with_run(reference[0], seeds=3, batch=1, steps=20, parallel=parallel)
    one = rows(with_run(config, devices=1), tmp_path / "one")
    two = rows(with_run(config, devices=2), tmp_path / "two")
    assert two.env["by_member"] and two.rows["nats"].shape[0] == 3
    np.testing.assert_allclose(two.rows["nats"], one.rows["nats"], rtol=1e-4)


@pytest.mark.parametrize("parallel", ["jit", "pmap"])
def test_an_option_that_the_compiler_does_not_know_is_left_out(parallel, monkeypatch):
    layout, x_MxK = make_layout(parallel, 1, 2, 32, 8), jnp.arange(6.0).reshape(2, 3)
    known = devices.compile_over(layout, jnp.cumsum, x_MxK)(x_MxK)
    monkeypatch.setattr(devices, "CPU_OPTIONS", {"xla_cpu_of_another_version": False})
    unknown = devices.compile_over(layout, jnp.cumsum, x_MxK)(x_MxK)
    np.testing.assert_array_equal(known, [[0, 1, 3], [3, 7, 12]])
    np.testing.assert_array_equal(unknown, known)


@pytest.mark.slow
def test_a_step_is_the_same_eager_jitted_and_vmapped(tiny_config):
    setup = setups.assemble(tiny_config)
    code = prequential.make(setup.observer, Batch(8, 4))
    generator, hyper = setup.member(0)
    state = jax.tree.map(lambda leaf: leaf, code.init(hyper))
    step = jax.jit(code.step)
    for _ in range(3):  # until the weights have left their symmetric start
        state, _ = step(generator, hyper, state)
    _, eager = code.step(generator, hyper, state)
    _, jitted = step(generator, hyper, state)
    stacked = stack([(generator, hyper, state)] * 2)
    _, mapped = jax.jit(jax.vmap(code.step))(*stacked)
    for name, value in jitted.items():
        np.testing.assert_allclose(eager[name], value, rtol=1e-5, err_msg=name)
        np.testing.assert_allclose(mapped[name], [value] * 2, rtol=1e-5, err_msg=name)


def test_members_must_share_shapes(tiny_config):
    for key in ("observer.width", "run.batch", "generator.name", "eval.examples"):
        with pytest.raises(ValueError, match=key):
            setups.assemble(tiny_config, [{key: 1}])


def test_measure_takes_a_generator_for_every_seed():
    measured = measure(
        lambda key: text.make(key, corpus="zen", unit="byte", length=8),
        counts.make(256, 8, order=1),
        steps=4, batch=8, eval_examples=5,
    )  # fmt: skip
    assert len(set(measured.charged_nats)) == 4 and measured.shared_held_out


@pytest.mark.slow
def test_jit_and_pmap_resume_each_other(reference, tmp_path):
    config, wanted = reference
    rows(with_run(config, parallel="pmap"), tmp_path, stop_after=2)
    resumed = rows(with_run(config, parallel="jit", devices=4), tmp_path)
    np.testing.assert_allclose(resumed.rows["nats"][:, :20], wanted.rows["nats"][:, :20], rtol=1e-4)


def test_a_complete_run_returns_at_once(reference, tmp_path):
    config, _ = reference
    rows(config, tmp_path)
    assert list(train(config, tmp_path)) == []


def test_an_exported_record_holds_the_same_numbers(reference, tmp_path):
    _, run = reference
    copy, short = tmp_path / "copy", tmp_path / "short"
    export.export(run.path, copy)
    exported = record.load(copy)
    np.testing.assert_equal(exported._replace(path=run.path), run)
    assert record.is_complete(copy, 40) and not (copy / "ckpt").exists()
    export.export(copy, short, keep=1)
    assert list(record.load(short).evals) == [40]
    small = tmp_path / "small"
    export.export(run.path, small, small=True)
    small = record.load(small)
    assert sorted(small.evals) == sorted(run.evals) and "grad_norm" not in small.rows
    for step in run.evals:
        ours, theirs = (ledger.measure(r, anchor="ema", step=step) for r in (small, run))
        for number in ("structure_nats", "entropy_nats", "exact_flops", "paper_flops"):
            np.testing.assert_allclose(getattr(ours, number), getattr(theirs, number), rtol=1e-6)
    with pytest.raises(record.RecordError, match="exists"):
        export.export(run.path, copy)
    (copy / "done.json").unlink()
    with pytest.raises(record.RecordError, match="not complete"):
        export.export(copy, tmp_path / "other")


def test_counting_does_not_depend_on_the_batch(tiny_config, tmp_path):
    config = tiny_config | {"observer": {"name": "counts", "order": 2}}
    small = with_run(config, batch=4, steps=80)
    total = [
        rows(c, tmp_path / str(n)).rows["nats"].sum(1, dtype=np.float64)
        for n, c in enumerate([config, small, with_run(config, devices=4)])
    ]
    np.testing.assert_allclose(total[1], total[0], rtol=1e-6)
    np.testing.assert_allclose(total[2], total[0], rtol=1e-6)


@pytest.mark.slow
def test_members_may_vary_rates_and_arrays_but_not_shapes(tiny_config, tmp_path):
    members = grid.product(
        grid.vary("generator.density", [0.2, 0.5]), grid.vary("optim.lr", [0.01, 0.03])
    )
    done = rows(tiny_config, tmp_path, members)
    assert done.rows["nats"].shape == (4, 40)
    assert done.config["members"] == members
    assert len({tuple(row) for row in done.rows["nats"].tolist()}) == 4
    with pytest.raises(ValueError, match="to share an ensemble"):
        next(loop.train(setups.assemble(tiny_config, grid.vary("generator.width", [3, 4])), "x"))


@pytest.mark.parametrize("name", [pytest.param("transformer", marks=pytest.mark.slow), "counts"])
def test_no_observer_beats_uniform_noise(name, tmp_path):
    """The leak detector: fewer bits than the entropy, by more than 5 standard errors, would mean
    that a token reaches its own prediction."""
    generator = iid.make(stream(0, "world"), law="uniform", vocab=4, length=16)
    observer = {
        "transformer": transformer.make(4, 16, depth=1, width=16),
        "counts": counts.make(4, 16, order=2),
    }[name]
    measured = measure(
        generator, observer, steps=60, batch=32, chunk=30, eval_examples=512, workdir=tmp_path
    )
    rows = record.load(tmp_path).rows
    excess = rows["nats"].astype(np.float64) - rows["coded_tok"] * np.log(4)
    error = excess.std(1, ddof=1) * np.sqrt(excess.shape[1])
    assert (excess.sum(1) > -5 * error).all()
    assert (np.log(4) - measured.anchor_nats < 5 * measured.anchor_error_nats + 1e-6).all()


def test_a_uniform_observer_has_no_structure():
    """A learning rate of almost zero keeps an observer uniform: |S| < 1e-6 of the total."""
    generator = life.make(stream(0, "world"), height=4, width=4)
    observer = linear.make(2, 32)
    measured = measure(generator, observer, steps=50, batch=64, lr=1e-30, eval_examples=256)
    assert (np.abs(measured.structure_nats) < 1e-6 * measured.charged_nats).all()


def test_measure_keeps_a_record_and_goes_on_with_it(tmp_path):
    generator = iid.make(stream(0, "world"), law="bernoulli", p=0.2, length=8)
    observer = counts.make(2, 8, order=0)
    found = measure(generator, observer, steps=50, batch=16, workdir=tmp_path)
    again = ledger.measure(record.load(tmp_path))
    np.testing.assert_array_equal(found.structure_nats, again.structure_nats)
    entropy = -(0.2 * np.log(0.2) + 0.8 * np.log(0.8))
    np.testing.assert_allclose(found.anchor_nats, entropy, atol=5 * found.anchor_error_nats.max())
    with pytest.raises(record.RecordError, match="another config"):
        other = counts.make(2, 8, order=1)
        measure(generator, other, steps=50, batch=16, workdir=tmp_path)


def test_nats_by_position_add_up(tiny_config, tmp_path):
    config = tiny_config | {"code": {"name": "prequential", "positions": True}}
    done = rows(config, tmp_path)
    assert done.rows["position_nats"].shape == (2, 40, 18)
    np.testing.assert_allclose(done.rows["position_nats"].sum(-1), done.rows["nats"], rtol=1e-5)
    assert (done.rows["position_coded_tok"][..., :9] == 0).all()
    assert (done.rows["position_coded_tok"].sum(-1) == done.rows["coded_tok"]).all()
