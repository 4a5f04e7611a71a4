"""Numbers as text, to the digits that their interval supports."""

import math


def rounded(mean: float, half_width: float | None, tight: bool = False) -> str:
    """A mean and its half width with one exponent, to the digits of the half width.

    The half width has two significant digits if its first is 1, else one; the mean has at most six.
    Without a half width the mean has three. A `tight` text has no spaces and one digit of the half
    width.

    >>> rounded(12345.6, 78.9), rounded(0.72163, 0.0447), rounded(2345678.0, 1234.5)
    ('12350 ± 80', '0.72 ± 0.04', '(2.3457 ± 0.0012)e6')
    """
    if half_width is None or not math.isfinite(half_width):
        if mean != 0 and not 1e-3 <= abs(mean) < 1e5:
            return scientific(mean, 2)
        return f"{mean:.3g}" if abs(mean) < 1e3 else f"{mean:.0f}"
    sign = "±" if tight else " ± "
    if half_width == 0:
        return f"{mean:.4g}{sign}0"
    digits = _exponent(half_width)
    digits -= half_width / 10**digits < 1.95 and not tight
    decimal = -digits  # the last digit shown has the value 10**-decimal
    largest = max(abs(mean), half_width)
    exponent = _exponent(largest)
    decimal = min(decimal, 5 - exponent)
    if -4 < exponent < 5:
        places = max(decimal, 0)
        mean, half_width = round(mean, decimal) + 0.0, round(half_width, decimal)  # -0 becomes 0
        return f"{mean:.{places}f}{sign}{half_width:.{places}f}"
    places = max(decimal + exponent, 0)
    scale = 10.0**exponent
    return f"({mean / scale:.{places}f}{sign}{half_width / scale:.{places}f})e{exponent}"


def _exponent(value: float) -> int:
    return math.floor(math.log10(abs(value)))


def scientific(value: float, places: int) -> str:
    """A number with an exponent, as short as it can be.

    >>> scientific(12345.6, 1)
    '1.2e4'
    """
    mantissa, exponent = f"{value:.{places}e}".split("e")
    return f"{mantissa}e{int(exponent)}"
