"""Estimates against a number of the config, in panels."""

import math

import matplotlib
import numpy as np
import pytest

from epx.analysis.measurement import Estimate
from epx.report.figures import lines, style

matplotlib.use("agg")


def test_panels_show_estimates_with_intervals_and_floors(tmp_path):
    series = {
        "a": [(3.0, Estimate(1.0, 0.2)), (1.0, Estimate(5.0, math.nan))],
        "b": [(1.0, Estimate(2.0, 0.1))],
    }
    floor = {"the floor": [(3.0, 0.5), (1.0, 0.5)]}
    shown = [
        lines.Panel("S", "h", "bit", series, floor),
        lines.Panel("H", "rate", "bit", {"b": series["b"]}, scale="log"),
    ]
    figure = lines.panels(shown, tmp_path / "figure.png")
    assert (tmp_path / "figure.png").read_bytes().startswith(b"\x89PNG")
    first, second = figure.axes
    assert second.get_xscale() == "log" and first.get_xscale() == "linear"
    drawn = {line.get_label(): line.get_xydata() for line in first.lines}
    np.testing.assert_allclose(drawn["the floor"], [[1, 0.5], [3, 0.5]])
    (marks,) = (bar for bar in first.containers if bar.get_label() == "a")
    np.testing.assert_allclose(marks[0].get_xydata(), [[1, 5], [3, 1]])
    named = lines.panels([lines.Panel("S", "rule", "bit", series, names=["x", "y", "z", "w"])])
    assert [text.get_text() for text in named.axes[0].get_xticklabels()] == ["x", "y", "z", "w"]
    assert named.axes[0].containers[0][0].get_linestyle() == "None"
    # A line keeps its colour in every panel.
    colors = [bar[0].get_color() for axis in figure.axes for bar in axis.containers
              if bar.get_label() == "b"]  # fmt: skip
    assert len(set(colors)) == 1


@pytest.mark.parametrize(
    ("ends", "labels"), [((2.8e9, 5e10), [3, 10, 30]), ((4.5e9, 8e9), [5, 6, 7, 8])]
)
def test_labels_on_a_short_axis_of_compute_are_few(ends, labels):
    series = {"a": [(x, Estimate(1.0, 0.2)) for x in ends]}
    figure = lines.panels([lines.Panel("S", "FLOP", "bit", series, scale="log")])
    figure.draw_without_rendering()
    low, high = figure.axes[0].get_xlim()
    ticks = [*figure.axes[0].xaxis.get_major_ticks(), *figure.axes[0].xaxis.get_minor_ticks()]
    labelled = [tick.get_loc() for tick in ticks if tick.label1.get_text()]
    shown = sorted(round(loc / 1e9) for loc in labelled if low <= loc <= high)
    assert shown == labels


def test_more_lines_than_colours_still_differ():
    looks = [tuple(map(str, (look["color"], look["linestyle"], look["marker"])))
             for look in map(style.line, range(20))]  # fmt: skip
    assert len(set(looks)) == 20
