"""The loop of a run: compiled chunks of steps of an ensemble, kept in a record.

The loop is a Python generator that yields after every chunk, when its rows are on disk. The caller
can show progress, or stop, after any chunk. States are written beside the next chunk.
"""

import contextlib
import dataclasses
import functools
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np
from absl import logging
from jax import lax

from epx import record
from epx.analysis import ledger
from epx.run import checkpoint, evaluation, processes, provenance
from epx.run.checkpoint import Saver
from epx.run.devices import compile_over, place
from epx.run.setup import Setup
from epx.types import Code, Generator, Hyper, PyTree, State, require

# What a policy reads of the rows.
POLICY_ROWS = ("nats", "coded_tok", "part_nats", "part_coded_tok", "part_weights")
COMPLETE = np.int32(-1)  # in place of the step of a state


class RunError(Exception):
    """A run that cannot continue; the message is for the user."""


class Progress(NamedTuple):
    """The progress of a run.

    Attributes:
      step: steps done.
      steps: steps of the run.
      compile_seconds: time that this chunk waited for its compilation.
      nats_per_tok_M: each member's online nats per coded token in the chunk; nan before the first
        chunk, for failed members and where nothing was charged.
    """

    step: int
    steps: int
    compile_seconds: float
    nats_per_tok_M: np.ndarray


class Programs(NamedTuple):
    """The programs of a run, compiled in parallel, because a compilation uses one core.

    Attributes:
      init: future of hyper -> state.
      chunk: number of steps -> future of (generator, hyper, state) -> (state, rows).
      evaluate: future of (generator, hyper, state) -> held-out sums.
    """

    init: Future
    chunk: Callable[[int], Future]
    evaluate: Future

    @classmethod
    def start(cls, setup: Setup, shapes: PyTree | None = None) -> "Programs":
        """Start the compilations for a setup; they depend only on the shapes of its members.

        `shapes` is `setup.abstract_state()`, where that is known already.
        """
        plan, layout, code = setup.plan, setup.layout, setup.code
        compilers = ThreadPoolExecutor(max_workers=3)
        members = place(layout, (setup.generator, setup.hyper))
        shapes = setup.abstract_state() if shapes is None else shapes

        @functools.cache
        def chunk(steps: int) -> Future:
            scanned = scan(code, steps)
            return compilers.submit(compile_over, layout, scanned, *members, shapes, donate=True)

        evaluator = evaluation.make_evaluator(setup.observer, setup.batch, plan.eval_examples)
        chunk(min(plan.chunk, plan.steps))
        return cls(
            init=compilers.submit(compile_over, layout, setup.init, *place(layout, setup.stacked)),
            chunk=chunk,
            evaluate=compilers.submit(compile_over, layout, evaluator, *members, shapes),
        )


def train(
    setup: Setup, workdir: Path | str, programs: Programs | None = None
) -> Iterator[Progress]:
    """Run a setup, or resume it, and keep its record in `workdir`.

    Yields once before the first chunk and after every chunk. Closing the iterator saves the state
    and unlocks the directory; the same call then resumes, bit for bit. Yields nothing if the record
    is complete.

    Args:
      setup: the run, from `assemble`.
      workdir: folder of the record.
      programs: compiled earlier for this setup; None compiles them.

    Raises:
      ValueError: the setup is that of a plan.
      RecordError: the directory is in use, holds another config, or cannot be written.
      RunError: no member has a finite loss any more.
      LostError: of several processes of the run one is gone.
    """
    accepted = "a setup whose other records are made; this one is a plan"
    require("setup", "planned", not setup.planned, accepted)
    workdir = Path(workdir).resolve()
    like = setup.abstract_state()
    with processes.losses(), contextlib.ExitStack() as held:
        begin = functools.partial(_begin, setup, workdir, like, held)
        step, state = processes.of_first(begin, (np.int32(0), like))
        if step == COMPLETE:
            return
        programs = programs or Programs.start(setup, like)
        members = place(setup.layout, (setup.generator, setup.hyper))
        if step:
            state = place(setup.layout, state)
        else:
            state = programs.init.result()(*place(setup.layout, setup.stacked))
        with Saver(workdir / "ckpt", setup.plan.keep) as saver:
            yield from _chunks(setup, workdir, programs, (*members, state), int(step), saver)
            if processes.is_first():
                record.write_arrays(workdir / "baselines.npz", evaluation.baselines(setup))
        if processes.is_first():
            _complete(setup, workdir)


def _begin(
    setup: Setup, workdir: Path, like: State, held: contextlib.ExitStack
) -> tuple[np.int32, State]:
    """Lock the record, check or write its config, and read its newest state.

    Returns:
      The step of the state, and the state; (0, zeros) if there is none, (COMPLETE, zeros) if there
      is nothing to do.
    """
    held.enter_context(record.lock(workdir))
    config = setup.config | {"facts": provenance.static_facts(setup)}
    environment = provenance.environment(setup.layout, setup.batch)
    for line in record.begin(workdir, config, environment):
        logging.warning("environment differs, so numbers agree to rounding only: %s", line)
    none = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), like)
    if record.is_complete(workdir, setup.plan.steps):
        return COMPLETE, none
    restored = checkpoint.restore(workdir / "ckpt", like, record.intact_steps(workdir))
    step, state = restored or (0, none)
    record.truncate(workdir, step)
    return np.int32(step), state


