"""The state of everything after a run, compared with the files in the storage: plain SQL and NumPy, none of the app."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import psycopg

from . import pictures

SOURCES = {
    ("chaos", "photo", "image"): ("chaos_photo", "photo"),
    ("chaos", "asset", "front"): ("chaos_asset", "asset"),
    ("chaos", "asset", "back"): ("chaos_asset", "asset"),
}
"""Table, and first part of the keys in journals, by source."""

METHODS = {"mean", "bits"}

REASONS = {"missing": "missing", "empty": "empty", "no picture": "not an image|damaged|format|incomplete"}
"""Words that are in the error of a record that failed with reason."""

RECORDS = """
    SELECT source.app_label, source.model, source.field, record.*
    FROM similar_images_indexedimage record JOIN similar_images_source source ON source.id = source_id
"""

SIGNATURES = "SELECT record_id, source_id, method, dense::text, bits::text, sparse::text FROM similar_images_signature"


@dataclass
class Findings:
    """What is wrong, by kind, and how much was looked at."""

    faults: list[tuple[str, str]] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    names: dict[str, str | None] = field(default_factory=dict)
    """Names of the files of all living objects, by field in journals."""

    contents: dict[str, pictures.Content] = field(default_factory=dict)

    def add(self, kind: str, story: str) -> None:
        self.faults.append((kind, story))


def verify(database_url: str, media: Path) -> Findings:
    """Compare objects, records, signatures and marks with the files."""
    findings = Findings()
    with psycopg.connect(database_url, row_factory=psycopg.rows.dict_row) as connection:
        connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
        signatures: dict[int, list[dict[str, Any]]] = {}
        for row in connection.execute(SIGNATURES):
            signatures.setdefault(row["record_id"], []).append(row)
        records = connection.execute(RECORDS).fetchall()
        for source, (table, label) in SOURCES.items():
            name = source[2]
            files = {
                row["pk"]: row["file"]
                for row in connection.execute(f"SELECT id::text AS pk, {name} AS file FROM {table}")  # noqa: S608
            }
            findings.names |= {f"{label}.{name}:{pk}": file for pk, file in files.items()}
            own = [row for row in records if (row["app_label"], row["model"], row["field"]) == source]
            _verify_source(findings, f"{label}.{name}", files, own, signatures, media)
        known = {row["id"] for row in records}
        for record_id in signatures.keys() - known:
            findings.add("leaked signature", f"of record {record_id}, which is gone")
        _verify_marks(findings, connection, {(row["source_id"], row["object_id"]) for row in records})
        _verify_requests(findings, connection)
    return findings


def _verify_source(
    findings: Findings,
    label: str,
    files: dict[str, str],
    records: list[dict[str, Any]],
    signatures: dict[int, list[dict[str, Any]]],
    media: Path,
) -> None:
    by_object: dict[str, list[dict[str, Any]]] = {}
    for row in records:
        by_object.setdefault(row["object_id"], []).append(row)
    for pk, name in files.items():
        findings.counts["objects' fields"] += 1
        rows = by_object.pop(pk, [])
        if not name:
            if rows:
                findings.add("leaked record", f"of {label}:{pk}, which has no file: {_describe(rows[0])}")
            continue
        if len(rows) != 1:
            findings.add("lost" if not rows else "double record", f"{label}:{pk} {name} has {len(rows)} records")
            continue
        (row,) = rows
        findings.counts[row["status"]] += 1
        path = media / name
        data = path.read_bytes() if path.exists() else None
        findings.contents[name] = pictures.read(data)[0] if data is not None else None
        for kind, story in _verify_record(row, name, data, signatures.get(row["id"], [])):
            findings.add(kind, f"{label}:{pk} {story}: {_describe(row)}")
        findings.counts["signatures"] += len(signatures.get(row["id"], []))
    for pk, rows in by_object.items():
        findings.add("leaked record", f"of {label}:{pk}, which is gone: {_describe(rows[0])}")


def _verify_record(
    row: dict[str, Any], name: str, data: bytes | None, signatures: list[dict[str, Any]]
) -> Iterator[tuple[str, str]]:
    """Yield what is wrong with the record of a living object's file."""
    content, pixels = pictures.read(data) if data is not None else (None, None)
    if row["file_name"] != name:
        yield "stale record", f"has the file {name}"
    if row["status"] == "pending":
        yield "stuck", f"is still pending, with the file {name}"
    elif row["status"] == "failed":
        if pixels is not None:
            yield "false failure", "is a picture that can be read"
        reason = "missing" if data is None else "no picture" if data else "empty"
        if not any(word in row["error"] for word in REASONS[reason].split("|")):
            yield "false failure", f"is {reason}"
        if data is not None and signatures:
            yield "stale signature", "is no picture, but has signatures"
    elif pixels is None:
        yield "stale record", "is no picture"
    else:
        assert data
        if row["sha256"] != hashlib.sha256(data).hexdigest():
            yield "stale record", f"is another picture now, {content}"
        if {signature["method"] for signature in signatures} != METHODS:
            yield "lost signature", f"has signatures by {[signature['method'] for signature in signatures]}"
        mean = pixels.reshape(-1, 3).mean(0) / 255
        for signature in signatures:
            if signature["method"] == "mean":
                is_right = np.allclose(json.loads(signature["dense"]), mean, atol=1e-3)
            else:
                is_right = signature["bits"] == str(int(mean.mean() * 255 > 127)) * 64
            if not is_right:
                yield "stale signature", f"is another picture now, {content}: {signature}"


def _verify_marks(findings: Findings, connection: psycopg.Connection[Any], objects: set[tuple[int, str]]) -> None:
    for row in connection.execute("SELECT source_id, first_id, second_id FROM similar_images_mark"):
        findings.counts["marks"] += 1
        for name in ("first_id", "second_id"):
            if (row["source_id"], row[name]) not in objects:
                findings.add("leaked mark", f"of {row[name]}, which is gone")


def _verify_requests(findings: Findings, connection: psycopg.Connection[Any]) -> None:
    for row in connection.execute("SELECT * FROM similar_images_reindexrequest"):
        findings.add("leftover request", str(row))


def _describe(row: dict[str, Any]) -> str:
    shown = ("file_name", "status", "error", "attempts", "started_at", "retry_at", "requested_at", "indexed_at")
    return ", ".join(f"{name}={row[name]}" for name in shown if row[name])
