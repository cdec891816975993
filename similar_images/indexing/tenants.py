"""Projects with a schema for every tenant, by django-tenants: the tasks do their work in each."""

from __future__ import annotations

from collections.abc import Iterator

from django.apps import apps

from ..models import Source


def each_schema() -> Iterator[str]:
    """Yield the name of every schema that has the app's tables, while connections are set to it.

    In other projects that is one, of no name.
    """
    if not apps.is_installed("django_tenants"):
        yield ""
        return
    from django_tenants.utils import get_tenant_model, schema_context

    for name in list(get_tenant_model().objects.order_by("schema_name").values_list("schema_name", flat=True)):
        with schema_context(name):
            if Source.objects.has_table():
                yield name
