"""Which version of each method a source is searched by.

The method, its model and its options make a version, which every signature carries. When the setting changes, workers
fill in the new version while searches go on with the old one, until the new one covers all that the old one does. A
projection that was learned for a version makes another one of it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet

from .. import plugins, registry
from ..models import WRITE_CHUNK, IndexedImage, MethodVersion, Projection, Signature, Source
from ..registry import ImageSource
from ..signatures import storage
from ..signatures.base import Method, MethodSpec
from ..signatures.projection import ProjectedMethod

MAX_LOST_RECORDS = 10
"""Records, or as many in 1,000, that a switch may leave behind because they failed."""

Status = IndexedImage.Status


def active_versions(source: ImageSource) -> dict[str, MethodSpec]:
    """What a source is searched by, by the name of the method; where nothing serves yet, what the setting says."""
    methods: dict[str, MethodSpec] = dict(plugins.enabled_methods())
    rows = MethodVersion.objects.filter(source_id=Source.objects.get_id(source), is_active=True, name__in=methods)
    return methods | {row.name: row for row in rows}


def configured_methods(source: ImageSource) -> dict[str, Method]:
    """What a source is to be searched by: the methods of the setting, each through the projection that is on for it."""
    methods = dict(plugins.enabled_methods())
    learned = MethodVersion.objects.filter(source_id=Source.objects.get_id(source), projection__is_enabled=True)
    for row in learned.order_by("-projection_id"):
        method = instantiate(row)
        if isinstance(method, ProjectedMethod) and method.base is methods.get(row.name):
            methods[row.name] = method
    return methods


def instantiate(form: MethodSpec) -> Method | None:
    """The method that makes signatures of this version; None where it can't be had any more."""
    current = plugins.enabled_methods().get(form.name)
    if current and current.version == form.version:
        return current
    if not isinstance(form, MethodVersion):
        return None
    if form.projection_id is None:
        return _rebuild_method(json.dumps(form.method_config), form.version)
    projection = _projection(form.projection_id)
    if projection is None:
        return None
    if current is None or current.version != projection.base:
        current = _rebuild_method(json.dumps(form.method_config), projection.base)
    return current and ProjectedMethod(
        current,
        version=form.version,
        dimensions=form.dimensions,
        curve=projection.curve,
        mean=bytes(projection.mean),
        matrix=bytes(projection.matrix),
    )


@lru_cache(maxsize=8)
def _projection(pk: int) -> Projection | None:
    return Projection.objects.filter(pk=pk).first()


@lru_cache(maxsize=8)
def _rebuild_method(method_config: str, version: str) -> Method | None:
    try:
        key, options = json.loads(method_config)
        method = plugins.load_method(key, options)
        return method if method.version == version else None
    except (ImproperlyConfigured, TypeError, ValueError, OSError):
        return None


def methods_to_compute(source: ImageSource) -> list[Method]:
    """The methods by which a picture of this source is to be described: those of the setting, also as they are
    projected, and those that serve.

    So a picture that comes while a new version is filled in is found at once, and after the switch.
    """
    methods = {(method.name, method.version): method for method in plugins.enabled_methods().values()}
    rows = MethodVersion.objects.filter(source_id=Source.objects.get_id(source))
    if not methods.keys() <= set(rows.values_list("name", "version")):
        register_versions()  # signatures of a version that nobody knows of would be no reason to wait for the next one
    methods |= {(method.name, method.version): method for method in configured_methods(source).values()}
    for form in active_versions(source).values():
        if (form.name, form.version) not in methods and (method := instantiate(form)):
            methods[form.name, form.version] = method
    return list(methods.values())


def register_versions() -> None:
    """Write down the versions of the setting. The first one of a method in a source serves at once."""
    for source in registry.get_sources():
        rows = MethodVersion.objects.filter(source_id=Source.objects.get_id(source))
        for name, method in plugins.enabled_methods().items():
            known = {row.version: row for row in rows if row.name == name}
            curve, method_config = [list(point) for point in method.curve], _plain(method.method_config)
            if row := known.get(method.version):
                same = MethodVersion.objects.filter(pk=row.pk)
                if row.curve != curve and not row.is_calibrated:
                    same.filter(is_calibrated=False).update(curve=curve)
                if row.method_config != method_config:
                    same.update(method_config=method_config)
                continue
            MethodVersion.objects.get_or_create(
                source_id=Source.objects.get_id(source),
                name=name,
                version=method.version,
                defaults={
                    "storage": method.storage,
                    "metric": method.metric,
                    "dimensions": method.dimensions,
                    "curve": curve,
                    "method_config": method_config,
                    "is_active": not any(row.is_active for row in known.values()),
                },
            )


def _plain(method_config: tuple[str, dict[str, Any]]) -> list[Any] | None:
    """The method_config if it can be kept as JSON; options that are objects can't."""
    try:
        copy: list[Any] = json.loads(json.dumps(method_config))
    except (TypeError, ValueError):
        return None
    return copy


