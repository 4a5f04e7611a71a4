"""Sweeps: what they list, how they are grouped, what they refuse, and the binary that runs them."""

import json

import numpy as np
import pytest

from configs.paper import fig4c_chess_order
from configs.studies import codes, finite_data
from epx import record
from epx.data import catalogue
from epx.run import loop
from epx.run import setup as setups
from epx.sweeps import grid, local
from epx.sweeps.ensembles import Ensemble, ensembles
from experiments import sweep as sweeps
from experiments.cli import progress
from tests.binaries import refused, run

SWEEP = """
from configs import base
from epx.sweeps import grid

RATES = (0.1, 0.2)

def get_config(size="tiny"):
    config = base.get_config("tiny")
    config.generator.update(dict(name="life", height=3, width=3))
    config.observer.update(dict(name="counts", order=2))
    config.run.steps, config.run.chunk, config.checkpoint.every = 20, 10, 10
    return config

def sweep():
    return grid.vary("run.seed", [0, 1])
"""


def test_tuning_tries_every_rate_on_a_seed_of_its_own():
    runs = grid.product(grid.vary("generator.burnin", (0, 1)), grid.vary("run.seed", range(3)))
    tuning = grid.tuning(runs, (0.1, 0.2))
    assert {run["run.seed"] for run in tuning} == {grid.TUNING_SEED}
    assert [run["optim.lr"] for run in tuning] == [0.1, 0.2, 0.1, 0.2]
    assert [run["generator.burnin"] for run in tuning] == [0, 0, 1, 1]


def test_runs_of_equal_shapes_share_an_ensemble(tiny_config):
    """Rules and rates vary in arrays; sizes, observers and batches need programs of their own."""
    tiny_config |= {"generator": {"name": "eca", "width": 6}, "observer": {"name": "transformer"}}
    sweep = grid.product(
        grid.vary("observer.width", (8, 16)),
        grid.vary("generator.rule", (30, 54)),
        grid.vary("run.seed", (3, 4)),
    )
    groups = ensembles(tiny_config, sweep)
    assert [group.name for group in groups] == ["00-eca-transformer", "01-eca-transformer"]
    assert [group.config["observer"]["width"] for group in groups] == [8, 16]
    for group in groups:
        seen = [(m["generator.rule"], m["run.seed"]) for m in group.members]
        assert seen == [(30, 3), (30, 4), (54, 3), (54, 4)]
        assert group.config["run"]["seeds"] == 4
    assert tiny_config["run"]["seeds"] == 2, "a copy"
    wider = ensembles(tiny_config, grid.vary("generator.width", (6, 7)))
    assert [len(group.members) for group in wider] == [1, 1]


def test_a_new_observer_brings_its_own_keys(tiny_config):
    tiny_config["observer"] = {"name": "transformer"}
    sweep = [{"observer.name": "counts", "observer.order": 2}, {"observer.width": 8}]
    groups = ensembles(tiny_config, sweep)
    observer = groups[0].config["observer"]
    assert (observer["name"], observer["order"]) == ("counts", 2)
    assert "width" not in observer and groups[1].config["observer"]["width"] == 8


@pytest.mark.parametrize("sweep", [[], [3], [{"run.sede": 1}], [{"runs": 1}]], ids=str)
def test_a_sweep_that_is_none_is_refused(tiny_config, sweep):
    with pytest.raises(ValueError, match="accepted"):
        ensembles(tiny_config, sweep)


def test_ensembles_run_after_those_that_they_need(tiny_config):
    teach = Ensemble("teach", tiny_config, [])
    measure = Ensemble("measure", tiny_config, [], needs=("teach",))
    assert [e.name for e in local.in_order([measure, teach])] == ["teach", "measure"]
    with pytest.raises(ValueError, match="needs='nothing': accepted names"):
        local.in_order([teach._replace(needs=("nothing",))])
    with pytest.raises(ValueError, match="in a circle"):
        local.in_order([teach._replace(needs=("measure",)), measure])


@pytest.mark.parametrize("study", [codes, finite_data], ids=lambda study: study.__name__)
def test_shipped_sweeps_assemble(study):
    """The demo's is in its own tests."""
    for group in ensembles(study.get_config().to_dict(), study.sweep()):
        setups.assemble(group.config, group.members)


def test_the_sweep_of_the_chess_book_assembles(monkeypatch):
    """With games of self-play in place of the book."""
    load = catalogue.book
    monkeypatch.setattr(
        catalogue, "book", lambda _, count, plies: load("selfplay-random", 300, plies or 40)
    )
    small = [
        run | {"run.steps": 10, "run.batch": 8, "eval.examples": 8}
        for run in fig4c_chess_order.sweep()
    ]
    groups = ensembles(fig4c_chess_order.get_config().to_dict(), small)
    assert len(groups) == 6
    for group in groups:
        assert setups.assemble(group.config, group.members).members == 10
        names = [member["label.generator"] for member in group.members]
        assert len(set(names)) == 2 and "moves then board" in names[0]


