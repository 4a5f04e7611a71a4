"""The doctor reports, and warns of a GPU that JAX does not use."""

import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import jax
import pytest

from experiments.cli import host
from tests.binaries import refused, run

ROOT = Path(__file__).parents[2]


def _doctor(tmp_path, *arguments, **environment):
    return subprocess.run(
        [sys.executable, "-m", "experiments.doctor", *arguments],
        cwd=ROOT,
        env={**os.environ, "JAX_PLATFORMS": "cpu", "EPX_CACHE": str(tmp_path / "c"), **environment},
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_doctor_prints_versions_and_corpora(tmp_path):
    done = _doctor(tmp_path, COLUMNS="300")
    assert done.returncode == 0, done.stderr
    report = dict(re.split("  +", line) for line in done.stdout.splitlines())
    assert report["jax"] == jax.__version__
    for name in ("python", "epx", "jaxlib", "flax", "optax", "orbax-checkpoint", "numpy"):
        assert report[name][0].isdigit(), name
    assert report["ml_collections"][0].isdigit()
    assert report["backend"] == "cpu"
    assert int(report["cores"]) >= 1
    assert report["free disk"].endswith("GB")
    assert "made when used" in report["corpus pydoc"]
    assert "to be prepared" in report["corpus gcide"] + report["corpus gnubook"]
    assert not (tmp_path / "c").exists()  # it looks and leaves no trace


def test_help(tmp_path):
    done = run("doctor", "--help")
    assert done.code == 0
    assert "versions, devices, caches" in done.out


@pytest.mark.parametrize("extra", ["config.lr=3", "--frobnicate"])
def test_leftover_arguments_are_refused(extra):
    refused(run("doctor", extra), extra.lstrip("-"))


def test_a_backend_that_does_not_start_is_reported(tmp_path):
    done = _doctor(tmp_path, JAX_PLATFORMS="no_such_platform")
    assert done.returncode == 1
    assert "JAX cannot start no_such_platform" in done.stdout
    assert "free disk" in done.stdout


@pytest.fixture
def machine(monkeypatch, tmp_path):
    """A machine without a driver, whose JAX runs on the CPU by its own choice."""
    monkeypatch.setattr(host, "_DRIVER_FILES", (str(tmp_path / "driver"),))
    monkeypatch.setattr(host, "shutil", SimpleNamespace(which=lambda name: None))
    fake = SimpleNamespace(
        default_backend=lambda: "cpu", config=SimpleNamespace(jax_platforms=None)
    )
    monkeypatch.setitem(sys.modules, "jax", fake)  # imported where it is used
    return fake


def test_no_gpu_no_warning(machine):
    assert host.unused_gpu() is None


def test_driver_file_warns(machine, tmp_path):
    (tmp_path / "driver").touch()
    assert 'pip install "epx-jax[cuda12]"' in host.unused_gpu()
    assert "\n" not in host.unused_gpu()


def test_driver_tool_warns(machine, monkeypatch):
    monkeypatch.setattr(host, "shutil", SimpleNamespace(which=lambda name: f"/bin/{name}"))
    assert "GPU is visible" in host.unused_gpu()


def test_used_gpu_is_quiet(machine, tmp_path):
    (tmp_path / "driver").touch()
    machine.default_backend = lambda: "gpu"
    assert host.unused_gpu() is None


def test_asked_for_cpu_has_another_remedy(machine, tmp_path):
    (tmp_path / "driver").touch()
    machine.config.jax_platforms = "cpu"
    assert "unset JAX_PLATFORMS" in host.unused_gpu()


@pytest.mark.parametrize(
    ("quota", "granted"), [("max 100000", 8), ("200000 100000", 2), ("1 9", 1)]
)
def test_a_container_may_grant_fewer_cores(monkeypatch, tmp_path, quota, granted):
    (tmp_path / "cpu.max").write_text(quota)
    monkeypatch.setattr(host, "_CPU_QUOTA", tmp_path / "cpu.max")
    monkeypatch.setattr(host.os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    assert host.granted_cores() == granted
