"""A real SLURM of one node for the tests: `python tests/slurm/cluster.py start FOLDER`.

Needs root on Debian or Ubuntu; systemd is not used. All state lies below FOLDER, daemons listen on
this machine alone, and `stop FOLDER` ends them by their process ids. The node keeps no accounting,
as on many small clusters, so `sacct` does not work.

    eval "$(python tests/slurm/cluster.py start /tmp/slurm)"     # sets SLURM_CONF
    gansfp probe -m hydra/launcher=slurm seed=0,1,2
    python tests/slurm/cluster.py stop /tmp/slurm
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

PACKAGES = ("slurmctld", "slurmd", "slurm-client", "munge")
CORES = 2
MEMORY = 6000  # MB that jobs may ask for in all
FIRST_PORT = 23817

CONFIG = """\
ClusterName=gansfptest
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={port}
SlurmdPort={slurmd_port}
SrunPortRange={first_srun}-{last_srun}
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
SlurmUser=root
SlurmdUser=root
StateSaveLocation={root}/state
SlurmdSpoolDir={root}/spool
SlurmctldPidFile={root}/slurmctld.pid
SlurmdPidFile={root}/slurmd.pid
SlurmctldLogFile={root}/slurmctld.log
SlurmdLogFile={root}/slurmd.log

# A requeued job waits until the credential of its former start has expired: 120 s by default.
AuthType=auth/munge
AuthInfo=cred_expire=5,socket={root}/munge.socket

# No cgroups: they would need systemd. Memory is watched by looking at it every second.
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=1
JobAcctGatherParams=OverMemoryKill
AccountingStorageType=accounting_storage/none

SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
DefMemPerCPU=1500
SchedulerType=sched/backfill
SchedulerParameters=batch_sched_delay=0,bf_interval=1,sched_interval=2,sched_min_interval=0
KillWait=15
MinJobAge=600
ReturnToService=2

# Jobs of "high" take the place of jobs of "low", which go back into the queue.
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
SlurmctldParameters=preempt_send_user_signal

