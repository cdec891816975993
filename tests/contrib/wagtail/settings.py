"""A site with Wagtail, whose image model is its own where WAGTAIL_IMAGE_MODEL says so."""

import os

from tests.contrib.site_settings import *  # noqa: F403 - what all sites share
from tests.contrib.site_settings import DJANGO_APPS

IMAGE_MODEL = os.environ.get("WAGTAIL_IMAGE_MODEL", "wagtailimages.Image")

INSTALLED_APPS = [
    "similar_images.contrib.wagtail",
    "similar_images",
    "tests.contrib.wagtail",
    "wagtail.embeds",
    "wagtail.sites",
    "wagtail.users",
    "wagtail.snippets",
    "wagtail.documents",
    "wagtail.images",
    "wagtail.search",
    "wagtail.admin",
    "wagtail.api.v2",
    "wagtail",
    "modelcluster",
    "taggit",
    *DJANGO_APPS,
]
# Their tables are made of the models: migrating takes longer than all tests.
LABELS = ("auth", "contenttypes", "sessions", "taggit", "site")
WAGTAIL_LABELS = ("core", "admin", "docs", "embeds", "images", "search", "sites", "users", "snippets")
MIGRATION_MODULES = dict.fromkeys([*LABELS, *(f"wagtail{label}" for label in WAGTAIL_LABELS)])

ROOT_URLCONF = "tests.contrib.wagtail.urls"
WAGTAIL_SITE_NAME = "Site"
WAGTAILADMIN_BASE_URL = "https://site.example"
WAGTAILIMAGES_IMAGE_MODEL = IMAGE_MODEL
