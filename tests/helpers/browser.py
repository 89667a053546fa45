"""A headless Chromium for tests of pages; tests skip where there is none.

apt-get install chromium chromium-driver
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest


class Browser:
    """Opens pages, and tells what they said and asked for."""

    def __init__(self, width: int = 1280, height: int = 900) -> None:
        from selenium import webdriver
        from selenium.webdriver.chrome.service import Service

        chromium, chromedriver = _programs()
        options = webdriver.ChromeOptions()
        options.binary_location = chromium
        for word in ("--headless=new", "--disable-gpu", "--hide-scrollbars",
                     "--disable-dev-shm-usage", f"--window-size={width},{height}"):  # fmt: skip
            options.add_argument(word)
        if hasattr(os, "geteuid") and os.geteuid() == 0:
            options.add_argument("--no-sandbox")  # Chromium's sandbox refuses root
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        self.driver = webdriver.Chrome(options=options, service=Service(chromedriver))
        self.driver.execute_cdp_cmd("Performance.enable", {"timeDomain": "threadTicks"})

    def open(self, page: Path) -> None:
        """Open a file; earlier messages are forgotten."""
        self.driver.get("about:blank")
        self.driver.get_log("browser")
        self.driver.get_log("performance")
        self.driver.get(page.absolute().as_uri())

    def processor_seconds(self) -> float:
        """Processor time of the page's thread since it was opened: also right on a busy machine."""
        found = self.driver.execute_cdp_cmd("Performance.getMetrics", {})["metrics"]
        return float(next(one["value"] for one in found if one["name"] == "ThreadTime"))

    def run(self, script: str, *arguments: Any) -> Any:
        """Run a script in the page; what it returns."""
        return self.driver.execute_script(script, *arguments)

    def messages(self) -> list[str]:
        """What the console said since the last call."""
        return [entry["message"] for entry in self.driver.get_log("browser")]

    def requests(self) -> list[str]:
        """The addresses that were asked for since the last call."""
        entries = [json.loads(entry["message"])["message"]
                   for entry in self.driver.get_log("performance")]  # fmt: skip
        return [
            entry["params"]["request"]["url"]
            for entry in entries
            if entry["method"] == "Network.requestWillBeSent"
        ]

    def emulate(self, media: str = "", scheme: str = "light") -> None:
        """Show the page as printed, or in a colour scheme."""
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.driver.execute_cdp_cmd(
            "Emulation.setEmulatedMedia", {"media": media, "features": features}
        )

    def close(self) -> None:
        self.driver.quit()


def _programs() -> tuple[str, str]:
    """Find Chromium and its driver, or skip the test."""
    pytest.importorskip("selenium", reason="no selenium: pip install -e '.[dev]'")
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
    chromedriver = shutil.which("chromedriver")
    if chromium is None or chromedriver is None:
        pytest.skip("no Chromium: apt-get install chromium chromium-driver")
    return chromium, chromedriver
