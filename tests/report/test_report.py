"""Reports: every number again from records alone, on a machine that has no JAX."""

import csv
import io
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from epx import record
from epx.analysis import compressors
from epx.report import summary
from epx.run import loop
from epx.run import setup as setups

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def records(tmp_path_factory):
    from tests.conftest import tiny_config as fixture

    root, config = tmp_path_factory.mktemp("records"), fixture.__wrapped__()
    for name, order in (("counts", 2), ("more", 4)):
        observer = {"observer": {"name": "counts", "order": order}}
        for _ in loop.train(setups.assemble(config | observer), root / name):
            pass
    return root


def without_jax(tmp_path, *arguments):
    """Runs report.py where importing JAX, or what needs it, fails."""
    for name in ("jax", "jaxlib", "flax", "optax", "orbax"):
        (tmp_path / f"{name}.py").write_text("raise ImportError('not on this machine')\n")
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}
    return subprocess.run(
        [sys.executable, "-m", "experiments.report", *arguments],
        cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120,
    )  # fmt: skip


def test_report_recomputes_without_jax(records, tmp_path):
    figure, summary = tmp_path / "figure.png", tmp_path / "summary.json"
    done = without_jax(
        tmp_path, f"--records={records}", f"--figure={figure}", f"--summary={summary}",
        "--format=json",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    here = json.loads(json.dumps(summary.cells([record.load(p) for p in record.find(records)])))
    assert json.loads(done.stdout) == here
    assert json.loads(summary.read_text())["cells"] == here
    assert figure.read_bytes().startswith(b"\x89PNG")


def test_report_shows_every_anchor(records, tmp_path):
    done = without_jax(tmp_path, f"--records={records}", "--sensitivity", "--anchor=oracle")
    assert done.returncode == 0, done.stderr
    assert "order=2" in done.stdout and "order=4" in done.stdout
    for anchor in ("raw", "tail", "oracle"):
        assert f"{anchor}:" in done.stdout


def test_every_format_says_the_same(records, tmp_path):
    """Units in every head; in a spreadsheet intervals have columns of their own."""
    said = {
        form: without_jax(tmp_path, f"--records={records}", f"--format={form}", "--surplus=0.9")
        for form in ("table", "csv", "json", "md")
    }
    assert all(done.returncode == 0 for done in said.values()), said["csv"].stderr
    cells = json.loads(said["json"].stdout)
    rows = list(csv.DictReader(io.StringIO(said["csv"].stdout)))
    assert len(rows) == len(cells) == 2
    for row, cell in zip(rows, cells):
        for head, key in (("S_preq bit", "S_preq_bits"), ("MDL bit/token", "MDL_bits_per_tok")):
            assert [float(row[head]), float(row[f"{head}, ±"])] == cell[key]
        assert float(row["T exact, FLOP"]) == cell["exact_flops"]
        assert float(row["SDL at, bit/token"]) == 0.9 and int(row["SDL reached, seeds"]) == 2
        assert float(row["SDL bit"]) == cell["SDL_bits"][0] >= 0
        assert row["world"] == "life" and row["S_req bit"] == ""
    heads = [line for line in said["md"].stdout.splitlines() if line.startswith("| world")]
    assert "| S_preq bit/token |" in heads[0] and "| EDL bit |" in heads[0]
    table = said["table"].stdout.splitlines()[0]
    assert "S_preq bit/token" in table and "EDL" not in table, "seen once, EDL is S_preq"
    for head in re.split(" {2,}", table.strip())[3:]:
        assert re.search(r"bit|token|seeds|FLOP", head), f"{head} has no unit"


def test_a_frontier_of_the_runs_on_a_world(records, tmp_path):
    figure = tmp_path / "frontier.png"
    done = without_jax(
        tmp_path, f"--records={records}", f"--frontier={figure}", "--compute=paper"
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert figure.read_bytes().startswith(b"\x89PNG")
    head, *lines = done.stdout.partition("coded tokens\n")[2].splitlines()
    assert "S_T bit" in head and "H_T bit" in head and len(lines) == 12
    totals = [float(line.split()[-1]) for line in lines]
    assert totals == sorted(totals, reverse=True), "more compute never makes a longer code"
    done = without_jax(tmp_path, f"--records={records}", f"--frontier={figure}", "--test_tokens=-1")
    assert done.returncode == 2 and "test_tokens=-1" in done.stderr


def test_what_a_frontier_lacks_is_said(records, tmp_path):
    figure = tmp_path / "frontier.png"
    done = without_jax(tmp_path, f"--records={records / 'counts'}", f"--frontier={figure}")
    assert done.returncode == 0 and "a frontier is drawn over several" in done.stdout
    assert "nan" not in done.stdout


def test_a_figure_that_cannot_be_written_is_refused_first(records, tmp_path):
    for flag in ("figure", "frontier"):
        for name, part in (("none/a.png", "no such folder"), ("a.foo", "figures that end in")):
            done = without_jax(tmp_path, f"--records={records}", f"--{flag}={tmp_path / name}")
            assert done.returncode == 2 and part in done.stderr and not done.stdout


def test_report_says_what_is_missing(records, tmp_path):
    assert "holds no records" in without_jax(tmp_path, f"--records={tmp_path}").stderr
    done = without_jax(tmp_path, f"--records={records}", "--anchor=best")
    assert done.returncode == 2 and "raw, tail, oracle" in done.stderr


def test_no_figure_of_a_run_without_an_evaluation(records, tmp_path):
    shutil.copytree(records / "counts", tmp_path / "r")
    shutil.rmtree(tmp_path / "r" / "evals")
    figure = tmp_path / "figure.png"
    done = without_jax(tmp_path, f"--records={tmp_path / 'r'}", f"--figure={figure}")
    assert done.returncode == 1 and "nothing in these records can be measured" in done.stderr
    assert "has no evaluation yet" in done.stdout and not figure.exists()


def test_cells_hold_what_the_summary_promises(records):
    cell = summary.cells([record.load(p) for p in record.find(records)])[0]
    for key in ("S_bits", "S_bits_per_tok", "H_bits", "H_bits_per_tok", "MDL_bits"):
        mean, half_width = cell[key]
        assert np.isfinite(mean) and half_width >= 0
    np.testing.assert_allclose(cell["H_bits"][0], cell["H_bits_per_tok"][0] * cell["test_tok"])
    np.testing.assert_allclose(cell["MDL_bits"][0], cell["S_bits"][0] + cell["H_bits"][0])
    assert cell["oracle_bits_per_tok"] == [0, 0] and cell["exploratory"]
    assert cell["gzip_bits_per_tok"] > 0 and cell["xz_bits_per_tok"] > 0


@pytest.mark.parametrize("vocab", [2, 3, 100, 1000])
def test_compressors_cannot_beat_noise_but_beat_repetition(vocab):
    tokens = np.random.default_rng(0).integers(0, vocab, 20_000)
    noise = compressors.compressed_bits(tokens, vocab)
    constant = compressors.compressed_bits(np.zeros(20_000, int), vocab)
    for name in ("gzip_bits", "xz_bits"):
        assert noise[name] >= 20_000 * np.log2(vocab)
        assert constant[name] < 0.05 * noise[name]
    if vocab == 2:  # packed bits of noise cost little more than themselves
        assert noise["xz_bits"] < 1.05 * 20_000


def test_packing_is_reversible():
    tokens = np.random.default_rng(1).integers(0, 5, 1000)
    bits = np.unpackbits(np.frombuffer(compressors._packed(tokens, 5), np.uint8))[:3000]
    np.testing.assert_array_equal(bits.reshape(-1, 3) @ [4, 2, 1], tokens)
