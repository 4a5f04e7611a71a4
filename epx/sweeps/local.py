"""Sequential execution of a sweep's ensembles on this machine."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from epx import record
from epx.run import loop
from epx.run.setup import Setup, assemble
from epx.sweeps.ensembles import Ensemble
from epx.types import refusal, require


class Step(NamedTuple):
    """The progress of a sweep.

    Attributes:
      ensemble: the current ensemble.
      progress: of its run.
      part: fraction of the sweep done, 0 to 1, by FLOPs.
      failed: the message if no member of the ensemble has a finite loss, else "".
    """

    ensemble: Ensemble
    progress: loop.Progress
    part: float
    failed: str = ""


def folder(workdir: Path, ensemble: Ensemble) -> Path:
    """The folder of an ensemble's record."""
    return workdir / "records" / ensemble.name


def in_order(ensembles: Sequence[Ensemble]) -> list[Ensemble]:
    """The ensembles in order, each after those that it needs.

    Raises:
      ValueError: an ensemble needs one that does not exist, or needs itself.
    """
    by_name = {ensemble.name: ensemble for ensemble in ensembles}
    ordered: dict[str, Ensemble] = {}

    def add(ensemble: Ensemble, waiting: tuple[str, ...]) -> None:
        for name in ensemble.needs:
            names = ", ".join(by_name)
            require("needs", name, name in by_name, f"names of the sweep's ensembles: {names}")
            if name in (*waiting, ensemble.name):
                raise refusal("needs", name, "ensembles that do not need each other in a circle")
            add(by_name[name], (*waiting, ensemble.name))
        ordered[ensemble.name] = ensemble

    for ensemble in ensembles:
        add(ensemble, ())
    return list(ordered.values())


def prepare(ensembles: Sequence[Ensemble]) -> list[Setup]:
    """The setups of all ensembles. Raises ValueError as `assemble`, before anything is trained."""
    return [assemble(ensemble.config, ensemble.members) for ensemble in ensembles]


def check_workdir(ensembles: Sequence[Ensemble], workdir: Path) -> None:
    """Raise RecordError if a folder holds records of another sweep."""
    folders = [folder(workdir, ensemble) for ensemble in ensembles]
    others = [path.name for path in record.find(workdir / "records") if path not in folders]
    if others:
        raise record.RecordError(
            f"{workdir} holds other records: {', '.join(others)}; choose another --workdir"
        )


def train(ensembles: Sequence[Ensemble], setups: Sequence[Setup], workdir: Path) -> Iterator[Step]:
    """Run the unfinished ensembles, with a record for each below `workdir/records`.

    Yields after every chunk. Closing the iterator saves the state of the current run; the same call
    then resumes. An ensemble without a member of finite loss is reported in its last step, and the
    other ensembles continue.

    Args:
      ensembles: in the order of `in_order`.
      setups: from `prepare`, in the same order.
      workdir: folder of the records.

    Raises:
      RecordError: as `loop.train`.
    """
    work = [
        forecast_flops(setup, folder(workdir, ensemble))
        for ensemble, setup in zip(ensembles, setups)
    ]
    total, done = max(sum(work), 1.0), 0.0
    for ensemble, setup, flops in zip(ensembles, setups, work):
        progress = None
        chunks = loop.train(setup, folder(workdir, ensemble))
        try:
            for progress in chunks:
                part = (done + flops * progress.step / progress.steps) / total
                yield Step(ensemble, progress, part)
        except loop.RunError as error:
            yield Step(ensemble, progress, (done + flops) / total, failed=str(error))
        finally:
            chunks.close()
        done += flops


def forecast_flops(setup: Setup, path: Path) -> float:
    """An estimate of the remaining FLOPs of an ensemble."""
    plan, length = setup.plan, setup.spec.length
    if record.is_complete(path, plan.steps):
        return 0.0
    steps = plan.steps - record.intact_steps(path)
    forward, update = setup.observer.flops(length)
    # A requential step updates two learners, samples, and evaluates the KL.
    step = plan.batch * (forward + update)
    if setup.config.get("code", {}).get("name") == "requential":
        step = 2 * step + plan.batch * 3 * forward
    return setup.members * (steps * step + 2 * plan.eval_examples * forward)
