"""Books of chess games: prepared once, in parts, and never damaged, torn or mixed."""

import dataclasses
import io
import logging
import os
import re
import select
import signal
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest

from epx.data import cache, catalogue
from epx.data.chess import database, games, notation, play, workers

FIRST = ("e4", "d4", "c4", "b4", "a4", "Nf3", "Nc3", "f4", "g4", "h4")


@pytest.fixture(autouse=True)
def small_parts(monkeypatch, tmp_path):
    """A cache of the test's own, and parts of a few games."""
    monkeypatch.setenv("EPX_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(workers, "_PART_BYTES", 60)
    monkeypatch.setattr(workers, "_PART_GAMES", 3)


@pytest.fixture
def ran(monkeypatch):
    """The tasks that are run, as they come."""
    tasks, run = [], workers._run
    monkeypatch.setattr(workers, "_run", lambda task: tasks.append(task) or run(task))
    return tasks


def write(folder, moves, name="mine.pgn", encoding="utf-8"):
    """A file of games with these moves, and the line where each of them starts."""
    entries = [f'[Event "?"]\n[White "Kovács"]\n\n{text}\n\n' for text in moves]
    (folder / name).write_bytes("".join(entries).encode(encoding))
    starts = np.cumsum([1, *(entry.count("\n") for entry in entries[:-1])])
    return str(folder / name), starts.tolist()


@pytest.fixture
def pgn(tmp_path):
    return write(tmp_path, [f"1. {move} e5 *" for move in FIRST])[0]


def moves(book):
    return [text.decode() for text in notation.moves_text(book.games, "san", ",", ";")]


EXPECTED = [f"{move},e5;" for move in FIRST]


def stored(folder):
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def interrupted(name, after, **arguments):
    """A preparation that is stopped when so many parts are done."""

    def stop(line):
        if line.startswith(f"{after} of "):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        catalogue.prepare(name, report=stop, **arguments)


# --- Once ---


@pytest.mark.parametrize("name", ["selfplay-random", "selfplay-greedy", "pgn"])
def test_games_are_prepared_once_and_read_back(name, pgn, tmp_path, ran):
    name = pgn if name == "pgn" else name
    made = catalogue.book(name, count=8, plies=6)
    assert len(ran) > 2
    ran.clear()
    found = catalogue.book(name, count=8, plies=6)
    assert not ran
    for one, other in zip(made.games, found.games):
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one, other)
    assert made.sha256 == found.sha256 and made.skipped == found.skipped == []
    assert len(stored(tmp_path / "cache")) == 1 and not list(tmp_path.rglob("*.parts"))


@pytest.mark.parametrize("workers", [1, 2])
def test_any_number_of_workers_gives_the_same_games(pgn, workers):
    said = []
    assert moves(catalogue.prepare(pgn, report=said.append, workers=workers)) == EXPECTED
    assert said == [f"{n} of 5 parts" for n in range(1, 6)]


def test_prepared_self_play_is_what_play_makes():
    book = catalogue.book("selfplay-random", count=8, plies=6)
    for one, other in zip(book.games, play.play("random", 0, 8, 6)):
        np.testing.assert_array_equal(one, other)
    other = catalogue.book("selfplay-random", count=4, plies=5)
    assert moves(other) == moves(
        book._replace(games=games.truncate(games.take(book.games, slice(4)), 5))
    )


def test_self_play_default_size_is_prepared(monkeypatch):
    monkeypatch.setattr(database, "SELFPLAY_GAMES", 7)
    monkeypatch.setattr(database, "SELFPLAY_PLIES", 3)
    assert catalogue.book("selfplay-greedy").games.plies_G.tolist() == [3] * 7
    rows = [row for row in catalogue.listing() if row.entry.kind == "chess"]
    assert {row.entry.name: bool(row.size) for row in rows} == {
        "gnubook": False, "selfplay-random": False, "selfplay-greedy": True,
        "selfplay-stockfish": False,
    }  # fmt: skip


def test_loading_logs_progress(pgn, caplog):
    caplog.set_level(logging.INFO)
    catalogue.book(pgn)
    assert f"{pgn}: 5 of 5 parts" in caplog.text


def test_loading_limits_games_and_plies(pgn):
    assert moves(catalogue.book(pgn, count=3, plies=1)) == ["e4,", "d4,", "c4,"]
    assert moves(catalogue.book(pgn, plies=1)) == [f"{move}," for move in FIRST]
    assert moves(catalogue.book(pgn, count=10)) == EXPECTED


def test_cache_is_keyed_by_file_content(pgn, tmp_path, ran):
    catalogue.book(pgn)
    ran.clear()
    renamed = tmp_path / "other.pgn"
    os.rename(pgn, renamed)
    assert moves(catalogue.book(str(renamed))) == EXPECTED and not ran
    renamed.write_text("1. h3 *\n")
    assert moves(catalogue.book(str(renamed))) == ["h3,"] and ran


