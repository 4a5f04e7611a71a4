"""The study of EpiGen: its runs fit together, at a toy size they run, and claims are judged."""

import pytest

from configs.studies.learners import epigen as study
from epx import record
from epx.report import summary
from epx.sweeps import local
from epx.sweeps.ensembles import ensembles


def groups(seeds, config=None, **cut):
    runs = [run | cut for run in study.sweep() if run["run.seed"] in seeds]
    return local.in_order(ensembles(config or study.get_config().to_dict(), runs))


def test_all_runs_assemble_and_need_what_they_start_from():
    made = groups([0])
    needed = {group.given: len(group.needs) for group in made if group.given}
    assert needed["trained"] == 0 and needed["trained-buffer"] == 1 and needed["new-buffer"] == 0
    assert len(local.prepare(made)) == len(made)


# Bits that a fourth language costs, by start and writer.
PAID = {
    ("trained", "buffer"): 900, ("trained", "frozen writer"): 1000, ("trained", "nothing"): 850,
    ("new", "buffer"): 1995, ("new", "nothing"): 2000,
}  # fmt: skip


def test_claims_are_judged(monkeypatch):
    """Less is better: the writer helps more than a frozen one, but not more than nothing, and from
    new weights it saves a quarter of a percent."""

    def paid(runs, start, writer):
        return {seed: PAID[start, writer] * (1 + 0.001 * seed) for seed in range(5)}

    monkeypatch.setattr(study, "paid", paid)
    verdicts = [check.verdict for number in study.CLAIMS for check in study.check(number, [])]
    assert verdicts == ["holds", "fails", "holds"]


@pytest.mark.slow
def test_the_sweep_runs_at_a_toy_size(tmp_path):
    config = study.get_config().to_dict()
    config["observer"] |= dict(depth=1, width=8, head_dim=8)
    made = groups([0, 1], config, **{"run.steps": 30, "run.chunk": 10, "eval.examples": 32})
    for _ in local.train(made, local.prepare(made), tmp_path):
        pass
    runs = summary.runs([record.load(path) for path in record.find(tmp_path / "records")])
    for number in study.CLAIMS:
        assert all(check.what for check in study.check(number, runs))
    study.draw(runs, tmp_path / "epigen.png")
