"""The host machine: its cores, processor and GPU, and the start of JAX."""

import hashlib
import os
import platform
import shutil
from pathlib import Path
from typing import NamedTuple

from epx.data import cache
from experiments.cli import ray_train

# Limit of a container: microseconds of CPU time granted, and the period in microseconds.
_CPU_QUOTA = Path("/sys/fs/cgroup/cpu.max")
_CPU_INFO = Path("/proc/cpuinfo")
# Any of these files, or nvidia-smi on the PATH, means that an NVIDIA driver is installed.
_DRIVER_FILES = ("/proc/driver/nvidia/version", "/dev/nvidia0")


START_SECONDS = 120  # until all processes of a run are there
LOST_SECONDS = 30  # after which a silent process is taken for gone


class HostError(Exception):
    """JAX cannot start the selected platform; the message is for the user."""


def granted_cores() -> int:
    """The number of cores granted to this process by the scheduler and the container."""
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
    """A digest of the processor's instruction sets, which determine XLA's code and rounding.

    On systems other than Linux the name of the processor.
    """
    if not _CPU_INFO.exists():
        return platform.processor()
    lines = _CPU_INFO.read_text().splitlines()
    kinds = {line for line in lines if line.startswith(("flags", "Features"))}
    return hashlib.sha256("\n".join(sorted(kinds)).encode()).hexdigest()


class Process(NamedTuple):
    """One of several processes of a run; None where SLURM or Ray Train say it.

    Attributes:
      coordinator: `machine:port` of the first process.
      count: of the processes.
      number: of this one, from 0.
    """

    coordinator: str | None = None
    count: int | None = None
    number: int | None = None


def prepare(process: Process | None = None) -> None:
    """Configure JAX and start its backend.

    One single-threaded host device per core, because XLA hardly uses threads for element-wise work,
    and a cache of compiled programs.

    Args:
      process: which one this is of several; None: there is no other.

    Raises:
      HostError: the selected platform is not available, or the other processes are not there.
    """
    import jax

    from experiments.cli import programs

    if "xla_force_host_platform_device_count" not in os.environ.get("XLA_FLAGS", ""):
        jax.config.update("jax_num_cpu_devices", granted_cores())
    # The user's choice of a folder takes precedence.
    programs.use(Path(jax.config.jax_compilation_cache_dir or compile_cache()))
    if process:
        _join(process)
    try:
        jax.devices()
    except (RuntimeError, AssertionError) as error:  # JAX 0.10 asserts where a plugin is missing
        platforms = jax.config.jax_platforms or "a backend"
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise HostError(
            f"JAX cannot start {platforms} ({reason}); install it, such as pip install "
            "'epx-jax[cuda12]' for an NVIDIA GPU, or set JAX_PLATFORMS=cpu"
        ) from error


def _join(process: Process) -> None:
    import jax

    if jax.distributed.is_initialized():  # by Ray Train's trainer for JAX, on GPUs
        return
    if process == Process() and (found := ray_train.place()):
        process = Process(*found)
    try:
        jax.distributed.initialize(
            *process, initialization_timeout=START_SECONDS, heartbeat_timeout_seconds=LOST_SECONDS
        )
    except (RuntimeError, ValueError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise HostError(
            f"the processes of run.distributed did not find each other ({reason}); give "
            "--coordinator=MACHINE:PORT, --processes and --process, which SLURM and Ray Train know "
            "by themselves"
        ) from error


def compile_cache() -> Path:
    """The folder of compiled programs."""
    return cache.folder() / "programs"


def unused_gpu() -> str | None:
    """A warning with a remedy if an NVIDIA driver is installed but JAX runs on the CPU."""
    import jax

    visible = shutil.which("nvidia-smi") or any(Path(file).exists() for file in _DRIVER_FILES)
    if not visible or jax.default_backend() != "cpu":
        return None
    if jax.config.jax_platforms == "cpu":
        remedy = "unset JAX_PLATFORMS, which selects the CPU"
    else:
        remedy = 'pip install "epx-jax[cuda12]"'
    return f"WARNING: an NVIDIA GPU is visible but JAX runs on the CPU; to use it: {remedy}"