NodeName={host} NodeAddr=127.0.0.1 CPUs={cores} CoresPerSocket={cores} RealMemory={memory}
PartitionName=debug Nodes={host} Default=YES PriorityTier=5 PreemptMode=OFF MaxTime=720
PartitionName=low Nodes={host} PriorityTier=1 PreemptMode=REQUEUE GraceTime=10
PartitionName=high Nodes={host} PriorityTier=9 PreemptMode=OFF
"""


def why_not() -> str | None:
    """Say why this machine cannot run a SLURM; None where it can."""
    if os.geteuid() != 0:
        return "a SLURM is installed and started by root alone"
    if not tools_present() and shutil.which("apt-get") is None:
        return "SLURM is not installed, and apt-get is not here to do it"
    return None


def tools_present() -> bool:
    """Tell whether SLURM is installed."""
    return all(shutil.which(name) for name in ("slurmctld", "slurmd", "sbatch", "munged"))


def install() -> None:
    """Install SLURM with apt, unless it is there."""
    if tools_present():
        return
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    for words in (["update"], ["install", "--yes", "--no-install-recommends", *PACKAGES]):
        subprocess.run(["apt-get", "-qq", *words], env=environment, check=True,
                       stdout=sys.stderr)  # fmt: skip


class Cluster:
    """The daemons below a folder.

    Args:
        root: The folder; its path must be short, since it holds a socket.
    """

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()
        self.config = self.root / "slurm.conf"

    def start(self) -> None:
        """Start the daemons, and wait until the node takes jobs."""
        for name in ("state", "spool", "munge"):
            (self.root / name).mkdir(parents=True, exist_ok=True)
        self._write_config()
        os.environ["SLURM_CONF"] = str(self.config)
        munge = self.root / "munge"
        munge.chmod(0o700)
        key = munge / "key"
        key.write_bytes(secrets.token_bytes(1024))
        key.chmod(0o600)
        socket_path = str(self.root / "munge.socket")
        self._launch("munged", "--foreground", "--force", f"--key-file={key}",
                     f"--socket={socket_path}", f"--pid-file={munge}/pid",
                     f"--seed-file={munge}/seed", f"--log-file={munge}/log")  # fmt: skip
        self._wait("munged", lambda: _works("munge", "-n", "-S", socket_path))
        self._launch("slurmctld", "-D", "-f", str(self.config))
        self._wait("slurmctld", lambda: _works("scontrol", "ping"))
        self._launch("slurmd", "-D", "-f", str(self.config), "-N", _host())
        self._wait("slurmd", lambda: _said("sinfo", "-h", "-o", "%T") in ("idle", "mixed"))

    def stop(self) -> None:
        """End all jobs, then the daemons, in the order opposite to their start."""
        os.environ["SLURM_CONF"] = str(self.config)
        if _works("scontrol", "ping"):
            _works("scancel", "--user=root")
            end = time.monotonic() + 15
            while _said("squeue", "-h", "-t", "R,CG,S") and time.monotonic() < end:
                time.sleep(0.2)
        pids = self.root / "pids"
        lines = pids.read_text().split("\n")[:-1] if pids.exists() else []
        for line in reversed(lines):
            name, _, number = line.partition(" ")
            _end(name, int(number))
        pids.unlink(missing_ok=True)

    def _write_config(self) -> None:
        self.config.write_text(
            CONFIG.format(
                root=self.root, host=_host(), port=FIRST_PORT, slurmd_port=FIRST_PORT + 1,
                first_srun=FIRST_PORT + 10, last_srun=FIRST_PORT + 89, cores=CORES, memory=MEMORY,
            )
        )  # fmt: skip

    def _launch(self, name: str, *words: str) -> None:
        with (self.root / f"{name}.out").open("ab") as out:
            child = subprocess.Popen([name, *words], stdin=subprocess.DEVNULL, stdout=out,
                                     stderr=out, start_new_session=True)  # fmt: skip
        with (self.root / "pids").open("a") as pids:
            pids.write(f"{name} {child.pid}\n")

    def _wait(self, name: str, ready: Callable[[], bool], seconds: float = 30) -> None:
        end = time.monotonic() + seconds
        while not ready():
            if time.monotonic() > end:
                tail = (self.root / f"{name}.out").read_text()[-2000:]
                self.stop()
                raise RuntimeError(f"{name} did not come up; it said:\n{tail}")
            time.sleep(0.1)


def _host() -> str:
    return socket.gethostname().split(".")[0]


def _works(*words: str) -> bool:
    return subprocess.run(words, capture_output=True, timeout=20).returncode == 0


def _said(*words: str) -> str:
    done = subprocess.run(words, capture_output=True, text=True, timeout=20)
    return done.stdout.strip()


def _end(name: str, pid: int) -> None:
    """End a process, if the number still belongs to that program."""
    comm = Path(f"/proc/{pid}/comm")
    for signum, patience in ((signal.SIGTERM, 10.0), (signal.SIGKILL, 5.0)):
        end = time.monotonic() + patience
        while time.monotonic() < end:
            if not comm.exists() or comm.read_text().strip() != name or _is_zombie(pid):
                return
            if signum is not None:
                os.kill(pid, signum)
                signum = None
            time.sleep(0.1)


def _is_zombie(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def main() -> None:
    """Start or stop from a shell."""
    word, folder = (*sys.argv[1:], "", "")[:2]
    if word not in ("start", "stop") or not folder:
        sys.exit(f"usage: {sys.argv[0]} start|stop FOLDER")
    reason = why_not()
    if reason:
        sys.exit(f"no test SLURM: {reason}")
    cluster = Cluster(Path(folder))
    if word == "stop":
        cluster.stop()
        return
    install()
    cluster.start()
    print(f"export SLURM_CONF={cluster.config}")


if __name__ == "__main__":
    main()
