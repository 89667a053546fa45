"""What SLURM says of partitions and jobs, asked through its own commands.

Accounting (`sacct`) is not needed: many small clusters keep none. Where it is there it tells how an
old job ended.
"""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass

from gansfp.errors import UserError, suggest

TOOLS = ("sbatch", "srun", "squeue", "scontrol", "sinfo")
SHELL_SIGNAL = 128  # a shell's exit status after a signal is this much more
SECONDS = 60.0  # that a command of SLURM's may take

# Reasons for waiting that waiting does not cure.
NEVER = re.compile(
    r"^(PartitionTimeLimit|PartitionNodeLimit|PartitionConfig|BadConstraints|InvalidAccount"
    r"|InvalidQOS|JobArrayTaskLimitInvalid|(QOS|Assoc)Max\w*Per(Job|Node)\w*"
    r"|launch_failed_requeued_held|launch failed requeued held|AccountNotAllowed|QOSNotAllowed"
    r"|AssocNotAllowed|DependencyNeverSatisfied)"
)

# Words of sbatch's refusals, and the key that each is about.
ABOUT = (
    ("partition", "partition"), ("account", "account"), ("qos", "qos"), ("feature", "constraint"),
    ("constraint", "constraint"), ("gres", "gres"), ("time limit", "time"), ("memory", "memory"),
)  # fmt: skip


@dataclass(frozen=True)
class Waiting:
    """A job that SLURM still knows as not ended.

    Attributes:
        state: PENDING, RUNNING, COMPLETING, ...
        reason: Why it waits.
    """

    state: str
    reason: str


@dataclass(frozen=True)
class End:
    """How a job ended.

    Attributes:
        state: FAILED, CANCELLED, OUT_OF_MEMORY, TIMEOUT, PREEMPTED, NODE_FAIL, ... or UNKNOWN.
        words: The same for people.
    """

    state: str
    words: str


def require_tools() -> None:
    """Refuse a machine that submits no jobs.

    Raises:
        UserError: SLURM's commands are missing, or its controller does not answer.
    """
    missing = [name for name in TOOLS if shutil.which(name) is None]
    if missing:
        raise UserError(
            f"hydra/launcher=slurm: no {', '.join(missing)} on this machine; log in to the "
            "cluster's login node, or take hydra/launcher=local"
        )
    done = _ask("sinfo", "-h", "-o", "%R")
    if done.returncode:
        raise UserError(f"hydra/launcher=slurm: SLURM does not answer: {_last_line(done)}")


def check_partition(name: str | None, minutes: int) -> None:
    """Refuse a partition that is not there, or that never runs a job so long.

    Args:
        name: Partitions, separated by commas; None: the cluster's default.
        minutes: The time limit that is asked for.

    Raises:
        UserError: Names the partitions that there are.
    """
    rows = [line.split("|") for line in _ask("sinfo", "-h", "-o", "%P|%l").stdout.splitlines()]
    limits = {row[0].rstrip("*"): row[1] for row in rows}
    default = next((row[0].rstrip("*") for row in rows if row[0].endswith("*")), None)
    wanted = name.split(",") if name else [default] if default else []
    if not wanted:
        raise UserError(
            "hydra.launcher.partition is not set, and the cluster has no default: choose one of "
            f"{', '.join(limits)}"
        )
    for one in wanted:
        if one not in limits:
            raise UserError(
                f"hydra.launcher.partition={one}: no such partition{suggest(one, limits)} "
                f"({', '.join(limits)})"
            )
    longest = max((minutes_of(limits[one]) or float("inf")) for one in wanted)
    if minutes > longest:
        raise UserError(
            f"hydra.launcher.time={minutes}: {', '.join(wanted)} runs jobs for at most {longest:g} "
            "minutes; a run that needs longer is stopped, queued again and goes on by itself"
        )


