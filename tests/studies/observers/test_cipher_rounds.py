"""Ciphers by the round: the claims on records whose accuracy and structure are known."""

import math

import jax.numpy as jnp
import numpy as np
import pytest

from configs import base
from configs.studies.observers import _rounds_claims, cipher_rounds
from epx import record
from epx.generators.kernels.ciphers import chacha_block
from epx.generators.kernels.keystreams import ALGORITHMS
from epx.report import claims, evidence, summary
from epx.report.figures import lines
from epx.sweeps import grid
from epx.sweeps.ensembles import ensembles
from tests import records

PAIRS = 1000
FACTS = dict(
    vocab=2, size=None, length=65, parameters=10, forward_flops=100.0, learns_by_gradient=False
)


NOISE = ("iid", "32 filters", 0)


def cell(folder, network, accuracy, s_per_pair, coded=1, **generator):
    """Five seeds with this accuracy and S; H is 1 bit less what is learned.

    Of `coded` tokens of an example all but one have no structure.
    """
    seeds = np.arange(5)[:, None]
    h = (coded - s_per_pair) * math.log(2)
    charged = PAIRS * (h + s_per_pair * math.log(2)) + 0.001 * seeds
    made = records.write(
        folder, np.hstack([charged, 0 * charged]), np.tile([coded * PAIRS, 0], (5, 1)),
        np.full((5, PAIRS), h) * (1 + 1e-6 * seeds), np.full((5, PAIRS), coded),
        facts=FACTS, figure=dict(name="cipher_rounds", size="cpu"),
        generator=generator, label=dict(observer=network, generator=generator["label"]),
        members=[{"run.seed": n} for n in range(5)],
    )  # fmt: skip
    evals = {name: values for name, values in made.evals[2].items() if name != "ema_nats"}
    evals["raw_hits"] = (np.arange(PAIRS) < PAIRS * accuracy + seeds).astype(int)
    record.write_arrays(record.eval_path(folder, 2), evals)
    return record.load(folder)


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """Records by cipher, network and rounds: 4 filters see Speck's pairs up to 6 rounds, others 7.

    The function of this fixture writes one of them anew.
    """

    def write(folder, arm, share, s_per_pair):
        cipher, network, rounds = arm
        generator = dict(algorithm=cipher, rounds=rounds, label=f"{cipher}, {rounds} rounds")
        if cipher == "iid":
            generator = dict(label=cipher_rounds.UNIFORM, coded=65)
        return cell(folder, network, share, s_per_pair, **generator)

    folder, made = tmp_path_factory.mktemp("rounds"), {}
    for network in cipher_rounds.NETWORKS:
        for cipher, pairs in cipher_rounds.CIPHERS.items():
            for n in pairs.rounds:
                share = {5: 0.886, 6: 0.783, 7: 0.609}.get(n, 0.999 if n < 5 else 0.4985)
                share -= 0.1105 * (network == "4 filters" and 0.5 < share < 0.99)
                bits = 0.4 / 2**n if n < 20 else 1e-7
                arm = (cipher, network, n)
                made[arm] = write(folder / str(len(made)), arm, share, bits)
    made[NOISE] = write(folder / "noise", NOISE, 0.5, 1e-7)

    def changed(path, arm=None, pair=None):
        return list((made | ({arm: write(path, arm, *pair)} if arm else {})).values())

    return changed


def verdicts(found):
    return {claim.number: claim.verdict for claim in claims.evaluate(cipher_rounds, found)}


def test_every_claim_holds_where_it_should(table, tmp_path):
    assert verdicts(table(tmp_path)) == dict.fromkeys(cipher_rounds.CLAIMS, "holds")


@pytest.mark.parametrize(
    ("number", "arm", "pair"),
    [
        (111, ("speck32_64", "32 filters", 4), (0.999, 0.2)),
        (111, ("speck32_64", "32 filters", 22), (0.6, 1e-9)),
        (111, ("speck32_64", "32 filters", 22), (0.4985, 0.001)),
        (111, NOISE, (0.5, 0.001)),
        (112, ("speck32_64", "32 filters", 7), (0.49, 0.003)),
        (112, ("speck32_64", "4 filters", 7), (0.48, 0.003)),
        (113, ("speck32_64", "32 filters", 7), (0.58, 0.4 / 2**7)),
        (114, ("chacha", "32 filters", 1), (0.9, 0.2)),
        (114, ("threefry2x32", "32 filters", 1), (0.999, 0)),
        (114, ("threefry2x32", "32 filters", 20), (0.52, 0)),
    ],
)
def test_a_claim_fails_where_it_should(table, tmp_path, number, arm, pair):
    assert verdicts(table(tmp_path, arm, pair))[number] == "fails"


