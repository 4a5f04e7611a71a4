"""Epiplexity from the scaling law of a loss, without training.

Source: arXiv 2601.03220, appendix B.3; numbers in section C.9. For N parameters, D training tokens
and a coded set of 𝒟 tokens,

    L(N, D) = E + (N0/N)^alpha + (D0/D)^beta      nats per token
    T = 2N (3D + 𝒟)                                FLOPs to train and to code
    S = beta/(1-beta) D0^beta D^(1-beta)           nats, the area above the last loss
    H = 𝒟 L(N, D)                                  nats

and S_T, H_T are those of the N and D that make S + H shortest at T.
"""

import csv
import io
import math
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from scipy import optimize

from epx import files
from epx.analysis.measurement import LN2
from epx.types import refusal, require

PF_DAY = 8.64e19  # FLOPs in a petaflop/s-day
# Non-embedding compute, in PF-days, at which a law is refitted with all parameters counted.
REFIT_PF_DAYS = np.logspace(-6, -1, 20)


class ComputeLaw(NamedTuple):
    """A published law of the best loss against compute C.

    Form of Henighan et al. (arXiv 2010.14701): L = (C/C0)^-gamma + E, reached by
    N = (C/C_unit)^delta parameters.

    Attributes:
      gamma: exponent of the loss.
      N0: scale of the parameters.
      C0: scale of the compute, in PF-days.
      E: irreducible loss, nats per token.
      C_unit: compute at which the best model has one parameter, in PF-days.
      delta: exponent of the best size.
      vocab, context: tokens of the vocabulary and of an example.
      aspect: width over depth of the models; None where the published law counts all parameters.
    """

    gamma: float
    N0: float
    C0: float
    E: float
    C_unit: float
    delta: float
    vocab: int | None = None
    context: int | None = None
    aspect: float | None = None


class LossLaw(NamedTuple):
    """L(N, D) = E + (N0/N)^alpha + (D0/D)^beta, in nats per token."""

    alpha: float
    beta: float
    N0: float
    D0: float
    E: float

    def loss_nats(self, parameters, tokens):
        """Nats per token of a model with this many parameters after this many tokens."""
        # arXiv 2601.03220, appendix B.3.
        return self.E + (self.N0 / parameters) ** self.alpha + (self.D0 / tokens) ** self.beta

    def structure_nats(self, tokens):
        """S of a model trained on this many tokens: the area above its last loss."""
        # arXiv 2601.03220, appendix B.3.
        return self.beta / (1 - self.beta) * self.D0**self.beta * tokens ** (1 - self.beta)

    def limit(self, test_tokens: float) -> tuple[float, float]:
        """S and H in nats for unbounded compute, where D* = 𝒟."""
        # arXiv 2601.03220, appendix B.3: H = 𝒟 E + D0^beta 𝒟^(1-beta).
        entropy = test_tokens * self.E + self.D0**self.beta * test_tokens ** (1 - self.beta)
        return self.structure_nats(test_tokens), entropy


# As quoted in the paper: Henighan et al. 2020 for images and video (pixels, or tokens of a vector
# quantiser, VQ), Hoffmann et al. 2022 for language.
PUBLISHED = {
    "language": ComputeLaw(0.154843903, 49146303.55, 0.436583, 1.6934, 3.90617743e-20, 0.456497356),
    "image VQ 32x32": ComputeLaw(0.12, 1.9e4, 2.6e-6, 3.17, 9.4e-13, 0.70, 1024, 1024, 5),
    "image VQ 16x16": ComputeLaw(0.11, 2.7e4, 6.1e-7, 4.09, 6.2e-14, 0.64, 4096, 256, 5),
    "video VQ 16x16x16": ComputeLaw(0.14, 3.7e4, 2.2e-5, 0.95, 1.13e-12, 0.71, 4096, 4096, 5),
    "image 32x32": ComputeLaw(0.10, 63, 3.6e-9, 2.21, 1.6e-13, 0.65, 256, 3072, 5),
    "image 16x16": ComputeLaw(0.16, 280, 1.6e-8, 2.64, 4.8e-12, 0.75, 256, 768, 5),
    "image 8x8": ComputeLaw(0.19, 80, 1.8e-8, 3.13, 5.3e-14, 0.64, 256, 192, 5),
}


class Split(NamedTuple):
    """S_T and H_T at one compute budget, and the model that reaches them.

    Attributes:
      flops: T.
      parameters, tokens: N* and D*.
      structure_nats, entropy_nats: S_T and H_T of the full coded set.
    """

    flops: float
    parameters: float
    tokens: float
    structure_nats: float
    entropy_nats: float


