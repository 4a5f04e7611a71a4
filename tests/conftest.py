"""Four simulated devices and a cache of this test run's own."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

QUICK = "--xla_cpu_use_fusion_emitters=false"


def _is_known(flag: str) -> bool:
    """Whether this XLA has the flag; it aborts the process where it does not."""
    start = [sys.executable, "-c", "import jax; jax.devices()"]
    environment = os.environ | {"XLA_FLAGS": flag}
    return subprocess.run(start, env=environment, capture_output=True).returncode == 0


# Before JAX reads them. Compiling takes most of the time of the tests. XLA's optimiser, and its new
# way to write code for several operations at once, change roundings alone. Users compile as with
# JAX_DISABLE_MOST_OPTIMIZATIONS=0, as does the second part of the gate if there is a newer Python.
os.environ.setdefault("JAX_PLATFORMS", "cpu")
if os.environ.setdefault("JAX_DISABLE_MOST_OPTIMIZATIONS", "1") == "1":
    flags = os.environ.get("XLA_FLAGS", "")
    if QUICK not in flags and _is_known(QUICK):  # workers inherit it
        os.environ["XLA_FLAGS"] = f"{flags} {QUICK}".strip()

import jax  # noqa: E402
import pytest  # noqa: E402

jax.config.update("jax_num_cpu_devices", 4)

# Workers of one run, and the binaries they start, share compiled programs; runs do not.
RUN = os.environ.setdefault("EPX_TEST_RUN", str(os.getpid()))
CACHE = Path(tempfile.gettempdir()) / f"epx-tests-{RUN}"
os.environ["EPX_CACHE"] = str(CACHE)
jax.config.update("jax_compilation_cache_dir", str(CACHE / "xla"))
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)


def pytest_sessionfinish(session):
    if not hasattr(session.config, "workerinput"):
        shutil.rmtree(CACHE, ignore_errors=True)


@pytest.fixture(scope="module", autouse=True)
def _programs_end_with_their_module():
    """Thousands of compiled programs would take gigabytes, and slow Python's collector down."""
    yield
    jax.clear_caches()


@pytest.fixture
def tiny_config():
    """A working run of two seconds: a 3 x 3 torus, the simplest learner, two seeds."""
    return {
        "generator": {"name": "life", "height": 3, "width": 3, "burnin": 1},
        "observer": {"name": "tests.linear"},
        "code": {"name": "prequential"},
        "policy": {"name": "fixed"},
        "adapter": dict(rank=None, alpha=32.0, entries=None),
        "optim": dict(
            lr=0.03, warmup_steps=5, b1=0.9, b2=0.95, eps=1e-20, clip_norm=1.0, ema_steps=10
        ),
        "run": dict(
            seed=0, seeds=2, steps=40, batch=8, microbatch=None, chunk=10, parallel="jit",
            devices=2, dtype="float32", repeats=1, examples=None, turns=1, start=None,
            start_keeps="all", distributed=False,
            require_accelerator=False,
        ),
        "eval": dict(every=20, examples=32, test_tokens=None, rulers=False, against=None),
        "checkpoint": dict(every=10, keep=2),
    }  # fmt: skip
