"""A site with the home-made CMS."""

from tests.contrib.site_settings import *  # noqa: F403 - what all sites share
from tests.contrib.site_settings import DJANGO_APPS

INSTALLED_APPS = ["tests.contrib.library", "similar_images", *DJANGO_APPS]
MIGRATION_MODULES = dict.fromkeys(["auth", "contenttypes", "sessions"])
ROOT_URLCONF = "tests.contrib.library.urls"