def minutes_of(text: str) -> int | None:
    """Read a time limit as SLURM writes it ("2-00:00:00", "1:00:00", "infinite") in minutes.

    Raises:
        UserError: It is no time.
    """
    if text.lower() in ("infinite", "unlimited", "n/a"):
        return None
    found = re.fullmatch(r"(?:(\d+)-)?(\d+)(?::(\d+))?(?::(\d+))?", text)
    if found is None:
        raise UserError(f"hydra.launcher.time={text}: write minutes, or days-hours:minutes:seconds")
    days, *parts = (int(part) if part else None for part in found.groups())
    first, second, third = parts
    if days is not None or third is not None:  # hours come first
        return (days or 0) * 1440 + (first or 0) * 60 + (second or 0) + bool(third)
    return (first or 0) + bool(second)  # minutes, and perhaps seconds


def check_request(flags: Sequence[str], values: dict[str, object]) -> None:
    """Let SLURM say whether a job could ever run.

    Args:
        flags: Of sbatch.
        values: What the user set, by key of the launcher, to name the one at fault.

    Raises:
        UserError: It never could.
    """
    done = _ask("sbatch", "--test-only", *flags, "--wrap", "true")
    if done.returncode == 0:
        return
    said = re.sub(r"^(sbatch: error: |allocation failure: )", "", _last_line(done))
    about = next((key for word, key in ABOUT if word in done.stderr.lower()), None)
    key = about if about is not None and values.get(about) is not None else None
    asked = f"hydra.launcher.{key}={values[key]}" if key else f"sbatch {' '.join(flags)}"
    raise UserError(f"{asked}: SLURM could never run such a job: {said}")


def largest_array() -> int:
    """Read how many jobs an array may have."""
    found = re.search(r"^MaxArraySize\s*=\s*(\d+)", _ask("scontrol", "show", "config").stdout, re.M)
    return int(found.group(1)) - 1 if found else 1000


def waiting_jobs() -> dict[str, Waiting] | None:
    """List this user's jobs that have not ended, by id (`12_3` for a job of an array).

    Returns:
        None where SLURM does not answer.
    """
    done = _ask("squeue", "-h", "-r", "--me", "-o", "%i|%T|%r")
    if done.returncode:
        return None
    rows = (line.split("|", maxsplit=2) for line in done.stdout.splitlines() if line)
    return {job: Waiting(state, reason) for job, state, reason in rows}


def how_it_ended(job: str) -> End:
    """Ask how a job ended: the controller knows for some minutes, the accounting for ever."""
    shown = _ask("scontrol", "show", "job", "-o", job).stdout
    found = re.search(r"JobState=(\S+) Reason=(\S+).*?ExitCode=(\d+):(\d+)", shown)
    if found:
        state, reason, status, signum = found.groups()
        return End(state, _in_words(state, reason, status, signum))
    if shutil.which("sacct"):
        rows = _ask("sacct", "-n", "-X", "-P", "-o", "State,ExitCode", "-j", job).stdout.split("\n")
        found = re.match(r"(\w+)[^|]*\|(\d+):(\d+)", rows[0])
        if found:
            state, status, signum = found.groups()
            return End(state, _in_words(state, "None", status, signum))
    return End("UNKNOWN", "SLURM has forgotten it, and keeps no accounting")


def cancel(jobs: Sequence[str]) -> None:
    """Take jobs out of the queue."""
    _ask("scancel", *jobs)


def requeue(job: str) -> bool:
    """Put an ended job back into the queue; tells whether SLURM did."""
    return _ask("scontrol", "requeue", job).returncode == 0


def _in_words(state: str, reason: str, status: str, signum: str) -> str:
    words = state
    if reason not in ("None", "(null)", state, "NonZeroExitCode"):
        words += f", {reason}"
    number = int(signum) or max(0, int(status) - SHELL_SIGNAL)
    if number == signal.SIGKILL and state == "FAILED":
        words += ", SIGKILL; out of memory?"
    elif number and number in signal.valid_signals():
        words += f", {signal.Signals(number).name}"
    elif status != "0":
        words += f", exit status {status}"
    return words


def _ask(*words: str) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(words, capture_output=True, text=True, timeout=SECONDS)
    except (OSError, subprocess.TimeoutExpired) as error:
        return subprocess.CompletedProcess(words, 1, "", str(error))


def _last_line(done: subprocess.CompletedProcess[str]) -> str:
    lines = (done.stderr or done.stdout).strip().splitlines()
    return lines[-1] if lines else f"exit status {done.returncode}"
