"""Observers of a config: those of this package are shared, those of users are made anew."""

import importlib
import os
import sys

import jax
import numpy as np
import pytest

import epx
from epx.run.config.observing import make_observer

OWN = """from epx.observers import transformer
def make(vocab, length):
    return transformer.make(vocab, length, depth=1, width={width})
"""
GENERATOR = epx.generator("iid", length=6)


def make(**keys):
    return make_observer(keys, GENERATOR, "float32")


def test_equal_ones_are_one_and_others_are_not():
    first = make(name="transformer", depth=1, width=8)
    assert make(name="transformer", depth=1, width=8) is first
    assert make(name="transformer", depth=1, width=16) is not first
    longer = epx.generator("iid", length=7)
    assert (
        make_observer({"name": "transformer", "depth": 1, "width": 8}, longer, "float32") != first
    )


def test_a_module_of_the_user_may_change(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    path, widths = tmp_path / "own_changing.py", []
    for width in (8, 16):
        path.write_text(OWN.format(width=width))
        os.utime(path, (width, width))  # compiled files of Python are as old as their source
        sys.modules.pop("own_changing", None)
        importlib.invalidate_caches()
        params = make(name="own_changing").init(jax.random.key(0))
        widths.append(params["embedding"].shape[-1])
    assert widths == [8, 16]


def test_numbers_of_numpy_are_numbers():
    made = make(name="transformer", depth=np.int64(1), width=np.int64(8))
    assert made.flops(6) == make(name="transformer", depth=1, width=8).flops(6)


def test_what_is_no_number_is_refused_by_name():
    with pytest.raises(ValueError, match=r"observer\.width=\[8\]"):
        make(name="transformer", width=[8])