def split(law: LossLaw, flops: float, test_tokens: float) -> Split:
    """The shortest two-part code of `test_tokens` tokens within `flops` FLOPs.

    D* is the root of dS/dD + dH/dD = 0 along N = T / (2 (3D + 𝒟)).

    Raises:
      ValueError: a budget or a size that is not above 0, or a budget below one parameter and token.
    """
    for name, value in (("flops", flops), ("test_tokens", test_tokens)):
        require(name, value, 0 < value < math.inf, "a finite number above 0")

    def size(tokens: float) -> float:
        # arXiv 2601.03220, appendix B.3: T = 2N (3D + 𝒟).
        return flops / (2 * (3 * tokens + test_tokens))

    def slope(log_tokens: float) -> float:
        """d(S + H)/dD at constant T."""
        tokens = math.exp(log_tokens)
        # arXiv 2601.03220, appendix B.3: at D*
        # beta D0^beta (𝒟 - D) D^(-beta-1) = 3 alpha 𝒟 / (3D + 𝒟) (N0/N)^alpha.
        saved = law.beta * law.D0**law.beta * (test_tokens - tokens) * tokens ** (-law.beta - 1)
        smaller = 3 * law.alpha * test_tokens / (3 * tokens + test_tokens)
        return smaller * (law.N0 / size(tokens)) ** law.alpha - saved

    low, high = 0.0, math.log(test_tokens)
    least = 2 * (3 + test_tokens)
    accepted = f"at least {least:g}, the compute of one parameter and one token"
    require("flops", flops, flops >= least, accepted)
    if slope(low) >= 0:  # training costs more than it saves
        tokens = 1.0
    elif slope(high) <= 0:  # the term of N is lost to rounding
        tokens = test_tokens
    else:
        tokens = math.exp(optimize.brentq(slope, low, high, xtol=1e-14, rtol=1e-14))
    parameters = size(tokens)
    # arXiv 2601.03220, appendix B.3: H = 𝒟 L(N, D).
    entropy = test_tokens * law.loss_nats(parameters, tokens)
    return Split(flops, parameters, tokens, law.structure_nats(tokens), entropy)


# Head, key of a cell, format, and format of its half width, in the form of `report/tables.py`.
COLUMNS = (
    ("domain", "domain", "", ""),
    ("S bit", "S_bits", ".3g", ""),
    ("H bit", "H_bits", ".4g", ""),
    ("S / (S + H)", "structure_share", ".3%", ""),
    ("D*, token", "tokens", ".3g", ""),
    ("N*, parameter", "parameters", ".3g", ""),
    ("T, FLOP", "flops", ".3g", ""),
    ("coded set, token", "test_tok", ".3g", ""),
    ("S without bound, bit", "S_limit_bits", ".3g", ""),
    ("H without bound, bit", "H_limit_bits", ".4g", ""),
)
# Number of first columns, which fit a terminal of 80 characters.
COMPACT = 6


def cells(laws: dict[str, LossLaw], flops: float, test_tokens: float) -> list[dict[str, Any]]:
    """Make one cell for each law, with the keys of COLUMNS and those of the law itself."""
    result = []
    for domain, law in laws.items():
        best, limit = split(law, flops, test_tokens), law.limit(test_tokens)
        result.append(
            law._asdict()
            | {
                "domain": domain,
                "S_bits": best.structure_nats / LN2,
                "H_bits": best.entropy_nats / LN2,
                "structure_share": best.structure_nats / (best.structure_nats + best.entropy_nats),
                "tokens": best.tokens,
                "parameters": best.parameters,
                "flops": flops,
                "test_tok": test_tokens,
                "S_limit_bits": limit[0] / LN2,
                "H_limit_bits": limit[1] / LN2,
            }
        )
    return result


