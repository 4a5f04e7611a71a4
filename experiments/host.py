"""The machine a binary runs on, seen before and around JAX: what it has and what JAX uses of it."""

import shutil
from pathlib import Path

import jax

# Any of these, or nvidia-smi on the path, says that an NVIDIA driver is installed.
_DRIVER_FILES = ("/proc/driver/nvidia/version", "/dev/nvidia0")


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
