"""A host with Wagtail, and pages that refer to images in every way."""

import os

os.environ.setdefault("THUMBNAIL_LIBRARY", "wagtail_renditions")

from tests.thumbnails.settings import *  # noqa: F403 - how Django extends a settings module
from tests.thumbnails.settings import DATABASES, INSTALLED_APPS, SIMILAR_IMAGES

INSTALLED_APPS += ["tests.merging.wagtail_host"]
DATABASES["default"]["TEST"]["NAME"] += "_merging"
SIMILAR_IMAGES = {
    **SIMILAR_IMAGES,
    "MERGE_HOOKS": ["shop.merging.replace_images"],
    "MERGE_IGNORE": ["wagtailimages.Rendition", "wagtailsearch.IndexEntry"],
}
