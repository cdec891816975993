"""Settings of all processes of a chaos run, which share the folder CHAOS."""

import os
from pathlib import Path

from tests.settings import *  # noqa: F403 - how Django extends a settings module
from tests.settings import INSTALLED_APPS, REDIS_URL

CHAOS = Path(os.environ["CHAOS"])
INSTALLED_APPS = [*INSTALLED_APPS, "tests.chaos"]
DEBUG = False
MEDIA_ROOT = CHAOS / "media"
CELERY_BROKER_URL = REDIS_URL
CELERY_BEAT_SCHEDULE: dict[str, object] = {}  # the conductor sends the sweeps

SIMILAR_IMAGES = {
    "METHODS": {"tests.methods.Mean": {}, "tests.methods.Bits": {}},
    "RANKING": {"mean": 1},
    "NEAR_DUPLICATE_THRESHOLD": 101,
    "BATCH_SIZE": 8,
    "CLAIM_TIMEOUT": 8,
    "MAX_ATTEMPTS": 50,  # workers are killed so often here that pictures would be blamed for it
}
