"""A book of chess games made in parts, by several processes, each part kept when it is done: a
preparation that is interrupted goes on with those that it has. A part is a task, the work and its
arguments, which `epx.rules` does; that it needs the package `chess` concerns only those who make
one.
"""

import contextlib
import hashlib
import json
import re
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

from epx.data import cache as caches
from epx.data.chess import games
from epx.data.chess.games import Games

_PART_BYTES = 2**20  # of a file, parsed at once
_PART_GAMES = 2500  # of self-play, played at once

# `parse`, text, number of its first line; or `play`, player, first game, last, half-moves at most.
Task = tuple[str, tuple]


class Part(NamedTuple):
    """Legal games, and a text for each that was left out: the line of the file where it starts, and
    why."""

    games: Games
    skipped: list[str]


def play_tasks(player: str, count: int, plies: int) -> list[Task]:
    """So many games of self-play, cut after so many half-moves."""
    starts = range(0, count, _PART_GAMES)
    return [("play", (player, first, min(first + _PART_GAMES, count), plies)) for first in starts]


def pgn_tasks(content: bytes) -> list[Task]:
    """A file cut between games, where a blank line and an Event tag say so."""
    try:
        content.decode("utf-8")
        encoding = "utf-8"
    except UnicodeDecodeError:
        encoding = "latin-1"  # the encoding of the PGN standard
    tasks, begin, line = [], 0, 1
    while begin < len(content) or not tasks:
        boundary = re.compile(rb"\n[ \t\r]*\n(?=\[Event )").search(content, begin + _PART_BYTES)
        end = boundary.end() if boundary else len(content)
        part = content[begin:end]
        tasks.append(("parse", (part.decode(encoding), line)))
        begin, line = end, line + part.count(b"\n")
    return tasks


def make(tasks: list[Task], folder: Path, report: Callable[[str], None], workers: int) -> Part:
    """Does the tasks that `folder` has no part of, and joins all parts, in order.

    Args:
      tasks: of `play_tasks` or `pgn_tasks`.
      folder: where parts are kept; the caller removes it when the whole is.
      report: is told how many parts there are.
      workers: processes; with more than one, the caller's main module is imported by each of them.

    Raises:
      ValueError: the package `chess`, or Stockfish, is needed and not installed, or it failed.
      OSError: a process was killed.
    """
    files = [folder / f"{_digest(task)}.npz" for task in tasks]
    found = [_read(file) for file in files]
    missing = [number for number, part in enumerate(found) if part is None]
    done = len(tasks) - len(missing)
    for number, part in zip(missing, _results([tasks[n] for n in missing], workers)):
        found[number] = part
        done += 1
        with contextlib.suppress(OSError):  # such a part is done again, should this not end well
            caches.write(files[number], part.games._asdict(), skipped=json.dumps(part.skipped))
        report(f"{done} of {len(tasks)} parts")
    return Part(
        games.join([part.games for part in found]),
        [reason for part in found for reason in part.skipped],
    )


def _digest(task: Task) -> str:
    """A name for a part that only the same task has: not one that was cut elsewhere."""
    return hashlib.sha256(repr(task).encode()).hexdigest()[:16]


def _read(path: Path) -> Part | None:
    found = caches.read(path, Games._fields, ["skipped"])
    if found is None:
        return None
    return Part(Games(*(found[name] for name in Games._fields)), json.loads(str(found["skipped"])))


def _results(tasks: list[Task], workers: int) -> Iterator[Part]:
    if workers == 1 or len(tasks) < 2:
        yield from map(_run, tasks)
        return
    # A forked child would inherit the locks of JAX's threads; Ctrl-C is for the parent.
    context, deaf = get_context("spawn"), (signal.SIGINT, signal.SIG_IGN)
    with ProcessPoolExecutor(workers, context, signal.signal, deaf) as pool:
        try:
            yield from pool.map(_run, tasks)
        except KeyboardInterrupt:
            pool.shutdown(cancel_futures=True)
            raise
        except BrokenProcessPool as error:
            raise OSError(
                "a process that prepared a part was killed, perhaps for want of memory; the same "
                "command goes on"
            ) from error


def _run(task: Task) -> Part:
    from epx.data.chess import rules

    work, arguments = task
    if work == "play":
        return Part(rules.play(*arguments), [])
    found, skipped = rules.parse(*arguments)
    return Part(found, [f"line {line}: {reason}" for line, reason in skipped])
