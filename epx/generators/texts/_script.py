"""The alphabet that stories and arithmetic share, so that one observer reads both."""

from collections.abc import Sequence

import numpy as np

SYMBOLS = " abcdefghijklmnopqrstuvwxyz.0123456789+-*="
LETTERS = 28  # the first tokens: space, letters and the full stop
DIGIT = SYMBOLS.index("0")
VOCAB = len(SYMBOLS)


def tokens(text: str) -> list[int]:
    """The tokens of a text in this alphabet."""
    return [SYMBOLS.index(symbol) for symbol in text]


def symbols(tokens_T: Sequence[int] | np.ndarray) -> list[str]:
    """The text of each token."""
    return [SYMBOLS[token] for token in np.asarray(tokens_T).tolist()]
