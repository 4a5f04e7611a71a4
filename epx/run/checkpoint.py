"""States at chunk ends, by orbax: one folder a step, written whole or not at all, each with the
digest of its arrays, so that a damaged one is noticed and the one before it is used."""

import hashlib
import os
import shutil
from pathlib import Path

import jax
import numpy as np
import orbax.checkpoint as ocp
from absl import logging
from etils import epath

from epx.record import RecordError
from epx.types import PyTree, State


class OldCheckpointError(RecordError):
    """A state whose form this version no longer reads."""


def save(folder: Path, step: int, state: State, keep: int | None) -> None:
    """Write the state after `step` steps, then drops all but the newest `keep` (None: none).

    A state comes and goes by one rename between `folder` and its neighbour `*.tmp`, so that
    nobody ever finds half of one, however the process ends.

    Raises:
      RecordError: the state could not be written; older ones are intact.
    """
    # A copy: the buffers are donated to the next chunk.
    state = jax.tree.map(lambda leaf: np.array(leaf, copy=True), state)
    aside = _aside(folder)
    try:
        folder.mkdir(exist_ok=True)
        with ocp.StandardCheckpointer() as checkpointer:
            checkpointer.save(_path(aside, step), _sealed(state), force=True)
        os.rename(_path(aside, step), _path(folder, step))
    except Exception as error:  # orbax and tensorstore raise many kinds for a disk that is full
        shutil.rmtree(aside, ignore_errors=True)
        raise RecordError(
            f"cannot write the checkpoint of step {step} in {folder}: {_reason(error)}; what "
            "was saved before it is intact: free disk space and start the same command again"
        ) from error
    if keep is not None:
        for old in steps(folder)[:-keep]:
            _remove(folder, old)
    shutil.rmtree(aside, ignore_errors=True)


def restore(folder: Path, like: State, newest: int) -> tuple[int, State] | None:
    """The newest readable state of at most `newest` steps, or None.

    Damaged ones are reported, set aside as `damaged-<step>` and passed over.

    Args:
      folder: where the states are.
      like: a state of the same shapes, concrete or abstract.
      newest: the number of steps whose rows are intact; later states are removed.

    Raises:
      OldCheckpointError: the newest one was written by an older version.
    """
    shutil.rmtree(_aside(folder), ignore_errors=True)
    for step in reversed(steps(folder)):
        if step > newest:
            _remove(folder, step)
            continue
        try:
            return step, read(folder, step, like)
        except OldCheckpointError:
            raise
        except RecordError as error:
            logging.warning("%s; going back to the one before, or to the beginning", error)
            kept = folder / f"damaged-{step:09d}"
            shutil.rmtree(kept, ignore_errors=True)
            os.rename(_path(folder, step), kept)
    return None


def steps(folder: Path) -> list[int]:
    """Steps that have a state, in order."""
    return sorted(int(p.name) for p in folder.glob("*") if p.name.isdigit())


def read(folder: Path, step: int, like: State) -> State:
    """The state after `step` steps, as numpy arrays in the shapes of `like`; nothing is changed.

    Raises:
      OldCheckpointError: it was written by an older version.
      RecordError: a file of it is missing or damaged, or its arrays are not those that were saved.
    """
    target = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), like)
    damaged = f"checkpoint of step {step} in {folder} is damaged"
    try:
        with ocp.StandardCheckpointer() as checkpointer:
            sealed = checkpointer.restore(_path(folder, step), _sealed(target))
    except Exception as error:  # whatever a damaged file makes orbax raise
        if _is_old(_path(folder, step)):
            raise OldCheckpointError(
                f"checkpoint of step {step} in {folder} was written by an older version of epx and "
                "cannot be continued: choose another --workdir; reports still read its rows"
            ) from error
        raise RecordError(f"{damaged} ({_reason(error)})") from error
    state = jax.tree.map(np.asarray, sealed["state"])
    if not np.array_equal(_digest(state), sealed["sha256"]):
        raise RecordError(f"{damaged} (its sha256 does not agree with its arrays)")
    return state


def _is_old(path: epath.Path) -> bool:
    """Whether a state has its weights beside the step, as up to version 0.1, and no learner."""
    try:
        with ocp.StandardCheckpointer() as checkpointer:
            tree = checkpointer.metadata(path).item_metadata.tree
        return "params" in tree["state"] and "learner" not in tree["state"]
    except Exception:  # damaged
        return False


def _sealed(state: State) -> dict[str, PyTree]:
    return {"state": state, "sha256": _digest(state)}


def _digest(state: State) -> np.ndarray:
    sha256 = hashlib.sha256()
    for path, leaf in jax.tree_util.tree_leaves_with_path(state):
        sha256.update(f"{jax.tree_util.keystr(path)} {leaf.dtype} {leaf.shape}".encode())
        sha256.update(np.ascontiguousarray(leaf).tobytes())
    return np.frombuffer(sha256.digest(), np.uint8)


def _remove(folder: Path, step: int) -> None:
    aside = _aside(folder)
    aside.mkdir(exist_ok=True)
    os.rename(_path(folder, step), _path(aside, step))
    shutil.rmtree(_path(aside, step), ignore_errors=True)


def _aside(folder: Path) -> Path:
    return folder.with_name(folder.name + ".tmp")


def _path(folder: Path, step: int) -> epath.Path:
    return epath.Path(folder).resolve() / f"{step:09d}"


def _reason(error: Exception) -> str:
    # Tensorstore puts where it failed first and why last.
    line = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return line if len(line) <= 120 else f"...{line[-120:]}"