@pytest.mark.parametrize(
    ("member", "words"),
    [
        ({"generator.width": 4}, "to share an ensemble"),
        (
            {"generator.name": "eca"},
            "generator.name='eca': accepted run.seed, label.generator, keys of optim",
        ),
        ({"run.batch": 4}, "run.batch=4: accepted run.seed, label.generator, keys of optim"),
        ({"label.generator": "rule {rule}"}, r"label.generator='rule \{rule\}'"),
    ],
)
def test_members_that_cannot_share_are_refused(tiny_config, member, words):
    tiny_config["label"] = {"generator": "Life", "observer": "small"}
    with pytest.raises(ValueError, match=words):
        setups.assemble(tiny_config, [{}, member])


def test_a_label_names_keys_that_exist(tiny_config):
    for label in ({"observer": "{width"}, {"observer": "{0}"}, {"colour": "red"}):
        with pytest.raises(ValueError, match=f"label.{next(iter(label))}="):
            setups.assemble(tiny_config | {"label": label})
    setups.assemble(tiny_config | {"label": {"generator": "{height}", "observer": "{name}"}})


def test_a_sweep_of_ones_own_runs_reports_and_stops_where_done(tmp_path):
    file = tmp_path / "own.py"
    file.write_text(SWEEP)
    command = ("sweep", f"--sweep={file}", f"--workdir={tmp_path / 'w'}", "--quiet")
    done = run(*command)
    assert done.code == 0, done.err
    assert "1 ensembles, 2 runs" in done.err and "bit/token" in done.out
    summary = (tmp_path / "w" / "summary.json").read_bytes()
    assert b"seconds" not in summary, "a function of the records' numbers alone"
    rows = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("rows/*.npz")}
    again = run(*command)
    assert again.code == 0 and again.out == done.out
    assert (tmp_path / "w" / "summary.json").read_bytes() == summary
    assert rows and rows == {path: path.stat().st_mtime_ns for path in tmp_path.rglob("rows/*.npz")}


DRAWN = """from pathlib import Path
from configs import base

def get_config(size="tiny"):
    return base.get_config(size)

def sweep(size="tiny"):
    return []

def draw(runs, path):
    Path(path).write_text(f"{len(runs)} runs")
"""


def test_a_sweep_without_runs_is_drawn(tmp_path):
    file = tmp_path / "own.py"
    file.write_text(DRAWN)
    for flag in ("--dry_run", "--status"):
        shown = run("sweep", f"--sweep={file}", f"--workdir={tmp_path / 'w'}", flag)
        assert shown.code == 0 and shown.out == "nothing to train\n", shown.err
    done = run("sweep", f"--sweep={file}", f"--workdir={tmp_path / 'w'}")
    assert done.code == 0, done.err
    assert (tmp_path / "w" / "figure.png").read_text() == "0 runs"


def test_a_size_is_given_after_the_name_of_a_sweep(tmp_path):
    """And refused if the file has no such size, or none at all."""
    for reference, words in (
        ("paper/fig9_scaling:huge", "size='huge': accepted cpu, paper"),
        ("finite_data:paper", "too many positional arguments"),
    ):
        refused(run("sweep", f"--sweep={reference}", f"--workdir={tmp_path / 'w'}"), words)
    paper = sweeps.read("paper/fig3_automata:paper")
    assert paper.config["figure"] == {"name": "fig3_automata", "size": "paper"}
    assert len(paper.overrides) > len(sweeps.read("fig3_automata").overrides)


def test_a_folder_of_another_sweep_is_refused(tmp_path):
    other = tmp_path / "records" / "other"
    other.mkdir(parents=True)
    (other / "config.json").write_text("{}")
    with pytest.raises(record.RecordError, match="other records: other; choose another"):
        local.check_workdir([Ensemble("00-life-counts", {}, [])], tmp_path)
    assert [path.name for path in (tmp_path / "records").iterdir()] == ["other"]


def test_an_unknown_sweep_is_named(tmp_path):
    done = run("sweep", "--sweep=cods", f"--workdir={tmp_path}")
    refused(
        done,
        "skills, thm9_generators, transfer, transfer_rates (did you mean codes or collapse?)",
    )


def test_an_ensemble_that_diverges_does_not_stop_the_others(tiny_config, tmp_path):
    sweep = [
        {"optim.lr": 1e30, "run.seed": 0},
        {"observer.name": "counts", "observer.order": 2, "run.seed": 0},
    ]
    groups = ensembles(tiny_config | {"checkpoint": dict(every=None, keep=1)}, sweep)
    for _ in range(2):  # the second time it fails where it stands
        steps = list(local.train(groups, local.prepare(groups), tmp_path))
        failed = [step.ensemble.name for step in steps if step.failed]
        assert failed == ["00-life-linear"]
        assert record.load(local.folder(tmp_path, groups[1])).done["steps"] == 40


