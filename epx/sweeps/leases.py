"""Leases: which worker runs an ensemble, agreed on by files of a shared folder alone.

A lease is a file `lease-<generation>.json` in the ensemble's folder, created exclusively: of all
workers that try, one succeeds. Its owner rewrites it with a rising beat. A worker that has seen the
same beat for `MISSED` intervals, by its own clock, takes over with the next generation; no clocks
are compared. That a process of its own machine has ended, it sees at once.

An owner that finds a later generation has lost its lease and stops. Should it have written in the
meantime, it has written the same bytes: rows are a function of the config.
"""

import contextlib
import json
import os
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from epx import files
from epx.record import RecordError

SECONDS = 5.0  # between two beats
MISSED = 6  # beats, after which an owner is taken for gone


class Lease(NamedTuple):
    """A lease as it was last written.

    Attributes:
      generation: counted from 1; the largest one in a folder is valid.
      owner: `machine:process:a random name`.
      beat: rises while the owner lives.
      since: seconds since the epoch at which it was taken, by the owner's clock.
      released: whether its owner gave it back.
    """

    generation: int
    owner: str
    beat: int
    since: float
    released: bool


def current(folder: Path) -> Lease | None:
    """The valid lease of a folder, or None if there never was one."""
    found = sorted(folder.glob("lease-*.json"))
    for path in reversed(found):
        try:
            content: dict[str, Any] = json.loads(path.read_text())
            return Lease(**content)
        except (OSError, ValueError, TypeError):
            # Created and not yet written: its owner beats soon, or else is gone.
            generation = int(path.stem.partition("-")[2])
            return Lease(generation, "unknown", -1, 0.0, False)
    return None


def owner_name() -> str:
    """A name for this worker that no other one has."""
    return f"{_machine()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"


def _machine() -> str:
    """The host, and where there are several the name space of its process numbers."""
    try:
        return f"{socket.gethostname()}/{os.readlink('/proc/self/ns/pid')[5:-1]}"
    except OSError:
        return socket.gethostname()


def _has_ended(owner: str) -> bool:
    """Whether the owner was a process of this machine that is there no more."""
    machine, _, rest = owner.partition(":")
    process = rest.partition(":")[0]
    if machine != _machine() or not process.isdigit():
        return False
    try:
        os.kill(int(process), 0)
    except ProcessLookupError:
        return True
    except OSError:  # of another user
        pass
    return False


class Watch:
    """What one worker has seen of the leases of others, by its own clock."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._seen: dict[Path, tuple[tuple[int, int], float]] = {}

    def free_generation(self, folder: Path) -> int | None:
        """The generation of the next lease, or None while somebody holds the folder.

        Nobody does if there is no lease, if it was given back, or if its owner is gone.
        """
        lease = current(folder)
        if lease is None:
            return 1
        return lease.generation + 1 if lease.released or self._is_gone(folder, lease) else None

    def _is_gone(self, folder: Path, lease: Lease) -> bool:
        if _has_ended(lease.owner):
            return True
        now, beat = self._clock(), (lease.generation, lease.beat)
        if self._seen.get(folder, (None,))[0] != beat:
            self._seen[folder] = beat, now
        return now - self._seen[folder][1] >= MISSED * SECONDS


class Held:
    """A lease that this worker holds."""

    def __init__(self, folder: Path, lease: Lease) -> None:
        self._folder, self._lease = folder, lease
        self._stop = threading.Event()
        self._beating = threading.Thread(target=self._beats, daemon=True)

    @property
    def owner(self) -> str:
        """The name of this worker."""
        return self._lease.owner

    @property
    def lost(self) -> bool:
        """Whether another worker has taken over."""
        found = current(self._folder)
        return found is None or found.generation != self._lease.generation

    def _beats(self) -> None:
        while not self._stop.wait(SECONDS):
            with contextlib.suppress(OSError):  # a full disk: the next beat may succeed
                self._write(self._lease._replace(beat=self._lease.beat + 1))

    def _write(self, lease: Lease) -> None:
        self._lease = lease
        with files.replacing(_path(self._folder, lease.generation)) as handle:
            handle.write(json.dumps(lease._asdict()).encode())

    def _start(self) -> None:
        self._write(self._lease)
        self._beating.start()

    def _end(self) -> None:
        self._stop.set()
        if self._beating.is_alive():
            self._beating.join()
        if not self.lost:
            with contextlib.suppress(OSError):
                self._write(self._lease._replace(released=True))


@contextlib.contextmanager
def claim(folder: Path, owner: str, watch: Watch) -> Iterator[Held | None]:
    """Hold a folder as long as the context is open; None if another worker has it.

    Raises:
      RecordError: the folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        generation = watch.free_generation(folder)
        held = _take(folder, owner, generation) if generation else None
        if held:
            held._start()
    except OSError as error:
        raise RecordError(f"cannot use {folder}: {error.strerror or error}") from error
    try:
        yield held
    finally:
        if held:
            held._end()


def _take(folder: Path, owner: str, generation: int) -> Held | None:
    """Create the lease of a generation, unless somebody else has done so meanwhile."""
    try:
        os.close(os.open(_path(folder, generation), os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644))
    except FileExistsError:
        return None
    return Held(folder, Lease(generation, owner, 0, time.time(), False))


def _path(folder: Path, generation: int) -> Path:
    return folder / f"lease-{generation:06d}.json"
