"""The alphabet of games and positions, and their division into training and held-out ones."""

import functools

import numpy as np

from epx.types import require

# All characters of the notations and of FEN.
WRITTEN = " #*+-/0123456789=BKNOPQRabcdefghknpqrwx"
BEGIN, END = 0, 1
_HELD_OUT = 0.1


def check_separators(separators: str) -> None:
    """Refuse separators that are no three characters of their own. Raises ValueError."""
    legal = len(separators) == 3 and separators.isascii() and separators.isprintable()
    legal = legal and not set(separators) & set(WRITTEN[1:])
    accepted = "three printable ASCII characters that no notation uses"
    require("generator.separators", separators, legal, accepted)


def alphabet(separators: str) -> str:
    """The character of each token; the first two, begin and end, occur in no game."""
    return "\N{RIGHT TACK}\n" + "".join(sorted(set(separators + WRITTEN)))


def tokens(text: bytes, separators: str) -> np.ndarray:
    """The tokens of a text between begin and end, uint8."""
    inner = _token_of_byte(separators)[np.frombuffer(text, np.uint8)]
    return np.concatenate([[np.uint8(BEGIN)], inner, [np.uint8(END)]])


@functools.cache
def _token_of_byte(separators: str) -> np.ndarray:
    token = np.zeros(128, np.uint8)
    letters = alphabet(separators)
    token[[ord(character) for character in letters[2:]]] = np.arange(2, len(letters))
    return token


def shuffled_parts(count: int) -> list[np.ndarray]:
    """The numbers of the training games and of the held-out games, the last tenth.

    Shuffled, because a file may join collections of different kinds of games.
    """
    # RandomState gives the same permutation in every version of numpy.
    shuffled_G = np.random.RandomState(0).permutation(count)
    return np.split(shuffled_G, [count - max(1, round(_HELD_OUT * count))])