def scan(code: Code, steps: int) -> Callable:
    """`steps` steps of a code as a function of one member.

    Returns:
      (generator, hyper, state) -> (state, rows); the rows have a leading axis K.
    """

    def scanned(generator: Generator, hyper: Hyper, state: State):
        return lax.scan(lambda s, _: code.step(generator, hyper, s), state, length=steps)

    return scanned


def _chunks(
    setup: Setup, workdir: Path, programs: Programs, members: tuple, step: int, saver: Saver
) -> Iterator[Progress]:
    """Run the chunks; after each, write rows and evaluation, start to save the state, and yield."""
    plan, saved_step = setup.plan, step
    generator, hyper, state = members
    mixed = _Mixed(setup, workdir, step)
    try:
        yield Progress(step, plan.steps, 0.0, np.full(setup.members, np.nan))
        while step < plan.steps:
            started = time.perf_counter()
            program = programs.chunk(min(plan.chunk, plan.steps - step)).result()
            compiled = time.perf_counter()
            state, rows = program(mixed.generator(generator), hyper, state)
            rows = processes.fetch(rows)
            seconds = time.perf_counter() - compiled
            rows["seconds"] = np.full(rows["nats"].shape, seconds / rows["nats"].shape[1])
            mixed.add(rows)
            _write(record.row_path(workdir, step), rows)
            step += rows["nats"].shape[1]
            if _is_due(step, plan.eval_every, plan.steps):
                evals = processes.fetch(programs.evaluate.result()(generator, hyper, state))
                _write(record.eval_path(workdir, step), evals)
            if _is_due(step, plan.checkpoint_every, plan.steps):
                _save(saver, step, state)
                saved_step = step
            if not rows["finite"][:, -1].any():
                if saved_step < step:
                    _save(saver, step, state)
                first = processes.is_first()
                raise RunError(_all_failed(workdir) if first else "no member is finite any more")
            yield Progress(step, plan.steps, compiled - started, _mean_nats(rows))
    except GeneratorExit:
        if saved_step < step:
            _save(saver, step, state)
        raise


class _Mixed:
    """The generator of each chunk, where a policy changes it by the rows so far."""

    def __init__(self, setup: Setup, workdir: Path, step: int) -> None:
        self._setup, self._weights = setup, None
        self._rows: record.Arrays = {}
        if setup.policy and step:
            rows = record.load(workdir).rows
            self._rows = {name: rows[name] for name in POLICY_ROWS}

    def generator(self, first: Generator) -> Generator:
        """The generator of the next chunk; `first` is that of the config."""
        if self._setup.policy is None:
            return first
        changed = self._setup.policy(self._rows)
        placed = place(self._setup.layout, {k: np.float32(v) for k, v in changed.items()})
        self._weights = changed["weights_P"]
        return dataclasses.replace(first, **placed)

    def add(self, rows: record.Arrays) -> None:
        """Note the rows of a chunk, and in them the weights that it had."""
        if self._setup.policy is None:
            return
        steps = rows["nats"].shape[1]
        rows["part_weights"] = np.repeat(np.float32(self._weights)[:, None], steps, axis=1)
        self._rows = {
            name: np.concatenate([self._rows[name], rows[name]], axis=1)
            if self._rows
            else rows[name]
            for name in POLICY_ROWS
        }


def _write(path: Path, arrays: record.Arrays) -> None:
    if processes.is_first():
        record.write_arrays(path, arrays)


def _save(saver: Saver, step: int, state: State) -> None:
    state = processes.fetch(state)
    if processes.is_first():
        saver.save(step, state)


def _is_due(step: int, every: int | None, steps: int) -> bool:
    """Whether a step is the last one, or a multiple of `every`."""
    return step == steps or (every is not None and step % every == 0)


def _mean_nats(rows: record.Arrays) -> np.ndarray:
    """Online nats per coded token of each member in a chunk; nan for failed members."""
    tok_M = rows["coded_tok"].sum(1)
    nats_M = rows["nats"].sum(1, dtype=np.float64) / np.maximum(tok_M, 1)
    return np.where(rows["finite"].all(1) & (tok_M > 0), nats_M, np.nan)


def _all_failed(workdir: Path) -> str:
    failed = ledger.failures(record.load(workdir))
    steps = ", ".join(f"member {member} at step {step}" for member, step in failed.items())
    return (
        f"no member has a finite loss any more ({steps}); the last finite state is in "
        f"{workdir / 'ckpt'}. Try a smaller optim.lr or optim.clip_norm"
    )


def _complete(setup: Setup, workdir: Path) -> None:
    """Write what says that a run is complete: its failures and its time."""
    run = record.load(workdir)
    failed = ledger.failures(run)
    for member, step in failed.items():
        logging.warning("member %d failed: its loss was not finite at step %d", member, step)
    done = {"steps": setup.plan.steps, "seconds": float(run.rows["seconds"][0].sum())}
    record.write_json(
        workdir / "done.json", done | {"failed": {str(m): s for m, s in failed.items()}}
    )
