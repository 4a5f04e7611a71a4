"""The Elias delta code."""

import math

import pytest

from epx.coders import elias


def test_the_published_table():
    """The first numbers of Elias 1975, and a long one."""
    table = {1: "1", 2: "0100", 3: "0101", 4: "01100", 7: "01111", 8: "00100000", 17: "001010001"}
    assert {number: elias.encode(number) for number in table} == table


def test_numbers_come_back_from_one_string_of_bits():
    numbers = [*range(1, 300), 2**20 - 1, 2**20, 2**30 + 5]
    bits = "".join(map(elias.encode, numbers))
    at, found = 0, []
    while at < len(bits):
        number, at = elias.decode(bits, at)
        found.append(number)
    assert found == numbers
    for number in numbers:
        digits = number.bit_length() - 1
        expected = digits + 2 * int(math.log2(digits + 1)) + 1
        assert len(elias.encode(number)) == expected
    for cut in range(len(elias.encode(300))):
        with pytest.raises(ValueError, match="end within"):
            elias.decode(elias.encode(300)[:cut])
    with pytest.raises(ValueError, match="number=0"):
        elias.encode(0)