# --- In parts ---


@pytest.mark.parametrize("name", ["selfplay-random", "pgn"])
def test_interrupted_preparation_resumes(name, pgn, tmp_path, ran):
    name, size = (pgn, {}) if name == "pgn" else (name, dict(count=14, plies=6))
    whole = catalogue.prepare(name, tmp_path / "undisturbed", **size)
    assert len(ran) == 5
    ran.clear()
    interrupted(name, after=2, **size)
    assert len(ran) == 2 and len(stored(tmp_path / "cache")) == 2
    interrupted(name, after=4, **size)
    assert len(ran) == 4
    assert catalogue.prepare(name, **size).sha256 == whole.sha256
    assert len(ran) == len(set(ran)) == 5
    assert len(stored(tmp_path / "cache")) == 1 and not list(tmp_path.rglob("*.parts"))


def test_damaged_chunk_is_made_again(pgn, tmp_path, ran, caplog):
    interrupted(pgn, after=3)
    damaged = next((tmp_path / "cache").rglob("*.parts/*.npz"))
    damaged.write_bytes(damaged.read_bytes()[:-100])
    assert moves(catalogue.prepare(pgn)) == EXPECTED
    assert len(ran) == 6 and len(set(ran)) == 5
    assert "is damaged" in caplog.text and damaged.name in caplog.text


def test_chunks_of_another_size_are_not_reused(pgn, monkeypatch, tmp_path):
    interrupted(pgn, after=2)
    monkeypatch.setattr(workers, "_PART_BYTES", 200)
    assert moves(catalogue.prepare(pgn)) == EXPECTED
    assert len(stored(tmp_path / "cache")) == 1


def test_two_processes_prepare_the_same_file(pgn, tmp_path):
    """The other one finishes, and clears its parts away, while this one is at its second."""

    def meanwhile(line):
        if " 2 of " in line:
            assert moves(catalogue.prepare(pgn)) == EXPECTED

    assert moves(catalogue.prepare(pgn, report=meanwhile)) == EXPECTED
    assert moves(catalogue.book(pgn)) == EXPECTED
    assert len(stored(tmp_path / "cache")) == 1


def test_file_is_divided_between_games_only(tmp_path):
    """Wherever the parts end, all games are there, and the lines of the faulty ones are right."""
    texts = ["1. e4 {a\n\ncomment} e5 *", "1. Ke2 *", "1. d4", "1. c4 e5\n*", "1. a9 *", "1. b4 *"]
    path, starts = write(tmp_path, texts)
    for size in (1, 30, 80, 120, 10**6):
        workers._PART_BYTES = size  # the fixture puts it back
        book = catalogue.prepare(path, tmp_path / str(size))
        assert moves(book) == ["e4,e5;", "c4,e5;", "b4,"]
        assert [line.split(":")[0] for line in book.skipped] == [
            f"line {starts[n]}" for n in (1, 2, 4)
        ]


# --- Damage ---


def _other_games(data):
    """A whole archive whose games are not those that its sha256 was taken of."""
    buffer = io.BytesIO()
    with np.load(io.BytesIO(data)) as file:
        np.savez(buffer, **{**file, "moves_P": file["moves_P"][::-1]})
    return buffer.getvalue()


DAMAGES = {
    "empty": lambda data: b"",
    "truncated": lambda data: data[: len(data) // 2],
    "no archive": lambda data: b"not a zip file",
    "other games": _other_games,
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_cache_is_made_again(pgn, tmp_path, damage, caplog):
    catalogue.prepare(pgn)
    (file,) = (tmp_path / "cache").rglob("*.npz")
    file.write_bytes(DAMAGES[damage](file.read_bytes()))
    assert moves(catalogue.book(pgn)) == EXPECTED
    assert "is damaged" in caplog.text and str(file) in caplog.text
    caplog.clear()
    assert moves(catalogue.book(pgn)) == EXPECTED  # the file itself was mended
    assert not caplog.text


@pytest.mark.parametrize("name", ["selfplay-random", "pgn"])
def test_unwritable_cache_is_warned_about(name, pgn, tmp_path, monkeypatch, caplog):
    (tmp_path / "file").write_text("a file where the folder should be")
    monkeypatch.setenv("EPX_CACHE", str(tmp_path / "file"))
    assert len(moves(catalogue.book(pgn if name == "pgn" else name, count=8, plies=2))) == 8
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "not cached" in caplog.text and "EPX_CACHE" in caplog.text


# --- What is in a file ---


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "latin-1"])
def test_pgn_encodings_are_read(tmp_path, encoding):
    path, _ = write(tmp_path, [f"1. {move} {{é}} e5 *" for move in FIRST], encoding=encoding)
    assert moves(catalogue.book(path)) == EXPECTED


