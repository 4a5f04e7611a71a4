"""States at chunk ends, by orbax: one folder per step, written atomically.

Each state holds the digest of its arrays. A damaged state is detected, and the one before is used.
"""

import contextlib
import hashlib
import os
import shutil
from collections.abc import Iterator
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


class Saver:
    """Writes states beside the training that goes on; one at a time.

    States are written to and removed from the neighbouring folder `*.tmp` and renamed, so that
    `folder` never has a partial state, even if the process is killed. Leaving the context waits for
    the last state.
    """

    def __init__(self, folder: Path, keep: int | None) -> None:
        """Args: `folder` of the states; `keep` only the newest ones (None: all)."""
        self._folder, self._keep = folder, keep
        self._checkpointer: ocp.StandardCheckpointer | None = None
        self._writing: int | None = None  # the step whose state is being written

    def __enter__(self) -> "Saver":
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self.finish()
        finally:
            if self._checkpointer is not None:
                self._checkpointer.close()

    def save(self, step: int, state: State) -> None:
        """Start to write the state after `step` steps, when the one before is complete.

        Raises:
          RecordError: this state or the one before cannot be written; older ones are intact.
        """
        self.finish()
        # A copy, because the buffers are donated to the next chunk.
        state = jax.tree.map(lambda leaf: np.array(leaf, copy=True), state)
        with _refusing(self._folder, step):
            self._folder.mkdir(exist_ok=True)
            self._checkpointer = self._checkpointer or _checkpointer()
            self._checkpointer.save(_path(_aside(self._folder), step), _sealed(state), force=True)
        self._writing = step

    def finish(self) -> None:
        """Wait until the last state is complete, and remove the ones that are no longer kept.

        Raises:
          RecordError: the state could not be written; older ones are intact.
        """
        if self._writing is None:
            return
        step, self._writing = self._writing, None
        aside = _aside(self._folder)
        with _refusing(self._folder, step):
            self._checkpointer.wait_until_finished()
            os.rename(_path(aside, step), _path(self._folder, step))
        if self._keep is not None:
            for old in steps(self._folder)[: -self._keep]:
                _remove(self._folder, old)
        shutil.rmtree(aside, ignore_errors=True)


@contextlib.contextmanager
def _refusing(folder: Path, step: int) -> Iterator[None]:
    """Turn an error of writing into a RecordError, and clean up."""
    try:
        yield
    except Exception as error:  # a full disk raises various exceptions in orbax and tensorstore
        shutil.rmtree(_aside(folder), ignore_errors=True)
        raise RecordError(
            f"cannot write the checkpoint of step {step} in {folder}: {_reason(error)}; everything "
            "saved before it is intact: free disk space and start the same command again"
        ) from error


def restore(folder: Path, like: State, newest: int) -> tuple[int, State] | None:
    """The newest readable state after at most `newest` steps, with its step; or None.

    Damaged states are reported and renamed to `damaged-<step>`.

    Args:
      folder: of the states.
      like: a state of the same shapes, concrete or abstract.
      newest: the number of steps whose rows are intact; later states are removed.

    Raises:
      OldCheckpointError: the newest state was written by an older version.
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
            logging.warning("%s; resuming from an earlier one, or from the beginning", error)
            damaged = folder / f"damaged-{step:09d}"
            shutil.rmtree(damaged, ignore_errors=True)
            os.rename(_path(folder, step), damaged)
    return None


def steps(folder: Path) -> list[int]:
    """Steps that have a state, in order."""
    return sorted(int(p.name) for p in folder.glob("*") if p.name.isdigit())


def read(folder: Path, step: int, like: State) -> State:
    """The state after `step` steps, as numpy arrays of the shapes of `like`; changes no files.

    Raises:
      OldCheckpointError: it was written by an older version.
      RecordError: one of its files is missing or damaged, or its arrays have another digest.
    """
    target = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), like)
    damaged = f"checkpoint of step {step} in {folder} is damaged"
    try:
        with _checkpointer() as checkpointer:
            sealed = checkpointer.restore(_path(folder, step), _sealed(target))
    except Exception as error:  # a damaged file raises various exceptions in orbax
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
    """Whether a state has the form of version 0.1: `params` at the top level and no `learner`."""
    try:
        with _checkpointer() as checkpointer:
            tree = checkpointer.metadata(path).item_metadata.tree
        return "params" in tree["state"] and "learner" not in tree["state"]
    except Exception:  # damaged
        return False


def _checkpointer() -> ocp.StandardCheckpointer:
    """Of several processes of a run each acts alone: they do not wait for each other."""
    if jax.process_count() == 1:
        return ocp.StandardCheckpointer()
    own = jax.process_index()
    options = ocp.options.MultiprocessingOptions(
        primary_host=own, active_processes={own}, barrier_sync_key_prefix=f"epx{own}"
    )
    return ocp.StandardCheckpointer(multiprocessing_options=options)


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
    # Tensorstore's messages end with the reason.
    line = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return line if len(line) <= 120 else f"...{line[-120:]}"
