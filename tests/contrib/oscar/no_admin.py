"""Addresses of the shop without Django's admin."""

from tests.contrib.oscar.urls import urlpatterns as all_patterns

urlpatterns = [pattern for pattern in all_patterns if getattr(pattern, "app_name", None) != "admin"]
