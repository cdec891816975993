"""Search backends: servers beside PostgreSQL that find the nearest vectors where one database is not enough."""

BUILT_IN_BACKENDS = {"milvus": "similar_images.backends.milvus.Milvus"}
"""Dotted path of the class by name."""
