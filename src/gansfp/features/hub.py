"""Whether the weights hub can be reached, found out before its client retries for a minute."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

if TYPE_CHECKING:
    from collections.abc import Iterator


def is_offline() -> bool:
    """Tell whether the user asked for no network (`HF_HUB_OFFLINE=1`), also after import."""
    from huggingface_hub import constants

    asked = os.environ.get("HF_HUB_OFFLINE", "").upper() in {"1", "ON", "YES", "TRUE"}
    return asked or bool(constants.HF_HUB_OFFLINE)


@contextlib.contextmanager
def offline() -> Iterator[None]:
    """Answer from the hub's local cache only, within the block."""
    from huggingface_hub import constants

    before = constants.HF_HUB_OFFLINE
    constants.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = before


def connection_problem(timeout: float = 4.0) -> str | None:
    """Try to open one connection to the hub, or to the proxy that leads there.

    The hub's client repeats a refused connection for 45 s and a name look-up has no time limit of
    its own, hence the thread.

    Args:
        timeout: Seconds after which the hub counts as out of reach.

    Returns:
        Why the hub cannot be reached, or None where it can.
    """
    from huggingface_hub import constants

    host, port = _next_hop(constants.ENDPOINT)
    problem = [f"no answer from {host}:{port} in {timeout:g} s"]

    def attempt() -> None:
        try:
            socket.create_connection((host, port), timeout=timeout).close()
        except OSError as error:
            problem[0] = f"{host}:{port}: {error}"
        else:
            problem.clear()

    thread = threading.Thread(target=attempt, daemon=True)
    thread.start()
    thread.join(timeout)
    return problem[0] if problem else None


def _next_hop(endpoint: str) -> tuple[str, int]:
    url = urlsplit(endpoint)
    proxy = getproxies().get(url.scheme)
    if proxy and not proxy_bypass(url.hostname or ""):
        url = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
    return url.hostname or "", url.port or (443 if url.scheme == "https" else 80)
