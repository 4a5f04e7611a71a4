"""The binary that probes an observer of Life, from end to end."""

import json

import pytest

from configs import base
from configs.studies.observers import life_probes
from epx import record
from epx.report import claims, evidence, summary
from tests import runs
from tests.binaries import refused, run


@pytest.fixture(scope="module")
def life(tmp_path_factory):
    config = base.get_config("tiny").to_dict()
    config["generator"] = {"name": "life", "height": 8, "width": 8, "burnin": 20}
    config["observer"] = {"name": "transformer", "depth": 2, "width": 8, "head_dim": 4}
    config["run"] |= {"steps": 20, "batch": 8, "chunk": 10, "seeds": 2}
    folder = tmp_path_factory.mktemp("probe") / "life"
    runs.rows(config | {"checkpoint": dict(every=10, keep=1)}, folder)
    return folder


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_probes_of_gliders_are_run_and_checked(life, tmp_path):
    arguments = (f"--record={life}", f"--workdir={tmp_path}", "--patterns=glider")
    done = run("probe", *arguments, "--labels=centre", "--quiet")
    assert done.code == 0, done.err
    assert "glider, centre" in done.out
    found = [record.load(path) for path in record.find(tmp_path)]
    shown = {evidence.config(made)["label.observer"] for made in summary.runs(found)}
    for name in ("layer 0", "untrained, layer 2", "9 x 9 cells and next ones", "place"):
        assert {name, f"{name}, labels shuffled"} <= shown
    observer = json.loads((tmp_path / "observer.json").read_text())
    loss = evidence.by_seed(summary.runs([record.load(life)])[0], evidence.entropy_bits_per_tok)
    assert observer["entropy_bits_per_cell"] == pytest.approx(list(loss.values()))
    lost = observer["bits_lost"]["glider, centre"]
    assert sorted(lost) == ["layer 1", "layer 2"]
    for directions in lost.values():
        assert len(directions) == 4 and all(len(bits) == 2 for bits in directions.values())
    precision = observer["average_precision"]["glider, centre"]
    assert min(precision["9 x 9 cells"]) > 0.8 > max(precision["place"])
    checked = claims.evaluate(life_probes, found)
    assert {claim.verdict for claim in checked} <= {"holds", "fails", "undecided"}
    by_number = {claim.number: claim for claim in checked}
    (cells,) = by_number[122].checks
    assert cells.estimate.mean < 0, "an observer that learned nothing shows less than the cells"
    assert by_number[125].verdict == "fails", "and says that it learned nothing"
    assert (tmp_path / "figure.png").stat().st_size > 10_000


def test_a_mistake_is_one_line(life, tmp_path):
    refused(run("probe"), "--record and --workdir are needed")
    arguments = (f"--record={life}", f"--workdir={tmp_path}")
    refused(run("probe", *arguments, "--patterns=boat"), "pattern='boat': accepted block, blinker")
    refused(run("probe", *arguments, "--labels=edge"), "labelling='edge': accepted centre or part")
