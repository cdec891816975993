"""The demo's settings, a strict content policy, and measures whose figures and pictures are known."""

from project.settings import *  # noqa: F403 - how Django extends a settings module
from project.settings import MIDDLEWARE as DEMO_MIDDLEWARE

MIDDLEWARE = [*DEMO_MIDDLEWARE, "tests.project.policy.strict"]

LANGUAGES = [("en", "English"), ("de", "German"), ("ar", "Arabic")]

SIMILAR_IMAGES = {
    "MEASURES": {"tests.measures.sample_measures.Brightness": {}, "tests.measures.sample_measures.Darkness": {}},
    "COSTLY_RATES": None,
    "COMPARE_MEASURES": ["brightness", "darkness", "phash"],
}
