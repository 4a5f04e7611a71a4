"""The atlas: its claims on records whose S and H are known, its poster, and its sweep."""

import json
import math

import jax
import numpy as np
import pytest
from matplotlib.colors import to_rgb

from configs import base, observers
from configs.studies.observers import _data, atlas, rates
from epx import record
from epx.analysis.measurement import Estimate, widened
from epx.report import claims, summary
from epx.report.figures import atlas as drawing
from epx.run import setup as setups
from epx.run.config import components
from epx.run.config.observing import make_observer
from epx.sweeps.ensembles import ensembles
from epx.types import Refusal
from tests import binaries, records

LN2 = math.log(2.0)
TOKENS = 1000  # learned in the record, and held out; twice as many are coded
FACTS = dict(
    vocab=2, size=None, length=40, parameters=10, forward_flops=100.0, learns_by_gradient=False
)


def cell(folder, generator, observer, s, h, early=None):
    """A record of five seeds with these bits of S and bits per token of H, `early` after a step."""
    seeds = np.arange(5)[:, None]
    charged = (s + h * TOKENS + 0.01 * seeds) * LN2
    made = records.write(
        folder, np.hstack([charged, 0 * charged]), np.tile([TOKENS, 0], (5, 1)),
        np.full((5, 2), h * TOKENS / 2 * LN2) * (1 + 1e-4 * seeds), np.full((5, 2), TOKENS // 2),
        facts=FACTS, figure=dict(name="atlas", size="cpu"), eval=dict(test_tokens=2 * TOKENS),
        members=[{"run.seed": n} for n in range(5)],
        label=dict(generator=generator, observer=observer),
    )  # fmt: skip
    # As of a counter, whose weights have no average.
    evals = {name: values for name, values in made.evals[2].items() if name != "ema_nats"}
    record.write_arrays(record.eval_path(folder, 2), evals)
    if early is not None:
        evals["raw_nats"] = np.full((5, 2), early * TOKENS / 2 * LN2, np.float32)
        record.write_arrays(record.eval_path(folder, 1), evals)
    return record.load(folder)


def failed(run):
    """The same record, in which every member failed."""
    return records.rewrite(run, finite=np.zeros((5, 2), bool))


def table(tmp_path, changed=()):
    """Records of a table in which all claims hold, but for what is changed."""
    small, larger = (observers.label("transformer", size) for size in ("small", "larger"))
    values = {
        ("ChaCha20", small): (1.0, 0.9999),
        ("ChaCha20", "oracle"): (0.0, 0.25),
        ("automaton, rule 15", small): (90.0, 0.0),
        ("automaton, rule 15", larger): (100.0, 0.0),
        ("automaton, rule 30", larger): (2.0, 0.999),
        ("automaton, rule 54", small): (400.0, 0.3, 0.4),
        ("automaton, rule 54", larger): (300.0, 0.1, 0.9),
        ("automaton, rule 54", atlas.TIED): (250.0, 0.1),
        ("automaton, rule 110", larger): (100.0, 0.6),
        ("automaton, rule 110", atlas.TIED): (90.0, 0.6),
        ("Life, next frame", larger): (100.0, 0.6),
        ("Life, next frame", atlas.TIED): (90.0, 0.6),
        ("English", small): (100.0, 0.5, 0.6),
        ("English", larger): (300.0, 0.2, 1.5),
    }
    for window in atlas.WINDOWS:
        known = window >= 8
        values["LCG, bit 6", atlas.WINDOWED.format(window=window)] = (90.0 * known, 1.0 - known)
    values |= dict(changed)
    return [
        cell(tmp_path / str(n), *names, *found) for n, (names, found) in enumerate(values.items())
    ]


def verdicts(found):
    return {claim.number: claim.verdict for claim in claims.evaluate(atlas, found)}


def test_every_claim_holds_where_it_should(tmp_path):
    assert verdicts(table(tmp_path)) == dict.fromkeys(atlas.CLAIMS, "holds")


@pytest.mark.parametrize(
    ("number", "names", "pair"),
    [
        (101, ("ChaCha20", "transformer, small"), (1.0, 0.9)),
        (101, ("ChaCha20", "oracle"), (0.0, 0.3)),
        (102, ("LCG, bit 6", "a window of 32"), (90.0, 0.9)),
        (103, ("automaton, rule 54", "transformer, larger"), (90.0, 0.1)),
        (103, ("automaton, rule 30", "transformer, larger"), (20.0, 0.999)),
        (105, ("Life, next frame", atlas.TIED), (110.0, 0.6)),
        (106, ("automaton, rule 54", "transformer, larger"), (300.0, 0.1, 0.2)),
        (106, ("English", "transformer, larger"), (300.0, 0.6, 1.5)),
    ],
)
def test_a_claim_fails_where_it_should(tmp_path, number, names, pair):
    assert verdicts(table(tmp_path, {names: pair}))[number] == "fails"


def test_arms_are_no_learners(tmp_path):
    """At another rate two seeds have a wide interval; the claim, and figures, are of the set."""
    arm = atlas.AT_RATE.format(observer="transformer, small", factor=2.0)
    found = table(tmp_path, {("ChaCha20", arm): (30.0, 0.9)})
    assert verdicts(found)[101] == "holds"
    runs = summary.runs(found)
    assert {axis.get_title() for axis in atlas.draw(runs).axes} - {""} == {
        "transformer\nsmall", "transformer\nlarger", "oracle",
    }  # fmt: skip
    drawn = {n for a in atlas.draw_ladders(runs).axes for n in a.get_legend_handles_labels()[1]}
    assert drawn == {"transformer, small", "transformer, larger", "oracle", drawing.LEAST}


@pytest.mark.parametrize("kept", [0, 1, 5, 12])
def test_what_a_sweep_has_not_run_yet_is_not_measured(tmp_path, kept):
    """All but one run: of a learner, of the oracle, and of small ones of what claim 106 asks."""
    found = claims.evaluate(atlas, table(tmp_path)[kept : kept + 1])
    assert {claim.verdict for claim in found} == {claims.MISSING}
    assert all("no run of" in claim.note or "no data with" in claim.note for claim in found)


def test_less_structure_with_a_worse_prediction_does_not_count(tmp_path):
    """Only of an observer that predicts better."""
    worse = {("automaton, rule 54", "transformer, larger"): (300.0, 0.4)}
    assert verdicts(table(tmp_path, worse))[104] != "holds"


def test_an_interval_is_widened_for_the_best_of_many():
    """t quantiles of 4 degrees of freedom: 2.776 and, for 50 comparisons, 8.610 (p = 0.0005)."""
    found = widened(Estimate(5.0, 2.776), seeds=5, comparisons=50)
    assert found.mean == 5.0 and found.half_width == pytest.approx(8.610, abs=0.01)


def test_the_poster_has_the_numbers(tmp_path):
    found = table(tmp_path)
    runs = summary.runs([failed(found[0]), *found[1:]])
    texts = [text.get_text() for axis in atlas.draw(runs).axes for text in axis.texts]
    assert "0.150 + 0.100" in texts, "S and H of rule 54, bit per token"
    assert "0.000 + 1.000" not in texts, "of ChaCha20, whose members failed"


def test_a_ladder_has_a_line_for_each_learner_and_the_least_of_all(tmp_path):
    """S + H of rule 54 in bits per coded token: s/2 + h/2 + 1/2 of the last loss, in thousands."""
    runs = summary.runs(table(tmp_path))
    figure = atlas.draw_ladders(runs)
    axes = {axis.get_title(loc="left"): axis for axis in figure.axes}
    assert len(axes) == 3 * len(_data.DATA)
    both = axes["automaton, rule 54: S + H"]
    drawn = dict(zip(*both.get_legend_handles_labels()[::-1]))
    for name, wanted in {
        "transformer, small": [0.2 + 0.15 + 0.2, 0.2 + 0.15 + 0.15],
        "transformer, larger": [0.15 + 0.05 + 0.45, 0.15 + 0.05 + 0.05],
    }.items():
        np.testing.assert_allclose(drawn[name].lines[0].get_ydata(), wanted, rtol=1e-3)
        assert drawn[name].lines[0].get_linestyle() == "None", "raw points"
    np.testing.assert_allclose(drawn[drawing.LEAST].get_ydata(), [0.55, 0.25, 0.25], rtol=1e-3)
    structure = axes["automaton, rule 54: structure S"].get_legend_handles_labels()
    small, larger = (line.lines[0] for line in structure[0])
    assert small.get_linestyle() == larger.get_linestyle() == "-"
    assert small.get_color() == larger.get_color() != "white" == small.get_markerfacecolor()
    crosses = axes["ChaCha20: entropy H"].get_legend_handles_labels()
    oracle = dict(zip(*crosses[::-1]))["oracle"].lines[0]
    np.testing.assert_allclose(oracle.get_ydata(), [0.25], rtol=1e-3)


# Machado, Oliveira and Fernandes 2009, severity 1: linear RGB as seen without one kind of cone.
SEEN = {
    "all cones": np.eye(3),
    "no red": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216],
               [-0.003882, -0.048116, 1.051998]],
    "no green": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413],
                 [-0.011820, 0.042940, 0.968881]],
    "no blue": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602],
                [0.004733, 0.691367, 0.303900]],
}  # fmt: skip


