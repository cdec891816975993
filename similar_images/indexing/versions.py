"""Versions of the methods: the active one, by which a source is searched, and the configured one that replaces it.

A version stands for a method, its model and its options, and every signature carries one. When the setting changes,
workers compute signatures of the new version while searches use the old one, until the new one covers all that the old
one does. A projection that was learned for a version is a version of its own.
"""

from __future__ import annotations

import json
import logging
from collections import defaultdict
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet

from .. import conf, plugins, registry
from ..generations import clear_widgets_on_commit
from ..models import (
    WRITE_CHUNK,
    IndexedImage,
    MethodVersion,
    Projection,
    Signature,
    Source,
    current_schema,
    write_alias,
)
from ..signatures import storage
from ..signatures.base import Method, MethodSpec
from ..signatures.pixels import DecodedPixelsMixin, generation_of
from ..signatures.projection import ProjectedMethod
from ..sources.source import ImageSource

logger = logging.getLogger("similar_images")

MAX_LOST_RECORDS = 10
MAX_LOST_PERCENT = 1
"""Failed records that a switch may lose, as a number and in percent of the old version's signatures: the greater one
counts. More failures indicate a broken configuration rather than broken images."""


def active_versions(source: ImageSource, rows: QuerySet[MethodVersion] | None = None) -> dict[str, MethodSpec]:
    """Return the versions that a source is searched by, by name of the method.

    These are the active versions of the enabled methods; a method without one is used as configured.

    Args:
        source: the source.
        rows: where to look them up; by default, where a search reads the signatures, too.
    """
    methods: dict[str, MethodSpec] = dict(plugins.enabled_methods())
    rows = MethodVersion.objects.all() if rows is None else rows
    rows = rows.filter(source_id=Source.objects.get_id(source), is_active=True, name__in=methods)
    return methods | {row.name: row for row in rows}


def configured_methods(source: ImageSource) -> dict[str, Method]:
    """Return the methods that a source should be searched by: the base methods, with their enabled projections."""
    rows = list(_decisive_rows(source, Q(is_chosen=True) | Q(projection__is_enabled=True)))
    methods = _choose_methods(source, rows)
    for row in rows:
        method = instantiate(row)
        if isinstance(method, ProjectedMethod) and method.base.version == methods[row.name].version:
            methods[row.name] = method
    return methods


def base_methods(source: ImageSource) -> dict[str, Method]:
    """Return the methods of the setting, or the versions that a command chose in their place and that can be used."""
    return _choose_methods(source, _decisive_rows(source, Q(is_chosen=True)))


def _decisive_rows(source: ImageSource, condition: Q) -> QuerySet[MethodVersion]:
    rows = MethodVersion.primary.filter(condition, source_id=Source.objects.get_id(source))
    return rows.filter(name__in=plugins.stored_methods()).order_by("-projection_id")


def _choose_methods(source: ImageSource, rows: Iterable[MethodVersion]) -> dict[str, Method]:
    methods = dict(plugins.stored_methods())
    for row in rows:
        if row.is_chosen and (method := instantiate(row)):
            methods[row.name] = method
        elif row.is_chosen:
            _report_missing(f"{source.label}: {explain_missing(row)}")
    return methods


def explain_missing(row: MethodVersion) -> str:
    """Return why the method of a version that was chosen can't be instantiated on this host."""
    try:
        method = plugins.load_method(*row.method_config) if row.method_config else None
        problem = f"its version is {method.version} here, of another file" if method else "its options are not stored"
    except (ImproperlyConfigured, TypeError, ValueError, OSError) as error:
        problem = str(error).rstrip(".")
    return (
        f"the version {row.version} that was chosen for {row.name} can't be computed on this host: {problem}. Until it "
        "can, images are described by the method of the setting here."
    )


@lru_cache(maxsize=64)
def _report_missing(problem: str) -> None:
    """Log a problem once for every process."""
    logger.error("%s", problem)


def instantiate(spec: MethodSpec) -> Method | None:
    """Return the method that computes signatures of this version; None if it can no longer be instantiated."""
    current = plugins.stored_methods().get(spec.name)
    if current and current.version == spec.version:
        return current
    if not isinstance(spec, MethodVersion):
        return None
    if spec.projection_id is None:
        return _rebuild_method(json.dumps(spec.method_config), spec.version)
    projection = _get_projection(spec.projection_id, spec._state.db, current_schema(spec._state.db))
    if projection is None:
        return None
    if current is None or current.version != projection.base:
        current = _rebuild_method(json.dumps(spec.method_config), projection.base)
    return current and ProjectedMethod(
        current,
        version=spec.version,
        dimensions=spec.dimensions,
        curve=projection.curve,
        mean=bytes(projection.mean),
        matrix=bytes(projection.matrix),
    )


