"""Numbers in the text of a config key."""

import math

from epx.types import refusal


def rows(key: str, text: str, accepted: str) -> list[list[float]]:
    """The rows of a text: finite numbers of at least 0 with spaces between, and `;` between rows.

    Raises:
      ValueError: something else, or a row without numbers; the message has `accepted`.
    """
    try:
        found = [[float(word) for word in row.split()] for row in text.split(";")]
    except ValueError:
        raise refusal(key, text, accepted) from None
    if not all(row and all(0 <= number < math.inf for number in row) for row in found):
        raise refusal(key, text, accepted)
    return found