def test_little_work_forecasts_no_time(capsys, monkeypatch):
    monkeypatch.setattr(progress, "SECONDS_BETWEEN_LINES", 0.0)
    with progress.display("demo") as show:
        for part in (0.0, 1e-7, 0.5):
            show(part, "")
    lines = capsys.readouterr().err.splitlines()
    assert ["starting" in line for line in lines] == [True, True, False]
    assert "s left" in lines[2]


def test_a_signal_after_the_last_chunk_counts():
    """It would otherwise be lost, and the next run start."""

    def chunks():
        yield loop.Progress(1, 1, 0.0, np.array([0.5]))
        progress.signal.raise_signal(progress.signal.SIGTERM)

    assert progress.follow(chunks(), lambda part, text: None) == progress.signal.SIGTERM


def test_a_sweep_killed_between_ensembles_gives_the_same_summary(tiny_config, tmp_path):
    sweep = grid.product(
        [{"observer.name": "counts"}],
        grid.vary("observer.order", (1, 2)),
        grid.vary("run.seed", [0]),
    )
    groups = ensembles(tiny_config, sweep)
    setup = local.prepare(groups)
    for _ in local.train(groups, setup, tmp_path / "whole"):
        pass
    steps = local.train(groups, setup, tmp_path / "stopped")
    for _ in range(3):
        next(steps)
    steps.close()
    for _ in local.train(groups, setup, tmp_path / "stopped"):
        pass
    from epx.report import summary

    def cells(root):
        return summary.cells([record.load(local.folder(root, group)) for group in groups])

    assert json.dumps(cells(tmp_path / "whole")) == json.dumps(cells(tmp_path / "stopped"))


def taught(name, **more):
    """A sweep of two ensembles; the second one starts from the first."""
    base = {"ensemble": "base", "run.steps": 20, "optim.lr": 0.3}
    task = {"run.start": f"ensemble:{name}", "run.steps": 10, **more}
    return grid.product(grid.chain([base], [task]), grid.vary("run.seed", [3, 4]))


def test_an_ensemble_starts_from_another(tmp_path, tiny_config):
    """Also where the first one is not done yet; its weights are those of the record."""
    groups = ensembles(tiny_config, taught("base"))
    assert [group.name for group in groups] == ["00-base", "01-life-linear"]
    assert groups[1].needs == ("00-base",) and "ensemble" not in str(groups[0].members)
    setups = local.prepare(groups)
    assert setups[1].start is None
    for _ in local.train(groups, setups, tmp_path):
        pass
    base, task = (record.load(path) for path in record.find(tmp_path / "records"))
    assert task.config["facts"]["start_step"] == 20
    first = task.rows["nats"][:, 0] / task.rows["coded_tok"][:, 0]
    assert (first < 0.7 * np.log(2)).all() and len(base.evals) == 1
    again = list(local.train(groups, local.prepare(groups), tmp_path))
    assert not [step for step in again if step.progress]


@pytest.mark.parametrize(
    ("runs", "named"),
    [
        (taught("bass"), "run.start='ensemble:bass': accepted ensemble:NAME of base"),
        (taught("base", ensemble="base"), "names of one shape each; base"),
        (taught("base", ensemble="a b"), "letters, digits"),
    ],
)
def test_names_of_ensembles_are_checked(tiny_config, runs, named):
    with pytest.raises(ValueError, match=named):
        ensembles(tiny_config, runs)


def test_a_complete_record_of_other_data_is_refused(tmp_path, tiny_config, monkeypatch):
    """The folder has a record of this name and of as many steps, but of another file."""
    tokens = np.arange(600) % 5
    config = tiny_config | {
        "generator": {"name": "tokens", "path": str(tmp_path / "a.npy"), "length": 4},
        "observer": {"name": "counts"},
        "eval": tiny_config["eval"] | {"examples": 8, "every": None},
    }
    config["run"] = config["run"] | {"steps": 10, "batch": 4}
    runs = [{"run.seed": 0}]

    def train():
        groups = ensembles(config, runs)
        return list(local.train(groups, local.prepare(groups), tmp_path / "w"))

    np.save(tmp_path / "a.npy", tokens)
    train()
    assert not [step for step in train() if step.progress], "the same data are not trained again"
    np.save(tmp_path / "a.npy", tokens[::-1])
    with pytest.raises(record.RecordError, match="generator_sha256"):
        train()


def test_what_varies_in_more_than_seeds_is_no_start(tiny_config):
    runs = [run | {"optim.lr": lr} for lr in (0.1, 0.2) for run in taught("base")]
    with pytest.raises(ValueError, match=r"seeds alone, not in \['optim.lr'\]"):
        ensembles(tiny_config, runs)
