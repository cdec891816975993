"""Settings of the benchmark `rest`: those of the tests, as a site in production has them."""

from tests.settings import *  # noqa: F403 - how Django extends a settings module
from tests.settings import DATABASES

DEBUG = False
ROOT_URLCONF = "benchmarks.rest_site"
DATABASES["default"]["CONN_MAX_AGE"] = None