@pytest.mark.parametrize("eye", SEEN)
def test_the_colours_of_the_poster_differ_in_grey_for_everyone(eye):
    """A contrast of 3 to 1, as WCAG 2.1 (1.4.11) asks of what a figure needs to be understood."""

    def luminance(name):
        value = np.array(to_rgb(name))
        linear = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
        return np.clip(SEEN[eye] @ linear, 0, 1) @ [0.2126, 0.7152, 0.0722]

    dark, light = luminance(drawing.STRUCTURE), luminance(drawing.ENTROPY)
    assert (light + 0.05) / (dark + 0.05) > 3
    assert 1.05 / (light + 0.05) > 1.2, "and the light one from paper"


def test_the_sweep_has_every_observer_on_everything(monkeypatch, tmp_path):
    """With rates as the tuning writes them; the oracle only where there is a law."""
    tuned = {
        kind: {run["label.observer"]: 0.1 for run in rates.sweep()}
        for kind in {data.kind for data in _data.DATA}
    }
    assert {run["label.generator"] for run in rates.sweep()} == set(tuned)
    chosen = tmp_path / "rates.json"
    chosen.write_text(json.dumps(tuned))
    monkeypatch.setattr(_data, "CHOSEN", chosen)
    for size, families in (("cpu", 13 + 12), ("paper", 6 + 6)):
        config = atlas.get_config(size)
        assert config.figure.size == size
        groups: dict[str, set[str]] = {}
        for run in atlas.sweep(size):
            groups.setdefault(run["label.generator"], set()).add(run["label.observer"])
        assert len(groups) == len(_data.DATA) + 1
        for data in _data.DATA:
            extra = data.has_law + (data.label in atlas.SIMULATED)
            assert len(groups[data.label]) == families + extra, data.label
        ruled = [run for run in atlas.sweep(size) if run.get("eval.rulers")]
        assert {run["label.generator"] for run in ruled} == set(atlas.LABELS)
        assert len(ruled) == 5 * len(_data.DATA), "on one learner"
    with pytest.raises(base.SizeError):
        atlas.get_config("tiny")


