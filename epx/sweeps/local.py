"""Execution of a sweep's ensembles, alone or with other processes on the same folder."""

import contextlib
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from absl import logging

from epx import record
from epx.codes import epigen
from epx.run import loop, provenance
from epx.run.references import Place
from epx.run.setup import Setup, assemble
from epx.sweeps import leases, status
from epx.sweeps.ensembles import Ensemble, by_given_name
from epx.sweeps.status import folder
from epx.types import Refusal, refusal, require


class Step(NamedTuple):
    """The progress of a sweep.

    Attributes:
      ensemble: the current ensemble.
      progress: of its run; None if it has failed, or is run by another process.
      part: fraction of the sweep done, 0 to 1, by FLOPs.
      failed: the message if no member of the ensemble has a finite loss, else "".
      waits: whether all that is left is run by other processes.
    """

    ensemble: Ensemble
    progress: loop.Progress | None
    part: float
    failed: str = ""
    waits: bool = False


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
    for ensemble in ensembles:
        distributed = ensemble.config["run"].get("distributed", False)
        accepted = "false in a sweep, whose workers share the ensembles instead"
        require("run.distributed", distributed, not distributed, accepted)
    place = Place(planned=by_given_name(ensembles))
    return [assemble(ensemble.config, ensemble.members, place) for ensemble in ensembles]


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

    Several processes with the same arguments share the work: each claims one ensemble after the
    other by a lease, takes over those of processes that are gone, and waits until all are done.
    Yields after every chunk, and while it waits. Closing the iterator saves the state of the
    current run; the same call then resumes. An ensemble without a member of finite loss is noted as
    failed and reported in its last step; the other ensembles continue.

    Args:
      ensembles: in the order of `in_order`.
      setups: from `prepare`, in the same order.
      workdir: folder of the records.

    Raises:
      RecordError: as `loop.train`; also if a record is complete and of another config.
    """
    for ensemble, setup in zip(ensembles, setups):
        _check_record(folder(workdir, ensemble), setup, bool(ensemble.needs))
    flops = {
        ensemble.name: forecast_flops(setup, folder(workdir, ensemble))
        for ensemble, setup in zip(ensembles, setups)
    }
    total, owner, watch = max(sum(flops.values()), 1.0), leases.owner_name(), leases.Watch()
    waiting = dict(zip((ensemble.name for ensemble in ensembles), zip(ensembles, setups)))
    while waiting:
        before = len(waiting)
        for ensemble, setup in list(waiting.values()):
            done = 1 - sum(flops[name] for name in waiting) / total
            if status.needs(workdir, ensemble) == status.WAITING:
                continue
            if not status.is_settled(workdir, ensemble, setup):
                run = _claimed(ensemble, setup, workdir, owner, watch)
                yield from _steps(run, ensemble, done, flops[ensemble.name] / total)
                if not status.is_settled(workdir, ensemble, setup):
                    continue
            del waiting[ensemble.name]
            if reason := status.failure(workdir, ensemble):
                yield Step(ensemble, None, done, failed=reason)
        if len(waiting) == before:
            yield Step(next(iter(waiting.values()))[0], None, done, waits=True)
            time.sleep(leases.SECONDS)


def _check_record(path: Path, setup: Setup, needs_others: bool) -> None:
    """Refuse a record of another config or of other data, also where it is complete.

    What it takes from others may not be there yet; `loop.train` compares that.
    """
    if (path / "config.json").exists():
        config = setup.config | {"facts": provenance.static_facts(setup)}
        taken = (*provenance.START_FACTS, "generator_sha256") if needs_others else ()
        record.check(path, config, tuple(f"facts.{name}" for name in taken))


def _claimed(
    ensemble: Ensemble, setup: Setup, workdir: Path, owner: str, watch: leases.Watch
) -> Iterator[loop.Progress]:
    """The chunks of an ensemble; none if another worker has it, or has settled it meanwhile."""
    with leases.claim(status.claims(workdir, ensemble), owner, watch) as held:
        if held and not status.is_settled(workdir, ensemble, setup):
            yield from _run(ensemble, setup, workdir, held)


def _run(
    ensemble: Ensemble, setup: Setup, workdir: Path, held: leases.Held
) -> Iterator[loop.Progress]:
    """The chunks of an ensemble, until another worker has taken it over."""
    if status.needs(workdir, ensemble) == status.FAILED:
        status.note_failure(workdir, ensemble, "what it needs has failed", held.owner)
        return
    try:
        if ensemble.needs:
            setup = assemble(ensemble.config, ensemble.members, Place(workdir / "records"))
    except (Refusal, record.RecordError) as error:  # what it starts from has failed or is damaged
        status.note_failure(workdir, ensemble, str(error), held.owner)
        return
    chunks = loop.train(setup, folder(workdir, ensemble))
    try:
        for progress in chunks:
            if held.lost:
                logging.warning("%s: another worker has taken over", ensemble.name)
                return
            yield progress
    except loop.RunError as error:
        status.note_failure(workdir, ensemble, str(error), held.owner)
    except record.InUseError:
        logging.warning("%s: a process without a lease is still writing", ensemble.name)
    finally:
        chunks.close()


def _steps(
    chunks: Iterator[loop.Progress], ensemble: Ensemble, done: float, share: float
) -> Iterator[Step]:
    with contextlib.closing(chunks):
        for progress in chunks:
            yield Step(ensemble, progress, done + share * progress.step / progress.steps)


def forecast_flops(setup: Setup, path: Path) -> float:
    """An estimate of the remaining FLOPs of an ensemble."""
    steps = setup.plan.steps
    if record.is_complete(path, steps):
        return 0.0
    return whole_flops(setup) * (1 - record.intact_steps(path) / steps)


def whole_flops(setup: Setup) -> float:
    """An estimate of the FLOPs of an ensemble."""
    plan, length = setup.plan, setup.spec.length
    forward, update = setup.observer.flops(length)
    # A requential step updates two learners, samples, and evaluates the KL.
    step = plan.batch * (forward + update)
    code = setup.config.get("code", {})
    if code.get("name") == "requential":
        step = 2 * step + plan.batch * 3 * forward
    elif code.get("name") == "replay":
        step *= 1 + code["readers"]
    elif code.get("name") == "epigen":
        step = plan.batch * sum(
            epigen.example_flops(forward, update, code["buffer"], code["learner_steps"])
        )
    return setup.members * (plan.steps * step + 2 * plan.eval_examples * forward)
