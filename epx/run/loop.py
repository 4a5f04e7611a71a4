"""A run: the steps of a code, scanned into chunks over the members of an ensemble, with a record.
The host loop is a Python generator that yields after every chunk, when everything up to it is on
disk, so that a caller shows progress, or stops, wherever it likes."""

import dataclasses
import functools
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from absl import logging
from jax import lax

from epx import record, streams
from epx.analysis import ledger
from epx.analysis.measurement import Measurement
from epx.codes import prequential
from epx.learning import optim
from epx.run import checkpoint, evaluation, provenance
from epx.run.devices import Layout, compile_over, place
from epx.run.plan import Plan, Setup, stack
from epx.streams import Batch
from epx.types import Code, Generator, Hyper, Observer, State


class RunError(Exception):
    """A run that cannot go on; the message is for the user."""


class Progress(NamedTuple):
    """Where a run is.

    Attributes:
      step, steps: steps done, of all.
      compile_seconds: time that this chunk waited for its compiler.
      nats_per_tok_M: each member's online nats per coded token in the chunk; nan before the first
        chunk, for members that have failed and where nothing was charged.
    """

    step: int
    steps: int
    compile_seconds: float
    nats_per_tok_M: np.ndarray


def train(setup: Setup, workdir: Path | str) -> Iterator[Progress]:
    """Runs a setup, or goes on with it, and keeps its record in `workdir`.

    Yields once before the first chunk and after every chunk. Closing the iterator saves the state
    and releases the directory; the same call goes on from there, bit for bit. Where the record is
    complete, nothing is yielded.

    Raises:
      RecordError: the directory is in use, holds another config, or cannot be written.
      RunError: no member is left whose loss is finite.
      ValueError: a plan that the world or the devices do not allow.
    """
    workdir = Path(workdir).resolve()
    plan = setup.plan
    setup.check()
    spread = plan.layout(len(setup.generators))
    batch = plan.cut(spread, setup.generators[0].spec.length)
    code = setup.code(setup.observer, batch)
    generator, hyper = stack(setup.generators), stack(setup.hypers)
    config = setup.config | {"facts": provenance.facts(setup, generator)}
    with record.lock(workdir):
        for line in record.begin(workdir, config, provenance.environment(spread, batch)):
            logging.warning("environment differs, so numbers agree to rounding only: %s", line)
        intact = record.intact_steps(workdir)
        if record.is_complete(workdir, plan.steps):
            return
        shapes = jax.eval_shape(jax.vmap(code.init), hyper)
        step, state = checkpoint.restore(workdir / "ckpt", shapes, intact) or (0, None)
        record.cut(workdir, step)
        generator, hyper = place(spread, (generator, hyper))
        with ThreadPoolExecutor(max_workers=3) as compilers:
            programs = _Programs.start(
                compilers, setup, spread, batch, code, generator, hyper, shapes
            )
            state = programs.init.result()(hyper) if state is None else place(spread, state)
            yield from _chunks(setup, workdir, programs, (generator, hyper, state), step)
        _finish(setup, workdir)


def scan(code: Code, steps: int) -> Callable:
    """So many steps of a code as a function of one member, (generator, hyper, state) -> (state,
    rows); the rows have a leading axis K."""

    def run(generator: Generator, hyper: Hyper, state: State):
        return lax.scan(lambda s, _: code.step(generator, hyper, s), state, length=steps)

    return run


class _Programs(NamedTuple):
    """What a run compiles, all of it at once, as the compiler uses one core for each program.

    Attributes:
      init: future of hyper -> state.
      chunk: number of steps -> future of (generator, hyper, state) -> (state, rows).
      evaluate: future of (generator, hyper, state) -> held-out sums.
    """

    init: Future
    chunk: Callable[[int], Future]
    evaluate: Future

    @classmethod
    def start(
        cls, compilers: Executor, setup: Setup, spread: Layout, batch: Batch, code: Code, *members
    ):
        """Starts compiling for members of these shapes: generator, hyper and state."""
        plan = setup.plan

        @functools.cache
        def chunk(steps: int) -> Future:
            return compilers.submit(compile_over, spread, scan(code, steps), *members, donate=True)

        chunk(min(plan.chunk, plan.steps))
        charge = evaluation.charge(setup.observer, batch, plan.eval_examples)
        return cls(
            init=compilers.submit(compile_over, spread, code.init, members[1]),
            chunk=chunk,
            evaluate=compilers.submit(compile_over, spread, charge, *members),
        )


