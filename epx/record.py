"""A run's directory, from which any estimate can be computed later without training.

Plain JSON and npz, read without pickle, written to a temporary file and renamed.

    config.json            every key, the members, static facts
    env.json               versions, devices and flags; where it was resumed or extended
    rows/<first step>.npz  sums per step, arrays of shape (M, K, ...)
    evals/<step>.npz       held-out nats per example, arrays of shape (M, E)
    baselines.npz          of held-out examples gzip and xz bits, the generator's own law, and how
                           many differ
    ckpt/                  states at chunk ends
    done.json              written last; a run that has it is complete
"""

import contextlib
import fcntl
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from epx import files

Arrays = dict[str, np.ndarray]

# Keys that may differ when a run resumes: they change where and how it runs and what else is
# stored, not the rows. `run.steps` may grow, and `run.repeats` with it.
FREE_KEYS = (
    "run.steps",
    "run.repeats",
    "run.parallel",
    "run.devices",
    "run.microbatch",
    "run.chunk",
    "run.start",  # its weights are a fact, which must not change
    "run.start_keeps",
    "run.distributed",
    "run.require_accelerator",
    "eval.every",
    "eval.examples",
    "eval.test_tokens",
    "eval.rulers",
    "eval.against",
    "checkpoint.every",
    "checkpoint.keep",
)
# Keys that earlier versions did not have, with the values of what they did.
ADDED = {
    "eval.rulers": False,
    "eval.against": None,
    "facts.masked": False,
    "policy.name": "fixed",
    "run.distributed": False,
    "run.turns": 1,
    "run.start": None,
    "run.start_keeps": "all",
    "adapter.rank": None,
    "adapter.alpha": 32.0,
    "adapter.entries": None,
}
# Keys of earlier versions, and their names today.
RENAMED = {
    "label.world": "label.generator",
    "code.teacher": "code.pacing",
    "facts.world_sha256": "facts.generator_sha256",
}


class RecordError(Exception):
    """A record that cannot be read, written or continued; the message is for the user."""


class InUseError(RecordError):
    """Another process is writing the record."""


class Record(NamedTuple):
    """A record in memory.

    `rows` are arrays of shape (M, steps); `evals` maps a step to its arrays; `baselines` and `done`
    are empty until the run is complete.
    """

    path: Path
    config: dict[str, Any]
    env: dict[str, Any]
    rows: Arrays
    evals: dict[int, Arrays]
    baselines: Arrays
    done: dict[str, Any]


@contextlib.contextmanager
def lock(path: Path) -> Iterator[None]:
    """Lock a directory for this process; the kernel frees the lock when the process ends.

    Raises:
      InUseError: another process holds the lock.
      RecordError: the directory cannot be used.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
        handle = (path / "lock").open("a")
    except OSError as error:
        raise RecordError(f"cannot use {path}: {error.strerror or error}") from error
    with handle:
        try:
            # If two processes start at once, the second is refused, or finds a complete record
            # where the first has already ended. Both outcomes are correct.
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InUseError(
                f"{path} is in use by another process; wait for it or choose another --workdir"
            ) from None
        yield


def write_json(path: Path, value: dict[str, Any]) -> None:
    """Write JSON atomically. Raises RecordError where it cannot be written."""
    text = json.dumps(value, indent=1, sort_keys=True, allow_nan=False) + "\n"
    with _writing(path) as handle:
        handle.write(text.encode())


def write_arrays(path: Path, arrays: Arrays, *, compressed: bool = False) -> None:
    """Write npz atomically. Raises RecordError where it cannot be written."""
    with _writing(path) as handle:
        (np.savez_compressed if compressed else np.savez)(handle, **arrays)


@contextlib.contextmanager
def _writing(path: Path) -> Iterator[BinaryIO]:
    try:
        with files.replacing(path) as handle:
            yield handle
    except OSError as error:
        raise RecordError(
            f"cannot write {path}: {error.strerror or error}; everything saved before it is "
            "intact: free disk space and start the same command again"
        ) from error


def read_json(path: Path) -> dict[str, Any]:
    """Read JSON. Raises RecordError, naming the file, where it is damaged."""
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise RecordError(f"{path} cannot be read: {error}") from error


def read_arrays(path: Path) -> Arrays:
    """Read all arrays of an npz file. Raises RecordError, naming the file, where it is damaged."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except Exception as error:  # a damaged archive raises almost anything
        raise RecordError(f"{path} is damaged: {error}") from error


def check(path: Path, config: dict[str, Any], ignore: tuple[str, ...] = ()) -> dict[str, Any]:
    """Check that a record is of this config, but for FREE_KEYS and `ignore`; return its own.

    Raises:
      RecordError: it is of another one; the message lists the differences.
    """
    recorded = _read_config(path)
    changed = difference(_as_written(config), recorded, ignore=(*FREE_KEYS, *ignore))
    if changed:
        raise RecordError(
            f"{path} holds a run of another config; choose another --workdir, or change the keys "
            "of this command back to those of the record:\n  " + "\n  ".join(changed)
        )
    return recorded


def _as_written(config: dict[str, Any]) -> dict[str, Any]:
    """A config in the form of its file: tuples become lists."""
    return json.loads(json.dumps(config))


