"""The transfer laboratory: correlations, savings and parts of records whose numbers are known."""

import numpy as np
import pytest

from configs.studies.data import transfer as study
from configs.studies.data import transfer_rates
from epx import record
from epx.analysis import compressors, ledger, rank
from epx.analysis.measurement import LN2
from epx.report import evidence, parts, summary, transfer
from epx.run.setup import assemble
from epx.sweeps.ensembles import ensembles
from tests import records

SEEDS, STEPS, CODED = 4, 10, 100
ORDER = {name: n for n, name in enumerate(study.SOURCES)}


def size(n):
    """Under gzip, in bits per token of an alphabet of two."""
    return (7 * n) % 27 / 27


def made(folder, structure, generator, observer, loss=0.5, name="prequential"):
    """A record whose S is `structure` bits above a loss in nats per token, with a small spread."""
    spread = np.linspace(0.99, 1.01, SEEDS)[:, None]
    nats = loss * CODED + structure * LN2 * spread / STEPS * np.ones((1, STEPS))
    raw = np.full((SEEDS, 4), 2 * loss * 20)  # the average has half of it
    path = folder / f"{len(list(folder.iterdir())):03d}"
    run = records.write(
        path, nats, np.full((SEEDS, STEPS), CODED), raw, np.full((SEEDS, 4), 20),
        members=[{"run.seed": seed} for seed in range(SEEDS)], code={"name": name},
        run={"seed": 0, "steps": STEPS, "batch": 5}, figure={"name": "transfer", "size": "cpu"},
        label={"generator": generator, "observer": observer},
    )  # fmt: skip
    return run


def with_rulers(run, gzip, reservoir):
    sizes = dict(gzip_bits=gzip, compressed_tok=1.0, reservoir_bits=reservoir + 3.0,
                 reservoir_floor_bits=3.0)  # fmt: skip
    arrays = {key: np.full(SEEDS, float(value)) for key, value in sizes.items()}
    record.write_arrays(run.path / "baselines.npz", arrays)
    return record.load(run.path)


def with_parts(run, first, second):
    """Half of the tokens are of each part; their S in bits, above losses of 0.2 and 0.8 nats."""
    half = CODED // 2
    bits = np.array([first, second]) * LN2 / STEPS
    nats = half * np.array([0.2, 0.8]) + bits
    run = records.rewrite(
        run,
        part_nats=np.broadcast_to(nats, (SEEDS, STEPS, 2)).copy(),
        part_coded_tok=np.full((SEEDS, STEPS, 2), half),
    )
    evals = run.evals[STEPS]
    evals["part"] = np.array([[0, 1, 0, 1]] * SEEDS)
    evals["ema_nats"] = np.where(evals["part"] == 0, 0.2 * 20, 0.8 * 20)
    record.write_arrays(record.eval_path(run.path, STEPS), evals)
    return record.load(run.path)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """S orders the savings on rule 57 and, backwards, on rule 73; gzip does on English."""
    folder, found = tmp_path_factory.mktemp("transfer"), []
    for name, n in ORDER.items():
        run = made(folder, 1000.0 + 50 * n, name, transfer.SOURCE, loss=0.5 + 0.001 * n)
        found.append(with_rulers(run, gzip=size(n), reservoir=n % 3))
        run = made(folder, 900.0, name, study.REQUENTIAL, name="requential")
        steps = {key: np.zeros((SEEDS, STEPS)) for key in
                 ("messages", "overhead_nats", "teacher_flops", "draw_flops")}  # fmt: skip
        kl = np.full((SEEDS, STEPS), (800.0 - 20 * n) * LN2 / STEPS)
        run = records.rewrite(run, kl_nats=kl, sampled_tok=np.full((SEEDS, STEPS), CODED),
                              sampled_nats=kl, **steps)  # fmt: skip
        evals = run.evals[STEPS]
        evals |= {f"teacher_{key}": evals[key] for key in ("raw_nats", "ema_nats")}
        record.write_arrays(record.eval_path(run.path, STEPS), evals)
        found.append(record.load(run.path))
    savings = {
        "rule 57": lambda n: 10 * n,
        "rule 73": lambda n: -10 * n,
        "English": lambda n: 27 * size(n),
        "chess": lambda n: n % 2,
    }
    # From nothing little is learned: of 2000 bits above what the others come to 1500 are left.
    floor = 0.5 + 1500 * LN2 / (STEPS * CODED)
    for target, saved in savings.items():
        found.append(made(folder, 500.0, target, study.SCRATCH, floor))
        for name, n in ORDER.items():
            found.append(made(folder, 2000.0 - saved(n), target, study._after(name)))
    found.append(made(folder, 500.0, study.LANGUAGE, study.SCRATCH, floor))
    mixed = (
        (study.RICH, 100, 200, 3000),
        (study.POOR, 400, 900, 10),
        (study.EQUAL, 300, 800, 2000),
    )
    for name, saved, first, second in mixed:
        run = made(folder, float(first + second), name, transfer.SOURCE)
        found.append(with_parts(with_rulers(run, 1, 1), first, second))
        left = (
            floor if name == study.RICH else 0.5
        )  # of this one, too, 1500 bits are left at its end
        learned = 2000.0 - saved - (1500 if name == study.RICH else 0)
        found.append(made(folder, learned, study.LANGUAGE, study._after(name), left))
    return summary.runs(found)


