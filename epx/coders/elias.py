"""The Elias delta code of integers of at least 1 (Elias 1975).

A number n takes floor(log2 n) + 2 floor(log2 (floor(log2 n) + 1)) + 1 bits.
"""

from epx.types import refusal, require


def encode(number: int) -> str:
    """The bits of a number: its length in the gamma code, then its digits after the first.

    >>> [encode(n) for n in (1, 2, 3, 4, 17)]
    ['1', '0100', '0101', '01100', '001010001']

    Raises:
      ValueError: a number below 1.
    """
    require("number", number, number >= 1, "whole numbers from 1 on")
    digits = f"{number:b}"
    length = f"{len(digits):b}"
    return "0" * (len(length) - 1) + length + digits[1:]


def decode(bits: str, at: int = 0) -> tuple[int, int]:
    """The number whose code begins at position `at`, and the position after its code.

    Raises:
      ValueError: the bits end within the number.
    """
    first_one = bits.find("1", at)
    size = first_one - at + 1
    if first_one < 0 or len(bits) < first_one + size:
        raise refusal("bits", len(bits) - at, "bits that do not end within a number")
    length = int(bits[first_one : first_one + size], 2)
    end = first_one + size + length - 1
    if end > len(bits):
        raise refusal("bits", len(bits) - at, "bits that do not end within a number")
    return int("1" + bits[first_one + size : end], 2), end