def begin(path: Path, config: dict[str, Any], env: dict[str, Any]) -> list[str]:
    """Start a record, or check that an existing one may be resumed or extended.

    A larger `run.steps` extends a run. The rows equal those of a longer run from the start, because
    the learning rate does not depend on the length of a run.

    Returns:
      Differences between the environment of the record and this one, one per line. If there are
      any, the numbers agree to rounding only.

    Raises:
      RecordError: the directory holds a run of another config (the message lists the differences),
        a longer run, or files that are no record.
    """
    config = _as_written(config)
    if not (path / "config.json").exists():
        # Files that an earlier start leaves if it is stopped here.
        leftovers = ("lock", "env.json", "env.json.tmp", "config.json.tmp")
        others = sorted(p.name for p in path.iterdir() if p.name not in leftovers)
        if others:
            raise RecordError(f"{path} holds files that are no record: {', '.join(others[:5])}")
        write_json(path / "env.json", env)
        write_json(path / "config.json", config)
        return []
    recorded = check(path, config)
    steps, recorded_steps = config["run"]["steps"], recorded["run"]["steps"]
    if steps < recorded_steps:
        raise RecordError(
            f"{path} holds a run of run.steps={recorded_steps}: accepted are that many or more, "
            f"not {steps}: a record can be extended but not shortened"
        )
    recorded_env = read_json(path / "env.json")
    changed = difference((recorded_env.get("resumed_in") or [_plain(recorded_env)])[-1], env)
    if changed:
        recorded_env["resumed_in"] = [*recorded_env.get("resumed_in", []), env]
    if steps > recorded_steps:
        recorded_env["extended"] = [*recorded_env.get("extended", []), recorded_steps]
    write_json(path / "env.json", recorded_env)
    write_json(path / "config.json", config)
    return changed


def _plain(env: dict[str, Any]) -> dict[str, Any]:
    """The environment in which a record was begun, without its history."""
    return {key: value for key, value in env.items() if key not in ("resumed_in", "extended")}


def _read_config(path: Path) -> dict[str, Any]:
    """The config of a record, with the current names of its keys."""
    config = read_json(path / "config.json")
    for old, new in RENAMED.items():
        (section, old_key), (_, new_key) = old.split("."), new.split(".")
        if old_key in config.get(section, {}):
            config[section][new_key] = config[section].pop(old_key)
    for key, value in ADDED.items():
        section, _, name = key.partition(".")
        if "checkpoint" in config or section == "facts":  # others are made without a config
            config.setdefault(section, {}).setdefault(name, value)
    if config.get("members"):
        config["members"] = [
            {RENAMED.get(key, key): value for key, value in member.items()}
            for member in config["members"]
        ]
    return config


def difference(old: dict, new: dict, ignore: tuple[str, ...] = ()) -> list[str]:
    """A line 'key: old -> new' for each dotted key in which two configs differ."""
    old, new = flatten(old), flatten(new)
    return [
        f"{key}: {old.get(key, 'absent')} -> {new.get(key, 'absent')}"
        for key in sorted(old.keys() | new.keys())
        if key not in ignore and old.get(key, "absent") != new.get(key, "absent")
    ]


def flatten(config: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested dicts as one dict of dotted keys."""
    flat = {}
    for key, value in config.items():
        flat |= (
            flatten(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value}
        )
    return flat


def row_path(path: Path, first_step: int) -> Path:
    """The file of the rows that begin at this step."""
    return path / "rows" / f"{first_step:09d}.npz"


def eval_path(path: Path, step: int) -> Path:
    """The file of the evaluation after this many steps."""
    return path / "evals" / f"{step:09d}.npz"


def intact_steps(path: Path) -> int:
    """Steps from the start whose rows and evaluations are readable without a gap."""
    steps = 0
    try:
        while row_path(path, steps).exists():
            steps += read_arrays(row_path(path, steps))["nats"].shape[1]
    except RecordError:
        pass
    for file in _numbered(path / "evals"):
        try:
            read_arrays(file)
        except RecordError:
            return min(steps, int(file.stem) - 1)
    return steps


def is_complete(path: Path, steps: int) -> bool:
    """Whether a record holds a complete, undamaged run of this many steps."""
    if not (path / "done.json").exists():
        return False
    try:
        return load(path).rows["nats"].shape[1] == steps == intact_steps(path)
    except RecordError:
        return False


def truncate(path: Path, step: int) -> None:
    """Remove what was written after a step, from which the run resumes."""
    for file in _numbered(path / "rows"):
        if int(file.stem) >= step:
            file.unlink()
    for file in _numbered(path / "evals"):
        if int(file.stem) > step:
            file.unlink()
    for last in ("done.json", "baselines.npz"):
        (path / last).unlink(missing_ok=True)
    for leftover in path.rglob("*.tmp"):
        leftover.unlink() if leftover.is_file() else shutil.rmtree(leftover)


def _numbered(folder: Path) -> list[Path]:
    return sorted(p for p in folder.glob("*.npz") if p.stem.isdigit())


def load(path: Path | str) -> Record:
    """Read a record, complete or not.

    Raises:
      RecordError: there is no record, or one of its files is damaged (the message names it).
    """
    path = Path(path)
    if not (path / "config.json").exists():
        raise RecordError(f"{path} holds no record (no config.json)")
    parts: list[Arrays] = []
    for file in _numbered(path / "rows"):
        steps = sum(part["nats"].shape[1] for part in parts)
        part = read_arrays(file)
        if int(file.stem) != steps or (parts and part.keys() != parts[0].keys()):
            raise RecordError(f"{path}: rows are missing before or in {file.name}")
        parts.append(part)
    names = parts[0] if parts else ()
    done, baselines = path / "done.json", path / "baselines.npz"
    return Record(
        path=path,
        config=_read_config(path),
        env=read_json(path / "env.json"),
        rows={name: np.concatenate([part[name] for part in parts], axis=1) for name in names},
        evals={int(f.stem): read_arrays(f) for f in _numbered(path / "evals")},
        baselines=read_arrays(baselines) if baselines.exists() else {},
        done=read_json(done) if done.exists() else {},
    )


def find(root: Path | str) -> list[Path]:
    """The folders of all records below a folder, in order."""
    return sorted(file.parent for file in Path(root).rglob("config.json"))
