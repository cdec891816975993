"""Settings of the demo with Wagtail: those of the shop, with a magazine in its place."""

import os
from typing import Any

from project.settings import *  # noqa: F403 - how Django extends a settings module
from project.settings import BASE_DIR, TEMPLATES
from project.settings import INSTALLED_APPS as SHOP_APPS

if not os.environ.get("DEMO_DATA"):
    DEMO_DATA = BASE_DIR / ".demo" / "wagtail"
    MEDIA_ROOT = DEMO_DATA / "media"

INSTALLED_APPS = [
    "project.magazine",
    "similar_images.contrib.wagtail",
    *(app for app in SHOP_APPS if app != "project.catalog"),
    "wagtail.users",
    "wagtail.snippets",
    "wagtail.documents",
    "wagtail.images",
    "wagtail.search",
    "wagtail.admin",
    "wagtail.sites",
    "wagtail",
    "modelcluster",
    "taggit",
]
DEMO_SITE = "project.magazine.showcase.Magazine"
ROOT_URLCONF = "project.magazine.urls"

SHOP_PROCESSOR = "project.catalog.context_processors.shop"
OPTIONS: dict[str, Any] = TEMPLATES[0]["OPTIONS"]  # type: ignore[assignment]  # the values of TEMPLATES have several types
OPTIONS["context_processors"] = [name for name in OPTIONS["context_processors"] if name != SHOP_PROCESSOR]
TEMPLATES = [{**TEMPLATES[0], "DIRS": [], "OPTIONS": OPTIONS}]

WAGTAIL_SITE_NAME = "Lookalike Magazine"
WAGTAILADMIN_BASE_URL = "http://localhost:8000"
