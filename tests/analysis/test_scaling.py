"""Scaling-law estimates against the table and the figure of the paper (sections C.10 and B.5 of the
specification), and against sums and derivatives that are written apart from them."""

import json
import math
from pathlib import Path

import numpy as np
import pytest

from epx.analysis import scaling
from epx.analysis.scaling import LossLaw
from epx.report.figures import curves
from tests.binaries import run

ROOT = Path(__file__).parents[2]

TABLE = {  # alpha, beta, N0, D0, E
    "image 8x8": (0.331, 0.566, 80, 2.66e6, 3.14),
    "image 32x32": (0.258, 0.399, 63, 1.95e6, 2.30),
    "image VQ 16x16": (0.322, 0.441, 2.7e4, 4.44e7, 4.23),
    "image VQ 32x32": (0.287, 0.560, 1.9e4, 1.63e8, 3.32),
    "language": (0.339, 0.285, 4.91e7, 1.49e9, 1.69),
}
ESTIMATES = {  # D*, N*, S bits, H bits, S in nats without bound, at 1e25 FLOPs and 1e12 tokens
    "language": (8.41e11, 1.42e12, 7.95e10, 2.73e12, 6.24e10),
    "image VQ 32x32": (7.78e11, 1.50e12, 1.242e10, 4.81e12, 9.62e9),
    "image VQ 16x16": (8.65e11, 1.39e12, 1.264e10, 6.13e12, 9.51e9),
    "image 32x32": (8.26e11, 1.44e12, 4.48e9, 3.32e12, 3.48e9),
    "image 8x8": (7.93e11, 1.48e12, 1.19e9, 4.53e12, 9.1e8),
}
CHINCHILLA = scaling.convert(scaling.PUBLISHED["language"])


@pytest.mark.parametrize("domain", TABLE)
def test_laws_are_those_of_the_published_table(domain):
    found = scaling.convert(scaling.PUBLISHED[domain])
    for value, published in zip(found, TABLE[domain]):
        assert value == pytest.approx(published, rel=5e-3)


@pytest.mark.parametrize("domain", ESTIMATES)
def test_estimates_are_those_of_the_published_figure(domain):
    law = scaling.convert(scaling.PUBLISHED[domain])
    found = scaling.split(law, 1e25, 1e12)
    bits = found.structure_nats / math.log(2), found.entropy_nats / math.log(2)
    values = (found.tokens, found.parameters, *bits, law.limit(1e12)[0])
    for value, published in zip(values, ESTIMATES[domain]):
        assert value == pytest.approx(published, rel=1e-2)


@pytest.mark.parametrize(
    "flops, nats, tokens",
    [(1e18, 4.66e9, 2.66e10), (1e22, 2.71e10, 3.12e11), (1e28, 6.16e10, 9.83e11)],
)
def test_language_against_compute(flops, nats, tokens):
    found = scaling.split(CHINCHILLA, flops, 1e12)
    assert found.structure_nats == pytest.approx(nats, rel=5e-3)
    assert found.tokens == pytest.approx(tokens, rel=5e-3)


@pytest.mark.parametrize(
    "flops, parameters, tokens, structure, description",
    [
        (1e15, 2.34e6, 3.77e7, 4.29e7, 7.78e8),
        (1e17, 1.53e8, 7.59e7, 7.06e7, 5.42e8),
        (1e18, 1.38e9, 8.76e7, 7.83e7, 5.04e8),
    ],
)
def test_a_small_coded_set(flops, parameters, tokens, structure, description):
    found = scaling.split(CHINCHILLA, flops, 1e8)
    values = (found.parameters, found.tokens, found.structure_nats)
    for value, published in zip(values, (parameters, tokens, structure)):
        assert value == pytest.approx(published, rel=5e-3)
    total = found.structure_nats + found.entropy_nats
    assert total == pytest.approx(description, rel=5e-3)


def two_part(law, flops, tokens, test_tokens):
    parameters = flops / (2 * (3 * tokens + test_tokens))
    return law.structure_nats(tokens) + test_tokens * law.loss_nats(parameters, tokens)


@pytest.mark.parametrize("domain", scaling.PUBLISHED)
@pytest.mark.parametrize("flops", [1e18, 1e22, 1e26])
def test_no_other_split_is_shorter(domain, flops):
    law = scaling.convert(scaling.PUBLISHED[domain])
    found = scaling.split(law, flops, 1e12)
    best = two_part(law, flops, found.tokens, 1e12)
    assert best == pytest.approx(found.structure_nats + found.entropy_nats, rel=1e-12)
    grid = np.geomspace(1, 1e12, 4001)
    assert best <= two_part(law, flops, grid, 1e12).min() * (1 + 1e-12)
    nearest = grid[np.argmin(two_part(law, flops, grid, 1e12))]
    assert found.tokens == pytest.approx(nearest, rel=0.01)
    # The derivative, by a complex step, changes its sign within a millionth of it.
    slopes = [
        two_part(law, flops, found.tokens * (1 + side) * (1 + 1e-30j), 1e12).imag
        for side in (-1e-6, 1e-6)
    ]
    assert slopes[0] < 0 < slopes[1]
    assert flops == pytest.approx(2 * found.parameters * (3 * found.tokens + 1e12))


