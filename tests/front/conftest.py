from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page

from tests.browsers import run_chromium
from tests.databases import VARIANT

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent


@dataclass
class Host:
    """The running host: its address, and the folder of its files."""

    url: str
    folder: Path


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    if VARIANT:
        pytest.skip("the host makes a database of its own")
    folder = tmp_path_factory.mktemp("host")
    shutil.copytree(HERE / "pages", folder / "pages")
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    env = {**os.environ, "FRONT_FOLDER": str(folder)}
    log = (folder / "log").open("w")
    command = [sys.executable, "-W", "ignore", "-m", "tests.front.serve", str(port)]
    process = subprocess.Popen(command, cwd=ROOT, env=env, stdout=log, stderr=log)
    url = f"http://127.0.0.1:{port}"
    try:
        while not _answers(url):
            assert process.poll() is None, (folder / "log").read_text()
            time.sleep(0.2)
        yield Host(url, folder)
    finally:
        process.terminate()
        process.wait(20)
        log.close()


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/favicon.ico", timeout=5):  # noqa: S310 - an address of our own
            return True
    except OSError:
        return False


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with run_chromium() as chromium:
        yield chromium


@pytest.fixture
def open_page(browser: Browser, host: Host) -> Iterator[Callable[..., Page]]:
    """Open pages in contexts with any options; nothing on them may be an error, or of another site."""
    contexts = []
    problems: list[str] = []

    def is_problem(message: ConsoleMessage) -> bool:
        return message.type in ("error", "warning")

    def open_page(path: str, **options: Any) -> Page:
        options = {"viewport": {"width": 1440, "height": 900}, **options}
        context = browser.new_context(base_url=host.url, **options)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(60_000)
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("console", lambda each: problems.append(f"{each.text} {each.location}") if is_problem(each) else None)
        page.on("request", lambda each: None if each.url.startswith(host.url) else problems.append(each.url))
        page.goto(path)
        return page

    open_page.problems = problems  # type: ignore[attr-defined]
    yield open_page
    for context in contexts:
        context.close()
    assert problems == []


@pytest.fixture(scope="session")
def node_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the packages that only tests need, from npm."""
    if not shutil.which("npm"):
        if os.environ.get("REQUIRE_BROWSER"):
            pytest.fail("REQUIRE_BROWSER is set, but there is no npm.")
        pytest.skip("NO TESTS WITH REACT, VUE, LIGHTHOUSE AND FIREFOX: there is no npm (apt-get install npm)")
    folder = tmp_path_factory.mktemp("node")
    shutil.copy(HERE / "package.json", folder)
    run_node(folder, "npm", "install", "--no-audit", "--no-fund", "--loglevel=error")
    return folder


def run_node(folder: Path, *command: str, **variables: str) -> str:
    """Run a command where the packages of npm are, and return what it prints."""
    env = {**os.environ, **variables}
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
