"""Redundancy of a corpus that is found without labels, against the laws of its parts."""

from typing import Any

import jax
import numpy as np

import epx
from epx.analysis import curation, rank
from epx.analysis.measurement import LN2, Estimate
from epx.report.claims import Check
from epx.types import Example, Generator


def checks(parts: dict[str, str], weights: str, pages: int = 4000) -> list[Check]:
    """Clusters against parts, and the redundancy of clusters against that of their pages.

    Args:
      parts: texts of the generators by name, of which `copies` is `duplicated`.
      weights: of the corpus, as of a mixture.
      pages: that are drawn and clustered.
    """
    corpus = epx.generator("mixture", parts="; ".join(parts.values()), weights=weights)
    drawn = _drawn(corpus, pages)
    tokens_NxT, part_N = np.asarray(drawn.tokens_T), np.asarray(drawn.part_P).argmax(1)
    cluster_N = curation.clusters(tokens_NxT, corpus.spec.vocab, len(parts))
    known_P = np.array([_redundancy(corpus, n, (part_N == n).sum()) for n in range(len(parts))])
    own = [cluster_N == cluster for cluster in np.unique(cluster_N)]
    found = [curation.redundancy(tokens_NxT[is_own_N], corpus.spec.vocab) for is_own_N in own]
    known = [known_P[part_N[is_own_N]].mean() for is_own_N in own]
    same = curation.agreement(cluster_N, part_N)
    return [
        Check("adjusted Rand index of clusters and parts", Estimate(same, 0.0), 0.5),
        Check(
            "rank correlation of redundancy, found and known",
            rank.with_interval(found, known).estimate,
            0.5,
        ),
    ]


def _drawn(generator: Generator, count: int) -> Example:
    keys = jax.random.split(jax.random.key(0), count)
    return jax.jit(jax.vmap(generator.example, in_axes=(0, None)))(keys, 0)


def _redundancy(corpus: Any, part: int, pages: int) -> float:
    """That of so many pages of a part, by its law: copies have to be sent once, and then named."""
    generator, vocab = corpus.parts[part], corpus.spec.vocab
    distinct = getattr(generator, "distinct", None)
    source = generator if distinct is None else generator.source
    bits = float(jax.vmap(source.oracle_nats)(_drawn(source, 500)).sum(1).mean()) / LN2
    if distinct is not None:
        bits = bits * min(distinct / pages, 1) + np.log2(distinct)
    return float(1 - bits / (source.spec.length * np.log2(vocab)))
