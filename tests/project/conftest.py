"""The demo, running on pictures that are drawn, and a browser."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
from playwright.sync_api import Browser, Page

from tests import drawing
from tests.browsers import run_chromium

ROOT = Path(__file__).parents[2]
PRODUCTS = 12


@dataclass
class Demo:
    url: str
    process: subprocess.Popen[str]
    data: Path

    def stop(self) -> int:
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(40)

    def processes(self) -> list[str]:
        """The command lines of what the demo started and still runs."""
        commands = []
        for process in psutil.process_iter(["cmdline", "environ"]):
            environment = process.info["environ"] or {}
            command = process.info["cmdline"] or []
            if environment.get("DEMO_DATA") == str(self.data) or any(str(self.data) in part for part in command):
                commands.append(" ".join(command))
        return commands


@pytest.fixture(scope="module")
def demo(open_folder: Callable[[], Path]) -> Iterator[Demo]:
    with run_demo(open_folder(), "tests.project.settings") as running:
        yield running


@contextmanager
def run_demo(folder: Path, settings: str) -> Iterator[Demo]:
    """Run the command `demo` with settings on drawn pictures, until its images are indexed and the block ends."""
    pictures = folder / "pictures" / "scenes"
    pictures.mkdir(parents=True)
    for seed in range(PRODUCTS):
        (pictures / f"scene-{seed}.png").write_bytes(drawing.encoded(drawing.scene(seed, size=(320, 240))))
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    data = folder / "data"
    env = {name: value for name, value in os.environ.items() if name not in ("DATABASE_URL", "REDIS_URL")}
    env |= {"DEMO_DATA": str(data), "DEMO_PORT": str(port), "IMAGES": str(pictures.parent)}
    env |= {"DJANGO_SETTINGS_MODULE": settings}
    process = subprocess.Popen(
        [sys.executable, "manage.py", "demo"], cwd=ROOT, env=env, stdout=subprocess.PIPE, text=True
    )
    running = Demo(f"http://127.0.0.1:{port}", process, data)
    try:
        assert process.stdout
        for line in process.stdout:
            if "Images indexed" in line:
                assert f"Images indexed: {PRODUCTS}," in line
                break
        else:
            pytest.fail("The demo stopped before its images were indexed.")
        yield running
    finally:
        if process.poll() is None:
            assert running.stop() == 0
        if process.stdout:
            process.stdout.close()
        assert running.processes() == []


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with run_chromium() as chromium:
        yield chromium


@pytest.fixture
def page(browser: Browser, demo: Demo) -> Iterator[Page]:
    """A page whose scripts, styles and requests must all be its own site's."""
    context = browser.new_context(base_url=demo.url)
    page = context.new_page()
    page.set_default_timeout(60_000)
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
    page.on("request", lambda r: None if r.url.startswith((demo.url, "blob:", "data:")) else problems.append(r.url))
    yield page
    context.close()
    assert problems == []
