"""The section `sweep`: what planning, claiming and recording cost beside training."""

import contextlib
import functools
import os
import resource
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import ModuleType
from unittest import mock

from epx import record
from epx.report import export, summary
from epx.run import checkpoint
from epx.sweeps import grid, leases, local, status
from epx.sweeps.ensembles import Ensemble, ensembles
from experiments.bench.training import Rows
from experiments.cli import configs

MEMBERS, ENSEMBLES = 10, 20
MORE_ENSEMBLES = 30  # of one member each, for the memory of a worker
RECORDS = (1, 10, 100, 1000)


def sweep() -> Rows:
    """200 members of `eca:tiny` in 20 ensembles, their report, and the memory of a worker."""
    with tempfile.TemporaryDirectory() as folder:
        yield from _trained(Path(folder))
        yield from _reported(Path(folder))
    with tempfile.TemporaryDirectory() as folder:
        yield _remembered(Path(folder))


def _plan(count: int, members: int) -> list[Ensemble]:
    """Ensembles that differ in the number of held-out examples, so that none shares a program."""
    config = configs.load("eca:tiny", {})
    examples = grid.vary("eval.examples", range(64, 64 + count))
    runs = grid.product(examples, grid.vary("run.seed", range(members)))
    return local.in_order(ensembles(config, runs))


def _trained(folder: Path) -> Rows:
    began = time.perf_counter()
    groups = _plan(ENSEMBLES, MEMBERS)
    setups = local.prepare(groups)
    planned, clock = time.perf_counter() - began, Clock()
    with clock.watching(
        (record, "write_arrays"), (record, "write_json"), (record, "begin"),
        (checkpoint.Saver, "save"), (checkpoint.Saver, "finish"),
        (status, "is_settled"), (status, "needs"), (leases, "current"), (leases, "_take"),
    ):  # fmt: skip
        for _ in local.train(groups, setups, folder):
            pass
    seconds = time.perf_counter() - began
    folders = record.find(folder / "records")
    training = sum(float(record.load(path).rows["seconds"][0].sum()) for path in folders)
    overhead = planned + clock.seconds
    yield (
        f"{ENSEMBLES} ensembles of {MEMBERS} members of eca:tiny",
        {
            "planning_s": planned,
            "claiming_and_recording_s": clock.seconds,
            "training_s": training,
            "compiling_and_evaluating_s": seconds - training - overhead,
            "overhead_share_of_training": overhead / training,
            "overhead_share_of_all": overhead / seconds,
        },
    )
    members = ENSEMBLES * MEMBERS
    kept = [path for path in (folder / "records").rglob("*") if path.is_file()]
    yield (
        "files of a member",
        {
            "files": len(kept) / members,
            "kibibytes": sum(path.stat().st_size for path in kept) / members / 1024,
        },
    )


class Clock:
    """The seconds in functions of the program, called from one thread."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._depth = 0

    @contextlib.contextmanager
    def watching(self, *functions: tuple[ModuleType | type, str]) -> Iterator[None]:
        """Count the time in these functions, each a place and a name, while the context lasts."""
        with contextlib.ExitStack() as stack:
            for module, name in functions:
                timed = self._timed(getattr(module, name))
                stack.enter_context(mock.patch.object(module, name, timed))
            yield

    def _timed(self, function: Callable) -> Callable:
        @functools.wraps(function)
        def timed(*args, **kwargs):
            began, self._depth = time.perf_counter(), self._depth + 1
            try:
                return function(*args, **kwargs)
            finally:
                self._depth -= 1
                if self._depth == 0:  # within another one it is counted there
                    self.seconds += time.perf_counter() - began

        return timed


def _reported(folder: Path) -> Rows:
    """The time of a report, from copies of one record without its states."""
    small = folder / "small"
    export.export(record.find(folder / "records")[0], small, small=True)
    for count in RECORDS:
        copies = folder / f"copies-{count}"
        for number in range(count):
            shutil.copytree(small, copies / f"{number:04d}")
        began = time.perf_counter()
        cells = summary.cells([record.load(path) for path in record.find(copies)])
        seconds = time.perf_counter() - began
        yield f"report of {count} records", {
            "seconds": seconds, "ms_per_record": 1000 * seconds / count, "cells": len(cells)
        }  # fmt: skip
        shutil.rmtree(copies)


def _remembered(folder: Path) -> tuple[str, dict[str, float]]:
    """The memory of a process after each ensemble, whose programs it lets go."""
    groups = _plan(MORE_ENSEMBLES, 1)
    after: dict[str, float] = {}
    for step in local.train(groups, local.prepare(groups), folder):
        after[step.ensemble.name] = _resident_mebibytes()
    return f"memory of a worker over {len(after)} ensembles", growth(list(after.values()))


def growth(mebibytes: Sequence[float]) -> dict[str, float]:
    """Memory after the first third and at the end, and the growth of an ensemble in between."""
    first = len(mebibytes) // 3
    return {
        "mebibytes_then": mebibytes[first],
        "mebibytes_now": mebibytes[-1],
        "growth": (mebibytes[-1] - mebibytes[first]) / (len(mebibytes) - 1 - first),
    }


def _resident_mebibytes() -> float:
    """What the process holds now; where the system does not say, the most that it has held."""
    status = Path("/proc/self/statm")
    if status.exists():
        return int(status.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)
