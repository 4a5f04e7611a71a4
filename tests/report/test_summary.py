"""Cells: names, units, notes, and the columns that show them."""

import math

import numpy as np
import pytest

from epx.report import compact, summary, tables
from tests.records import finite_record, requential_record, write

LN2 = math.log(2)


def test_members_of_one_record_become_cells(tmp_path):
    members = [{"generator.rule": r, "run.seed": s} for r in (15, 54) for s in (0, 1)]
    nats = [[3, 2, 1], [3, 2, 2], [6, 2, 1], [6, 2, 2]]
    run = write(
        tmp_path, nats, np.full((4, 3), 10), np.ones((4, 2)), np.full((4, 2), 20),
        members=members, generator={"name": "eca", "rule": 0}, observer={"name": "counts"},
    )  # fmt: skip
    cells = summary.cells([run], "raw")
    assert [cell["generator"] for cell in cells] == ["eca rule=15", "eca rule=54"]
    assert [cell["seeds"] for cell in cells] == [2, 2]
    assert cells[1]["S_bits"][0] > cells[0]["S_bits"][0]
    assert "eca rule=54" in tables.table(cells)
    assert "tail:" in tables.sensitivity(cells)


def test_bits_per_byte_of_a_source(tmp_path):
    """Beside bits per token, in a column of their own where a generator has a source."""
    run = write(tmp_path, [[3, 2, 1], [3, 2, 2]], np.full((2, 3), 10), np.ones((2, 2)),
                np.full((2, 2), 20), generator={"name": "text"}, observer={})  # fmt: skip
    (plain,) = summary.cells([run], "raw")
    assert not [key for key in plain if key.endswith("_per_byte")]
    assert "bit/byte" not in tables.table([plain])
    run.config["facts"]["source_bytes_per_tok"] = 2.5
    (cell,) = summary.cells([run], "raw")
    for name in ("S", "H"):
        per_byte = np.array(cell[f"{name}_bits_per_byte"])
        np.testing.assert_allclose(per_byte, np.array(cell[f"{name}_bits_per_tok"]) / 2.5)
    table = tables.table([cell, plain]).splitlines()
    assert "H bit/byte" in table[0] and len(table) == 4
    run = write(
        tmp_path, [[3, 2, 1]], [[10, 10, 10]], [[1, 3]], [[20, 20]], generator={}, observer={}
    )
    run.config["facts"]["source_bytes_per_tok"] = 2.5
    assert summary.cells([run])[0]["H_bits_per_byte"][1] is None, "one seed, no interval"


def test_a_requential_cell_states_its_messages_and_missing_teacher_steps(tmp_path):
    (cell,) = summary.cells([requential_record(tmp_path)], "raw")
    assert cell["message_examples"] == 7 and cell["messages"] == 3
    assert cell["teacher_flops"] == 1800 + 1500 and cell["exact_flops"] == 900 + 45 * 2 / 40 * 100
    said = tables.table([cell])
    assert "3 messages of 7 examples" in said and "S_req decodable, bit" in said
    assert "its teachers took 2 to 2 of code.teacher_steps=3" in said


def test_the_description_length_of_repeated_data_is_of_the_first_pass(tmp_path):
    """S + H of repeated data is what the first pass was charged, whatever repeats were."""
    run = finite_record(tmp_path, [3, 2, 1, 0.5], [0, 0, 1, 1])
    (cell,) = summary.cells([run], "raw")
    np.testing.assert_allclose(cell["MDL_bits"][0], 5 / LN2)
    assert cell["test_tok"] == 20 and cell["S_bits"] == cell["EDL_bits"] != cell["S_preq_bits"]
    for name in ("EDL", "S_preq"):
        assert cell[f"{name}_bits"][0] == pytest.approx(20 * cell[f"{name}_bits_per_tok"][0])
    assert "S_preq charges repeats" in tables.table([cell])
    # EDL/n is of the first pass, whatever set is coded; its held-out error is known of one seed.
    (cell,) = summary.cells([run], "raw", test_tokens=1000)
    assert cell["EDL_bits_per_tok"][0] == pytest.approx(3 / LN2 / 20)
    assert cell["EDL_bits"][1] is None
    assert cell["EDL_held_out_error_bits"] == pytest.approx(20 * 0.05 / LN2)
    assert "EDL held-out error, bit" in tables.table([cell])


def test_the_coded_set_of_a_cell_is_that_of_its_entropy(tmp_path):
    run = write(tmp_path, [[3, 2], [3, 2]], [[10, 10], [20, 20]], [[2, 2], [2, 2]],
                np.full((2, 2), 20))  # fmt: skip
    (cell,) = summary.cells([run], "raw")
    assert cell["H_bits"][0] == pytest.approx(cell["H_bits_per_tok"][0] * cell["test_tok"])


def test_a_cell_is_a_function_of_the_numbers_alone(tmp_path):
    """Wall seconds of the rows change nothing."""
    cells = []
    for name, seconds in (("a", 1.0), ("b", 9.0)):
        run = write(tmp_path / name / "r", [[3, 2, 1]], [[10, 10, 10]], [[1, 3]], [[20, 20]])
        run.rows["seconds"] *= seconds
        cells += summary.cells([run])
    assert cells[0] == cells[1]


def test_an_extended_run_is_noted(tmp_path):
    run = write(tmp_path, [[3, 2, 1]], [[10, 10, 10]], [[1, 3]], [[20, 20]])
    run.env["extended"] = [1, 2]
    (cell,) = summary.cells([run])
    assert cell["notes"] == ["extended after 1 steps", "extended after 2 steps"]
    assert "extended after 2 steps" in compact.table([cell], 100)


def test_keys_that_belong_to_a_seed_do_not_tell_runs_apart(tmp_path):
    """A file for each seed, as the config says."""
    members = [{"run.seed": n, "generator.path": f"{n}.npz"} for n in range(2)]
    arguments = [[4, 2], [4, 2]], [[10, 10], [10, 10]], [[1, 3]] * 2, [[20, 20]] * 2
    apart = write(tmp_path / "a", *arguments, members=members)
    together = write(
        tmp_path / "b", *arguments, members=members, figure={"seeded": ["generator.path"]}
    )
    assert [run.members for run in summary.runs([apart])] == [[0], [1]]
    assert [run.members for run in summary.runs([together])] == [[0, 1]]
