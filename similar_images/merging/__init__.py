"""Merge objects of a source into one: find what refers to them, change it in one transaction, and undo that."""
