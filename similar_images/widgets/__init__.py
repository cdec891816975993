"""Widgets: matches of an object as a part of a page, and their cache."""
