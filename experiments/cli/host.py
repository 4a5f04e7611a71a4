"""The machine that a binary runs on: its cores, and what JAX uses of them."""

import hashlib
import os
import platform
import shutil
from pathlib import Path

from epx.data import cache

# Of a container: microseconds of CPU time granted in a period of this many.
_CPU_QUOTA = Path("/sys/fs/cgroup/cpu.max")
_CPU_INFO = Path("/proc/cpuinfo")
# Any of these, or nvidia-smi on the path, says that an NVIDIA driver is installed.
_DRIVER_FILES = ("/proc/driver/nvidia/version", "/dev/nvidia0")


class HostError(Exception):
    """JAX cannot run here as asked; the message is for the user."""


def granted_cores() -> int:
    """Cores that this process may use: a scheduler or container may grant fewer than there are."""
    if hasattr(os, "sched_getaffinity"):  # Linux only
        cores = len(os.sched_getaffinity(0))
    else:
        cores = os.cpu_count() or 1
    if _CPU_QUOTA.exists():
        quota, period = _CPU_QUOTA.read_text().split()
        if quota != "max":
            cores = min(cores, max(1, int(quota) // int(period)))
    return cores


def instructions() -> str:
    """What distinguishes processors that round differently: a digest of their instructions, which
    choose the code that XLA writes; elsewhere than on Linux the processor's name."""
    if not _CPU_INFO.exists():
        return platform.processor()
    lines = _CPU_INFO.read_text().splitlines()
    kinds = {line for line in lines if line.startswith(("flags", "Features"))}
    return hashlib.sha256("\n".join(sorted(kinds)).encode()).hexdigest()


def prepare() -> None:
    """Settles what must stand before JAX starts a backend, and starts it.

    One host device per core, each single threaded (XLA hardly threads element-wise work), and a
    cache of compiled programs.

    Raises:
      HostError: the platform that is asked for is not there.
    """
    import jax

    if "xla_force_host_platform_device_count" not in os.environ.get("XLA_FLAGS", ""):
        jax.config.update("jax_num_cpu_devices", granted_cores())
    if not jax.config.jax_compilation_cache_dir:  # one that the user chose is left as it is
        from experiments.cli import programs

        programs.use(compile_cache())
    try:
        jax.devices()
    except (RuntimeError, AssertionError) as error:  # JAX 0.10 asserts where a plugin is missing
        asked = jax.config.jax_platforms or "a backend"
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise HostError(
            f"JAX cannot start {asked} ({reason}); install it, such as pip install "
            "'epx-jax[cuda12]' for an NVIDIA GPU, or set JAX_PLATFORMS=cpu"
        ) from error


def compile_cache() -> Path:
    """Where compiled programs are kept between runs."""
    return cache.folder() / "programs"


def unused_gpu() -> str | None:
    """One line with a remedy where an NVIDIA driver is visible while JAX runs on the CPU."""
    import jax

    visible = shutil.which("nvidia-smi") or any(Path(file).exists() for file in _DRIVER_FILES)
    if not visible or jax.default_backend() != "cpu":
        return None
    if jax.config.jax_platforms == "cpu":
        remedy = "unset JAX_PLATFORMS, which asks for the CPU"
    else:
        remedy = 'pip install "epx-jax[cuda12]"'
    return f"WARNING: an NVIDIA GPU is visible but JAX runs on the CPU; to use it: {remedy}"
