"""Anybody's data: equal tokens, controls, sizes that fit the time, refusals, and a whole run."""

import itertools

import numpy as np
import pytest

from epx import record
from epx.data import anything
from epx.report import summary
from epx.report.figures import own
from epx.run import setup as setups
from epx.sweeps.ensembles import ensembles
from experiments import report
from experiments.cli import measuring, own_data
from tests import binaries, records

RANDOM = np.random.default_rng(0)


def text(folder, name, characters, alphabet="abcdefgh "):
    path = folder / name
    path.write_text("".join(RANDOM.choice(list(alphabet), characters)))
    return str(path)


def labelled(folder, rows=600):
    x = RANDOM.normal(size=(rows, 2))
    lines = [f"{a:.3f},{b:.3f},{'yes' if a > 0 else 'no'}" for a, b in x]
    path = folder / "table.csv"
    path.write_text("a,b,answer\n" + "\n".join(lines))
    return str(path)


def test_files_are_cut_to_equal_tokens(tmp_path):
    np.save(tmp_path / "rows.npy", RANDOM.integers(0, 3, (900, 16)))
    paths = [
        text(tmp_path, "a.txt", 40_000),
        text(tmp_path, "b.txt", 13_000),
        tmp_path / "rows.npy",
    ]
    found = own_data.read(list(map(str, paths)), "", ())
    sizes = {data.tokens_NxT.size for data in found}
    assert max(sizes) - min(sizes) < 128 and max(sizes) <= 13_000
    assert [data.tokens_NxT.shape[1] for data in found] == [128, 128, 16]
    trained = {data.steps * data.batch * data.coded for data in found}
    assert len({data.steps for data in found}) == 1
    assert max(trained) <= 1.1 * min(trained)
    for data in found:
        held_out = -(-len(data.tokens_NxT) // 10)
        assert data.steps * data.batch <= len(data.tokens_NxT) - held_out, "one pass at most"


@pytest.mark.parametrize("characters", [1024, 3000, 20_000, 200_000])
def test_any_size_has_steps_in_whole_chunks(tmp_path, characters):
    (data,) = own_data.read([text(tmp_path, "a.txt", characters)], "", ())
    assert data.steps % (own_data.CHUNK * own_data.EVALUATIONS) == 0 < data.steps
    assert len(data.tokens_NxT) >= own_data.LEAST_EXAMPLES
    assert data.batch * data.tokens_NxT.shape[1] <= 2 * own_data.STEP_TOKENS


def test_a_name_with_braces_is_a_label(tmp_path):
    """In labels braces name keys of the config."""
    (data,) = own_data.read([text(tmp_path, "a{b}.txt", 2000)], "", ())
    assert data.name == "a(b).txt"


def test_controls_of_labels_keep_the_inputs(tmp_path):
    (data,) = own_data.read([labelled(tmp_path)], "answer", ("a",))
    paths = own_data.write([data], tmp_path / "data")
    arrays = {name: np.load(path) for name, path in paths.items()}
    assert len(arrays) == 4
    for name, found in arrays.items():
        assert (found["side"][:, 0] == data.inputs_NxR).all() and not found["side"][:, 1].any()
        assert (found["coded"] == [False, True]).all()
        assert (found["tokens"][:, 0] == 0).all()
        agree = ((found["tokens"][:, 1] == 1) == (data.inputs_NxR[:, 0] > 0)).mean()
        # The label is the sign of the input, and of each control it is not.
        assert (agree > 0.9) == (name == data.name), (name, agree)


def test_every_run_assembles_on_seeds_of_its_own(tmp_path):
    found = own_data.read(
        [text(tmp_path, "a.txt", 9000), text(tmp_path, "b.txt", 9000, "xy")], "", ()
    )
    found += own_data.read([labelled(tmp_path)], "answer", ())
    paths = own_data.write(found, tmp_path / "data")
    tuning = measuring.tuning(found, paths, 5)
    assert {run["run.seed"] for run in tuning} == {measuring.TUNING_SEED}
    names = {(run["label.generator"], run["label.observer"]) for run in tuning}
    rates = {data: {o: 0.2 for d, o in names if d == data} for data, _ in names}
    runs = measuring.sweep(found, paths, rates, 40, 5)
    # An exact counter reads no inputs, so that labels have four observers and text has five.
    assert len(runs) == (5 + 5 + 4) * 4 * measuring.SEEDS
    assert {run["run.seed"] for run in runs} == set(range(measuring.SEEDS))
    for ensemble in ensembles(measuring.get_config(), tuning + runs):
        setup = setups.assemble(ensemble.config, ensemble.members)
        assert setup.members == len(ensemble.members)


def test_steps_fit_the_minutes_and_the_data(tmp_path):
    found = own_data.read([text(tmp_path, "a.txt", 300_000)], "", ())
    slow = measuring.Speed({("a.txt", "x"): 0.1, ("a.txt", "y"): 0.3}, 20.0)
    steps = measuring.fitting_steps(found, slow, 5, 40.0)
    seconds = 4 * measuring.SEEDS * 0.4 * steps
    assert seconds <= 0.8 * (300 - 60) + 1e-6 and steps == 40
    assert measuring.fitting_steps(found, slow, 20, 40.0) > steps
    fast = measuring.Speed({("a.txt", "x"): 1e-6}, 1.0)
    assert measuring.fitting_steps(found, fast, 5, 1.0) == found[0].steps


def test_repeats_are_counted():
    tokens = RANDOM.integers(0, 50, 3200)
    assert anything.repeated(tokens) == 0.0
    assert anything.repeated(np.concatenate([tokens, tokens[7:], tokens[7:]])) == pytest.approx(
        1 - 101 / (3 * 100), abs=0.01
    )
    assert anything.repeated(np.zeros(320, int)) == 0.9 and anything.repeated(tokens[:9]) == 0.0


def cells(**changes):
    cell = dict(
        generator="a", observer="x", observer_arguments={"name": "mlp"}, vocab=4, parameters=10,
        coded_tok=100.0, S_bits_per_tok=[0.5, 0.01], H_bits_per_tok=[1.5, 0.02],
        MDL_bits_per_tok=[2.0, 0.01],
    )  # fmt: skip
    return [cell | changes]


def test_the_shortest_description_is_shown(tmp_path):
    shown = cells() + cells(observer="longer", MDL_bits_per_tok=[2.5, 0.01])
    ruler = own.Rulers({"gzip": 2.25, "xz": 2.125}, None, 0.0, 2.0)
    table = own.table(shown, [], {"a": ruler})
    row = table.splitlines()[2]
    assert row.split()[:6] == ["a", "0.50±0.01", "1.50±0.02", "0.250±0.005", "0.75±0.01", "x"]
    assert "2.250" in row and "2.125" in row and "longer" not in table


def test_controls_and_scores_are_drawn_beside_the_data(tmp_path):
    """The controls under the observer of the shortest description; S in bits per token."""
    found, shown = [], []
    for name, structure in (("a", 0.5), ("a, shuffled", 0.125), ("b", 0.25)):
        for observer, length in (("x", 2.0), ("longer", 2.5)):
            run = records.write(
                tmp_path / f"{name} {observer}", [[100 + 100 * structure * np.log(2) * 10] * 10],
                [[100] * 10], [[2.0]], [[1]], label={"generator": name, "observer": observer},
                run={"seed": 0, "steps": 10}, code={"name": "prequential"},
                members=[{"run.seed": 0}],
            )  # fmt: skip
            found.append(run)
            score = [8.0 if "shuffled" in name else 60.0, None]
            shown += cells(generator=name, observer=observer, MDL_bits_per_tok=[length, 0.01],
                           reservoir_bits=score, seeds=1, exploratory=True)  # fmt: skip
    figure = own.draw(shown, summary.runs(found), ["a", "b"])
    axes = {axis.get_title(loc="left"): axis for part in figure.subfigs for axis in part.axes}
    of_a, of_b = axes["a: S, controls by x"], axes["b: S, controls by x"]
    drawn = {
        line.get_label(): line.lines[0].get_ydata()[0]
        for line in of_a.containers
    }  # fmt: skip
    assert drawn == pytest.approx({"x": 5.0, "longer": 5.0, "shuffled": 1.25}, rel=1e-4)
    assert {line.get_label() for line in of_b.containers} == {"x", "longer"}
    scores = axes["reservoir score above its floor"]
    assert [line.lines[0].get_ydata().tolist() for line in scores.containers] == [[60, 8], [60]]
    assert [text.get_text() for text in scores.get_xticklabels()] == ["data", "shuffled"]


def test_what_means_little_is_said(tmp_path):
    steps = np.arange(40.0)
    run = records.write(
        tmp_path, [400 - 5 * steps], [[100] * 40], [[1.0]], [[10]],
        label={"generator": "a", "observer": "x"}, run={"seed": 0, "steps": 40},
    )  # fmt: skip
    runs = summary.runs([run])
    ruler = own.Rulers({"gzip": 1.6, "xz": 1.4}, None, 0.5, 0.0)
    found = own.warnings(cells(parameters=200), runs, {"a": ruler})
    assert len(found) == 4
    assert "100 tokens for 200 weights" in found[0] and "still falls" in found[1]
    assert "xz needs 1.400 bit" in found[2] and "50% of its pieces" in found[3]
    better = ruler._replace(repeated=0.01, bits_per_tok={"gzip": 1.6})
    calm = own.warnings(cells(), [], {"a": better})
    assert calm == []


BAD = {
    "empty.txt": b"",
    "one.bin": b"\xff",
    "symbol.txt": b"a" * 5000,
    "utf16.txt": "long enough to be read ".encode("utf-16") * 100,
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_file_is_refused_in_a_line(tmp_path, name):
    (tmp_path / name).write_bytes(BAD[name])
    done = binaries.run("measure", tmp_path / name, f"--workdir={tmp_path / 'w'}")
    binaries.refused(done, name)
    assert not (tmp_path / "w" / "records").exists()


def test_bad_arrays_and_tables_are_refused_in_a_line(tmp_path):
    np.save(tmp_path / "many.npy", np.arange(10**6))
    np.save(tmp_path / "nan.npy", np.full(5000, np.nan))
    rows = "\n".join("1,2,0" for _ in range(200))
    (tmp_path / "twice.csv").write_text("a,a,y\n" + rows)
    (tmp_path / "gap.csv").write_text("a,b,y\n" + rows + "\nnan,2,1")
    commands = {
        "65,536 different tokens": ["many.npy"],
        "float64": ["nan.npy"],
        "two are a": ["twice.csv", "--label=y"],
        "finite": ["gap.csv", "--label=y"],
        "the columns of the file": ["gap.csv", "--label=z"],
        "different names": ["gap.csv", "gap.csv"],
        "there is no such file": ["nowhere.txt"],
        "none without --label": ["gap.csv", "--inputs=a"],
    }
    for words, (name, *flags) in commands.items():
        paths = [tmp_path / name, *flags]
        paths = [
            tmp_path / part if "." in str(part) and "=" not in str(part) else part for part in paths
        ]
        binaries.refused(binaries.run("measure", *paths, f"--workdir={tmp_path / 'w'}"), words)
    binaries.refused(binaries.run("measure"), "name the files")


@pytest.mark.slow
def test_structure_stands_above_its_controls(tmp_path):
    """A sequence that counts is structure; shuffled it is noise. A second call recomputes nothing,
    and the saved sweep assembles."""
    path = tmp_path / "counts.npy"
    starts = RANDOM.integers(0, 8, (1500, 1))
    np.save(path, (starts + np.arange(16)) % 8)
    command = ("measure", path, f"--workdir={tmp_path / 'w'}", "--minutes=1", "--quiet",
               f"--save={tmp_path / 'longer.py'}")  # fmt: skip
    done = binaries.run(*command)
    assert done.code == 0 and (tmp_path / "w" / "figure.png").exists()
    rows = {line.split("  ")[0]: line for line in done.out.splitlines()[2:6]}
    controls = ("shuffled", "noise of the same frequencies", "a constant")
    assert list(rows) == ["counts.npy", *(f"counts.npy, {name}" for name in controls)]
    found = own.best(report.read(str(tmp_path / "w" / "records")))
    entropy = {name: cell["H_bits_per_tok"][0] for name, cell in found.items()}
    assert entropy["counts.npy"] == pytest.approx(3 / 16, abs=0.05), "one free token of 16"
    assert entropy["counts.npy, shuffled"] > 2.9 and entropy["counts.npy, a constant"] < 0.02
    written = [p.stat().st_mtime_ns for p in sorted((tmp_path / "w/records").rglob("rows*"))]
    again = binaries.run(*command)
    assert again.out == done.out
    assert written == [
        p.stat().st_mtime_ns for p in sorted((tmp_path / "w/records").rglob("rows*"))
    ]
    listed = binaries.run("sweep", f"--sweep={tmp_path / 'longer.py'}", "--status",
                          f"--workdir={tmp_path / 'l'}")  # fmt: skip
    assert listed.code == 0 and "waiting" in listed.out
    assert len(record.find(tmp_path / "w" / "records")) == len(list(itertools.chain(found))) + 1