def test_skipped_games_are_reported(tmp_path, caplog):
    path, starts = write(tmp_path, ["1. e4 e5 *", "1. e4 Ke4 *", "1. d4 d5"])
    book = catalogue.book(path)
    assert len(book.skipped) == 2 and len(book.games.results_G) == 1
    (record,) = caplog.records
    message = record.getMessage()
    assert record.levelno == logging.WARNING and path in message and "skipped: 2" in message
    for start, reason in zip(starts[1:], ("illegal", "breaks off")):
        assert f"line {start}: " in message and reason in message
    assert catalogue.book(path).skipped == book.skipped


def test_many_skipped_games_are_summarised(tmp_path, caplog):
    path, _ = write(tmp_path, ["1. e4 *", *["1. Ke4 *"] * 50])
    assert len(catalogue.book(path).skipped) == 50
    (record,) = caplog.records
    message = record.getMessage()
    assert "skipped: 50" in message and "and 45 more" in message
    assert message.count("line ") == 5


@pytest.mark.parametrize("content", ["", "\n\n", "1. Ke4 *\n", "no chess at all\n"])
@pytest.mark.parametrize("load", [catalogue.book, catalogue.prepare])
def test_file_without_a_legal_game_is_refused(tmp_path, content, load):
    file = tmp_path / "none.pgn"
    file.write_text(content)
    for _ in range(2):  # made, and out of the cache
        with pytest.raises(ValueError) as error:
            load(str(file))
        assert f"generator.corpus={str(file)!r}" in str(error.value)
        assert ("no legal game" if content else "is empty") in str(error.value)
        assert ("line 1: " in str(error.value)) == bool(content.strip())


def test_more_games_than_the_file_has_are_refused(pgn):
    with pytest.raises(ValueError, match=r"generator\.games=11: accepted 2 to 10, .*mine\.pgn"):
        catalogue.book(pgn, count=11)


@pytest.mark.parametrize("name", ["selfplay-random.", "gnubok", "selfplay-stokfish"])
def test_unknown_corpus_name_gets_a_suggestion(name, tmp_path):
    with pytest.raises(ValueError) as error:
        catalogue.book(name)
    message = str(error.value)
    assert f"corpus={name!r}" in message and "file of your own in PGN" in message
    assert "gnubook, selfplay-random, selfplay-greedy, selfplay-stockfish" in message
    assert "did you mean" in message
    with pytest.raises(ValueError, match="this is a folder"):
        catalogue.book(str(tmp_path))


def test_chunks_are_kept_when_the_cache_cannot_be_written(pgn, tmp_path, ran, monkeypatch, caplog):
    """The disk is full at the last file: nothing is done twice."""
    write_archive = cache.write

    def full(path, *content, **beside):
        if path.parent.suffix != ".parts":
            raise OSError(28, "No space left on device")
        write_archive(path, *content, **beside)

    monkeypatch.setattr(cache, "write", full)
    assert moves(catalogue.prepare(pgn)) == EXPECTED and len(ran) == 5
    assert "not cached" in caplog.text and len(list(tmp_path.rglob("*.parts/*.npz"))) == 5
    ran.clear()
    monkeypatch.setattr(cache, "write", write_archive)
    assert moves(catalogue.prepare(pgn)) == EXPECTED and not ran
    assert len(stored(tmp_path / "cache")) == 1


def test_killed_worker_is_reported(pgn, monkeypatch):
    def killed(*_):
        raise workers.BrokenProcessPool("A process in the process pool was terminated abruptly")

    monkeypatch.setattr(workers.ProcessPoolExecutor, "map", killed)
    with pytest.raises(OSError, match="was killed, perhaps for lack of memory"):
        catalogue.prepare(pgn, workers=2)


def test_verify_names_every_game_skipped(tmp_path, caplog):
    path, starts = write(tmp_path, ["1. e4 e5 *", *["1. e4 e4 *"] * 20])
    assert catalogue.verify(path).state == "not prepared"
    catalogue.prepare(path)
    assert f"line {starts[1]}: " in caplog.text and "and 15 more" in caplog.text
    found = catalogue.verify(path)
    assert (
        found.state == "ok" and "1 games, undamaged; made from a file of the user" in found.detail
    )
    assert all(f"\n  line {line}: move 1" in found.detail for line in starts[1:])
    caplog.clear()
    caplog.set_level(logging.INFO)
    catalogue.book(path)
    assert "1 games, 20 skipped" in caplog.text, "also out of the cache"


# --- gnubook, from a package that somebody put there by hand ---


