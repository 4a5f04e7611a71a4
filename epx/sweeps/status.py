"""Where the ensembles of a sweep stand, read from its folder alone.

records/<ensemble>/    its record
claims/<ensemble>/     its leases, and `failed.json` if it failed
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from epx import record
from epx.record import RecordError
from epx.run.setup import Setup
from epx.sweeps import leases
from epx.sweeps.ensembles import Ensemble

DONE, FAILED, RUNNING, WAITING = "done", "failed", "running", "waiting"


class Status(NamedTuple):
    """Where an ensemble stands.

    Attributes:
      name: of the ensemble.
      state: `done`, `failed`, `running` or `waiting`.
      members: their number.
      step, steps: done, and of the whole run.
      owner: of its lease, `host:process:name`, while it runs.
      since: seconds since the epoch, when the owner took it.
      seconds: of training so far.
      reason: why it failed.
    """

    name: str
    state: str
    members: int
    step: int
    steps: int
    owner: str = ""
    since: float = 0.0
    seconds: float = 0.0
    reason: str = ""


def folder(workdir: Path, ensemble: Ensemble) -> Path:
    """The folder of an ensemble's record."""
    return workdir / "records" / ensemble.name


def claims(workdir: Path, ensemble: Ensemble) -> Path:
    """The folder of an ensemble's leases."""
    return workdir / "claims" / ensemble.name


def of(workdir: Path, ensemble: Ensemble) -> Status:
    """Where an ensemble stands."""
    steps = ensemble.config["run"]["steps"]
    step, seconds = _progress(folder(workdir, ensemble))
    found = Status(ensemble.name, WAITING, len(ensemble.members), step, steps, seconds=seconds)
    if reason := failure(workdir, ensemble):
        return found._replace(state=FAILED, reason=reason)
    if step >= steps and (folder(workdir, ensemble) / "done.json").exists():
        return found._replace(state=DONE)
    lease = leases.current(claims(workdir, ensemble))
    if lease and not lease.released:
        return found._replace(state=RUNNING, owner=lease.owner, since=lease.since)
    return found


def _progress(path: Path) -> tuple[int, float]:
    """Steps of which there are rows, and the seconds that they took, of one member."""
    steps, seconds = 0, 0.0
    try:
        while record.row_path(path, steps).exists():
            rows = record.read_arrays(record.row_path(path, steps))
            steps += rows["nats"].shape[1]
            seconds += float(rows["seconds"][0].sum())
    except RecordError:
        pass
    return steps, seconds


def is_settled(workdir: Path, ensemble: Ensemble, setup: Setup) -> bool:
    """Whether an ensemble is done, to its last undamaged row, or has failed."""
    complete = record.is_complete(folder(workdir, ensemble), setup.plan.steps)
    return complete or failure(workdir, ensemble) is not None


def is_done(workdir: Path, ensemble: Ensemble) -> bool:
    """Whether an ensemble is done, by the file that says so alone."""
    path = folder(workdir, ensemble) / "done.json"
    return path.exists() and record.read_json(path)["steps"] >= ensemble.config["run"]["steps"]


def needs(workdir: Path, ensemble: Ensemble) -> str:
    """Whether all that an ensemble needs is `done`, one has `failed`, or one is not done yet."""
    states = []
    for name in ensemble.needs:
        other = Ensemble(name, {}, [])
        is_done = (folder(workdir, other) / "done.json").exists()
        has_failed = failure(workdir, other) is not None
        states.append(FAILED if has_failed else DONE if is_done else WAITING)
    return next((state for state in (FAILED, WAITING) if state in states), DONE)


def failure(workdir: Path, ensemble: Ensemble) -> str | None:
    """Why an ensemble failed, or None."""
    path = claims(workdir, ensemble) / "failed.json"
    return record.read_json(path)["reason"] if path.exists() else None


def note_failure(workdir: Path, ensemble: Ensemble, reason: str, owner: str) -> None:
    """Keep the reason of a failure, so that nobody runs the ensemble again unasked."""
    path = claims(workdir, ensemble) / "failed.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    record.write_json(path, {"reason": reason, "owner": owner})


def forget_failures(workdir: Path, ensembles: Sequence[Ensemble]) -> None:
    """Let ensembles that failed be run again."""
    for ensemble in ensembles:
        (claims(workdir, ensemble) / "failed.json").unlink(missing_ok=True)
