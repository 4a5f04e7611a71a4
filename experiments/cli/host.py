"""The machine a binary runs on, seen before and around JAX: what it has and what JAX uses of it."""

import os
import shutil
from pathlib import Path

import jax

from epx.data import cache as caches
from experiments.cli import cores

# Any of these, or nvidia-smi on the path, says that an NVIDIA driver is installed.
_DRIVER_FILES = ("/proc/driver/nvidia/version", "/dev/nvidia0")


def prepare() -> None:
    """Settles what must stand before JAX starts a backend: one host device per core, each single
    threaded (XLA hardly threads element-wise work), and the compile cache of the user."""
    if "xla_force_host_platform_device_count" not in os.environ.get("XLA_FLAGS", ""):
        jax.config.update("jax_num_cpu_devices", cores.granted())
    if not jax.config.jax_compilation_cache_dir:
        jax.config.update("jax_compilation_cache_dir", str(compile_cache()))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", 0)


def compile_cache() -> Path:
    """Where compiled programs are kept between runs."""
    return caches.folder() / "xla"


def unused_gpu() -> str | None:
    """One line with a remedy where an NVIDIA driver is visible while JAX runs on the CPU."""
    visible = shutil.which("nvidia-smi") or any(Path(file).exists() for file in _DRIVER_FILES)
    if not visible or jax.default_backend() != "cpu":
        return None
    if jax.config.jax_platforms == "cpu":
        remedy = "unset JAX_PLATFORMS, which asks for the CPU"
    else:
        remedy = 'pip install "epx-jax[cuda12]"'
    return f"WARNING: an NVIDIA GPU is visible but JAX runs on the CPU; to use it: {remedy}"
