"""Wagtail: its images are a source, with the privacy of collections, and editors see what is similar."""
