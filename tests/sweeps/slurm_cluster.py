"""A SLURM cluster of one node on this machine: munged, slurmctld and slurmd in one folder.

It needs root and Debian's packages `slurm-wlm` and `munge`. Jobs of the partition `high` preempt
those of `low`, which are then queued again.
"""

import contextlib
import os
import shutil
import socket
import subprocess
import time
from pathlib import Path

NEEDED = ("munged", "slurmctld", "slurmd", "sbatch")
CONFIG = """
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
JobRequeue=1
SchedulerParameters=sched_interval=2,bf_interval=2
KillWait=5
ReturnToService=2
NodeName=node1 NodeHostname={host} NodeAddr=127.0.0.1 CPUs=2 State=UNKNOWN
PartitionName=low Nodes=node1 Default=YES PriorityTier=1 MaxTime=INFINITE State=UP
PartitionName=high Nodes=node1 PriorityTier=10 MaxTime=INFINITE State=UP
"""


def missing() -> str:
    """What this machine lacks, or nothing."""
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        return "a cluster is started by root"
    return ", ".join(name for name in NEEDED if shutil.which(name) is None)


@contextlib.contextmanager
def started(folder: Path):
    """Start the cluster below a folder; yield the environment in which `sbatch` finds it."""
    for name in ("state", "spool"):
        (folder / name).mkdir(parents=True)
    with contextlib.ExitStack() as free:
        sockets = [free.enter_context(socket.socket()) for _ in range(2)]
        for found in sockets:
            found.bind(("127.0.0.1", 0))
        ports = [found.getsockname()[1] for found in sockets]
    config = folder / "slurm.conf"
    config.write_text(CONFIG.format(host=socket.gethostname(), folder=folder, ports=ports))
    key = folder / "munge.key"
    key.write_bytes(os.urandom(128))
    key.chmod(0o600)
    environment = os.environ | {"SLURM_CONF": str(config)}
    daemons = [
        ["munged", "--foreground", "--force", f"--socket={folder}/munge.socket",
         f"--key-file={key}", f"--pid-file={folder}/munge.pid", f"--log-file={folder}/munge.log",
         f"--seed-file={folder}/munge.seed"],
        ["slurmctld", "-D", "-f", str(config)],
        # Its jobs have one core each, so that they compute the same bits as one process on a core.
        ["taskset", "-c", "0", "slurmd", "-D", "-f", str(config), "-N", "node1"],
    ]  # fmt: skip
    running = []
    try:
        for command in daemons:
            running.append(
                subprocess.Popen(
                    command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
                )
            )
            time.sleep(2)
        _wait(environment, folder)
        yield environment
    finally:
        for daemon in reversed(running):
            daemon.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                daemon.wait(timeout=20)
            daemon.kill()


def _wait(environment: dict[str, str], folder: Path) -> None:
    for _ in range(60):
        done = subprocess.run(["sinfo", "-h", "-o", "%T"], env=environment, capture_output=True)
        if b"idle" in done.stdout:
            return
        time.sleep(1)
    logs = "\n".join(p.read_text()[-2000:] for p in folder.glob("*.log"))
    raise RuntimeError(f"the cluster did not start: {done.stdout}{done.stderr}\n{logs}")
