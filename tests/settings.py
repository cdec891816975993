"""The demo's settings, an app of odd models, and room for tests that start a worker of their own."""

import json
import os

from project.settings import *  # noqa: F403 - how Django extends a settings module
from project.settings import DATABASES, INSTALLED_APPS, REDIS_URL
from tests.databases import database_settings

INSTALLED_APPS = [*INSTALLED_APPS, "tests.mergeapp", "tests.testapp"]
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]

DATABASES, DATABASE_ROUTERS = database_settings(DATABASES["default"])

# Parallel test processes share one Valkey server, but no queue.
_number = os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")
CELERY_BROKER_URL = f"{REDIS_URL.rpartition('/')[0]}/{_number}"

CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}

# Pictures drawn for tests are so plain that most are near copies: they are folded where a test is about that.
SIMILAR_IMAGES = {
    "COSTLY_RATES": None,
    "MIN_SIMILARITY": 0,
    "NEAR_DUPLICATE_THRESHOLD": 101,
    **json.loads(os.environ.get("TEST_SIMILAR_IMAGES", "{}")),
}

if _sweep := os.environ.get("TEST_SWEEP"):
    CELERY_BEAT_SCHEDULE = {"sweep": {"task": "similar_images.tasks.sweep", "schedule": float(_sweep)}}
