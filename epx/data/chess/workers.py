"""Preparation of chess games in parts, by several processes.

Finished parts are cached, so that an interrupted preparation resumes.
"""

import contextlib
import functools
import hashlib
import json
import os
import re
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import connection, get_context, parent_process
from pathlib import Path
from typing import NamedTuple

from epx.data import cache
from epx.data.chess import games
from epx.data.chess.games import Games

_PART_BYTES = 2**20  # of a file, parsed by one task
_PART_GAMES = 2500  # of self-play, played by one task


class Part(NamedTuple):
    """Games, and the line and reason of each skipped game as text."""

    games: Games
    skipped: list[str]


class Task(NamedTuple):
    """A function that makes a part, and its arguments."""

    function: Callable[..., Part]
    arguments: tuple


def play(player: str, first: int, last: int, plies: int) -> Part:
    """Play a part, as `epx.data.chess.play.play`."""
    from epx.data.chess import play  # imports the package `chess`, which cached games do not need

    return Part(play.play(player, first, last, plies), [])


def parse(text: str, first_line: int) -> Part:
    """Parse a part, as `epx.data.chess.pgn.parse`."""
    from epx.data.chess import pgn

    parsed, skipped = pgn.parse(text, first_line)
    return Part(parsed, [f"line {line}: {reason}" for line, reason in skipped])


def play_tasks(player: str, count: int, plies: int) -> list[Task]:
    """Tasks that play `count` games of at most `plies` half-moves each."""
    starts = range(0, count, _PART_GAMES)
    ends = (min(first + _PART_GAMES, count) for first in starts)
    return [Task(play, (player, first, last, plies)) for first, last in zip(starts, ends)]


def pgn_tasks(content: bytes) -> list[Task]:
    """Tasks that parse a file, cut where an Event tag follows a blank line."""
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
        tasks.append(Task(parse, (part.decode(encoding), line)))
        begin, line = end, line + part.count(b"\n")
    return tasks


def make(tasks: list[Task], folder: Path, report: Callable[[str], None], workers: int) -> Part:
    """Run the tasks whose parts are not in `folder`, and join all parts in order.

    Args:
      tasks: from `play_tasks` or `pgn_tasks`.
      folder: of the parts; the caller removes it after storing the result.
      report: receives progress messages.
      workers: processes; if there are several, each imports the caller's main module.

    Raises:
      ValueError: Stockfish is needed and not installed, or it failed.
      OSError: a process was killed.
    """
    files = [folder / f"{_digest(task)}.npz" for task in tasks]
    parts = [_read(file) for file in files]
    missing = [number for number, part in enumerate(parts) if part is None]
    done = len(tasks) - len(missing)
    for number, part in zip(missing, _results([tasks[n] for n in missing], workers)):
        parts[number] = part
        done += 1
        with contextlib.suppress(OSError):  # an interrupted preparation makes this part again
            cache.write(files[number], part.games._asdict(), skipped=json.dumps(part.skipped))
        report(f"{done} of {len(tasks)} parts")
    return Part(
        games.join([part.games for part in parts]),
        [line for part in parts for line in part.skipped],
    )


def _digest(task: Task) -> str:
    """The file name of a task's part, unique to the task."""
    key = f"{task.function.__name__} {task.arguments!r}"
    return hashlib.sha256(key.encode()).hexdigest()[:16]


def _read(path: Path) -> Part | None:
    arrays = cache.read(path, Games._fields, ["skipped"])
    if arrays is None:
        return None
    return Part(
        Games(*(arrays[name] for name in Games._fields)), json.loads(str(arrays["skipped"]))
    )


def _results(tasks: list[Task], workers: int) -> Iterator[Part]:
    if workers == 1 or len(tasks) < 2:
        yield from map(_run, tasks)
        return
    # Not by fork: the child would inherit the locks of JAX's threads.
    with ProcessPoolExecutor(workers, get_context("spawn"), _start_worker) as pool:
        try:
            yield from pool.map(_run, tasks)
        except KeyboardInterrupt:
            pool.shutdown(cancel_futures=True)
            raise
        except BrokenProcessPool as error:
            raise OSError(
                "a process that prepared a part was killed, perhaps for lack of memory; prepare "
                "again to resume"
            ) from error


def _start_worker() -> None:
    """Leave Ctrl-C to the parent, and end this process when the parent ends.

    Otherwise the workers of a killed parent would wait for tasks forever. The parent's sentinel is
    a pipe that the system closes.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    wait = functools.partial(connection.wait, [parent_process().sentinel])
    threading.Thread(target=lambda: (wait(), os._exit(1)), daemon=True).start()


def _run(task: Task) -> Part:
    return task.function(*task.arguments)
