"""The reservoir score: structure that a linear readout finds in a frozen random network.

After Zhang and Levin (arXiv 2607.18433): a random convolutional network reads the tokens, a ridge
regression W from its features predicts the tokens that follow, and

    score = 1/2 sum_i log2(1 + eta s_i(W)^2)      bits, with the singular values s_i of W.

It takes a second or two and needs no training. Noise scores above 0 too, so that the score of the
tokens in random order is the floor to subtract. The network here is causal and dilated, because
tokens are read in one order, and a row of an automaton is that far from the row before.
"""

from typing import NamedTuple

import numpy as np

from epx.types import refusal

CHANNELS = 256
DILATIONS = (1, 4, 16)  # with three taps a feature sees 43 tokens
HORIZON = 32  # tokens that are predicted
RIDGE, ETA = 0.03, 1.0
MOST_TOKENS = 4096


class Score(NamedTuple):
    """The score of tokens and that of the same tokens in random order, in bits."""

    bits: float
    floor_bits: float

    @property
    def above_floor_bits(self) -> float:
        """What is left of the score without that of noise."""
        return self.bits - self.floor_bits


def score(tokens_N: np.ndarray, vocab: int, seed: int = 0) -> Score:
    """The score of the first 4096 tokens of a stream.

    Args:
      tokens_N: at least 128 whole numbers below `vocab`, in the order in which they are read.
      vocab: number of different tokens.
      seed: of the network and of the random order.

    Raises:
      ValueError: fewer tokens.
    """
    tokens_N = np.asarray(tokens_N)[:MOST_TOKENS]
    if len(tokens_N) < 4 * HORIZON:
        raise refusal("tokens", len(tokens_N), f"at least {4 * HORIZON} tokens")
    random = np.random.default_rng(seed)
    layers = _network(random, vocab)
    return Score(_bits(layers, tokens_N, vocab), _bits(layers, random.permutation(tokens_N), vocab))


def _network(random: np.random.Generator, vocab: int) -> list[np.ndarray]:
    """Weights of each layer, taps x inputs x outputs, of variance 1 / fan-in."""
    sizes = [vocab, *(CHANNELS for _ in DILATIONS)]
    # Of a one-hot input a single entry is not zero.
    fans = [3, *(3 * CHANNELS for _ in DILATIONS[1:])]
    return [
        random.normal(0.0, fan**-0.5, (3, inputs, outputs)).astype(np.float32)
        for inputs, outputs, fan in zip(sizes, sizes[1:], fans)
    ]


def _bits(layers: list[np.ndarray], tokens_N: np.ndarray, vocab: int) -> float:
    features_NxF = _features(layers, tokens_N, vocab)[:-HORIZON]
    count = len(features_NxF)
    features_NxF -= features_NxF.mean(0)
    features_NxF /= features_NxF.std(0) + 1e-6
    covariance_FxF = features_NxF.T @ features_NxF / count
    readout = np.linalg.inv(covariance_FxF + RIDGE * np.eye(CHANNELS))
    # One-hot targets: the product with them adds up the features before each token.
    gram_FxF = np.zeros((CHANNELS, CHANNELS))
    for ahead in range(1, HORIZON + 1):
        sums_VxF = np.zeros((vocab, CHANNELS), np.float32)
        np.add.at(sums_VxF, tokens_N[ahead : ahead + count], features_NxF)
        weights_VxF = sums_VxF.astype(np.float64) / count @ readout
        gram_FxF += weights_VxF.T @ weights_VxF
    squares = np.linalg.eigvalsh(gram_FxF)
    return float(0.5 * np.log2(1 + ETA * np.maximum(squares, 0.0)).sum())


def _features(layers: list[np.ndarray], tokens_N: np.ndarray, vocab: int) -> np.ndarray:
    """The last layer at every token, NxF float32; before the first token there are zeros."""
    values = np.eye(vocab, dtype=np.float32)[tokens_N]
    for dilation, weights in zip(DILATIONS, layers):
        padded = np.pad(values, ((2 * dilation, 0), (0, 0)))
        count = len(values)
        taps = [padded[tap * dilation : tap * dilation + count] @ weights[tap] for tap in range(3)]
        values = np.maximum(sum(taps), 0.0)
    return values