def test_the_oracle_is_where_a_law_is_known():
    for data in _data.DATA:
        lawful = data.generator["name"] not in ("text", "chess")
        assert lawful == data.has_law, data.label
        if lawful:
            section, key = data.generator, jax.random.key(0)
            made = components.make("generator", section, key=key)
            make_observer({"name": "oracle"}, made, "float32")


def test_a_rate_that_is_not_chosen_is_refused(monkeypatch, tmp_path):
    chosen = tmp_path / "rates.json"
    chosen.write_text("{}")
    monkeypatch.setattr(_data, "CHOSEN", chosen)
    with pytest.raises(Refusal, match="--sweep=rates --tune first"):
        atlas.sweep()


def test_the_sweep_groups_into_ensembles(monkeypatch, tmp_path):
    chosen = tmp_path / "rates.json"
    labels = {run["label.observer"]: 0.1 for run in rates.sweep()}
    chosen.write_text(json.dumps({data.kind: labels for data in _data.DATA}))
    monkeypatch.setattr(_data, "CHOSEN", chosen)
    automata = [run for run in atlas.sweep() if run["generator.name"] == "eca"]
    groups = ensembles(atlas.get_config().to_dict(), automata)
    setups.assemble(groups[0].config, groups[0].members[:2])
    assert {len(group.members) for group in groups} == {4 * 5 + 4 * 2 * 2, 4 * 5, 2 * 5}, (
        "four rules of five seeds, at other rates of two, and two rules of claim 105"
    )


