"""Tables: tuning, names, rounding, and the widths of terminals."""

import io
import re

import pytest

from epx.report import compact, rounding, summary, symbols, tables


def cell(generator, observer="o", lr=0.1, bits=1.0, record="r", **more):
    numbers = dict(
        generator=generator, observer=observer, code="prequential", record=record,
        optim={"lr": lr, "b1": 0.9},
        MDL_bits=[100 * bits, None], test_tok=100.0, failed_at_step={},
    )  # fmt: skip
    return numbers | more


def test_tuning_stars_the_shortest_description():
    found = [cell("a", lr=0.1, bits=0.5), cell("b", lr=0.1, bits=0.75),
             cell("a", lr=0.2, bits=0.6), cell("b", lr=0.2, bits=0.5)]  # fmt: skip
    lines = tables.tuning(found).splitlines()
    assert "a / o: 0.1: 0.5000; 0.2: 0.6000" in lines
    assert lines[-1] == "r / o: 0.1: 1.2500; 0.2: 1.1000*"


def test_tuning_does_not_star_a_rate_that_failed_once():
    """Its sum would leave out what it could not learn."""
    found = [cell("a", lr=0.1, bits=0.5), cell("b", lr=0.1, bits=0.5),
             cell("a", lr=3.2, bits=0.9), cell("b", lr=3.2, missing="none left")]  # fmt: skip
    assert tables.tuning(found).splitlines()[-1] == "r / o: 0.1: 1.0000*; 3.2: failed"
    found[-1] = cell("b", lr=3.2, bits=0.0, failed_at_step={"1": 7})
    assert tables.tuning(found).splitlines()[-1] == "r / o: 0.1: 1.0000*; 3.2: failed"


def test_a_chosen_rate_at_the_end_of_those_tried_is_said():
    """Unless beyond it the observer fails, or no other was tried."""
    inside = [cell("a", lr=lr, bits=bits) for lr, bits in ((0.1, 2.0), (0.2, 1.0), (0.4, 2.0))]
    falling = [cell("b", lr=lr, bits=1 / lr) for lr in (0.1, 0.2, 0.4)]
    rising = [cell("c", lr=lr, bits=lr) for lr in (0.1, 0.2)]
    failing = [cell("d", lr=0.1), cell("d", lr=0.2, bits=0.5), cell("d", lr=0.4, missing="none")]
    assert tables.at_the_edge([*inside, *falling, *rising, *failing, cell("e")]) == [
        "b / o: 0.4 is the largest rate tried", "c / o: 0.1 is the smallest rate tried",
    ]  # fmt: skip


def test_observers_of_equal_name_get_longer_names():
    def observers(cells):
        return [c["observer"] for c in summary.disambiguate(cells)]

    assert observers([cell("a"), cell("b"), cell("b", "p")]) == ["o", "o", "p"]
    assert observers([cell("a", lr=0.1), cell("a", lr=0.2)]) == ["o, lr=0.1", "o, lr=0.2"]
    assert observers([cell("a"), cell("a", record="s")]) == ["o, r", "o, s"]
    mixed = [cell("a", lr=0.1), cell("a", lr=0.2), cell("a", lr=0.2, record="s")]
    assert observers(mixed) == ["o, lr=0.1", "o, lr=0.2, r", "o, lr=0.2, s"]


@pytest.mark.parametrize(
    "mean, half_width, text",
    [
        (0.72163, 0.0447, "0.72 ± 0.04"),
        (0.72163, 0.0123, "0.722 ± 0.012"),
        (-7714.2, 812.0, "-7700 ± 800"),
        (2345678.0, 1234.5, "(2.3457 ± 0.0012)e6"),
        (1.2e-7, 3.0e-6, "(0 ± 3)e-6"),
        (0.0625, 5e-9, "0.0625000 ± 0.0000000"),
        (1.0, 0.0, "1 ± 0"),
        (123456.0, None, "1.23e5"),
        (0.25, None, "0.25"),
    ],
)
def test_a_mean_has_the_digits_and_the_exponent_of_its_half_width(mean, half_width, text):
    assert rounding.rounded(mean, half_width) == text


def wide_cells():
    """Names and numbers like those of the demo, and longer."""
    names = ("automaton, rule 30", "a linear congruential generator modulo 2^31, bit 16", "sorted")
    observers = ("exact counter of order 8", "transformer, depth 2, width 32", "small")
    return [
        cell(
            name, observer, record="r", seeds=4, exact_flops=8.4e12,
            S_bits=[1234567.0, 1234.0], H_bits_per_tok=[0.98765, 0.00123],
            MDL_bits_per_tok=[1.0001234, 0.000123],
            notes=["a note about these numbers that is as long as a note can be"] * 2,
        )
        for name in names for observer in observers
    ]  # fmt: skip


@pytest.mark.parametrize("width", [80, 100, 120])
@pytest.mark.parametrize("codes", [1, 2])
def test_a_table_fits_its_terminal(width, codes):
    cells = wide_cells()
    cells[0]["code"] = "prequential" if codes == 1 else "requential"
    lines = compact.table(cells, width).split("\n")
    assert max(map(len, lines)) <= width
    text = " ".join(" ".join(lines).split())
    for word in ("automaton", "congruential", "sorted", "transformer", "bit/token", "8.4e12"):
        assert word in text
    assert text.count("e6") == 9, "every row has its numbers"


def test_one_number_for_each_generator_and_observer():
    cells = [cell("a", S_bits=[7.0, None]), cell("a", "p", S_bits=[12345.6, 78.9]),
             cell("b", "p", S_bits=[0.5, 0.1]), cell("b", missing="no evaluation")]  # fmt: skip
    lines = tables.generators_by_observers(cells, "S_bits").splitlines()
    rows = [re.split("  +", line.strip()) for line in lines]
    assert rows[0] == ["S_bits", "o", "p"]
    assert rows[2:] == [["a", "7", "12350 ± 80"], ["b", "0.50 ± 0.10"]]


def test_symbols_have_ascii_names_where_a_stream_cannot_show_them():
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    symbols.degrade(stream)
    stream.write("T 6ND+2N𝒟: 1 ± 0.1 × 2, é\n")
    stream.flush()
    assert raw.getvalue() == b"T 6ND+2ND: 1 +/- 0.1 x 2, ?\n"


def test_a_note_on_several_cells_is_given_once():
    cells = [
        {"generator": name, "observer": "o", "missing": "lost" if name < "c" else "late"}
        for name in "abc"
    ]
    assert tables.notes(cells) == ["a / o; b / o: lost", "c / o: late"]


def test_the_keys_of_a_code_are_shown_where_nothing_else_tells_cells_apart():
    numbers = {key: [1.0, 0.1] for key in ("S_bits", "H_bits_per_tok", "MDL_bits_per_tok")}
    numbers |= {"seeds": 4, "exact_flops": 1.0}
    cells = [cell("a", "slow", **numbers) | {"code": "blocks n=1"},
             cell("a", "fast", **numbers) | {"code": "blocks n=2"}]  # fmt: skip
    assert "n=1" not in compact.table(cells, 100)
    cells[1]["observer"] = "slow"
    assert "n=1" in compact.table(cells, 100) and "n=2" in compact.table(cells, 100)
