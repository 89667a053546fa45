"""One process works in a folder; the dead are succeeded, the living respected."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from gansfp.errors import UserError
from gansfp.runtime.claims import CLAIM, STALE_SECONDS, Claim, claim_stands, process_start


def plant(folder: Path, **changes: object) -> None:
    holder = {
        "token": "other",
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "started": process_start(os.getpid()),
        "slurm_job_id": None,
    }
    (folder / CLAIM).write_text(json.dumps(holder | changes))


def test_a_claim_stands_for_its_block_and_leaves_nothing(tmp_path: Path) -> None:
    with Claim(tmp_path):
        stored = json.loads((tmp_path / CLAIM).read_text())
        assert stored["pid"] == os.getpid()
    assert list(tmp_path.iterdir()) == []


def test_a_living_process_is_respected_and_named(tmp_path: Path) -> None:
    plant(tmp_path)
    with pytest.raises(UserError, match=rf"process {os.getpid()} on .*is at work"), Claim(tmp_path):
        pass
    assert json.loads((tmp_path / CLAIM).read_text())["token"] == "other"


def test_a_dead_process_is_succeeded(tmp_path: Path) -> None:
    child = subprocess.run(
        [sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True
    )
    plant(tmp_path, pid=int(child.stdout), started="1")
    with Claim(tmp_path):
        assert json.loads((tmp_path / CLAIM).read_text())["token"] != "other"


def test_a_number_used_again_is_another_process(tmp_path: Path) -> None:
    plant(tmp_path, started="17")  # our own number, but not our start time
    with Claim(tmp_path):
        pass


def test_another_host_is_believed_while_its_heart_beats(tmp_path: Path) -> None:
    plant(tmp_path, host="elsewhere")
    with pytest.raises(UserError, match="elsewhere"), Claim(tmp_path):
        pass
    old = time.time() - STALE_SECONDS - 1
    os.utime(tmp_path / CLAIM, (old, old))
    with Claim(tmp_path):
        pass


def test_a_requeued_job_takes_its_own_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(tmp_path, host="elsewhere", slurm_job_id="4711")
    monkeypatch.setenv("SLURM_JOB_ID", "4711")
    with Claim(tmp_path):
        pass


def test_an_unreadable_claim_without_a_holder_ages(tmp_path: Path) -> None:
    (tmp_path / CLAIM).write_text("{")
    with pytest.raises(UserError), Claim(tmp_path):
        pass


def test_a_claim_taken_over_is_not_removed_by_the_former_holder(tmp_path: Path) -> None:
    with Claim(tmp_path):
        plant(tmp_path)
    assert json.loads((tmp_path / CLAIM).read_text())["token"] == "other"


@pytest.mark.parametrize("has_links", [True, False])
class TestWithAndWithoutHardLinks:
    @pytest.fixture(autouse=True)
    def _links(self, has_links: bool, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(*_: object) -> None:
            raise PermissionError(1, "Operation not permitted")

        if not has_links:
            monkeypatch.setattr(os, "link", refuse)

    def test_the_first_takes_and_the_second_is_refused(self, tmp_path: Path) -> None:
        with Claim(tmp_path):
            before = (tmp_path / CLAIM).read_text()
            with pytest.raises(UserError, match=rf"process {os.getpid()} "), Claim(tmp_path):
                pass
            assert (tmp_path / CLAIM).read_text() == before
        assert list(tmp_path.iterdir()) == []

    def test_a_dead_holder_is_succeeded(self, tmp_path: Path) -> None:
        plant(tmp_path, started="17")
        with Claim(tmp_path):
            assert json.loads((tmp_path / CLAIM).read_text())["token"] != "other"

    def test_of_many_at_once_one_gets_it(self, tmp_path: Path) -> None:
        start, release = threading.Barrier(8), threading.Event()
        got: list[bool] = []

        def work() -> None:
            start.wait()
            try:
                with Claim(tmp_path):
                    got.append(True)
                    release.wait(10)
            except UserError:
                got.append(False)

        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        while len(got) < 8:
            time.sleep(0.01)
        release.set()
        for thread in threads:
            thread.join()
        assert sum(got) == 1

    def test_a_claim_that_is_just_being_written_is_respected(self, tmp_path: Path) -> None:
        (tmp_path / CLAIM).touch()
        with pytest.raises(UserError, match="a process is at work"), Claim(tmp_path):
            pass


@pytest.mark.parametrize(
    ("said", "stands"),
    [("JobState=RUNNING Reason=None", True), ("JobState=CANCELLED Reason=None", False),
     ("JobState=PENDING Reason=BeginTime", False), ("", True)],
)  # fmt: skip
def test_slurm_is_asked_about_a_holder_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str, stands: bool
) -> None:
    plant(tmp_path, host="elsewhere", slurm_job_id="4711")
    monkeypatch.setattr("shutil.which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr(
        subprocess, "run", lambda words, **_: subprocess.CompletedProcess(words, 0, said, "")
    )
    assert claim_stands(tmp_path) is stands


def test_two_runs_of_one_allocation_respect_each_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(tmp_path, slurm_job_id="4711")  # alive, on this host, in the same SLURM job
    monkeypatch.setenv("SLURM_JOB_ID", "4711")
    with pytest.raises(UserError, match="is at work"), Claim(tmp_path):
        pass
