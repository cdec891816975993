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

from . import registry, signatures, vectors
from .models import CHUNK, IndexedImage, MethodVersion, Projection, Signature, Source
from .registry import ImageSource
from .signatures.base import Form, Method
from .signatures.projected import Projected

FAILURES = 10
"""Records, or as many in 1,000, that a switch may leave behind because they failed."""

Status = IndexedImage.Status


def serving(source: ImageSource) -> dict[str, Form]:
    """What a source is searched by, by the name of the method; where nothing serves yet, what the setting says."""
    methods: dict[str, Form] = dict(signatures.enabled())
    rows = MethodVersion.objects.filter(source_id=Source.objects.id_of(source), is_serving=True, name__in=methods)
    return methods | {row.name: row for row in rows}


def wanted(source: ImageSource) -> dict[str, Method]:
    """What a source is to be searched by: the methods of the setting, each through the projection that is on for it."""
    methods = dict(signatures.enabled())
    learned = MethodVersion.objects.filter(source_id=Source.objects.id_of(source), projection__is_on=True)
    for row in learned.order_by("-projection_id"):
        method = method_of(row)
        if isinstance(method, Projected) and method.base is methods.get(row.name):
            methods[row.name] = method
    return methods


def method_of(form: Form) -> Method | None:
    """The method that makes signatures of this version; None where it can't be had any more."""
    current = signatures.enabled().get(form.name)
    if current and current.version == form.version:
        return current
    if not isinstance(form, MethodVersion):
        return None
    if form.projection_id is None:
        return _made_again(json.dumps(form.recipe), form.version)
    projection = _projection(form.projection_id)
    if projection is None:
        return None
    if current is None or current.version != projection.base:
        current = _made_again(json.dumps(form.recipe), projection.base)
    return current and Projected(
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
def _made_again(recipe: str, version: str) -> Method | None:
    try:
        key, options = json.loads(recipe)
        method = signatures.load(key, options)
        return method if method.version == version else None
    except (ImproperlyConfigured, TypeError, ValueError, OSError):
        return None


def to_make(source: ImageSource) -> list[Method]:
    """The methods by which a picture of this source is to be described: those of the setting, also as they are
    projected, and those that serve.

    So a picture that comes while a new version is filled in is found at once, and after the switch.
    """
    methods = {(method.name, method.version): method for method in signatures.enabled().values()}
    rows = MethodVersion.objects.filter(source_id=Source.objects.id_of(source))
    if not methods.keys() <= set(rows.values_list("name", "version")):
        sync()  # signatures of a version that nobody knows of would be no reason to wait for the next one
    methods |= {(method.name, method.version): method for method in wanted(source).values()}
    for form in serving(source).values():
        if (form.name, form.version) not in methods and (method := method_of(form)):
            methods[form.name, form.version] = method
    return list(methods.values())


def sync() -> None:
    """Write down the versions of the setting. The first one of a method in a source serves at once."""
    for source in registry.sources():
        rows = MethodVersion.objects.filter(source_id=Source.objects.id_of(source))
        for name, method in signatures.enabled().items():
            known = {row.version: row for row in rows if row.name == name}
            curve, recipe = [list(point) for point in method.curve], _plain(method.recipe)
            if row := known.get(method.version):
                same = MethodVersion.objects.filter(pk=row.pk)
                if row.curve != curve and not row.is_calibrated:
                    same.filter(is_calibrated=False).update(curve=curve)
                if row.recipe != recipe:
                    same.update(recipe=recipe)
                continue
            MethodVersion.objects.get_or_create(
                source_id=Source.objects.id_of(source),
                name=name,
                version=method.version,
                defaults={
                    "storage": method.storage,
                    "metric": method.metric,
                    "dimensions": method.dimensions,
                    "curve": curve,
                    "recipe": recipe,
                    "is_serving": not any(row.is_serving for row in known.values()),
                },
            )


def _plain(recipe: tuple[str, dict[str, Any]]) -> list[Any] | None:
    """The recipe if it can be kept as JSON; options that are objects can't."""
    try:
        copy: list[Any] = json.loads(json.dumps(recipe))
    except (TypeError, ValueError):
        return None
    return copy


def waiting() -> Iterator[tuple[ImageSource, MethodVersion]]:
    """The versions that are wanted and do not serve yet."""
    for source in registry.sources():
        for method in wanted(source).values():
            row = MethodVersion.objects.filter(
                source_id=Source.objects.id_of(source), name=method.name, version=method.version, is_serving=False
            ).first()
            if row:
                yield source, row


def switch() -> list[MethodVersion]:
    """Let every new version serve that covers all that the old one does; return these."""
    switched = []
    for _source, new in waiting():
        of_method = MethodVersion.objects.filter(source_id=new.source_id, name=new.name)
        with transaction.atomic():
            # All rows, not the serving one: when that one ceased to serve while we waited, it would seem there is none.
            rows = list(of_method.select_for_update().order_by("pk"))
            old = next((row for row in rows if row.is_serving), None)
            if old is None or covers(new, old):
                of_method.filter(is_serving=True).update(is_serving=False)
                of_method.filter(pk=new.pk).update(is_serving=True)
                switched.append(new)
    return switched


def covers(new: MethodVersion, old: MethodVersion) -> bool:
    """Whether everything that the old version finds is found by the new one.

    A few records may have failed, and are lost with the switch; many tell of something else than their pictures.
    """
    left = lacking(new, old)
    if left.exclude(record__status=Status.FAILED).exists():
        return False
    failed = left.count()
    return failed <= max(FAILURES, of(old).count() * FAILURES // 1000) and failed <= of(new).count()


def lacking(new: MethodVersion, old: MethodVersion) -> QuerySet[Signature]:
    """The signatures of the old version whose records have none of the new one."""
    described = Signature.objects.filter(record=OuterRef("record"), method=new.name, version=new.version)
    return of(old).filter(~Exists(described))


def of(version: MethodVersion) -> QuerySet[Signature]:
    """The signatures of a version."""
    return Signature.objects.filter(source_id=version.source_id, method=version.name, version=version.version)


def fill(source: ImageSource, method: Projected) -> Iterator[int]:
    """Make the signatures of a projection from those stored of its base, chunk by chunk; yield how many.

    No picture is read. Records that another transaction has locked are left for another time.
    """
    import numpy as np

    made = Signature.objects.filter(source_id=Source.objects.id_of(source), method=method.name)
    base = made.filter(version=method.base.version)
    lacking = (
        IndexedImage.objects.of(source)
        .filter(Exists(base.filter(record=OuterRef("pk"))))
        .exclude(Exists(made.filter(record=OuterRef("pk"), version=method.version)))
        .order_by("pk")
        .select_for_update(skip_locked=True, of=("self",))
    )
    while True:
        with transaction.atomic():
            pks = list(lacking.values_list("pk", flat=True)[:CHUNK])
            if not pks:
                return
            rows = list(base.filter(record__in=pks))
            seen = method.project(np.array([vectors.unpack(row.dense) for row in rows]))
            Signature.objects.bulk_create(
                [
                    Signature(
                        record_id=row.record_id,
                        source_id=row.source_id,
                        method=method.name,
                        version=method.version,
                        dense=vectors.pack(method, value),
                    )
                    for row, value in zip(rows, seen, strict=True)
                ],
                ignore_conflicts=True,
            )
        lacking = lacking.filter(pk__gt=pks[-1])
        yield len(rows)


def prune(sources: Iterable[ImageSource]) -> Iterator[int]:
    """Delete the signatures that neither serve nor are wanted; yield how many, chunk by chunk.

    What a projection is applied to is kept: the next one is learned from it.
    """
    for source in sources:
        source_id = Source.objects.id_of(source)
        methods = (*signatures.enabled().values(), *wanted(source).values())
        current = {(method.name, method.version) for method in methods}
        for row in MethodVersion.objects.filter(source_id=source_id):
            # The row goes first: what nobody knows of can't be switched to while its signatures go.
            if (row.name, row.version) not in current:
                unused = Q(is_serving=False) | ~Q(name__in=signatures.enabled())
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
                rows.select_for_update(skip_locked=True, of=("self",)).values_list("pk", flat=True)[: 10 * CHUNK]
            )
            if not pks:
                return
            Signature.objects.filter(pk__in=pks).delete()
        yield len(pks)