def test_where_no_network_sees_further_the_claim_is_open(table, tmp_path):
    """The small network is at chance from 8 rounds on, where the large one is too."""
    arm = ("speck32_64", "4 filters", 7)
    assert verdicts(table(tmp_path, arm, (0.55, 0.003)))[112] == "undecided"


def test_the_bits_of_an_accuracy_are_those_of_the_literature():
    """1 - h2 of the accuracies of Gohr's network, for 5 to 8 rounds."""
    found = [_rounds_claims.label_bits(share) for share in _rounds_claims.ALL_PASSES.values()]
    np.testing.assert_allclose(found, [0.630, 0.255, 0.039, 0.00057], atol=6e-4)
    assert _rounds_claims.label_bits(0.5) == 0


def test_accuracy_is_the_share_of_hits_by_seed(tmp_path):
    made = cell(tmp_path, "4 filters", 0.75, 0.1, label="")
    (run,) = summary.runs([made])
    assert evidence.accuracy(run) == pytest.approx({n: 0.75 + n / PAIRS for n in range(5)})


@pytest.mark.parametrize("coded", [1, 65])
def test_structure_is_that_of_a_pair(tmp_path, coded):
    """Whether its label alone is coded or all of its tokens; EDL is the same of new examples."""
    made = cell(tmp_path, "32 filters", 0.5, 0.1, coded=coded, label="")
    (run,) = summary.runs([made])
    known = pytest.approx(dict.fromkeys(range(5), 0.1), abs=0.001)
    assert _rounds_claims.structure_bits(run) == known
    with pytest.raises(record.RecordError, match="no anchor ema"):
        _rounds_claims.excess_bits(run)


def test_the_figure_is_drawn(table, tmp_path, monkeypatch):
    found = [
        made._replace(evals={2: made.evals[2] | {"ema_nats": made.evals[2]["raw_nats"]}})
        for made in table(tmp_path)
    ]
    shown = []
    monkeypatch.setattr(cipher_rounds.lines, "panels", lambda panels, path: shown.extend(panels))
    cipher_rounds.draw(summary.runs(found))
    assert len(shown) == 3 * 4
    speck = {panel.title.partition(": ")[2]: panel for panel in shown[:4]}
    assert speck["accuracy"].references == {
        "published, first pass": [(2, 0.886), (3, 0.783), (4, 0.609)]
    }
    above = speck["S above that of all rounds"].series["32 filters"]
    assert above[-1][1].mean == 0 and above[0][1].mean == pytest.approx(0.05, abs=1e-4)
    monkeypatch.undo()
    lines.panels(shown, tmp_path / "figure.png")
    assert (tmp_path / "figure.png").stat().st_size > 20_000


def test_every_cipher_is_measured_at_all_its_rounds_too():
    for name, pairs in cipher_rounds.CIPHERS.items():
        cipher = ALGORITHMS[name]
        assert pairs.rounds[-1] == cipher.rounds and list(pairs.rounds) == sorted(pairs.rounds)
        shown = 4 if name == "chacha" else cipher.output_words  # the first row of a block
        assert pairs.length - 1 == 2 * shown * cipher.word_bits and pairs.words == 2 * shown


@pytest.mark.parametrize(("size", "arms"), [("cpu", 3 * 21 + 1), ("paper", 3 * 7 + 1)])
def test_every_network_sees_as_many_pairs_of_a_cipher(size, arms):
    groups = ensembles(cipher_rounds.get_config(size).to_dict(), cipher_rounds.sweep(size))
    assert [len(group.members) for group in groups] == [5] * arms
    for group in groups:
        speck = group.config["generator"]["length"] == 65
        run = group.config["run"]
        assert run["steps"] * run["batch"] == (10**7 if speck else 10**6)


def test_rates_are_chosen_at_one_number_of_rounds_of_each_cipher():
    runs = grid.tuning(cipher_rounds.sweep("rates"), cipher_rounds.RATES)
    assert len(runs) == 3 * 3 * len(cipher_rounds.RATES)
    assert {run["run.seed"] for run in runs} == {grid.TUNING_SEED}
    for name, rounds in cipher_rounds.TUNED_AT.items():
        assert rounds in cipher_rounds.CIPHERS[name].rounds[:-1]
    with pytest.raises(base.SizeError):
        cipher_rounds.get_config("tiny")


def test_the_first_row_of_chacha_is_the_state_and_known_constants():
    """It differs for two keys by no more than the state does: no secret word is added to it."""
    words = [
        chacha_block(jnp.full(8, n, jnp.uint32), 0, jnp.zeros(3, jnp.uint32), 0) for n in (1, 2)
    ]
    np.testing.assert_array_equal(words[0][:4], words[1][:4])
    assert (words[0][4:12] != words[1][4:12]).all()
