"""The cores that this process may use, known without JAX."""

import hashlib
import os
import platform
from pathlib import Path

# Of a container: microseconds of CPU time granted in a period of so many.
_CPU_QUOTA = Path("/sys/fs/cgroup/cpu.max")
_CPU_INFO = Path("/proc/cpuinfo")


def granted() -> int:
    """How many: a scheduler or container may grant fewer than there are."""
    if hasattr(os, "sched_getaffinity"):  # Linux only
        found = len(os.sched_getaffinity(0))
    else:
        found = os.cpu_count() or 1
    if _CPU_QUOTA.exists():
        quota, period = _CPU_QUOTA.read_text().split()
        if quota != "max":
            found = min(found, max(1, int(quota) // int(period)))
    return found


def instructions() -> str:
    """What tells processors apart that round differently: a digest of the instructions that they
    have, which choose the code that XLA writes; elsewhere than on Linux the processor's name."""
    if not _CPU_INFO.exists():
        return platform.processor()
    lines = _CPU_INFO.read_text().splitlines()
    kinds = {line for line in lines if line.startswith(("flags", "Features"))}
    return hashlib.sha256("\n".join(sorted(kinds)).encode()).hexdigest()
