"""Workers of a sweep on a Ray cluster, an actor for each core or GPU.

Ray starts them, and starts them again where a process or a node is lost.
"""

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from epx.record import RecordError
from epx.sweeps import remote
from epx.types import refusal, require

if TYPE_CHECKING:
    from epx.sweeps.ensembles import Ensemble
    from epx.sweeps.local import Step

SECONDS = 1.0  # between two looks at the workers
START_SECONDS = 120.0  # until all workers have started
STOP_SECONDS = 60.0  # until the workers have saved their states


class Worker:
    """An actor: runs ensembles until all are done."""

    def __init__(self) -> None:
        self.is_stopping = False

    def node(self) -> str:
        """The node that this worker is on."""
        import ray

        return ray.get_runtime_context().get_node_id()

    def work(self, plan: remote.Plan, place: int) -> None:
        """Run ensembles; `place` is the number of this worker among those of its node."""
        # JAX would take all cores that the process may use, whatever Ray has granted. On a GPU
        # they do no harm.
        if hasattr(os, "sched_setaffinity") and not os.environ.get("CUDA_VISIBLE_DEVICES"):
            cores = sorted(os.sched_getaffinity(0))
            os.sched_setaffinity(0, {cores[place % len(cores)]})
        remote.work(plan, lambda: self.is_stopping)

    def stop(self) -> None:
        """Let `work` end after the current chunk, with its state saved."""
        self.is_stopping = True


def train(
    ensembles: Sequence["Ensemble"],
    workdir: Path,
    prepare: Callable[[], None],
    workers: int | None = None,
    address: str | None = None,
) -> Iterator["Step"]:
    """Run the unfinished ensembles on a cluster; yield where they stand every second.

    Closing the iterator saves the states; the same call then resumes.

    Args:
      ensembles: in the order of `local.in_order`.
      workdir: folder of the records, which all nodes share.
      prepare: as in `remote.Plan`.
      workers: their number; None: one for each GPU of the cluster, or else for each core.
      address: of a running cluster; None: one on this machine, for this call.

    Raises:
      ValueError: Ray is not installed, or has fewer cores or GPUs.
      RecordError: all workers ended before the ensembles did.
    """
    remote.require_package("ray", "ray")
    import ray

    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    variables = {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    try:
        ray.init(
            address, include_dashboard=None if address else False, log_to_driver=False,
            runtime_env={"env_vars": variables},
        )  # fmt: skip
    except (ConnectionError, ValueError) as error:
        accepted = f"the address of a running cluster; {remote.last_line(error)}"
        raise refusal("--address", address, accepted) from error
    actors: list[Any] = []
    tasks: list[Any] = []
    try:
        resources = ray.cluster_resources()
        kind = "GPU" if resources.get("GPU", 0) >= 1 else "CPU"
        most = int(resources.get(kind, 0))
        accepted = f"whole numbers from 1 to {most}, the {kind}s of the cluster"
        require("--workers", workers, workers is None or 1 <= workers <= most, accepted)
        # A second thread takes `stop`. Work that is lost is done again, elsewhere if need be.
        actor = ray.remote(
            num_cpus=1, num_gpus=int(kind == "GPU"), max_restarts=-1, max_task_retries=-1,
            max_concurrency=2,
        )(Worker)  # fmt: skip
        actors += [actor.remote() for _ in range(workers or min(most, len(ensembles)))]
        nodes = _nodes(actors)
        plan = remote.plan(ensembles, workdir, prepare)
        for n, (actor, node) in enumerate(zip(actors, nodes)):
            tasks.append(actor.work.remote(plan, nodes[:n].count(node)))
        yield from remote.follow(ensembles, workdir, _look(tasks))
    finally:
        for actor in actors:
            actor.stop.remote()
        if tasks:
            ray.wait(tasks, num_returns=len(tasks), timeout=STOP_SECONDS)
        ray.shutdown()


def _nodes(actors: Sequence[Any]) -> list[str]:
    """The node of each worker, once all have started."""
    import ray

    try:
        return ray.get([actor.node.remote() for actor in actors], timeout=START_SECONDS)
    except ray.exceptions.GetTimeoutError as error:
        raise RecordError(
            f"{len(actors)} workers did not start within {START_SECONDS:.0f} s: the cluster is "
            "busy; try fewer --workers"
        ) from error


def _look(tasks: Sequence[Any]) -> Callable[[], remote.Workers]:
    """A function that waits a moment for the tasks."""
    import ray

    left, errors = list(tasks), []

    def look() -> remote.Workers:
        ended, left[:] = ray.wait(left, timeout=SECONDS)
        for task in ended:
            try:
                ray.get(task)
            except Exception as error:  # of the run, or of Ray
                errors.append(remote.last_line(error))
        return remote.Workers(len(left), errors)

    return look
