"""The demo: what it runs, and, in the slow suite, what its quick form must show."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from absl import flags

from configs.studies import demo
from epx.run import setup as setups
from epx.sweeps import grid
from epx.sweeps.ensembles import ensembles
from experiments import demo as binary
from experiments import report
from experiments.cli import host

ROOT = Path(__file__).parents[2]
NAMES = {key: observer["label.observer"] for key, observer in demo.OBSERVERS.items()}


FORMS = ["fast", *(pytest.param(form, marks=pytest.mark.slow) for form in ("full", "tune"))]


@pytest.mark.parametrize("form", FORMS)
def test_every_ensemble_assembles(form):
    config, overrides = demo.get_config().to_dict(), demo.sweep(form == "fast", form == "tune")
    if form == "tune":
        overrides = grid.tuning(overrides, demo.RATES)
    groups = ensembles(config, overrides)
    assert len({e.name for e in groups}) == len(groups)
    for ensemble in groups:
        setup = setups.assemble(ensemble.config, ensemble.members)
        assert setup.members == len(ensemble.members)
        seeds = {member["run.seed"] for member in ensemble.members}
        assert len(seeds) == {"full": 4, "fast": 2, "tune": 1}[form]
        assert setup.config["tuning"]["seed"] not in seeds or form == "tune"


def test_rates_come_from_the_sweep():
    for data in demo.DATA.values():
        assert set(data["rates"].values()) <= set(demo.RATES)
        assert data["rates"].keys() == demo.OBSERVERS.keys() - {"counts"}


def test_it_speaks_before_it_loads_anything():
    """The first line comes before JAX is imported, here where it cannot be."""
    code = (
        "import runpy, sys\n"
        "sys.modules['jax'] = None\n"
        "sys.argv = ['demo']\n"
        "runpy.run_module('experiments.demo', run_name='__main__')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert done.stderr.startswith("demo: starting") and "ModuleNotFoundError" in done.stderr


def test_the_demo_from_end_to_end(tmp_path, monkeypatch, capsys):
    """One small generator instead of seven: records, table, summary and figure, then the same again
    from the records alone."""
    life = demo.DATA["life"] | dict(steps=100, batch=8)
    life["generator"] = life["generator"] | dict(height=3, width=3)
    monkeypatch.setattr(demo, "DATA", {"life": life})
    smaller = {"observer.depth": 1, "observer.width": 8}
    monkeypatch.setitem(demo.OBSERVERS, "small", demo.OBSERVERS["small"] | smaller)
    monkeypatch.setattr(host, "prepare", lambda process=None: None)  # the tests have started JAX
    monkeypatch.setattr(sys, "argv", ["demo", "--fast", f"--workdir={tmp_path}", "--quiet"])
    flags.FLAGS(sys.argv)
    assert binary.main() == 0
    printed = capsys.readouterr()
    assert "runs in" in printed.err and "done in" in printed.err and "minutes" in printed.err
    cells = json.loads((tmp_path / "summary.json").read_text())["cells"]
    assert [cell["observer"] for cell in cells] == [NAMES["counts"], NAMES["small"]]
    assert all(cell["generator"] in printed.out for cell in cells)
    assert (tmp_path / "figure.png").stat().st_size > 10_000
    assert report.read(tmp_path) == cells
    assert binary.main() == 0, "a second time everything is there"


@pytest.mark.slow
def test_the_quick_demo_shows_what_it_says(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "experiments.demo", "--fast", f"--workdir={tmp_path}"],
        cwd=ROOT, env=os.environ, capture_output=True, text=True, timeout=600,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    cells = json.loads((tmp_path / "summary.json").read_text())["cells"]
    found = {(c["generator"], c["observer"]): c for c in cells}
    counter, small = NAMES["counts"], NAMES["small"]
    # The counter sees the short period that a small transformer misses in this time, the
    # transformer the shift that no context of eight cells holds.
    assert found["LCG, bit 3", counter]["H_bits_per_tok"][0] < 0.1
    assert found["automaton, rule 15", counter]["H_bits_per_tok"][0] > 0.99
    assert found["automaton, rule 15", small]["H_bits_per_tok"][0] < 0.2
    for generator in ("automaton, rule 30", "LCG, bit 16", "coin flips"):
        cell = found[generator, small]
        assert abs(cell["H_bits_per_tok"][0] - 1) < 0.01
        assert abs(cell["S_bits_per_tok"][0]) < 0.005