@pytest.fixture
def package(tmp_path, pgn):
    downloads = tmp_path / "cache" / "downloads"
    downloads.mkdir(parents=True)
    with tarfile.open(downloads / "gnuchess-book_9.orig.tar.gz", "w:gz") as archive:
        archive.add(__file__, "gnuchess-book-9/README")
        archive.add(pgn, "gnuchess-book-9/book_9.pgn")
    return downloads / "gnuchess-book_9.orig.tar.gz"


def test_gnubook_must_be_prepared(package, caplog):
    with pytest.raises(ValueError, match=r"gnubook.*prepare it first"):
        catalogue.book("gnubook")
    assert catalogue.verify("gnubook").state == "not prepared"
    said = []
    made = catalogue.prepare("gnubook", report=said.append)
    assert moves(made) == moves(catalogue.book("gnubook")) == EXPECTED
    assert said[-1].endswith("5 of 5 parts")
    assert made.source == "gnuchess-book 9"


def test_gnubook_refuses_a_damaged_package(package):
    package.write_bytes(package.read_bytes()[:-40])
    with pytest.raises(ValueError, match="is damaged"):
        catalogue.prepare("gnubook")


def test_damaged_gnubook_is_not_downloaded_by_load(package, tmp_path):
    catalogue.prepare("gnubook")
    (file,) = (tmp_path / "cache").rglob("*.npz")
    file.write_bytes(b"")
    with pytest.raises(ValueError, match="prepare it first"):
        catalogue.book("gnubook")


def test_verify_and_list_report_gnubook(package, tmp_path, monkeypatch):
    made = catalogue.prepare("gnubook")
    row = catalogue.status("gnubook")
    assert (row.sha256, row.size) == (made.sha256, row.file.stat().st_size)
    found = catalogue.verify("gnubook")
    assert found.state == "ok" and "no sha256 is published" in found.detail, "another version"
    entry = dataclasses.replace(row.entry, source="gnuchess-book 9", sha256=made.sha256)
    monkeypatch.setitem(catalogue.CORPORA, "gnubook", entry)
    found = catalogue.verify("gnubook")
    assert (
        found.state == "ok"
        and "10 games, undamaged; its sha256 is the published one" in found.detail
    )
    monkeypatch.setitem(catalogue.CORPORA, "gnubook", dataclasses.replace(entry, sha256="0" * 64))
    assert catalogue.verify("gnubook").state == "damaged", "games that were parsed in another way"
    row.file.write_bytes(_other_games(row.file.read_bytes()))
    assert catalogue.verify("gnubook").state == "damaged"
    with pytest.raises(ValueError, match="gnubok"):
        catalogue.verify("gnubok")


def test_list_writes_nothing(tmp_path):
    assert {row.size for row in catalogue.listing(tmp_path / "none")} == {None}
    assert not (tmp_path / "none").exists()


# --- Without the package chess ---


def test_cached_games_need_no_package_chess(monkeypatch):
    catalogue.book("selfplay-random", count=5, plies=2)
    monkeypatch.setitem(sys.modules, "chess", None)
    assert len(catalogue.book("selfplay-random", count=5, plies=2).games.results_G) == 5
    with pytest.raises(ValueError, match=r"pip install 'epx-jax\[chess\]'"):
        catalogue.book("selfplay-random", count=6, plies=2)


def test_package_chess_is_imported_by_three_modules():
    folder = Path(database.__file__).parent
    files = [
        file
        for file in folder.glob("*.py")
        if re.search(r"^ *import chess", file.read_text(), re.M)
    ]
    assert {file.name for file in files} == {"encode.py", "pgn.py", "play.py"}


# --- Processes ---

PARENT = """
import sys
from epx.data.chess import workers
from tests.data.chess.test_database import hang
list(workers._results([workers.Task(hang, (sys.argv[1],))] * 2, 2))
"""


def hang(fifo):
    """A part that never ends; it holds a pipe open for as long as its process lives."""
    with open(fifo, "wb", buffering=0) as pipe:
        pipe.write(b".")
        signal.pause()


def test_workers_end_when_their_parent_is_killed(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    parent = subprocess.Popen([sys.executable, "-c", PARENT, tmp_path / "fifo"])
    with open(tmp_path / "fifo", "rb", buffering=0) as pipe:
        started = b""
        while len(started) < 2:
            started += pipe.read(1)
        parent.kill()
        parent.wait()
        ready, _, _ = select.select([pipe], [], [], 20)
        assert ready and pipe.read(1) == b"", "the workers still hold their end of the pipe"


@pytest.mark.parametrize(("count", "plies"), [(10**9, 1), (10**7, 0), (10**6, 101), (0, 20_000)])
def test_more_self_play_than_fits_is_refused_before_it_is_played(count, plies, ran):
    with pytest.raises(ValueError, match=r"generator\.games=\d+: accepted at most \d+ games"):
        catalogue.book("selfplay-random", count, plies)
    assert not ran
