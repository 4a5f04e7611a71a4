"""Tables: what is starred, and what tells rows apart."""

from epx.report import summary, tables


def cell(world, observer="o", lr=0.1, bits=1.0, record="r", **more):
    found = dict(
        world=world, observer=observer, optim={"lr": lr, "b1": 0.9}, record=record,
        MDL_bits=[100 * bits, None], test_tok=100.0, failed_at_step={},
    )  # fmt: skip
    return found | more


def test_the_shortest_sum_is_starred():
    found = [cell("a", lr=0.1, bits=0.5), cell("b", lr=0.1, bits=0.75),
             cell("a", lr=0.2, bits=0.6), cell("b", lr=0.2, bits=0.5)]  # fmt: skip
    lines = tables.tuning(found).splitlines()
    assert "a / o: 0.1: 0.5000; 0.2: 0.6000" in lines
    assert lines[-1] == "r / o: 0.1: 1.2500; 0.2: 1.1000*"


def test_a_rate_that_failed_in_one_world_is_not_starred():
    """Its sum would leave out what it could not learn."""
    found = [cell("a", lr=0.1, bits=0.5), cell("b", lr=0.1, bits=0.5),
             cell("a", lr=3.2, bits=0.9), cell("b", lr=3.2, missing="none left")]  # fmt: skip
    assert tables.tuning(found).splitlines()[-1] == "r / o: 0.1: 1.0000*; 3.2: failed"
    found[-1] = cell("b", lr=3.2, bits=0.0, failed_at_step={"1": 7})
    assert tables.tuning(found).splitlines()[-1] == "r / o: 0.1: 1.0000*; 3.2: failed"


def test_equal_rows_are_told_apart():
    def observers(found):
        return [one["observer"] for one in summary.told_apart(found)]

    assert observers([cell("a"), cell("b"), cell("b", "p")]) == ["o", "o", "p"]
    assert observers([cell("a", lr=0.1), cell("a", lr=0.2)]) == ["o, lr=0.1", "o, lr=0.2"]
    assert observers([cell("a"), cell("a", record="s")]) == ["o, r", "o, s"]
    mixed = [cell("a", lr=0.1), cell("a", lr=0.2), cell("a", lr=0.2, record="s")]
    assert observers(mixed) == ["o, lr=0.1", "o, lr=0.2, r", "o, lr=0.2, s"]
