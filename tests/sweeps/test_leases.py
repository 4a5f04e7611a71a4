"""Leases: one owner at a time, a lease of the dead is taken over, and who lost one knows."""

import multiprocessing
import os
import signal
import time

import pytest

from epx.record import RecordError
from epx.sweeps import leases


@pytest.fixture(autouse=True)
def fast(monkeypatch):
    monkeypatch.setattr(leases, "SECONDS", 0.02)


class Clock:
    """A clock that is moved by hand."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


def test_one_worker_holds_a_folder_and_gives_it_back(tmp_path):
    watch = leases.Watch()
    with leases.claim(tmp_path, "a", watch) as held:
        assert held and not held.lost
        with leases.claim(tmp_path, "b", watch) as other:
            assert other is None
        assert leases.current(tmp_path).owner == "a"
    assert leases.current(tmp_path).released
    with leases.claim(tmp_path, "b", watch) as held:
        assert held and leases.current(tmp_path).generation == 2


def test_a_beating_owner_is_not_gone_however_slow_the_clock_of_others(tmp_path):
    clock = Clock()
    watch = leases.Watch(clock)
    with leases.claim(tmp_path, "a", leases.Watch()):
        for _ in range(3):
            before = leases.current(tmp_path).beat
            assert watch.free_generation(tmp_path) is None
            clock.now += 1000 * leases.MISSED
            while leases.current(tmp_path).beat == before:
                time.sleep(0.005)
        assert watch.free_generation(tmp_path) is None


def silent(folder, generation=1):
    """The lease of an owner that does not beat."""
    held = leases.Held(folder, leases.Lease(generation, "gone", 7, 0.0, False))
    held._write(held._lease)
    return held


def test_an_owner_is_gone_after_missed_beats_of_the_watchers_clock(tmp_path):
    clock = Clock()
    watch = leases.Watch(clock)
    gone = silent(tmp_path)
    assert watch.free_generation(tmp_path) is None, "seen for the first time"
    clock.now += 0.99 * leases.MISSED * leases.SECONDS
    assert watch.free_generation(tmp_path) is None
    clock.now += 0.02 * leases.MISSED * leases.SECONDS
    with leases.claim(tmp_path, "b", watch) as held:
        assert held and gone.lost and not held.lost
        assert leases.current(tmp_path).owner == "b"
    gone._end()
    assert leases.current(tmp_path).owner == "b", "who lost a lease does not write it any more"


def test_a_lease_that_was_created_and_never_written_is_taken_over(tmp_path):
    (tmp_path / "lease-000001.json").touch()
    clock = Clock()
    watch = leases.Watch(clock)
    assert watch.free_generation(tmp_path) is None
    clock.now += leases.MISSED * leases.SECONDS
    with leases.claim(tmp_path, "b", watch) as held:
        assert held


def test_of_two_that_take_over_one_succeeds(tmp_path):
    """Both have found the same generation free before either takes it."""
    silent(tmp_path)
    assert leases._take(tmp_path, "b", 2) and leases._take(tmp_path, "c", 2) is None


def test_a_folder_that_cannot_be_made_is_an_error(tmp_path):
    (tmp_path / "file").touch()
    with (
        pytest.raises(RecordError, match="cannot use"),
        leases.claim(tmp_path / "file" / "x", "a", leases.Watch()),
    ):
        pass


def _count(folder, name, barrier):
    """Take every free folder of 20, hold it for a moment, and note it in a file of its own."""
    leases.SECONDS = 0.02
    watch = leases.Watch()
    barrier.wait()
    for n in range(20):
        with leases.claim(folder / str(n), name, watch) as held:
            if held and not (folder / str(n) / "done").exists():
                (folder / str(n) / f"by-{name}").touch()
                time.sleep(0.002)
                (folder / str(n) / "done").touch()


def test_processes_that_start_together_share_the_folders(tmp_path):
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(3)
    workers = [context.Process(target=_count, args=(tmp_path, f"w{n}", barrier)) for n in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
        assert worker.exitcode == 0
    for n in range(20):
        assert len(list((tmp_path / str(n)).glob("by-*"))) == 1


def _hold(folder, ready, name):
    leases.SECONDS = 0.02
    with leases.claim(folder, name or leases.owner_name(), leases.Watch()):
        ready.set()
        time.sleep(60)


@pytest.mark.parametrize("elsewhere", [True, False], ids=["another machine", "this machine"])
def test_the_lease_of_a_killed_process_is_taken_over(tmp_path, elsewhere):
    """At once if it was of this machine, otherwise after missed beats."""
    context = multiprocessing.get_context("spawn")
    ready, name = context.Event(), "elsewhere:1:x" if elsewhere else None
    victim = context.Process(target=_hold, args=(tmp_path, ready, name))
    victim.start()
    assert ready.wait(60)
    watch, tries = leases.Watch(), 0
    assert watch.free_generation(tmp_path) is None
    os.kill(victim.pid, signal.SIGKILL)
    victim.join(60)
    while True:
        with leases.claim(tmp_path, "heir", watch) as held:
            if held:
                break
        tries += 1
        time.sleep(0.01)
    assert (tries >= 1) == elsewhere and leases.current(tmp_path).owner == "heir"
