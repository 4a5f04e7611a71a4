"""The comparison of a mixture's parts with the real one: known shares, kept in the record."""

import numpy as np
import pytest

from epx import record
from epx.record import RecordError
from epx.report import export, parts, summary
from epx.run.setup import assemble
from experiments.cli import configs
from tests.runs import rows

# Uniform bits beside a bit and its copy: of pairs half are right, and of tokens a quarter is not.
COPY = "eca rule=204 width=1 steps=1"
KEYS = {
    "generator.name": "mixture", "generator.parts": f"iid law=uniform vocab=2 length=2; {COPY}",
    "observer.name": "counts", "observer.order": "1", "run.steps": "4", "run.chunk": "4",
    "run.batch": "8", "checkpoint.every": "4", "eval.examples": "4000", "run.seeds": "2",
    "eval.against": "1",
}  # fmt: skip


def test_shares_of_a_known_law(tmp_path):
    path = tmp_path / "compared"
    rows(configs.load("base:tiny", KEYS), path)
    found = record.load(path).baselines
    assert all(values.shape == (2,) for values in found.values() if values.ndim == 1)
    assert np.abs(found["right"] - 0.5).max() < 5 * np.sqrt(0.25 / 2000)
    assert np.abs(found["impossible"] - 0.25).max() < 5 * np.sqrt(0.25 / 4000)
    # Of the four pairs, the n-grams of examples of two tokens, the law allows two, and both occur.
    assert found["support"].tolist() == [1.0, 1.0]
    assert np.abs(found["precision"] - 0.5).max() < 5 * np.sqrt(0.25 / 2000)
    export.export(path, tmp_path / "small", small=True)
    (run,) = summary.runs([record.load(tmp_path / "small")])
    assert parts.compared(run, "right") == dict(enumerate(found["right"].tolist()))
    with pytest.raises(RecordError, match=r"give eval\.against"):
        parts.compared(run, "share")


def test_what_is_like_the_real_part_is_right(tmp_path):
    rows(configs.load("base:tiny", KEYS | {"generator.parts": f"{COPY}; {COPY}"}), tmp_path / "r")
    found = record.load(tmp_path / "r").baselines
    assert found["right"].tolist() == [1.0, 1.0] and found["impossible"].tolist() == [0.0, 0.0]
    assert found["precision"].tolist() == [1.0, 1.0]


def test_without_a_law_only_ngrams_are_compared(tmp_path):
    two = f"{COPY}; {COPY} order=reverse"
    rows(configs.load("base:tiny", KEYS | {"generator.parts": two}), tmp_path / "unknown")
    found = record.load(tmp_path / "unknown").baselines
    assert "right" not in found and (found["precision"] > 0.99).all()


def test_a_part_that_is_not_there_is_refused():
    longer = {"generator.parts": f"iid law=uniform vocab=2 length=3; {COPY}"}
    for keys, accepted in (({"eval.against": "2"}, "0, 1; or none"), (longer, "0; or none")):
        with pytest.raises(ValueError, match=f"eval.against=.*{accepted}"):
            assemble(configs.load("base:tiny", KEYS | keys))
