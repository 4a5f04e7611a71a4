"""Runs the ensembles of a sweep on this machine, one after the other, and forecasts how long it
takes."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from epx import record
from epx.run import loop
from epx.run.setup import Setup, assemble
from epx.sweeps.ensembles import Ensemble
from epx.types import refusal, require


class Step(NamedTuple):
    """Where a sweep is.

    Attributes:
      ensemble: the one that runs.
      progress: where it is.
      part: of the sweep that is done, 0 to 1, by FLOPs.
      failed: why no member of the ensemble has a finite loss, or "".
    """

    ensemble: Ensemble
    progress: loop.Progress
    part: float
    failed: str = ""


def folder(workdir: Path, ensemble: Ensemble) -> Path:
    """Where the record of an ensemble is kept."""
    return workdir / "records" / ensemble.name


def in_order(ensembles: Sequence[Ensemble]) -> list[Ensemble]:
    """The ensembles, each after those that it needs, otherwise in the order given.

    Raises:
      ValueError: one needs an ensemble that is not there, or itself.
    """
    by_name = {ensemble.name: ensemble for ensemble in ensembles}
    ordered: dict[str, Ensemble] = {}

    def add(ensemble: Ensemble, waiting: tuple[str, ...]) -> None:
        for name in ensemble.needs:
            known = ", ".join(by_name)
            require("needs", name, name in by_name, f"names of the sweep's ensembles: {known}")
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
    """Raises RecordError where a folder holds records of another sweep."""
    folders = [folder(workdir, ensemble) for ensemble in ensembles]
    others = [path.name for path in record.find(workdir / "records") if path not in folders]
    if others:
        raise record.RecordError(
            f"{workdir} holds other records: {', '.join(others)}; choose another --workdir"
        )


def train(ensembles: Sequence[Ensemble], setups: Sequence[Setup], workdir: Path) -> Iterator[Step]:
    """Runs what is not done yet, with a record for each ensemble below `workdir/records`.

    Yields after every chunk. Closing the iterator saves the state of the run that it is in; the
    same call goes on from there. An ensemble of which no member has a finite loss is reported in
    its last step, and the others go on.

    Args:
      ensembles: in an order of `in_order`.
      setups: of `prepare`, in the same order.
      workdir: where the records go.

    Raises:
      RecordError: as `loop.train`.
    """
    work = [
        forecast_flops(setup, folder(workdir, ensemble))
        for ensemble, setup in zip(ensembles, setups)
    ]
    total, done = max(sum(work), 1.0), 0.0
    for ensemble, setup, own in zip(ensembles, setups, work):
        progress = None
        chunks = loop.train(setup, folder(workdir, ensemble))
        try:
            for progress in chunks:
                part = (done + own * progress.step / progress.steps) / total
                yield Step(ensemble, progress, part)
        except loop.RunError as error:
            yield Step(ensemble, progress, (done + own) / total, failed=str(error))
        finally:
            chunks.close()
        done += own


def forecast_flops(setup: Setup, path: Path) -> float:
    """FLOPs that are left to do of an ensemble, in round figures."""
    plan, length = setup.plan, setup.spec.length
    if record.is_complete(path, plan.steps):
        return 0.0
    steps = plan.steps - record.intact_steps(path)
    forward, update = setup.observer.flops(length)
    # A requential step is that of two learners, samples, and the KL.
    step = plan.batch * (forward + update)
    if setup.config.get("code", {}).get("name") == "requential":
        step = 2 * step + plan.batch * 3 * forward
    return setup.members * (steps * step + 2 * plan.eval_examples * forward)
