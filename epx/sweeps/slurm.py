"""Workers of a sweep on a SLURM cluster: an array of jobs, through submitit.

A job that is preempted, or reaches its time limit, is queued again and goes on.
"""

import os
import shlex
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from epx.record import RecordError
from epx.sweeps import remote
from epx.types import refusal, require

if TYPE_CHECKING:
    from epx.sweeps.ensembles import Ensemble
    from epx.sweeps.local import Step

SECONDS = 2.0  # between two looks at the jobs
MOST_REQUEUED = 10_000  # times that a job is queued again


def options(pairs: Sequence[str]) -> dict[str, Any]:
    """NAME=VALUE as options of a job; whole numbers become numbers. Raises ValueError."""
    parts = [pair.partition("=") for pair in pairs]
    legal = all(name and sign and value for name, sign, value in parts)
    require("--slurm", list(pairs), legal, "pairs such as partition=cpu,time=60")
    found = {name: int(value) if value.isdigit() else value for name, _, value in parts}
    require("--slurm", list(pairs), "time" in found, "options with time, the minutes of a job")
    return found


class Work:
    """A job. It holds no path of a state: a job that is queued again finds its own."""

    def __init__(self, plan: remote.Plan) -> None:
        self.plan = plan
        self._stops: threading.Event | None = None
        self._thread: threading.Thread | None = None

    def __call__(self) -> None:
        """Run ensembles until all are done, in a thread, so that signals find this one free."""
        stops, failures = threading.Event(), []

        def run() -> None:
            try:
                remote.work(self.plan, stops.is_set)
            except BaseException as error:  # raised again below
                failures.append(error)

        self._stops, self._thread = stops, threading.Thread(target=run)
        self._thread.start()
        while self._thread.is_alive():
            self._thread.join(SECONDS)
        if failures:
            raise failures[0]

    def checkpoint(self) -> Any:
        """Save the state; what SLURM then runs again, after a preemption or a time limit."""
        from submitit.helpers import DelayedSubmission

        if self._stops and self._thread:
            self._stops.set()
            self._thread.join()
        return DelayedSubmission(Work(self.plan))

    def __getstate__(self) -> dict[str, Any]:
        return {"plan": self.plan, "_stops": None, "_thread": None}


def train(
    ensembles: Sequence["Ensemble"],
    workdir: Path,
    prepare: Callable[[], None],
    workers: int,
    options: Mapping[str, Any],
) -> Iterator["Step"]:
    """Submit an array of jobs; yield where the ensembles stand every two seconds.

    Closing the iterator cancels the jobs; the same call then goes on from their last states.

    Args:
      ensembles: in the order of `local.in_order`.
      workdir: folder of the records, which all nodes share.
      prepare: as in `remote.Plan`.
      workers: jobs of the array.
      options: of `sbatch` by the names of submitit, such as partition, time and cpus_per_task.

    Raises:
      ValueError: submitit or SLURM is not there, or does not know an option.
      RecordError: all jobs ended before the ensembles did.
    """
    remote.require_package("slurm", "submitit")
    import submitit

    try:
        executor = submitit.SlurmExecutor(workdir / "slurm", max_num_timeout=MOST_REQUEUED)
    except RuntimeError as error:
        raise refusal(
            "--executor", "slurm", f"local, as there is no sbatch here: {error}"
        ) from error
    path = shlex.quote(os.pathsep.join(path for path in sys.path if path))
    own = {"array_parallelism": workers, "setup": [f"export PYTHONPATH={path}"]}
    try:
        executor.update_parameters(**own | dict(options))
    except (NameError, TypeError, ValueError) as error:
        known = ", ".join(sorted(executor._valid_parameters()))
        raise refusal("--slurm", dict(options), f"options {known}") from error
    work = Work(remote.plan(ensembles, workdir, prepare))
    try:
        with executor.batch():
            jobs = [executor.submit(work) for _ in range(workers)]
    except submitit.core.utils.FailedJobError as error:
        raise RecordError(f"SLURM did not take the jobs: {remote.last_line(error)}") from error
    try:
        yield from remote.follow(ensembles, workdir, lambda: _look(jobs))
    finally:
        for job in jobs:
            if not job.done():
                job.cancel()


def _look(jobs: Sequence[Any]) -> remote.Workers:
    time.sleep(SECONDS)
    ended = [job for job in jobs if job.done()]
    errors = []
    for job in ended:
        if (error := job.exception()) is not None:
            errors.append(remote.last_line(error))
    return remote.Workers(len(jobs) - len(ended), errors)
