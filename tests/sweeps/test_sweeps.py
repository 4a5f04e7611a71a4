"""Sweeps: what they list, what they refuse before anything is compiled, and the binary that runs
them."""

import json

import pytest

from configs.studies import chess_orders
from epx.data import catalogue
from epx.run import loop
from epx.run import setup as setups
from epx.sweeps import grid
from experiments.cli import progress
from tests.experiments.test_sample import binary

SWEEP = """
from configs import base
from epx import sweeps

def ensembles(tune=False):
    config = base.get_config("tiny")
    config.generator.update(dict(name="life", height=3, width=3))
    config.observer.update(dict(name="counts", order=2))
    config.run.steps, config.run.chunk, config.checkpoint.every = 20, 10, 10
    sections = {name: config[name].to_dict() for name in config}
    seeds = grid.vary("run.seed", [9] if tune else [0, 1])
    return [grid.Ensemble("01-life-counts", sections, seeds)]
"""


def test_a_rate_is_chosen_apart_from_what_is_measured(tiny_config):
    worlds = grid.vary("generator.burnin", (0, 1))
    label = {"world": "Life after {burnin}", "observer": "small"}

    def ensemble(tune):
        return grid.tuned("x", tiny_config, label, worlds, (0.1, 0.2), seeds=3, tune=tune)

    measured, tuning = ensemble(False), ensemble(True)
    assert [member["run.seed"] for member in measured.members] == [0, 1, 2, 0, 1, 2]
    assert {member["run.seed"] for member in tuning.members} == {grid.TUNING_SEED}
    assert [member["optim.lr"] for member in tuning.members] == [0.1, 0.2, 0.1, 0.2]
    assert (measured.config["run"]["seeds"], tuning.config["run"]["seeds"]) == (3, 1)
    assert "label" not in tiny_config and tiny_config["run"]["seeds"] == 2, "a copy"


@pytest.mark.parametrize("tune", [False, True])
def test_the_sweep_of_the_book_assembles(tune, monkeypatch):
    """With games of self-play in place of the book."""
    load = catalogue.book
    monkeypatch.setattr(
        catalogue, "book", lambda _, count, plies: load("selfplay-random", 300, plies or 40)
    )
    monkeypatch.setattr(
        chess_orders, "WORLDS", {k: small(v) for k, v in chess_orders.WORLDS.items()}
    )
    for ensemble in chess_orders.ensembles(tune):
        setup = setups.assemble(ensemble.config, ensemble.members)
        assert len(setup.hypers) == 2 * (len(chess_orders.RATES) if tune else chess_orders.SEEDS)
        names = [member["label.world"] for member in ensemble.members]
        assert len(set(names)) == 2 and "moves then board" in names[0]
    assert set(chess_orders.CHOSEN.values()) <= set(chess_orders.RATES)


def small(world):
    return world | dict(steps=10, eval_examples=8)


@pytest.mark.parametrize(
    ("member", "words"),
    [
        ({"generator.width": 4}, "cannot share an ensemble"),
        ({"generator.name": "eca"}, "generator.name: members of an ensemble share it"),
        ({"run.batch": 4}, "run.batch: members of an ensemble share it"),
        ({"label.world": "rule {rule}"}, r"label.world='rule \{rule\}'"),
    ],
)
def test_members_that_cannot_share_are_refused(tiny_config, member, words):
    tiny_config["label"] = {"world": "Life", "observer": "small"}
    with pytest.raises(ValueError, match=words):
        setups.assemble(tiny_config, [{}, member])


def test_a_label_names_keys_that_exist(tiny_config):
    for label in ({"observer": "{width"}, {"observer": "{0}"}, {"colour": "red"}):
        with pytest.raises(ValueError, match=f"label.{next(iter(label))}="):
            setups.assemble(tiny_config | {"label": label})
    setups.assemble(tiny_config | {"label": {"world": "{height}", "observer": "{width}"}})


def test_a_sweep_of_ones_own_runs_reports_and_stops_where_done(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(SWEEP)
    command = ("sweep", f"--sweep={file}", f"--workdir={tmp_path / 'w'}", "--quiet")
    done = binary(*command)
    assert done.returncode == 0, done.stderr
    assert "1 ensembles, 2 runs" in done.stderr and "S_preq bit/token" in done.stdout
    assert (tmp_path / "w" / "summary.json").exists()
    rows = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("rows/*.npz")}
    again = binary(*command)
    assert again.returncode == 0 and again.stdout == done.stdout
    assert "about 0 minutes" in again.stderr
    assert rows and rows == {path: path.stat().st_mtime_ns for path in tmp_path.rglob("rows/*.npz")}


def test_a_folder_of_another_sweep_is_refused(tmp_path):
    file, other = tmp_path / "mine.py", tmp_path / "w" / "records" / "other"
    file.write_text(SWEEP)
    other.mkdir(parents=True)
    (other / "config.json").write_text("{}")
    done = binary("sweep", f"--sweep={file}", f"--workdir={tmp_path / 'w'}", "--quiet")
    assert done.returncode == 1 and "holds other records: other; choose another" in done.stderr
    assert [path.name for path in (tmp_path / "w" / "records").iterdir()] == ["other"]


def test_an_unknown_sweep_is_named(tmp_path):
    done = binary("sweep", "--sweep=boook", f"--workdir={tmp_path}")
    assert done.returncode == 2
    assert "--sweep=boook: no such file; did you mean book?" in done.stderr


DIVERGES = SWEEP.replace(
    "return [",
    """broken = sections | {
        "observer": {"name": "transformer", "depth": 1, "width": 8},
        "optim": sections["optim"] | {"lr": 1e30},
    }
    return [grid.Ensemble("00-broken", broken, seeds), """,
)


@pytest.mark.slow
def test_an_ensemble_that_diverges_does_not_stop_the_others(tmp_path):
    (tmp_path / "mine.py").write_text(DIVERGES)
    for _ in range(2):  # the second time it fails where it stands
        done = binary("sweep", f"--sweep={tmp_path / 'mine.py'}", f"--workdir={tmp_path / 'w'}")
        assert done.returncode == 1 and "Traceback" not in done.stderr
        assert "00-broken: no member is left whose loss is finite" in done.stderr
        cells = json.loads((tmp_path / "w" / "summary.json").read_text())["cells"]
        assert ["missing" in cell for cell in cells] == [True, False]


def test_a_signal_behind_the_last_chunk_counts():
    """It would otherwise be lost, and the next run start."""

    def chunks():
        yield loop.Progress(1, 1, 0.0, progress.np.array([0.5]))
        progress.signal.raise_signal(progress.signal.SIGTERM)

    assert progress.follow(chunks(), lambda part, text: None) == progress.signal.SIGTERM
