"""Curated data: how far ahead they are of others, and redundancy that is found without labels.

Clusters of examples stand for concepts, and each is as redundant as it can be compressed: after the
idea of pruning by clusters (arXiv 2303.09540, 2308.12284), with counts in place of embeddings.
"""

import numpy as np
from scipy import special
from scipy.cluster import vq

from epx.analysis import compressors

RESTARTS = 8  # of k-means, of which the best is taken


def tokens_to(target: float, tokens_N: np.ndarray, loss_N: np.ndarray) -> float:
    """The tokens after which a loss is first at most a target; inf if it does not get there.

    Between two evaluations the loss is linear in the logarithm of the tokens.

    Args:
      target: in the unit of the losses.
      tokens_N: at each evaluation, above 0 and rising.
      loss_N: at each evaluation.
    """
    within = np.flatnonzero(loss_N <= target)
    if not within.size:
        return float("inf")
    last = int(within[0])
    if last == 0:
        return float(tokens_N[0])
    before, after = loss_N[last - 1], loss_N[last]
    part = (before - target) / (before - after)
    return float(tokens_N[last - 1] ** (1 - part) * tokens_N[last] ** part)


def clusters(tokens_NxT: np.ndarray, vocab: int, count: int) -> np.ndarray:
    """The cluster of each example, by k-means on the square roots of its counts of pairs of tokens.

    The distance of two examples is that of Hellinger between their pairs.

    Args:
      tokens_NxT: whole numbers below `vocab`; examples of at least two tokens.
      vocab: at most 256.
      count: clusters; some may be empty.

    Returns:
      Numbers below `count`, of shape N. The same at every call.
    """
    pairs_NxK = tokens_NxT[:, :-1].astype(np.int64) * vocab + tokens_NxT[:, 1:]
    seen = np.unique(pairs_NxK)
    counts = np.zeros((len(tokens_NxT), len(seen)))
    np.add.at(counts, (np.arange(len(counts))[:, None], np.searchsorted(seen, pairs_NxK)), 1)
    features = np.sqrt(counts / counts.sum(1, keepdims=True))
    random, best = np.random.default_rng(0), (np.inf, np.zeros(len(features), np.int32))
    for _ in range(RESTARTS):
        centres, found_N = vq.kmeans2(features, count, iter=30, minit="++", rng=random)
        distance = float(((features - centres[found_N]) ** 2).sum())
        best = min(best, (distance, found_N), key=lambda pair: pair[0])
    return best[1]


def code_bits(tokens_NxT: np.ndarray, cluster_N: np.ndarray) -> float:
    """Bits of examples and their clusters: each cluster is coded by its own pairs of tokens.

    The code of a token after another is that of counts, Dirichlet(1/2), over all tokens that occur;
    the cluster of an example costs the logarithm of their number. The number of clusters with the
    shortest code is chosen without labels.
    """
    _, flat = np.unique(tokens_NxT, return_inverse=True)
    tokens_NxT, vocab = flat.reshape(tokens_NxT.shape), int(flat.max()) + 1
    names = np.unique(cluster_N)
    bits = len(tokens_NxT) * (np.log2(vocab) + np.log2(len(names)))
    for name in names:
        own_NxT = tokens_NxT[cluster_N == name]
        counts_VxV = np.zeros((vocab, vocab))
        np.add.at(counts_VxV, (own_NxT[:, :-1].reshape(-1), own_NxT[:, 1:].reshape(-1)), 1)
        nats = special.gammaln(counts_VxV.sum(1) + vocab / 2) - special.gammaln(vocab / 2)
        nats -= (special.gammaln(counts_VxV + 0.5) - special.gammaln(0.5)).sum(1)
        bits += nats.sum() / np.log(2)
    return float(bits)


def redundancy(tokens_NxT: np.ndarray, vocab: int) -> float:
    """The part of the examples that a compressor saves, beside tokens that are uniform: 0 to 1.

    Each token of noise costs log2 `vocab` bits; the compressor is xz.
    """
    bits = compressors.compressed_bits(tokens_NxT.reshape(-1), vocab)["xz_bits"]
    return max(1 - bits / (tokens_NxT.size * np.log2(vocab)), 0.0)


def agreement(first_N: np.ndarray, second_N: np.ndarray) -> float:
    """The adjusted Rand index of two labellings: 1 for equal ones, 0 in the mean for random ones.

    Hubert and Arabie, Comparing partitions, 1985, equation 5.
    """
    _, first_N = np.unique(first_N, return_inverse=True)
    _, second_N = np.unique(second_N, return_inverse=True)
    table = np.zeros((first_N.max() + 1, second_N.max() + 1))
    np.add.at(table, (first_N, second_N), 1)
    together, first, second = (
        special.comb(counts, 2).sum() for counts in (table, table.sum(1), table.sum(0))
    )
    expected = first * second / special.comb(len(first_N), 2)
    highest = (first + second) / 2
    return 1.0 if highest == expected else float((together - expected) / (highest - expected))