def test_the_order_of_the_data_survives_where_s_is_only_scaled(tmp_path):
    """At half the rate twice the S of everything; at twice the rate the opposite order."""
    name = observers.label("transformer", "small")
    half, twice = (atlas.AT_RATE.format(observer=name, factor=f) for f in atlas.FACTORS)
    found = []
    for n, data in enumerate(_data.DATA):
        sizes = {name: 10.0 + n, half: 20.0 + 2 * n, twice: 50.0 - n}
        for place, (label, s) in enumerate(sizes.items()):
            found.append(cell(tmp_path / f"{n}-{place}", data.label, label, s, 0.5))
    generators = [data.label for data in _data.DATA]
    others = {"half": half, "twice": twice}
    found[-1] = failed(found[-1])
    row = drawing.survival(summary.runs(found), generators, name, others)
    assert row.correlations["half"].value == pytest.approx(1.0)
    assert row.correlations["twice"].value == pytest.approx(-1.0)
    assert row.correlations["anchor raw"].value == pytest.approx(1.0)
    text = drawing.survival_table([row])
    assert name in text and f"-1.00 (-1.00 to -1.00), {len(_data.DATA) - 1} data" in text


def test_report_draws_the_atlas_and_prints_its_tables(tmp_path):
    """Although the sweep is not complete: what is missing is said."""
    found = table(tmp_path / "records")
    numbers = dict(compressed_tok=[9] * 5, gzip_bits=[18] * 5, xz_bits=[27] * 5)
    numbers |= dict(reservoir_bits=[3.0] * 5, reservoir_floor_bits=[1.0] * 5)
    numbers |= dict(compressors_seconds=[0.5] * 5, reservoir_seconds=[0.25] * 5)
    arrays = {key: np.array(value) for key, value in numbers.items()}
    record.write_arrays(found[0].path / "baselines.npz", arrays)
    figures, records_ = tmp_path / "figures", f"--records={tmp_path / 'records'}"
    done = binaries.run("report", records_, f"--study={figures}")
    assert done.code == 0, done.err
    assert sorted(path.name for path in figures.iterdir()) == [
        "atlas_cpu.png", "atlas_cpu_ladders.png",
    ]  # fmt: skip
    for words in (observers.TAG, "ChaCha20", "rank correlation of gzip with S",
                  "no run on English has eval.rulers set", "anchor raw"):  # fmt: skip
        assert words in done.out
    refused = binaries.run("report", records_, f"--study={figures}", "--claims")
    binaries.refused(refused, "--claims")
    nothing = tmp_path / "nothing"
    records.write(nothing, [[1.0]], [[1]], [[1.0]], [[1]])
    other = binaries.run("report", f"--records={nothing}", f"--study={figures}")
    binaries.refused(other, "no records of a study", code=1)