@pytest.fixture(scope="module")
def laboratory(runs):
    return transfer.laboratory(
        runs, study.SOURCES, study.TARGETS, study.SCRATCH, study._after, study.REQUENTIAL
    )


def test_predictors_and_savings_are_those_of_the_records(laboratory):
    for name, n in ORDER.items():
        means = {
            predictor: evidence.mean(of_source[name]).mean
            for predictor, of_source in laboratory.predictors.items()
        }
        assert means["S_preq"] == pytest.approx(1000 + 50 * n, abs=1)
        assert means["S_req"] == pytest.approx(800 - 20 * n, abs=1)
        assert means["gzip"] == pytest.approx(size(n))
        assert means["gzip band"] == pytest.approx(1 - abs(2 * size(n) - 1))
        assert means["reservoir"] == n % 3
        mean, half = laboratory.saving(name, "rule 57")
        assert mean == pytest.approx(10 * n, abs=0.1) and half < 30


def test_the_band_is_between_nothing_and_noise():
    """Of an alphabet of 16 noise has 4 bits a token, and in the middle are 2."""
    noise = np.random.default_rng(0).integers(0, 16, 20_000)
    for tokens, low, high in (
        (noise, -0.05, 0.05),
        (np.zeros_like(noise), 0, 0.05),
        (noise % 4, 0.8, 1),
    ):
        sizes = compressors.compressed_bits(tokens, 16)
        assert low <= transfer.band(sizes["gzip_bits"] / tokens.size, 16) <= high


def test_correlations_are_those_of_the_ranks(laboratory):
    assert laboratory.correlation("S_preq", "rule 57").mean == pytest.approx(1)
    assert laboratory.correlation("S_req", "rule 57").mean == pytest.approx(-1)
    assert laboratory.correlation("S_preq", "rule 73").mean == pytest.approx(-1)
    assert laboratory.correlation("gzip", "English").mean == pytest.approx(1)
    assert laboratory.advantage("gzip", "rule 57").mean > 0.3
    assert laboratory.advantage("S_req", "rule 57").mean == pytest.approx(0, abs=1e-9)


def test_the_claims_fail_and_hold_as_they_should(runs):
    verdicts = {
        number: [check.verdict for check in study.check(number, runs)] for number in study.CLAIMS
    }
    assert verdicts[171][:2] == ["holds", "fails"] and verdicts[172][0] == "fails"
    assert set(verdicts[173]) <= {"holds", "fails", "undecided"} and len(verdicts[173]) == 16
    assert verdicts[174] == ["holds", "holds", "undecided"] == verdicts[176]
    assert verdicts[175] == ["undecided", "undecided"], "four of four seeds are not enough"
    shares = [study.check(number, runs)[-1].estimate.mean for number in (174, 175, 176)]
    assert shares == [1, 1, 1]


def test_structure_given_a_source_has_one_floor(runs):
    """Of the language there are 2000 bits to learn, and less after each source."""
    mixed = transfer.mixtures(runs, study.MIXED, study.LANGUAGE, study.SCRATCH, study._after)
    for name, saved in ((study.RICH, 100), (study.POOR, 400), (study.EQUAL, 300)):
        found = [evidence.mean(values).mean for values in (mixed[name].saved, mixed[name].given)]
        assert found == pytest.approx([saved, 2000 - saved], abs=0.1)


