"""Encoders that a command chooses for a source in place of that of the setting, and goes back from.

A setting is code, which no command can change; the choice is stored as a version, for all processes. The version of the
setting goes on being computed beside it, so that going back reads no image; whoever is sure writes the encoder into the
setting, and the choice is forgotten.
"""

from __future__ import annotations

from typing import Any

from django.db import transaction

from .. import plugins
from ..encoders.store import encoder_options
from ..models import MethodVersion, Source, write_alias
from ..signatures.embedding import Embedding
from ..signatures.projection import ProjectedMethod
from ..sources.source import ImageSource
from . import hnsw, outbox, versions

KEPT_OPTIONS = ("class", "trim", "threads", "providers")
"""Options of the setting's method that are kept: they are not about the encoder."""


def chosen_options(name: str, encoder: str) -> dict[str, Any]:
    """Return the options by which the setting would use an encoder for a method.

    Raises:
        UnknownEncoder: there is no such encoder on this host.
        ValueError: the method is not one that takes encoders.
    """
    method = plugins.enabled_methods()[name]
    if not isinstance(method, Embedding):
        raise ValueError(f"{name} describes images without an encoder.")
    _key, options = method.method_config
    return {**{option: options[option] for option in KEPT_OPTIONS if option in options}, **encoder_options(encoder)}


def choose_encoder(source: ImageSource, name: str, encoder: str) -> int:
    """Have a source described, and then searched, by an encoder in place of that of the setting.

    Args:
        source: the source.
        name: name of a method of the setting that takes encoders.
        encoder: name of an encoder that was added, or of a preset.

    Returns:
        The number of images that workers have to describe by it first; the former version is searched by until then.

    Raises:
        UnknownEncoder, ImproperlyConfigured: the encoder can't be used on this host.
        ValueError: the method is not one that takes encoders.
        RuntimeError: its model can't be used.
    """
    method = plugins.load_method(name, chosen_options(name, encoder))
    if problems := method.check():
        raise RuntimeError(" ".join(problems))
    source_id = Source.objects.get_id(source)
    rows = MethodVersion.primary.filter(source_id=source_id, name=name)
    with transaction.atomic(using=write_alias()):
        rows.filter(is_chosen=True).update(is_chosen=False)
        if method.version != plugins.stored_methods()[name].version:
            new = versions.make_version_row(source_id, method, is_active=False)
            known, _is_new = rows.get_or_create(
                version=method.version,
                defaults={field: getattr(new, field) for field in VERSION_FIELDS} | {"source_id": source_id},
            )
            rows.filter(pk=known.pk).update(is_chosen=True, method_config=new.method_config)
    return _begin_switch(source, name)


VERSION_FIELDS = ("name", "storage", "metric", "dimensions", "curve", "method_config")
"""Fields of a version that its method decides."""


def undo_choice(source: ImageSource, name: str) -> int:
    """Have a source searched by the setting's version of a method again; return how many images lack it."""
    rows = MethodVersion.primary.filter(source_id=Source.objects.get_id(source), name=name)
    rows.filter(is_chosen=True).update(is_chosen=False)
    return _begin_switch(source, name)


def _begin_switch(source: ImageSource, name: str) -> int:
    """Switch to the configured version if it is complete; otherwise have what is missing computed, and count it."""
    method = versions.configured_methods(source)[name]
    if isinstance(method, ProjectedMethod):
        for _size in versions.fill_projection(source, method):
            pass
    hnsw.sync_indexes()
    versions.switch_versions()
    outdated = outbox.outdated_records(source, [name])
    count = outdated.count()
    outdated.reset()
    return count
