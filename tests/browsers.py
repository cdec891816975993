"""Chromium for tests; its absence is an error where REQUIRE_BROWSER is set, as in CI, else a reason to skip."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.conf import settings
from django.contrib.auth.models import User
from django.test import Client
from playwright.sync_api import Browser, Page, expect, sync_playwright

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = ["--disable-background-networking", "--disable-component-update", "--no-first-run", "--disable-quic"]

if not CHROMIUM and os.environ.get("REQUIRE_BROWSER"):
    raise RuntimeError("REQUIRE_BROWSER is set, but there is no Chromium.")

# Pages appear when they like: what should be on one is waited for.
expect.set_options(timeout=60_000)

needs_chromium = pytest.mark.skipif(
    not CHROMIUM, reason="NO BROWSER TESTS: there is no Chromium (apt-get install chromium)"
)


@contextmanager
def run_chromium() -> Iterator[Browser]:
    """Run Chromium for the duration of the block."""
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS, chromium_sandbox=os.geteuid() != 0)
        yield chromium
        chromium.close()


def superuser_cookies(url: str) -> list[Any]:
    """Return the cookie of a superuser who is logged in at an address."""
    client = Client()
    client.force_login(User.objects.create_superuser("root"))
    return [{"name": settings.SESSION_COOKIE_NAME, "value": client.cookies["sessionid"].value, "url": url}]


def find_barriers(page: Page, *context: Any) -> list[str]:
    """Return what axe finds on a page, or in the part of it that a selector names."""
    page.wait_for_load_state()  # half a page has links without the names that are still to come
    violations = Axe().run(page, *context).response["violations"]
    return [f"{each['id']}: {node['html']}" for each in violations for node in each["nodes"]]