def read(path: Path | str) -> dict[str, LossLaw]:
    """Read laws from a CSV file, by the name in its column `domain`.

    The other columns are the fields of `LossLaw`, or those of `ComputeLaw`, which is converted; its
    last three may be empty. Spaces around a cell are ignored.

    Raises:
      ValueError: the file cannot be read, or has neither form; the message names the line.
    """
    name, accepted = str(path), "a CSV file in UTF-8"
    content = files.read("laws", name, accepted)
    try:
        text = io.StringIO(content.decode("utf-8-sig"), newline="")
        rows = [[cell.strip() for cell in row] for row in csv.reader(text)]
    except (UnicodeDecodeError, csv.Error) as error:
        raise refusal("laws", name, f"{accepted} ({error})") from error
    head = rows[0] if rows else []
    kinds = [k for k in (LossLaw, ComputeLaw) if sorted(head) == sorted(("domain", *k._fields))]
    accepted = " or ".join(", ".join(("domain", *k._fields)) for k in (LossLaw, ComputeLaw))
    require("columns", ", ".join(head), bool(kinds), f"{accepted}; in line 1 of {name}")
    laws: dict[str, LossLaw] = {}
    for line, row in enumerate(rows[1:], start=2):
        if not row:
            continue
        where = f"; in line {line} of {name}"
        accepted = f"{len(head)}, as in line 1{where}"
        require("cells", len(row), len(row) == len(head), accepted)
        numbers = dict(zip(head, row))
        domain = numbers.pop("domain")
        legal = bool(domain) and domain not in laws
        require("domain", domain, legal, f"a name that no other line has{where}")
        laws[domain] = _law(kinds[0], numbers, where)
    require("laws", name, bool(laws), "a file with at least one law below its first line")
    return laws


def _law(kind: type[LossLaw] | type[ComputeLaw], cells: dict[str, str], where: str) -> LossLaw:
    """The law in a line of a file; a refusal ends with `where`, which names the line."""
    numbers = {}
    for key, text in cells.items():
        if not text and key in kind._field_defaults:
            continue
        try:
            numbers[key] = float(text)
        except ValueError:
            raise refusal(key, text, f"a number{where}") from None
    law = kind(**numbers)
    _check(law, where)
    if kind is LossLaw:
        return law
    try:
        converted = convert(law)
    except ArithmeticError as error:
        accepted = f"constants that can be converted ({error}){where}"
        raise refusal("law", tuple(law), accepted) from error
    _check(converted, where)
    return converted


def _check(law: LossLaw | ComputeLaw, where: str) -> None:
    """Refuse constants that a law cannot have."""
    sizes = {key: getattr(law, key, None) for key in ("vocab", "context", "aspect")}
    some = any(value is not None for value in sizes.values())
    for key, value in sizes.items():
        legal = value is not None or not some
        require(key, value, legal, f"a number, as {', '.join(sizes)} go together{where}")
    for key, value in law._asdict().items():
        most = 1.0 if key in ("beta", "delta") else math.inf
        legal = value is None or 0 < value < most or (key == "E" and value == 0)
        require(key, value, legal, f"a number above 0 and below {most}{where}")


def convert(law: ComputeLaw) -> LossLaw:
    """Convert a law against compute to a loss law in which all parameters are counted.

    Laws of Henighan et al. do not count the embedding of V tokens, the head and the position table.
    In models of aspect ratio A these have (2V + context) (A/12)^(1/3) N^(1/3) parameters (the
    published text has V, its table needs 2V), so both laws are refitted on REFIT_PF_DAYS. N0 keeps
    its published value.
    """
    gamma, N0, C0, E, C_unit, delta = law[:6]
    if law.aspect is not None:
        compute = REFIT_PF_DAYS
        parameters = (compute / C_unit) ** delta
        loss = (compute / C0) ** -gamma + E
        # (2V + context) (A/12)^(1/3) N^(1/3) parameters outside the layers.
        others = (2 * law.vocab + law.context) * (law.aspect / 12) ** (1 / 3)
        total = parameters + others * parameters ** (1 / 3)
        log_compute = np.log(compute * total / parameters)
        delta, intercept = np.polyfit(log_compute, np.log(total), 1)
        C_unit = math.exp(-intercept / delta)
        gamma, E = _refit(log_compute, np.log(loss), gamma, C0, E)
    # arXiv 2601.03220, appendix B.3: the exponents and the scale of D from those against compute.
    alpha, beta = gamma / delta, gamma / (1 - delta)
    D0 = C_unit * PF_DAY / 6 * N0 ** (alpha / beta) * (beta / alpha) ** (-1 / beta)
    return LossLaw(alpha, beta, N0, D0, E)


def _refit(
    log_compute: np.ndarray, log_loss: np.ndarray, gamma: float, C0: float, E: float
) -> tuple[float, float]:
    """Fit gamma and E of the loss law to these points by least squares of logarithms."""

    def residuals(law: np.ndarray) -> np.ndarray:
        log_C0, gamma, E = law
        return np.log(np.exp(-gamma * (log_compute - log_C0)) + E) - log_loss

    start = [math.log(C0), gamma, E]
    fitted = optimize.least_squares(
        residuals, start, x_scale=np.abs(start), xtol=1e-15, ftol=1e-15, gtol=1e-15
    )
    return float(fitted.x[1]), float(fitted.x[2])