def test_orders_agree_by_seed():
    first, second = {0: 1.0, 1: 2.0, 2: -3.0}, {0: 4.0, 1: -1.0, 2: -1.0, 3: 9.0}
    assert transfer.agreement(first, second).mean == pytest.approx(2 / 3)
    assert transfer.agreement({0: 1.0}, {0: 0.0}).mean == 0, "what is equal has no order"


def test_seeds_that_differ_widen_a_rank_correlation():
    """Ranks that each seed has in an order of its own are less certain than their means."""
    means = np.arange(12.0)
    apart = np.random.default_rng(1).normal(0, 8, (12, 5))
    spread = means[:, None] + apart - apart.mean(1, keepdims=True)
    alone = rank.with_interval(means, means)
    found = rank.with_interval(means, spread)
    assert alone == (1, 1, 1) and found.value == 1
    assert found.low < 0.95
    shifted = means[:, None] + 100 * np.arange(5)  # what all share changes no rank
    assert rank.with_interval(means, shifted) == pytest.approx((1, 1, 1))


def test_the_structure_of_a_part_is_its_own(runs):
    run = evidence.pick(runs, label__generator=study.RICH, label__observer=transfer.SOURCE)
    for part, bits in enumerate((200, 3000)):
        found = parts.structure_bits(run, part)
        assert list(found.values()) == pytest.approx([bits] * SEEDS, rel=1e-4)
    total = ledger.measure(run.record, "prequential", "ema").structure_bits.mean
    assert total == pytest.approx(3200, rel=0.02)


def test_a_missing_run_is_named(runs):
    without = [
        run for run in runs if evidence.config(run)["label.observer"] != study._after("Life")
    ]
    with pytest.raises(record.RecordError, match=r"after Life"):
        study.check(171, without)


def test_it_is_drawn_and_tabulated(runs, tmp_path):
    study.draw(runs, tmp_path / "transfer.png")
    assert (tmp_path / "transfer.png").stat().st_size > 10_000
    lines = study.table(runs).splitlines()
    assert len(lines) == 14 and lines[0].split()[:2] == ["predictor", "rule"]


def test_sources_have_equal_tokens():
    """Each as many as the others; of the games, which are played first, a few stand for all."""
    wanted = [
        run for run in study.sweep()
        if run["label.observer"] == transfer.SOURCE and run["run.seed"] == 0
    ]  # fmt: skip
    games = next(run for run in wanted if run["generator.name"] == "chess")
    played = games["generator.games"]
    games |= {"generator.games": 200, "run.repeats": 1000, "eval.examples": 10}
    groups = ensembles(study.get_config().to_dict(), wanted)
    tokens = []
    for group in groups:
        setup = assemble(group.config, group.members)
        tokens.append(setup.plan.steps * setup.spec.length * setup.plan.batch)
        if setup.spec.size is not None:
            least = setup.plan.steps * setup.plan.batch, study.get_config().eval.examples
            for rows, wanted in zip((setup.spec.size, setup.spec.held_out), least, strict=True):
                assert rows * played / 200 > 1.02 * wanted, "one pass over the games"
    assert max(tokens) < 1.04 * min(tokens) and len(tokens) == len(study.SOURCES | study.MIXED)


def test_rates_are_tried_on_data_of_both_kinds_from_nothing():
    runs = transfer_rates.sweep()
    assert sorted(run["label.generator"] for run in runs) == sorted(transfer_rates.DATA)
    assert not any("run.start" in run for run in runs)


def test_every_source_is_taken_to_every_target():
    runs = study.sweep()
    starts = {run["run.start"] for run in runs if "run.start" in run}
    names = {f"ensemble:{run['ensemble']}" for run in runs if "ensemble" in run}
    assert starts <= names and len(starts) == len(study.SOURCES) + len(study.MIXED)
    pairs = {(run["label.generator"], run.get("run.start")) for run in runs}
    expected = {(target, f"ensemble:{study._ensemble(source)}")
                for target in study.TARGETS for source in study.SOURCES}  # fmt: skip
    assert expected < pairs
