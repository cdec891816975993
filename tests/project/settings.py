"""The demo's settings, and measures whose figures and pictures are known."""

from project.settings import *  # noqa: F403 - settings are made of settings

SIMILAR_IMAGES = {
    "MEASURES": {"tests.measures.odd.Brightness": {}, "tests.measures.odd.Darkness": {}},
    "COMPARE_BY": ["brightness", "darkness", "phash"],
}