def test_structure_is_the_area_of_the_curve_above_its_end():
    law, tokens = CHINCHILLA, 1e9
    grid = np.geomspace(1e-3, tokens, 400_001)
    curve = (law.D0 / grid) ** law.beta - (law.D0 / tokens) ** law.beta
    area = np.sum((curve[1:] + curve[:-1]) / 2 * np.diff(grid))
    assert law.structure_nats(tokens) == pytest.approx(area, rel=1e-3)


def test_unbounded_compute_trains_on_the_whole_set():
    """The limit in closed form, three FLOPs of training for one of coding, and the growth of N*
    and D* with T (theorem 30)."""
    structure, entropy = CHINCHILLA.limit(1e12)
    far = scaling.split(CHINCHILLA, 1e45, 1e12)
    assert far.structure_nats == pytest.approx(structure, rel=1e-6)
    assert far.entropy_nats == pytest.approx(entropy, rel=1e-6)
    assert 6 * far.tokens / (2 * 1e12) == pytest.approx(3, rel=1e-6)
    budgets = [scaling.split(CHINCHILLA, flops, 1e12) for flops in np.geomspace(1e17, 1e30, 60)]
    for name in ("parameters", "tokens", "structure_nats"):
        values = [getattr(one, name) for one in budgets]
        assert (np.diff(values) > 0).all(), name
    totals = [one.structure_nats + one.entropy_nats for one in budgets]
    assert (np.diff(totals) < 0).all()


def test_small_compute_has_the_published_exponent():
    low, high = (scaling.split(CHINCHILLA, flops, 1e15).structure_nats for flops in (1e17, 1e19))
    alpha, beta = CHINCHILLA.alpha, CHINCHILLA.beta
    exponent = alpha * (1 - beta) / (1 + beta)
    assert exponent == pytest.approx(0.19, abs=0.005)
    assert math.log(high / low) / math.log(100) == pytest.approx(exponent, rel=0.02)


def test_split_refuses_impossible_budgets():
    for flops, tokens, part in (
        (0, 1e9, "flops=0"),
        (1e20, -1, "test_tokens=-1"),
        (1e9, 1e9, r"flops=1000000000\.0: accepted at least 2e\+09"),
    ):
        with pytest.raises(ValueError, match=part):
            scaling.split(CHINCHILLA, flops, tokens)


def test_domains_rank_as_they_are_published():
    """C.10: language far above images by the token of a quantiser, these above video, that above
    images by the pixel, where larger ones hold more; video below an image of equal resolution, in
    entropy as well."""
    found = {
        name: scaling.split(scaling.convert(law), 1e25, 1e12)
        for name, law in scaling.PUBLISHED.items()
    }
    ranks = sorted(found, key=lambda name: -found[name].structure_nats)
    assert ranks[0] == "language" and set(ranks[1:3]) == {"image VQ 16x16", "image VQ 32x32"}
    assert ranks[3:] == ["video VQ 16x16x16", "image 32x32", "image 16x16", "image 8x8"]
    assert found["language"].structure_nats > 5 * found[ranks[1]].structure_nats
    video, image = found["video VQ 16x16x16"], found["image VQ 16x16"]
    assert video.structure_nats < image.structure_nats
    assert video.entropy_nats < image.entropy_nats


def test_with_unbounded_compute_the_whole_set_is_learned_from():
    one = scaling.split(CHINCHILLA, 1e300, 1e12)
    assert one.tokens == 1e12
    assert (one.structure_nats, one.entropy_nats) == pytest.approx(CHINCHILLA.limit(1e12))


def test_a_law_that_counts_all_parameters_is_not_corrected():
    law = LossLaw(*CHINCHILLA)
    assert law.E == 1.6934 and law.N0 == 49146303.55
    assert law.alpha == pytest.approx(0.154843903 / 0.456497356)


def test_a_csv_of_either_kind_is_read(tmp_path):
    own = tmp_path / "own.csv"
    own.write_text("domain,alpha,beta,N0,D0,E\nmine,0.3,0.4,50,2e6,1.5\n")
    assert scaling.read(own) == {"mine": LossLaw(0.3, 0.4, 50, 2e6, 1.5)}
    # As a spreadsheet may write it: a mark of the byte order, spaces, an empty line.
    own.write_text("\ufeffdomain, alpha, beta, N0, D0, E\n\n mine , 0.3, 0.4, 50, 2e6, 1.5\n")
    assert scaling.read(own) == {"mine": LossLaw(0.3, 0.4, 50, 2e6, 1.5)}
    own.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ValueError, match=r"own\.csv.*: accepted a CSV file"):
        scaling.read(own)
    fields = ("domain", *scaling.ComputeLaw._fields)
    rows = [
        [name, *("" if value is None else repr(value) for value in law)]
        for name, law in scaling.PUBLISHED.items()
    ]
    own.write_text("\n".join(",".join(map(str, row)) for row in [fields, *rows]))
    converted = {name: scaling.convert(law) for name, law in scaling.PUBLISHED.items()}
    assert scaling.read(own) == converted


