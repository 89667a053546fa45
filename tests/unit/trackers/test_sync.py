"""`make sync` against a server that takes notes: nothing here reaches a network."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from gansfp.trackers.wandb import WandbTracker

ROOT = Path(__file__).parents[3]


class Server(ThreadingHTTPServer):
    """Answers as much of the protocol of Weights & Biases as `wandb sync` asks for."""

    heard: list[tuple[str, dict[str, Any]]]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def endings(self) -> list[tuple[str, dict[str, Any]]]:
        """What each part of a run was said to end with, by run id."""
        found = []
        for path, body in self.heard:
            stream = re.fullmatch(r"/files/[^/]+/gansfp/([^/]+)/file_stream", path)
            said = {k: body[k] for k in ("preempting", "exitcode") if k in body}
            if stream and said:
                found.append((stream.group(1), said))
        return found


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_POST(self) -> None:
        text = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        try:
            body = json.loads(text)
        except ValueError:
            body = {}
        self.server.heard.append((self.path, body))
        answer = json.dumps({"data": self._data(body)}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    do_GET = do_PUT = do_POST

    def _data(self, body: dict[str, Any]) -> dict[str, Any]:
        query, given = str(body.get("query")), body.get("variables") or {}
        entity = {"id": "e", "name": "me"}
        if "UpsertBucket" in query:
            project = {"id": "p", "name": "gansfp", "entity": entity}
            bucket = {"id": "b", "name": given["name"], "displayName": given["name"],
                      "config": "{}", "historyLineCount": 0, "project": project}  # fmt: skip
            return {"upsertBucket": {"bucket": bucket, "inserted": True}}
        if "CreateRunFiles" in query:
            files = [{"name": n, "uploadUrl": f"{self.server.url}/s/{n}"} for n in given["files"]]
            return {"createRunFiles": {"runID": "b", "uploadHeaders": [], "files": files}}
        return {"viewer": {"id": "1", "entity": "me", "flags": "{}"}} if "iewer" in query else {}

    def log_message(self, format: str, *values: Any) -> None:
        """Quiet."""


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server(("127.0.0.1", 0), Handler)
    made.heard = []
    thread = threading.Thread(target=made.serve_forever, daemon=True)
    thread.start()
    yield made
    made.shutdown()
    thread.join()


def sync(server: Server, folder: Path, *words: str) -> str:
    done = subprocess.run(
        ["make", "-s", "sync", "READY=", f"VENV={sys.prefix}", f"DIR={folder}", *words],
        cwd=ROOT, text=True, capture_output=True, timeout=120,
        env=os.environ | {"WANDB_BASE_URL": server.url, "WANDB_API_KEY": "a" * 40},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_a_stopped_run_that_went_on_is_sent_under_one_id(server: Server, tmp_path: Path) -> None:
    run = tmp_path / "runs" / "a study (1)" / "run"
    run.mkdir(parents=True)
    for step, ending in enumerate(("interrupted", "finished")):
        tracker = WandbTracker(str(run), id="abc123", name="run", group="first")
        tracker.log_metrics({"train/loss": 1.0 + step}, step)
        tracker.conclude(ending)  # type: ignore[arg-type]
    failed = WandbTracker(str(run.with_name("other")), id="def456", name="other")
    failed.log_metrics({"train/loss": 1.0}, 0)
    failed.conclude("failed")
    said = sync(server, tmp_path / "runs", "SYNC=--dry-run")
    assert said.count("Would sync 1 run(s)") == 3
    assert server.heard == []
    sync(server, tmp_path / "runs")
    assert [one for one in server.endings() if one[0] == "abc123"] == [
        ("abc123", {"preempting": True}),
        ("abc123", {"exitcode": 1}),
        ("abc123", {"exitcode": 0}),
    ]
    assert ("def456", {"exitcode": 1}) in server.endings()
    before = len(server.heard)
    assert sync(server, tmp_path / "runs").count("No runs to sync") == 3
    assert len(server.heard) == before