def pending_switches() -> Iterator[tuple[ImageSource, MethodVersion]]:
    """The versions that are wanted and do not serve yet."""
    for source in registry.get_sources():
        for method in configured_methods(source).values():
            row = MethodVersion.objects.filter(
                source_id=Source.objects.get_id(source), name=method.name, version=method.version, is_active=False
            ).first()
            if row:
                yield source, row


def switch_versions() -> list[MethodVersion]:
    """Let every new version serve that covers all that the old one does; return these."""
    switched = []
    for _source, new in pending_switches():
        of_method = MethodVersion.objects.filter(source_id=new.source_id, name=new.name)
        with transaction.atomic():
            # All rows, not the serving one: when that one ceased to serve while we waited, it would seem there is none.
            rows = list(of_method.select_for_update().order_by("pk"))
            old = next((row for row in rows if row.is_active), None)
            if old is None or is_complete(new, old):
                of_method.filter(is_active=True).update(is_active=False)
                of_method.filter(pk=new.pk).update(is_active=True)
                switched.append(new)
    return switched


def is_complete(new: MethodVersion, old: MethodVersion) -> bool:
    """Whether everything that the old version finds is found by the new one.

    A few records may have failed, and are lost with the switch; many tell of something else than their pictures.
    """
    left = missing_signatures(new, old)
    if left.exclude(record__status=Status.FAILED).exists():
        return False
    failed = left.count()
    return (
        failed <= max(MAX_LOST_RECORDS, signatures_of(old).count() * MAX_LOST_RECORDS // 1000)
        and failed <= signatures_of(new).count()
    )


def missing_signatures(new: MethodVersion, old: MethodVersion) -> QuerySet[Signature]:
    """The signatures of the old version whose records have none of the new one."""
    described = Signature.objects.filter(record=OuterRef("record"), method=new.name, version=new.version)
    return signatures_of(old).filter(~Exists(described))


def signatures_of(version: MethodVersion) -> QuerySet[Signature]:
    """The signatures of a version."""
    return Signature.objects.filter(source_id=version.source_id, method=version.name, version=version.version)


def fill_projection(source: ImageSource, method: ProjectedMethod) -> Iterator[int]:
    """Make the signatures of a projection from those stored of its base, chunk by chunk; yield how many.

    No picture is read. Records that another transaction has locked are left for another time.
    """
    import numpy as np

    made = Signature.objects.filter(source_id=Source.objects.get_id(source), method=method.name)
    base = made.filter(version=method.base.version)
    lacking = (
        IndexedImage.objects.for_source(source)
        .filter(Exists(base.filter(record=OuterRef("pk"))))
        .exclude(Exists(made.filter(record=OuterRef("pk"), version=method.version)))
        .order_by("pk")
        .select_for_update(skip_locked=True, of=("self",))
    )
    while True:
        with transaction.atomic():
            pks = list(lacking.values_list("pk", flat=True)[:WRITE_CHUNK])
            if not pks:
                return
            rows = list(base.filter(record__in=pks))
            seen = method.project(np.array([storage.unpack(row.dense) for row in rows]))
            Signature.objects.bulk_create(
                [
                    Signature(
                        record_id=row.record_id,
                        source_id=row.source_id,
                        method=method.name,
                        version=method.version,
                        dense=storage.pack(method, value),
                    )
                    for row, value in zip(rows, seen, strict=True)
                ],
                ignore_conflicts=True,
            )
        lacking = lacking.filter(pk__gt=pks[-1])
        yield len(rows)


def prune_versions(sources: Iterable[ImageSource]) -> Iterator[int]:
    """Delete the signatures that neither serve nor are wanted; yield how many, chunk by chunk.

    What a projection is applied to is kept: the next one is learned from it.
    """
    for source in sources:
        source_id = Source.objects.get_id(source)
        methods = (*plugins.enabled_methods().values(), *configured_methods(source).values())
        current = {(method.name, method.version) for method in methods}
        for row in MethodVersion.objects.filter(source_id=source_id):
            # The row goes first: what nobody knows of can't be switched to while its signatures go.
            if (row.name, row.version) not in current:
                unused = Q(is_active=False) | ~Q(name__in=plugins.enabled_methods())
                MethodVersion.objects.filter(unused, pk=row.pk).delete()
        known = current | set(MethodVersion.objects.filter(source_id=source_id).values_list("name", "version"))
        rows = Signature.objects.filter(source_id=source_id)
        for name, version in rows.values_list("method", "version").distinct().order_by():
            if (name, version) not in known:
                yield from _delete(rows.filter(method=name, version=version))
    Projection.objects.filter(version=None).delete()


def _delete(rows: QuerySet[Signature]) -> Iterator[int]:
    while True:
        with transaction.atomic():
            # Rows of a record that is being saved are left for another time: nobody waits for us.
            pks = list(
                rows.select_for_update(skip_locked=True, of=("self",)).values_list("pk", flat=True)[: 10 * WRITE_CHUNK]
            )
            if not pks:
                return
            Signature.objects.filter(pk__in=pks).delete()
        yield len(pks)
