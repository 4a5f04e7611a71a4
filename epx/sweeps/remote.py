"""Workers that an engine starts elsewhere: what each does, and how the driver follows them.

Workers share the ensembles by leases in the folder of the sweep, as between terminals, so that an
engine only has to start them, and to start them again: work that is done twice does no harm. All
machines must see that folder, and the code, under the same path.

This module must not import JAX, because a worker chooses its core before.
"""

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from epx.record import RecordError
from epx.types import refusal

if TYPE_CHECKING:
    from epx.sweeps.ensembles import Ensemble
    from epx.sweeps.local import Step


class Plan(NamedTuple):
    """What a worker needs, as plain values.

    Attributes:
      ensembles: the fields of each.
      workdir: folder of the sweep, an absolute path.
      folder: in which the driver runs; relative paths of the config are from there.
      prepare: starts JAX; a function of a module that workers can import.
    """

    ensembles: tuple[tuple, ...]
    workdir: str
    folder: str
    prepare: Callable[[], None]


def plan(ensembles: Sequence["Ensemble"], workdir: Path, prepare: Callable[[], None]) -> Plan:
    """The plan of ensembles in the order of `local.in_order`."""
    return Plan(tuple(map(tuple, ensembles)), str(workdir.absolute()), os.getcwd(), prepare)


def work(plan: Plan, is_stopping: Callable[[], bool] = lambda: False) -> None:
    """Claim and run ensembles until all are done; what a worker does.

    Args:
      plan: from the driver.
      is_stopping: asked after every chunk; the state is then saved.
    """
    os.chdir(plan.folder)
    plan.prepare()
    from epx.sweeps import local
    from epx.sweeps.ensembles import Ensemble

    ensembles = [Ensemble(*fields) for fields in plan.ensembles]
    steps = local.train(ensembles, local.prepare(ensembles), Path(plan.workdir))
    with contextlib.closing(steps):
        for _ in steps:
            if is_stopping():
                return


class Workers(NamedTuple):
    """How the workers stand: how many are left, and the errors of those that ended."""

    left: int
    errors: list[str]


def follow(
    ensembles: Sequence["Ensemble"], workdir: Path, look: Callable[[], Workers]
) -> Iterator["Step"]:
    """Yield where the ensembles stand, until all are done or have failed.

    Args:
      ensembles: of the plan.
      workdir: folder of the sweep.
      look: waits a moment and says how the workers stand.

    Raises:
      RecordError: all workers ended before the ensembles did.
    """
    from epx.sweeps import local, status

    waiting, workers = list(ensembles), Workers(1, [])
    while True:
        # What the last worker has done is seen, as the folder is read after it has ended.
        for ensemble in list(waiting):
            reason = status.failure(workdir, ensemble)
            if reason or status.is_done(workdir, ensemble):
                waiting.remove(ensemble)
            if reason:
                done = 1 - len(waiting) / len(ensembles)
                yield local.Step(ensemble, None, done, failed=reason)
        if not waiting:
            return
        if not workers.left:
            reason = workers.errors[0] if workers.errors else "they ended"
            raise RecordError(f"all workers ended before {len(waiting)} ensembles: {reason}")
        yield local.Step(waiting[0], None, 1 - len(waiting) / len(ensembles), waits=True)
        workers = look()


def last_line(error: BaseException) -> str:
    """What an error of an engine comes to."""
    lines = str(error).strip().splitlines()
    return lines[-1] if lines else type(error).__name__


def require_package(executor: str, package: str) -> None:
    """Refuse an executor whose package is not installed. Raises ValueError."""
    import importlib.util

    if importlib.util.find_spec(package) is None:
        accepted = f"local; for {executor} first: pip install 'epx-jax[{executor}]'"
        raise refusal("--executor", executor, accepted)
