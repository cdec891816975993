"""Which version of each method a source is searched by.

The method, its model and its options make a version, which every signature carries. When the setting changes, workers
fill in the new version while searches go on with the old one, until the new one covers all that the old one does.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet

from . import registry, signatures
from .models import CHUNK, MethodVersion, Signature, Source
from .registry import ImageSource
from .signatures.base import Form, Method


def serving(source: ImageSource) -> dict[str, Form]:
    """What a source is searched by, by the name of the method; where nothing serves yet, what the setting says."""
    methods: dict[str, Form] = dict(signatures.enabled())
    rows = MethodVersion.objects.filter(source_id=Source.objects.id_of(source), is_serving=True, name__in=methods)
    return methods | {row.name: row for row in rows}


def method_of(form: Form) -> Method | None:
    """The method that makes signatures of this version; None where it can't be had any more."""
    current = signatures.enabled().get(form.name)
    if current and current.version == form.version:
        return current
    return _made_again(json.dumps(form.recipe), form.version) if isinstance(form, MethodVersion) else None


@lru_cache(maxsize=8)
def _made_again(recipe: str, version: str) -> Method | None:
    try:
        key, options = json.loads(recipe)
        method = signatures.load(key, options)
        return method if method.version == version else None
    except (ImproperlyConfigured, TypeError, ValueError, OSError):
        return None


def to_make(source: ImageSource) -> list[Method]:
    """The methods by which a picture of this source is to be described: those of the setting, and those that serve.

    So a picture that comes while a new version is filled in is found at once, and after the switch.
    """
    methods = {(method.name, method.version): method for method in signatures.enabled().values()}
    rows = MethodVersion.objects.filter(source_id=Source.objects.id_of(source))
    if not methods.keys() <= set(rows.values_list("name", "version")):
        sync()  # signatures of a version that nobody knows of would be no reason to wait for the next one
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
            curve = [list(point) for point in method.curve]
            if row := known.get(method.version):
                if row.curve != curve and not row.is_calibrated:
                    MethodVersion.objects.filter(pk=row.pk).update(curve=curve)
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
                    "recipe": _plain(method.recipe),
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
    """The versions of the setting that do not serve yet."""
    for source in registry.sources():
        for method in signatures.enabled().values():
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
            old = of_method.filter(is_serving=True).select_for_update().first()
            if old is None or not lacking(old, new):
                of_method.filter(is_serving=True).update(is_serving=False)
                of_method.filter(pk=new.pk).update(is_serving=True)
                switched.append(new)
    return switched


def lacking(old: MethodVersion, new: MethodVersion) -> bool:
    """Whether a record is found by the old version and would not be by the new one."""
    described = Signature.objects.filter(record=OuterRef("record"), method=new.name, version=new.version)
    return of(old).filter(~Exists(described)).exists()


def of(version: MethodVersion) -> QuerySet[Signature]:
    """The signatures of a version."""
    return Signature.objects.filter(source_id=version.source_id, method=version.name, version=version.version)


def prune() -> Iterator[int]:
    """Delete the signatures that neither serve nor are wanted by the setting; yield how many, chunk by chunk."""
    enabled = signatures.enabled()
    for source in registry.sources():
        source_id = Source.objects.id_of(source)
        keep = {(method.name, method.version) for method in enabled.values()}
        keep |= {(form.name, form.version) for form in serving(source).values()}
        rows = Signature.objects.filter(source_id=source_id)
        for name, version in rows.values_list("method", "version").distinct().order_by():
            if (name, version) not in keep:
                yield from _delete(rows.filter(method=name, version=version))
        for row in MethodVersion.objects.filter(source_id=source_id):
            if (row.name, row.version) not in keep:
                row.delete()


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
