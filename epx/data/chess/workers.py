"""Makes a book of chess games in parts, with several processes. Finished parts are cached, so that
an interrupted preparation resumes."""

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

_PART_BYTES = 2**20  # of a file, parsed at once
_PART_GAMES = 2500  # of self-play, played at once


class Part(NamedTuple):
    """Games, and the line and reason of each game that was left out, as text."""

    games: Games
    skipped: list[str]


class Task(NamedTuple):
    """A function that makes a part, and its arguments."""

    function: Callable[..., Part]
    arguments: tuple


def play(player: str, first: int, last: int, plies: int) -> Part:
    """Plays a part, as `epx.data.chess.play.play`."""
    from epx.data.chess import play  # needs the package `chess`, which a cached book does not

    return Part(play.play(player, first, last, plies), [])


def parse(text: str, first_line: int) -> Part:
    """Parses a part, as `epx.data.chess.pgn.parse`."""
    from epx.data.chess import pgn

    parsed, skipped = pgn.parse(text, first_line)
    return Part(parsed, [f"line {line}: {reason}" for line, reason in skipped])


def play_tasks(player: str, count: int, plies: int) -> list[Task]:
    """Tasks that together play `count` games, each of at most `plies` half-moves."""
    starts = range(0, count, _PART_GAMES)
    ends = (min(first + _PART_GAMES, count) for first in starts)
    return [Task(play, (player, first, last, plies)) for first, last in zip(starts, ends)]


def pgn_tasks(content: bytes) -> list[Task]:
    """Tasks that together parse a file; it is cut where an Event tag follows a blank line."""
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
    """Runs the tasks whose parts are not in `folder`, and joins all parts in order.

    Args:
      tasks: from `play_tasks` or `pgn_tasks`.
      folder: where parts are kept; the caller removes it once the whole is stored.
      report: receives progress messages.
      workers: processes; with more than one, each of them imports the caller's main module.

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
    """A file name for the part of this task, and of no other."""
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
    # A forked child would inherit the locks of JAX's threads.
    with ProcessPoolExecutor(workers, get_context("spawn"), _start_worker) as pool:
        try:
            yield from pool.map(_run, tasks)
        except KeyboardInterrupt:
            pool.shutdown(cancel_futures=True)
            raise
        except BrokenProcessPool as error:
            raise OSError(
                "a process that prepared a part was killed, perhaps for want of memory; preparing "
                "again resumes"
            ) from error


def _start_worker() -> None:
    """Leaves Ctrl-C to the parent, and ends this process when the parent is gone.

    A killed parent cannot stop its workers, which would wait for tasks for ever. The parent's
    sentinel is a pipe that the system closes.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    wait = functools.partial(connection.wait, [parent_process().sentinel])
    threading.Thread(target=lambda: (wait(), os._exit(1)), daemon=True).start()


def _run(task: Task) -> Part:
    return task.function(*task.arguments)
