"""The admin of image records and marks, and a mixin that shows similar items on the change page of a host's model."""

from __future__ import annotations

from .duplicates import DuplicatesAdmin
from .health import HealthAdmin
from .map import MapAdmin
from .marks import MarkAdmin
from .mixin import SimilarImagesMixin
from .records import IndexedImageAdmin

__all__ = ["DuplicatesAdmin", "HealthAdmin", "IndexedImageAdmin", "MapAdmin", "MarkAdmin", "SimilarImagesMixin"]
