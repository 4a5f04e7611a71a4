"""Redundancy of a corpus that is found without labels, against the laws of its parts."""

from typing import Any

import jax
import numpy as np

import epx
from epx.analysis import curation, rank
from epx.analysis.measurement import LN2, interval
from epx.report.claims import Check
from epx.types import Example, Generator

COUNTS = (2, 3, 4, 6, 8)  # of clusters, of which the shortest code chooses
CORPORA = 5


def checks(parts: dict[str, str], weights: str, pages: int = 1000) -> list[Check]:
    """Clusters against parts, and the redundancy of clusters against that of their pages.

    Both are means over corpora that are drawn apart.

    Args:
      parts: texts of the generators by name, of which `copies` is `duplicated`.
      weights: of the corpus, as of a mixture.
      pages: that are drawn and clustered.
    """
    corpus = epx.generator("mixture", parts="; ".join(parts.values()), weights=weights)
    found = np.array([_agreement(corpus, pages, seed) for seed in range(CORPORA)])
    names = "adjusted Rand index of clusters and parts", "rank correlation of redundancy"
    return [Check(name, interval(column), 0.5) for name, column in zip(names, found.T)]


def _agreement(corpus: Any, pages: int, seed: int) -> tuple[float, float]:
    """The adjusted Rand index, and the rank correlation over pages of redundancy, that of their
    cluster and that of their part."""
    drawn = _drawn(corpus, pages, seed)
    tokens_NxT, part_N = np.asarray(drawn.tokens_T), np.asarray(drawn.part_P).argmax(1)
    vocab, count = corpus.spec.vocab, len(corpus.parts)
    clustered = [curation.clusters(tokens_NxT, vocab, number) for number in COUNTS]
    cluster_N = min(clustered, key=lambda found: curation.code_bits(tokens_NxT, found))
    known_P = np.array([_redundancy(corpus, n, (part_N == n).sum()) for n in range(count)])
    found_N = np.zeros(len(tokens_NxT))
    for cluster in np.unique(cluster_N):
        is_own_N = cluster_N == cluster
        found_N[is_own_N] = curation.redundancy(tokens_NxT[is_own_N], vocab)
    return curation.agreement(cluster_N, part_N), rank.spearman(found_N, known_P[part_N])


def _drawn(generator: Generator, count: int, seed: int = 0) -> Example:
    keys = jax.random.split(jax.random.key(seed), count)
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
