"""Milvus, by its client pymilvus: a server, a cluster, or Milvus Lite in a folder of its own for trying it out."""

from __future__ import annotations

import json
import logging
import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from .base import BackendError, Collection, Condition, Hit, SearchBackend, StoredVector

if TYPE_CHECKING:
    from pymilvus import MilvusClient

    from .base import Vector

DEFAULT_INDEX = {"index_type": "HNSW", "params": {"M": 16, "efConstruction": 200}}
"""Index of a collection; pgvector's defaults are 16 and 64."""

MIN_EF = 100
"""Candidates of a walk through an HNSW graph, at least; at most as many hits come back."""


WRITE_SECONDS = 30
"""Time that writing a batch, or counting, may take at least, where a search may take less."""

FLUSH_SECONDS = 3_600
"""Time that a flush may take."""


class Milvus(SearchBackend):
    """Milvus, with a collection for every version of a method in a source.

    Args:
        uri: address of the server, such as "http://milvus:19530"; or, for Milvus Lite, a path that ends in ".db", which
            one process can open at a time.
        token: "user:password", or a token.
        db_name: database of the server.
        timeout: seconds after which the server counts as down.
        index: `index_type` and `params` of the index of new collections.
        search_params: parameters of a search in place of `{"ef": …}`, for other types of index.
    """

    metrics = frozenset({"cosine"})
    max_hits = 16_384

    def __init__(
        self,
        uri: str,
        token: str = "",
        db_name: str = "",
        timeout: float = 3,
        index: Mapping[str, Any] | None = None,
        search_params: Mapping[str, Any] | None = None,
    ) -> None:
        if not uri:
            raise ValueError("uri is empty")
        self.uri, self.timeout, self.search_params = uri, timeout, search_params
        self.credentials = {"token": token, "db_name": db_name}
        self.index = dict(DEFAULT_INDEX if index is None else index)
        self._lock = threading.Lock()
        self._client: tuple[int, MilvusClient] | None = None
        self._loaded: set[str] = set()

    def check(self) -> list[str]:
        """Return what is not installed."""
        if find_spec("pymilvus") is None:
            return ["it needs pymilvus: pip install similar_images[milvus]"]
        if self.uri.endswith(".db") and find_spec("milvus_lite") is None:
            return ["a path of Milvus Lite needs milvus-lite: pip install pymilvus[milvus-lite]"]
        return []

    def create(self, collection: Collection) -> None:
        """Create a collection with its index."""
        from pymilvus import DataType, MilvusClient

        schema = MilvusClient.create_schema(auto_id=False, enable_dynamic_field=False)
        schema.add_field("record_id", DataType.INT64, is_primary=True)
        schema.add_field("vector", DataType.FLOAT_VECTOR, dim=collection.dimensions)
        schema.add_field("attributes", DataType.JSON)
        index = MilvusClient.prepare_index_params()
        index.add_index("vector", metric_type=collection.metric.upper(), **self.index)
        with self._asked() as client:
            client.drop_collection(collection.name)
            self._loaded.discard(collection.name)
            client.create_collection(collection.name, schema=schema, index_params=index)

    def drop(self, collection: Collection) -> None:
        """Delete a collection."""
        with self._asked() as client:
            client.drop_collection(collection.name)
            self._loaded.discard(collection.name)

    def write(self, collection: Collection, entries: Sequence[StoredVector], gone: Sequence[int] = ()) -> None:
        """Upsert entries, and delete those that are gone."""
        rows = [
            {"record_id": entry.record_id, "vector": entry.vector, "attributes": dict(entry.attributes)}
            for entry in entries
        ]
        with self._asked(collection) as client:
            if rows:
                client.upsert(collection.name, rows, timeout=max(self.timeout, WRITE_SECONDS))
            if gone:
                client.delete(collection.name, ids=list(gone), timeout=max(self.timeout, WRITE_SECONDS))

    def find_nearest(
        self, collection: Collection, queries: Sequence[Vector], limit: int, conditions: Sequence[Condition] = ()
    ) -> list[list[Hit]]:
        """Search by all queries in one request; Milvus gives cosines, of which a distance is one less."""
        search_params = {"ef": max(MIN_EF, limit)} if self.search_params is None else self.search_params
        with self._asked(collection) as client:
            found = client.search(
                collection.name,
                data=list(queries),
                limit=limit,
                filter=write_filter(conditions),
                output_fields=["record_id"],
                search_params={"params": search_params},
                timeout=self.timeout,
            )
            return [[Hit(hit["record_id"], 1 - hit["distance"]) for hit in hits] for hits in found]

    def finish(self, collection: Collection) -> None:
        """Flush what was written, which then gets into the index."""
        with self._asked(collection) as client:
            client.flush(collection.name, timeout=FLUSH_SECONDS)

    def count(self, collection: Collection) -> int | None:
        """Count the entries, those included that were written a moment ago."""
        with self._asked(collection) as client:
            if not client.has_collection(collection.name):
                return None
            counted = client.query(
                collection.name,
                filter="",
                output_fields=["count(*)"],
                consistency_level="Strong",
                timeout=max(self.timeout, WRITE_SECONDS),
            )
            return int(counted[0]["count(*)"])

    @contextmanager
    def _asked(self, collection: Collection | None = None) -> Iterator[MilvusClient]:
        """Give the client of this process, with a collection in memory; whatever it raises is a `BackendError`."""
        try:
            with self._lock:
                # A connection does not survive in a forked process.
                if self._client is None or self._client[0] != os.getpid():
                    self._client = os.getpid(), _connect(self.uri, self.timeout, self.credentials)
                    self._loaded.clear()
                client = self._client[1]
                # Milvus Lite has none in memory when it starts; a server may have released it.
                name = collection.name if collection is not None else None
                if name and name not in self._loaded and client.has_collection(name):
                    client.load_collection(name, timeout=max(self.timeout, WRITE_SECONDS))
                    self._loaded.add(name)
            yield client
        except Exception as error:  # gRPC's, the client's own, and what it meets in an answer that it does not expect
            raise BackendError(f"Milvus at {self.uri}: {getattr(error, 'message', None) or error}") from error


def _connect(uri: str, timeout: float, credentials: Mapping[str, str]) -> MilvusClient:
    # It logs each error with its trace; here they are raised, and logged once by whoever goes on without an answer.
    logging.getLogger("pymilvus").setLevel(logging.CRITICAL)
    from pymilvus import MilvusClient

    return MilvusClient(uri, timeout=timeout, **credentials)


def write_filter(conditions: Sequence[Condition]) -> str:
    """Return conditions as an expression of Milvus, empty where there are none."""
    parts = []
    for condition in conditions:
        field = f"attributes[{json.dumps(condition.attribute)}]"
        operator = "==" if condition.operator == "in" else condition.operator
        # Milvus Lite knows "in" for whole fields only.
        choices = [f"{field} {operator} {json.dumps(value, ensure_ascii=False)}" for value in condition.values]
        parts.append(f"({' or '.join(choices)})")
    return " and ".join(parts)