@pytest.mark.parametrize(
    "text, part",
    [
        ("domain,alpha\nmine,0.3\n", "columns='domain, alpha': accepted domain, alpha, beta"),
        (
            "domain,alpha,beta,N0,D0,E\nmine,0.3,0.4,fifty,2e6,1.5\n",
            "N0='fifty': accepted a number; in line 2 of .*own.csv$",
        ),
        ("domain,alpha,beta,N0,D0,E\nmine,0.3\n", "cells=2: accepted 6, as in line 1; in line 2"),
        (
            "domain,alpha,beta,N0,D0,E\nm,0.3,0.4,50,2e6,1.5,7\n",
            "cells=7: accepted 6, as in line 1; in line 2",
        ),
        ("domain,alpha,beta,N0,D0,E\nm,0.3,0.4,,2e6,1.5\n", "N0='': accepted a number; in line 2"),
        (
            "domain,alpha,beta,N0,D0,E\n,0.3,0.4,50,2e6,1.5\n",
            "domain='': accepted a name .*in line 2",
        ),
        ("domain,alpha,beta,N0,D0,E\n", "accepted a file with at least one law"),
        ("domain,alpha,beta,N0,D0,E\nm,0.3,1,50,2e6,1.5\n", "beta=1.0: accepted"),
        ("domain,alpha,beta,N0,D0,E\nm,0.3,0.4,50,-2e6,1.5\n", "D0=-2000000.0: accepted"),
        ("domain,alpha,beta,N0,D0,E\nm,0.3,0.4,50,2e6,inf\n", "E=inf: accepted"),
        ("domain,alpha,beta,N0,D0,E\nm,nan,0.4,50,2e6,1.5\n", "alpha=nan: accepted"),
        (
            "domain,alpha,beta,N0,D0,E\n" + 2 * "m,0.3,0.4,50,2e6,1.5\n",
            "domain='m': accepted a name .*in line 3",
        ),
        (
            "domain,gamma,N0,C0,E,C_unit,delta,vocab,context,aspect\n"
            "m,0.1,50,1e-8,2,1e-13,0.7,256,,5\n",
            "context=None: accepted a number, as vocab, context, aspect go together; in line 2",
        ),
        ("", "columns='': accepted"),
    ],
)
def test_a_csv_without_a_legal_law_is_refused(tmp_path, text, part):
    (tmp_path / "own.csv").write_text(text)
    with pytest.raises(ValueError, match=part):
        scaling.read(tmp_path / "own.csv")


def test_the_figure_of_estimates_shows_the_splits(tmp_path):
    """A line for each law in each panel, S left and H right, in bits."""
    laws = {name: scaling.convert(scaling.PUBLISHED[name]) for name in ("language", "image 8x8")}
    figure = curves.estimates(laws, 1e9, tmp_path / "a.png")
    for axis, word, part in zip(
        figure.axes, ("structure", "entropy"), ("structure_nats", "entropy_nats")
    ):
        assert word in axis.get_title("left")
        lines = [line for line in axis.get_lines() if len(line.get_xdata()) > 1]
        for law, curve in zip(laws.values(), lines, strict=True):
            flops, bits = curve.get_xdata()[100], curve.get_ydata()[100]
            nats = getattr(scaling.split(law, flops, 1e9), part)
            assert bits == pytest.approx(nats / math.log(2))


def estimate(*arguments):
    return run("estimate", *arguments)


def test_the_binary_estimates_from_a_users_law(tmp_path):
    laws, figure = tmp_path / "laws.csv", tmp_path / "figure.png"
    laws.write_text("domain,alpha,beta,N0,D0,E\nmine,0.3,0.3,1e6,1e7,1.5\n")
    done = estimate(
        f"--laws={laws}", "--flops=1e20", "--test_tokens=1e9", "--format=json", f"--figure={figure}"
    )
    assert done.code == 0, done.err
    (cell,) = json.loads(done.out)
    one = scaling.split(scaling.LossLaw(0.3, 0.3, 1e6, 1e7, 1.5), 1e20, 1e9)
    assert cell["S_bits"] == pytest.approx(one.structure_nats / math.log(2))
    assert figure.read_bytes().startswith(b"\x89PNG")


def test_the_binary_refuses_mistakes_in_one_line(tmp_path):
    laws = tmp_path / "laws.csv"
    laws.write_text("domain,alpha\nmine,0.3\n")
    for arguments, code, part in (
        ((f"--laws={laws}",), 2, "columns='domain, alpha'"),
        ((f"--laws={tmp_path / 'none.csv'}",), 2, "there is no such file"),
        (("--flops=-1",), 2, "flops=-1"),
        (("--flops=10",), 2, "at least 2e+12"),
    ):
        done = estimate(*arguments)
        assert done.code == code and part in done.err
        assert len(done.err.strip().splitlines()) == 1