def _chunks(setup: Setup, workdir: Path, programs: _Programs, members: tuple, step: int):
    """Chunk after chunk: rows, evaluation and state go to disk, in this order, then it yields."""
    plan, saved = setup.plan, step
    generator, hyper, state = members
    try:
        yield Progress(step, plan.steps, 0.0, np.full(len(setup.hypers), np.nan))
        while step < plan.steps:
            started = time.perf_counter()
            program = programs.chunk(min(plan.chunk, plan.steps - step)).result()
            compiled = time.perf_counter()
            state, rows = program(generator, hyper, state)
            rows = jax.device_get(rows)
            seconds = time.perf_counter() - compiled
            rows["seconds"] = np.full(rows["nats"].shape, seconds / rows["nats"].shape[1])
            record.write_arrays(record.row_path(workdir, step), rows)
            step += rows["nats"].shape[1]
            if step == plan.steps or (plan.eval_every and step % plan.eval_every == 0):
                evals = jax.device_get(programs.evaluate.result()(generator, hyper, state))
                record.write_arrays(record.eval_path(workdir, step), evals)
            if step == plan.steps or (plan.checkpoint_every and step % plan.checkpoint_every == 0):
                checkpoint.save(workdir / "ckpt", step, state, plan.keep)
                saved = step
            if not rows["finite"][:, -1].any():
                if saved < step:
                    checkpoint.save(workdir / "ckpt", step, state, plan.keep)
                raise RunError(_all_failed(workdir))
            yield Progress(step, plan.steps, compiled - started, _mean_nats(rows))
    except GeneratorExit:
        if saved < step:
            checkpoint.save(workdir / "ckpt", step, state, plan.keep)
        raise


def _mean_nats(rows: record.Arrays) -> np.ndarray:
    tok_M = rows["coded_tok"].sum(1)
    nats_M = rows["nats"].sum(1, dtype=np.float64) / np.maximum(tok_M, 1)
    return np.where(rows["finite"].all(1) & (tok_M > 0), nats_M, np.nan)


def _all_failed(workdir: Path) -> str:
    failed = ledger.failures(record.load(workdir))
    steps = ", ".join(f"member {member} at step {step}" for member, step in failed.items())
    return (
        f"no member is left whose loss is finite ({steps}); the state before is kept in "
        f"{workdir / 'ckpt'}. A smaller optim.lr or optim.clip_norm is what usually helps"
    )


def _finish(setup: Setup, workdir: Path) -> None:
    """What needs the whole run: rulers on the held-out tokens, failures, time."""
    rulers = evaluation.baselines(setup.generators, setup.hypers, setup.plan.eval_examples)
    record.write_arrays(workdir / "baselines.npz", rulers)
    run = record.load(workdir)
    failed = ledger.failures(run)
    for member, step in failed.items():
        logging.warning("member %d failed: its loss was not finite at step %d", member, step)
    done = {"steps": setup.plan.steps, "seconds": float(run.rows["seconds"][0].sum())}
    record.write_json(
        workdir / "done.json", done | {"failed": {str(m): s for m, s in failed.items()}}
    )


def measure(
    generator: Generator | Callable[[jax.Array], Generator],
    observer: Observer,
    *,
    steps: int,
    batch: int,
    seeds: int = 4,
    lr: float = 0.03,
    workdir: Path | str | None = None,
    **plan: Any,
) -> Measurement:
    """S and H of a world for an observer, by the prequential code, or where examples are seen again
    by the excess of its first pass.

    Args:
      generator: the world, the same for every seed, which draws its own examples of an endless
        world; or a function that makes one from a seed's key, such as
        `lambda key: text.make(key)`, which also draws another order of a finite world.
      observer: the learner, made for the world's vocabulary and length.
      steps, batch: optimiser steps, and examples in each.
      seeds: members of the ensemble; the interval is over them.
      lr: base learning rate.
      workdir: where the record is kept and gone on from; None measures without keeping it.
      **plan: further fields of `Plan`, such as `eval_examples`.

    Returns:
      The ledger's measurement; for example `.structure_bits` and `.entropy_bits_per_tok`.
    """
    plan = Plan(steps=steps, batch=batch, **plan)
    hypers = [optim.hyper(seed, lr=lr) for seed in range(seeds)]
    keys = [streams.stream(seed, "world") for seed in range(seeds)]
    worlds = [generator(key) if callable(generator) else generator for key in keys]
    config = {
        "generator": {"sha256": provenance.function(worlds[0].example, jax.random.key(0), 0)},
        "observer": {"sha256": provenance.observer(observer, worlds[0].spec)},
        "optim": {"lr": lr},
        "run": dataclasses.asdict(plan) | {"seeds": seeds},
        "eval": {"test_tokens": plan.test_tokens},
    }
    setup = Setup(worlds, hypers, observer, prequential.make, plan, config)
    with tempfile.TemporaryDirectory() as scratch:
        for _ in train(setup, workdir or scratch):
            pass
        done = record.load(workdir or scratch)
        return ledger.measure(done)
