"""Estimates against a number of the config, in panels."""

import math

import matplotlib
import numpy as np

from epx.analysis.measurement import Estimate
from epx.report import lines

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