@lru_cache(maxsize=8)
def _get_projection(pk: int, alias: str | None, schema: str) -> Projection | None:
    return Projection.objects.using(alias).filter(pk=pk).first()


def _rebuild_method(method_config: str, version: str) -> Method | None:
    try:
        return _load_version(method_config, version)
    except (ImproperlyConfigured, TypeError, ValueError, OSError):
        return None


@lru_cache(maxsize=8)
def _load_version(method_config: str, version: str) -> Method:
    """Instantiate a method once for every process; failures are not kept, as the missing file may come.

    Raises:
        ImproperlyConfigured, TypeError, ValueError, OSError: it can't be, or is another version.
    """
    key, options = json.loads(method_config)
    method = plugins.load_method(key, options)
    if isinstance(method, DecodedPixelsMixin):
        # Files are decoded as they are today: nearly the same pixels, whose signatures serve until the switch.
        method.generation = generation_of(version)
    if method.version != version:
        raise ValueError(f"{method.version} is not {version}")
    return method


def methods_to_compute(source: ImageSource) -> list[Method]:
    """Return the methods by which to describe an image of this source.

    These are the methods of the setting, their enabled projections, and the active versions: so an image that is added
    while a new version is being computed is found both before and after the switch.
    """
    methods = {(method.name, method.version): method for method in plugins.stored_methods().values()}
    rows = MethodVersion.primary.filter(source_id=Source.objects.get_id(source))
    if not methods.keys() <= set(rows.values_list("name", "version")):
        # Otherwise signatures written before the next sweep would belong to an unknown version.
        register_versions()
    methods |= {(method.name, method.version): method for method in configured_methods(source).values()}
    for spec in active_versions(source, MethodVersion.primary.all()).values():
        if (spec.name, spec.version) not in methods and (method := instantiate(spec)):
            methods[spec.name, spec.version] = method
    return list(methods.values())


def register_versions() -> None:
    """Create or update the rows of the configured versions; the first version of a method in a source is active."""
    source_ids = [Source.objects.get_id(source) for source in registry.get_sources()]
    rows: dict[tuple[int, str], list[MethodVersion]] = defaultdict(list)
    for row in MethodVersion.primary.filter(source_id__in=source_ids):
        rows[row.source_id, row.name].append(row)
    missing: list[MethodVersion] = []
    for source_id in source_ids:
        for method in plugins.stored_methods().values():
            known = rows[source_id, method.name]
            current = next((row for row in known if row.version == method.version), None)
            if current is None:
                missing.append(make_version_row(source_id, method, is_active=not any(row.is_active for row in known)))
            else:
                _update_row(current, method)
    with transaction.atomic(using=write_alias()):
        # Another process may have created them meanwhile, or be about to: sorted, so that neither waits for the other.
        missing.sort(key=lambda row: (row.source_id, row.name))
        MethodVersion.primary.bulk_create(missing, ignore_conflicts=True)


def make_version_row(source_id: int, method: Method, *, is_active: bool) -> MethodVersion:
    """Return a row for a version, which is not saved."""
    return MethodVersion(
        source_id=source_id,
        name=method.name,
        version=method.version,
        storage=method.storage,
        metric=method.metric,
        dimensions=method.dimensions,
        curve=_list_points(method),
        method_config=_as_json(method.method_config),
        is_active=is_active,
    )


def _update_row(row: MethodVersion, method: Method) -> None:
    same = MethodVersion.primary.filter(pk=row.pk)
    if row.curve != (curve := _list_points(method)):
        same.filter(is_calibrated=False).update(curve=curve)
    if row.method_config != (method_config := _as_json(method.method_config)):
        same.update(method_config=method_config)
    if row.is_chosen:  # the setting says the same now
        same.update(is_chosen=False)


def _list_points(method: Method) -> list[list[float]]:
    return [list(point) for point in method.curve]


def _as_json(method_config: tuple[str, dict[str, Any]]) -> list[Any] | None:
    """Return the key and options as JSON would hold them; None if an option can't be stored as JSON."""
    try:
        copy: list[Any] = json.loads(json.dumps(method_config))
    except (TypeError, ValueError):
        return None
    return copy


def pending_switches() -> Iterator[tuple[ImageSource, MethodVersion]]:
    """Yield the configured versions that are not active yet, with their sources.

    Where a version was chosen that this host can't compute, others switch to it, and this one does not switch back.
    """
    for source in registry.get_sources():
        chosen = chosen_versions(source)
        for method in configured_methods(source).values():
            if method.name in chosen and instantiate(chosen[method.name]) is None:
                continue
            row = MethodVersion.primary.filter(
                source_id=Source.objects.get_id(source), name=method.name, version=method.version, is_active=False
            ).first()
            if row:
                yield source, row


