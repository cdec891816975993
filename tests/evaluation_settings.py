"""The demo's settings with two methods more: those of the preset “best”, and the network as it was published."""

from project.settings import *  # noqa: F403 - how Django extends a settings module

SIMILAR_IMAGES = {
    "METHODS": {
        "embedding": {},
        "embedding-lite2": {"class": "embedding", "preset": "efficientnet-lite2"},
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
