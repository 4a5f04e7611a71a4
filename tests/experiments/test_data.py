"""The binary that lists, prepares and verifies corpora, without JAX and without a network."""

import gzip
import os
import subprocess
import sys
from pathlib import Path

import pytest

from epx.data import catalogue
from experiments import data
from tests.data.test_debian import write_deb

ROOT = Path(__file__).parents[2]
WITHOUT_JAX = """
import runpy, sys
sys.modules["jax"] = None
sys.argv = ["data", *sys.argv[1:]]
runpy.run_module("experiments.data", run_name="__main__")
"""


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """A cache folder with a package that was put there by hand."""
    text = b"\n\n00-database-info\nnotice\n\nA \\A\\\n   First.\n\nB \\B\\\n   Second.\n"
    packed = {"usr/share/dictd/gcide.dict.dz": gzip.compress(text)}
    write_deb(tmp_path / "downloads" / "dict-gcide_1_all.deb", packed)
    monkeypatch.setenv("EPX_CACHE", str(tmp_path))
    return tmp_path


@pytest.fixture
def run(capsys):
    """Runs a command in this process: (exit code, standard output, standard error)."""

    def command(*words):
        code = data.main(list(words), {})
        return code, *capsys.readouterr()

    return command


def test_the_binary_needs_no_jax(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_JAX, "prepare", "kjv", "zen"],
        cwd=ROOT, env=os.environ | {"EPX_CACHE": str(tmp_path)}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "zen: made each time"


def test_list_shows_every_corpus_and_writes_nothing(tmp_path, monkeypatch, run):
    monkeypatch.setenv("EPX_CACHE", str(tmp_path / "none"))
    monkeypatch.setenv("COLUMNS", "300")
    code, out, _ = run("list")
    assert code == 0
    rows = {line.split()[0]: line for line in out.splitlines()[1:] if line}
    for name, entry in catalogue.CORPORA.items():
        assert entry.licence in rows[name] and entry.about in rows[name]
        assert entry.kind in rows[name] and entry.sha256[:12] in rows[name]
    assert "to be prepared" in rows["gcide"]
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("columns", [80, 120])
def test_list_fits_a_terminal(columns, monkeypatch, run):
    monkeypatch.setenv("COLUMNS", str(columns))
    lines = run("list")[1].partition("\n\n")[0].splitlines()
    assert max(map(len, lines)) <= columns
    assert "".join("".join(lines).split()).count("CC-BY-SA-3.0") == 5


def test_a_corpus_is_prepared_listed_and_verified(cache, monkeypatch, run):
    monkeypatch.setenv("COLUMNS", "300")
    code, out, _ = run("prepare", "gcide", "zen")
    row = catalogue.status("gcide")
    assert code == 0 and str(row.file) in out and row.file.is_file()
    line = next(line for line in run("list")[1].splitlines() if line.startswith("gcide"))
    assert row.sha256[:12] in line and "MB" in line
    code, out, _ = run("verify", "gcide", "zen")
    assert code == 0 and out.startswith("gcide: ok: undamaged; made from dict-gcide 1")
    row.file.write_bytes(row.file.read_bytes()[:-100])
    code, out, _ = run("verify", "gcide", "zen")
    assert code == 1 and "gcide: damaged" in out and "zen: ok" in out
    assert run("prepare", "gcide")[0] == run("verify", "gcide")[0] == 0, "mended"
    row.file.unlink()
    code, out, _ = run("verify", "gcide")
    assert code == 1 and "gcide: not prepared" in out


def test_verify_names_the_skipped_games_of_a_users_file(cache, run):
    file = cache / "own.pgn"
    file.write_text('[Event "?"]\n\n1. e4 e5 *\n\n[Event "?"]\n\n1. e4 e6 2. Ke3 *\n')
    code, out, _ = run("prepare", str(file))
    assert code == 0 and "books" in out
    code, out, _ = run("verify", str(file))
    assert code == 0 and "games skipped: 1\n  line 5: move 2" in out


def test_a_failed_download_is_one_line_and_does_not_stop_the_next(cache, run, monkeypatch):
    monkeypatch.setenv("PATH", "")
    code, out, err = run("prepare", "tdavid", "zen")
    assert code == 1 and out.splitlines() == ["zen: made each time"]
    (line,) = (line for line in err.splitlines() if line.startswith("data: tdavid: "))
    assert "no apt-get" in line and str(cache / "downloads") in line


@pytest.mark.parametrize(
    ("words", "overrides", "named"),
    [
        ([], {}, "list, prepare, verify"),
        (["lits"], {}, "list, prepare, verify"),
        (["show", "eca"], {}, "python -m experiments.show"),
        (["list", "zen"], {}, "list takes no name"),
        (["prepare"], {}, "prepare takes a name"),
        (["prepare", "pydocs"], {}, "did you mean 'pydoc'"),
        (["verify", "zen", "gcid"], {}, "did you mean 'gcide'"),
        (["prepare", "x" * 5000], {}, "File name too long"),
        (["list"], {"generator.rule": "3"}, "takes no config"),
    ],
)
def test_mistakes_are_one_line(words, overrides, named, capsys):
    with pytest.raises(SystemExit) as error:
        data.main(words, overrides)
    said = capsys.readouterr()
    assert error.value.code == 2 and not said.out
    assert named in said.err and len(said.err.strip().splitlines()) == 1
