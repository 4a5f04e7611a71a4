"""Ciphers by the round: the claims on records whose accuracy and structure are known."""

import math

import numpy as np
import pytest

from configs import base
from configs.studies.observers import cipher_rounds
from epx import record
from epx.generators.kernels.keystreams import ALGORITHMS
from epx.report import claims, evidence, summary
from epx.sweeps.ensembles import ensembles
from tests import records

PAIRS = 1000
FACTS = dict(
    vocab=2, size=None, length=65, parameters=10, forward_flops=100.0, learns_by_gradient=False
)


def cell(folder, cipher, network, rounds, accuracy, s_per_pair):
    """Five seeds with this accuracy and S; H is 1 bit less what is learned."""
    seeds = np.arange(5)[:, None]
    h = (1 - s_per_pair) * math.log(2)
    charged = PAIRS * (h + s_per_pair * math.log(2)) + 0.001 * seeds
    made = records.write(
        folder, np.hstack([charged, 0 * charged]), np.tile([PAIRS, 0], (5, 1)),
        np.full((5, PAIRS), h) * (1 + 1e-5 * seeds), np.ones((5, PAIRS), int),
        facts=FACTS, figure=dict(name="cipher_rounds", size="cpu"),
        generator=dict(algorithm=cipher, rounds=rounds), label=dict(observer=network),
        members=[{"run.seed": n} for n in range(5)],
    )  # fmt: skip
    evals = {name: values for name, values in made.evals[2].items() if name != "ema_nats"}
    evals["raw_hits"] = (np.arange(PAIRS) < PAIRS * accuracy + seeds).astype(int)
    record.write_arrays(record.eval_path(folder, 2), evals)
    return record.load(folder)


def table(tmp_path, changed=()):
    values = {}
    for network in cipher_rounds.NETWORKS:
        for cipher, (rounds, *_) in cipher_rounds.CIPHERS.items():
            for n in rounds:
                share = {5: 0.886, 6: 0.783, 7: 0.609}.get(n, 0.95 if n < 5 else 0.5)
                share -= 0.05 * (network == "4 filters" and share > 0.5)
                values[cipher, network, n] = (share, 0.4 / 2**n)
    values |= dict(changed)
    return [
        cell(tmp_path / str(n), *names, *pair) for n, (names, pair) in enumerate(values.items())
    ]


def verdicts(found):
    return {claim.number: claim.verdict for claim in claims.evaluate(cipher_rounds, found)}


def test_every_claim_holds_where_it_should(tmp_path):
    assert verdicts(table(tmp_path)) == dict.fromkeys(cipher_rounds.CLAIMS, "holds")


@pytest.mark.parametrize(
    ("number", "network", "rounds", "pair"),
    [
        (111, "32 filters", 6, (0.783, 0.2)),
        (111, "32 filters", 22, (0.6, 1e-9)),
        (112, "4 filters", 6, (0.9, 0.01)),
        (113, "32 filters", 7, (0.58, 0.4 / 2**7)),
    ],
)
def test_a_claim_fails_where_it_should(tmp_path, number, network, rounds, pair):
    changed = {("speck32_64", network, rounds): pair}
    assert verdicts(table(tmp_path, changed))[number] == "fails"


def test_accuracy_is_the_share_of_hits_by_seed(tmp_path):
    (run,) = summary.runs([cell(tmp_path, "speck32_64", "4 filters", 5, 0.75, 0.1)])
    assert evidence.accuracy(run) == pytest.approx({n: 0.75 + n / PAIRS for n in range(5)})


def test_the_figure_is_drawn(tmp_path):
    runs = summary.runs(table(tmp_path / "records"))
    cipher_rounds.draw(runs, tmp_path / "figure.png")
    assert (tmp_path / "figure.png").stat().st_size > 20_000


def test_every_cipher_is_measured_at_all_its_rounds_too():
    for name, (rounds, length, words) in cipher_rounds.CIPHERS.items():
        cipher = ALGORITHMS[name]
        assert rounds[-1] == cipher.rounds and list(rounds) == sorted(rounds)
        assert length - 1 == 2 * cipher.output_words * cipher.word_bits
        assert words == 2 * cipher.output_words
    for size in ("cpu", "paper"):
        groups = ensembles(cipher_rounds.get_config(size).to_dict(), cipher_rounds.sweep(size))
        assert sum(len(group.members) for group in groups) == 3 * 5 * (7 + 7 + 5)
    with pytest.raises(base.SizeError):
        cipher_rounds.get_config("tiny")
