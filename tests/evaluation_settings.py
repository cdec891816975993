"""The demo's settings with one method more: the same network as it was published, to measure the default against."""

from project.settings import *  # noqa: F403 - how Django extends a settings module

SIMILAR_IMAGES = {
    "METHODS": {
        "embedding": {},
        "color": {},
        "plain": {
            "class": "embedding",
            "preset": "efficientnet-lite0",
            "output": "average",
            "crop": 1.0,
            "squash": 1.0,
        },
    },
}
