"""The cores that this process may use, known without JAX."""

import os
from pathlib import Path

# Of a container: microseconds of CPU time granted in a period of so many.
_CPU_QUOTA = Path("/sys/fs/cgroup/cpu.max")


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
