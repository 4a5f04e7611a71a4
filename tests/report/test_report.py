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
from scipy import stats

from epx import record
from epx.analysis import ledger
from epx.report import comparison, summary
from tests.binaries import run
from tests.runs import rows

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def records(tmp_path_factory):
    from tests.conftest import tiny_config as fixture

    root, config = tmp_path_factory.mktemp("records"), fixture.__wrapped__()
    for name, order in (("counts", 2), ("more", 4)):
        observer = {"observer": {"name": "counts", "order": order}}
        rows(config | observer, root / name)
    return root


@pytest.fixture
def report(records):
    """Runs the binary on the records; returns exit code, output and errors."""
    return lambda *arguments, folder=records: run("report", f"--records={folder}", *arguments)


def without_jax(tmp_path, *arguments, environment=None):
    """Runs report.py where importing JAX, or what needs it, fails."""
    for name in ("jax", "jaxlib", "flax", "optax", "orbax"):
        (tmp_path / f"{name}.py").write_text("raise ImportError('not on this machine')\n")
    environment = os.environ | {"PYTHONPATH": str(tmp_path)} | (environment or {})
    return subprocess.run(
        [sys.executable, "-m", "experiments.report", *arguments],
        cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120,
    )  # fmt: skip


def test_report_recomputes_without_jax(records, tmp_path):
    figure, written = tmp_path / "figure.png", tmp_path / "summary.json"
    done = without_jax(
        tmp_path, f"--records={records}", f"--figure={figure}", f"--summary={written}",
        "--format=json",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    here = json.loads(json.dumps(summary.cells([record.load(p) for p in record.find(records)])))
    assert json.loads(done.stdout) == here
    assert json.loads(written.read_text())["cells"] == here
    assert figure.read_bytes().startswith(b"\x89PNG")


def test_claims_are_checked_and_written_without_jax(records, tmp_path):
    """There are no records of a figure here; the claims that need none are decided."""
    folder = tmp_path / "records"
    shutil.copytree(records, folder)
    done = without_jax(tmp_path, f"--records={folder}", "--claims")
    assert done.returncode == 0, done.stderr
    assert re.search(r"^3\. .*\(truths\): holds$", done.stdout, re.M)
    assert re.search(r"^9\. .*\(fig3_automata\): not measured$", done.stdout, re.M)
    written = json.loads((folder / "claims.json").read_text())["claims"]
    assert [claim["number"] for claim in written] == sorted(c["number"] for c in written)
    assert (folder / "claims.md").read_text().startswith("|")


def test_a_terminal_gets_a_table_of_its_width_and_ascii(records, tmp_path):
    """Also where the stream cannot show 𝒟 or ±."""
    environment = {"COLUMNS": "80", "PYTHONIOENCODING": "ascii"}
    done = without_jax(tmp_path, f"--records={records}", environment=environment)
    assert done.returncode == 0, done.stderr
    assert "+/-" in done.stdout and done.stdout.isascii()
    assert max(map(len, done.stdout.splitlines())) <= 80
    done = without_jax(tmp_path, f"--records={records}", "--wide", environment=environment)
    assert "T 6ND+2ND, FLOP" in done.stdout, done.stderr


def test_report_shows_every_anchor(report):
    code, out, err = report("--sensitivity", "--anchor=oracle")
    assert code == 0, err
    assert "order=2" in out and "order=4" in out
    for anchor in ("raw", "trend", "tail", "oracle"):
        assert f"{anchor}:" in out


def test_every_format_has_the_same_numbers(report):
    """Units in every head; in a spreadsheet intervals have columns of their own."""
    out = {
        form: report(f"--format={form}", "--surplus=0.9", "--wide")[1]
        for form in ("table", "csv", "json", "md")
    }
    cells = json.loads(out["json"])
    lines = list(csv.DictReader(io.StringIO(out["csv"])))
    assert len(lines) == len(cells) == 2
    for row, cell in zip(lines, cells):
        for head, key in (("S_preq bit", "S_preq_bits"), ("MDL bit/token", "MDL_bits_per_tok")):
            assert [float(row[head]), float(row[f"{head}, ±"])] == cell[key]
        assert float(row["T exact, FLOP"]) == cell["exact_flops"]
        assert float(row["SDL at, bit/token"]) == 0.9 and int(row["SDL reached, seeds"]) == 2
        assert float(row["SDL bit"]) == cell["SDL_bits"][0] >= 0
        assert row["generator"] == "life" and row["S_req bit"] == ""
    head = next(line for line in out["md"].splitlines() if line.startswith("| generator"))
    heads = [word.strip() for word in head.strip("|").split("|")]
    assert "S_preq bit/token" in heads and "EDL bit" in heads
    table = out["table"].splitlines()[0]
    assert "S_preq bit/token" in table and "EDL" not in table, "seen once, EDL is S_preq"
    for head in re.split(" {2,}", table.strip())[3:]:
        assert re.search(r"bit|token|seeds|FLOP", head), f"{head} has no unit"


def test_the_frontier_of_the_runs_on_a_generator(report, tmp_path):
    figure = tmp_path / "frontier.svg"
    code, out, err = report(f"--frontier={figure}", "--compute=paper")
    assert code == 0, err
    assert "<svg" in figure.read_text()[:1000]
    head, _, *lines = out.partition("coded tokens\n")[2].splitlines()
    assert "S_T bit" in head and "H_T bit" in head and len(lines) == 12
    totals = [float(line.split()[-1]) for line in lines]
    assert totals == sorted(totals, reverse=True), "more compute never makes a longer code"
    code, _, err = report(f"--frontier={figure}", "--test_tokens=-1")
    assert code == 2 and "test_tokens=-1" in err


def test_a_frontier_of_one_run_asks_for_several(records, report, tmp_path):
    figure = tmp_path / "frontier.png"
    code, out, _ = report(f"--frontier={figure}", folder=records / "counts")
    assert code == 0 and "a frontier needs several" in out and "nan" not in out


def test_loss_curves_and_bars_are_drawn(report, tmp_path):
    curve, figure = tmp_path / "curve.pdf", tmp_path / "bars.png"
    code, _, err = report(f"--curve={curve}", f"--figure={figure}")
    assert code == 0, err
    assert curve.read_bytes().startswith(b"%PDF") and figure.read_bytes().startswith(b"\x89PNG")


def test_the_paired_difference_is_taken_seed_by_seed(records, report):
    code, out, err = report("--compare=counts order=2", "--compare=counts order=4")
    assert code == 0, err
    assert "minus second" in out and "life / counts order=4" in out
    loaded = [record.load(path) for path in record.find(records)]
    cells = summary.cells(loaded)
    (pair,) = comparison.compare(loaded, cells, "counts order=2", "counts order=4")
    first, second = (ledger.measure(run).structure_nats / np.log(2) for run in loaded)
    expected = stats.ttest_rel(first, second).confidence_interval(0.95)
    mean, half_width = pair["S_bits"]
    np.testing.assert_allclose([mean - half_width, mean + half_width], expected, rtol=1e-9)
    assert pair["seeds"] == 2
    reverse = comparison.compare(loaded, cells, "counts order=4", "counts order=2")
    assert reverse[0]["S_bits"] == [-mean, half_width]


def test_what_cannot_be_compared_is_refused(report):
    for names, part in (
        (["life / counts"], "two names"),
        (["lief", "life"], "compare='lief': accepted one of"),
        (["counts order=2"] * 2, "a name of other runs"),
    ):
        code, _, err = report(*(f"--compare={name}" for name in names))
        assert code == 2 and part in err and len(err.strip().splitlines()) == 1


@pytest.mark.parametrize("flag", ["figure", "frontier", "curve"])
@pytest.mark.parametrize(
    "name, part",
    [
        ("none/a.png", "no such folder"),
        ("a.foo", "ends in png, pdf, svg"),
        ("a.pgf", "ends in png, pdf, svg"),
        ("a" * 5000 + ".png", "File name too long"),
        ("folder.png", "this is a folder"),
    ],
)
def test_a_figure_that_cannot_be_written_is_refused_first(report, tmp_path, flag, name, part):
    (tmp_path / "folder.png").mkdir()
    code, out, err = report(f"--{flag}={tmp_path / name}")
    assert code == 2 and f"{flag}=" in err and part in err and not out
    assert len(err.strip().splitlines()) == 1


def test_a_summary_that_cannot_be_written_is_refused_first(report, tmp_path):
    for path in (tmp_path, tmp_path / "none" / "a.json", tmp_path / ("a" * 5000)):
        code, out, err = report(f"--summary={path}")
        assert code == 2 and "summary=" in err and not out


def test_report_says_what_is_missing(report, tmp_path):
    code, _, err = report(folder=tmp_path)
    assert code == 1 and "holds no records" in err
    code, _, err = report("--anchor=best")
    assert code == 2 and "raw, trend, tail, oracle" in err


def test_a_run_without_an_evaluation_has_no_figure(records, report, tmp_path):
    shutil.copytree(records / "counts", tmp_path / "r")
    shutil.rmtree(tmp_path / "r" / "evals")
    figure = tmp_path / "figure.png"
    code, out, err = report(f"--figure={figure}", folder=tmp_path / "r")
    assert code == 1 and "nothing in these records can be measured" in err
    assert "has no evaluation yet" in " ".join(out.split()) and not figure.exists()


def test_a_cell_holds_means_with_intervals(records):
    cell = summary.cells([record.load(p) for p in record.find(records)])[0]
    for key in ("S_bits", "S_bits_per_tok", "H_bits", "H_bits_per_tok", "MDL_bits"):
        mean, half_width = cell[key]
        assert np.isfinite(mean) and half_width >= 0
    np.testing.assert_allclose(cell["H_bits"][0], cell["H_bits_per_tok"][0] * cell["test_tok"])
    np.testing.assert_allclose(cell["MDL_bits"][0], cell["S_bits"][0] + cell["H_bits"][0])
    assert cell["oracle_bits_per_tok"] == [0, 0] and cell["exploratory"]
    assert cell["gzip_bits_per_tok"] > 0 and cell["xz_bits_per_tok"] > 0