def chosen_versions(source: ImageSource) -> dict[str, MethodVersion]:
    """Return the versions that were chosen in place of those of the setting, by name of the method."""
    rows = MethodVersion.primary.filter(source_id=Source.objects.get_id(source), is_chosen=True)
    return {row.name: row for row in rows}


def switch_versions() -> list[MethodVersion]:
    """Activate every configured version that covers all that the active one does; return the activated ones.

    Where the active one is searched by an index, the new one has to have its own first.
    """
    switched = []
    for _source, new in pending_switches():
        of_method = MethodVersion.primary.filter(source_id=new.source_id, name=new.name)
        with transaction.atomic(using=write_alias()):
            # Lock all rows, as the active one may change while this waits for its lock, and then none would be found.
            rows = list(of_method.select_for_update().order_by("pk"))
            old = next((row for row in rows if row.is_active), None)
            if old is None or (not _waits_for_index(new, old) and is_complete(new, old)):
                of_method.filter(is_active=True).update(is_active=False)
                of_method.filter(pk=new.pk).update(is_active=True)
                clear_widgets_on_commit(write_alias())
                switched.append(new)
    return switched


def _waits_for_index(new: MethodVersion, old: MethodVersion) -> bool:
    if not old.has_index or new.has_index or new.dimensions > storage.MAX_INDEXED_DIMENSIONS[new.storage]:
        return False
    min_rows = conf.get().hnsw_min_rows
    return new.name in plugins.enabled_methods() and signatures_of(new)[min_rows - 1 : min_rows].exists()


def is_complete(new: MethodVersion, old: MethodVersion) -> bool:
    """Check that the new version has signatures of all records that the old one has, but for a few failed ones."""
    missing = missing_signatures(new, old)
    if missing.exclude(record__status=IndexedImage.Status.FAILED).exists():
        return False
    lost = missing.count()
    max_lost = max(MAX_LOST_RECORDS, signatures_of(old).count() * MAX_LOST_PERCENT // 100)
    return lost <= max_lost and lost <= signatures_of(new).count()


def missing_signatures(new: MethodVersion, old: MethodVersion) -> QuerySet[Signature]:
    """Return the signatures of the old version whose records have none of the new one."""
    described = Signature.primary.filter(record=OuterRef("record"), method=new.name, version=new.version)
    return signatures_of(old).filter(~Exists(described))


def signatures_of(version: MethodVersion) -> QuerySet[Signature]:
    """Return the stored signatures of a version."""
    return Signature.primary.filter(source_id=version.source_id, method=version.name, version=version.version)


def fill_projection(source: ImageSource, method: ProjectedMethod) -> Iterator[int]:
    """Compute missing signatures of a projection from stored ones of its base; yield the number in every chunk.

    No image is read. Records that another transaction has locked are skipped until the next time.
    """
    import numpy as np

    signatures = Signature.primary.filter(source_id=Source.objects.get_id(source), method=method.name)
    base = signatures.filter(version=method.base.version)
    missing = (
        IndexedImage.primary.for_source(source)
        .filter(Exists(base.filter(record=OuterRef("pk"))))
        .exclude(Exists(signatures.filter(record=OuterRef("pk"), version=method.version)))
        .order_by("pk")
        .select_for_update(skip_locked=True, of=("self",))
    )
    while True:
        with transaction.atomic(using=write_alias()):
            pks = list(missing.values_list("pk", flat=True)[:WRITE_CHUNK])
            if not pks:
                return
            rows = list(base.filter(record__in=pks))
            values = method.project(np.array([storage.unpack(row.dense) for row in rows]))
            Signature.primary.bulk_create(
                [
                    Signature(
                        record_id=row.record_id,
                        source_id=row.source_id,
                        method=method.name,
                        version=method.version,
                        dense=storage.pack(method, value),
                    )
                    for row, value in zip(rows, values, strict=True)
                ],
                ignore_conflicts=True,
            )
        missing = missing.filter(pk__gt=pks[-1])
        yield len(rows)


def delete_signatures(version: MethodVersion) -> Iterator[int]:
    """Delete the signatures of a version; yield the number in every chunk."""
    return delete_in_chunks(signatures_of(version))


def delete_in_chunks(rows: QuerySet[Signature]) -> Iterator[int]:
    """Delete signatures; yield the number in every chunk."""
    while True:
        with transaction.atomic(using=write_alias()):
            # Signatures of a record that is being saved are skipped until the next time, so that no save has to wait.
            pks = list(
                rows.select_for_update(skip_locked=True, of=("self",)).values_list("pk", flat=True)[: 10 * WRITE_CHUNK]
            )
            if not pks:
                return
            Signature.primary.filter(pk__in=pks).delete()
        yield len(pks)
