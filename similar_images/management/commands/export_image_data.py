"""Print all that is stored about one object."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from typing import Any

from django.apps import apps
from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.core.management.base import CommandError
from django.core.serializers.json import DjangoJSONEncoder
from django.db import models, router

from similar_images.management.base import PrintableCommand
from similar_images.management.stored_data import describe_marks_by, describe_object
from similar_images.models import Source
from similar_images.sources.source import ImageSource


class Command(PrintableCommand):
    """Print the records, signatures and marks of an object as JSON."""

    help = (
        "Print all that is stored about the images of one object, as JSON: its records, requests to read them again, "
        "its signatures by method and version, and its marks with their editors. Answers a person who asks what is "
        "stored about them, and proves that nothing is left of an object that was deleted. Changes nothing."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add the arguments of the command."""
        parser.add_argument("model", metavar="app.Model", help="The object's model; it may be one that was removed.")
        parser.add_argument("pk", help="The object's primary key.")

    def handle(self, *args: Any, **options: Any) -> None:
        """Print the object's data."""
        label = options["model"]
        model = _find_model(label)
        if model is None and not _has_source(label):
            raise CommandError(f"There is no model {label!r}, and nothing is stored about objects of that name.")
        try:
            object_id = ImageSource(model, "").object_id(options["pk"]) if model else options["pk"]
            exists = (
                model is not None
                and model._base_manager.using(router.db_for_write(model)).filter(pk=object_id).exists()
            )
        except (ValidationError, ValueError):
            raise CommandError(f"{options['pk']!r} is not a primary key of {label}.") from None
        data: dict[str, Any] = {
            "object": f"{label.lower()}:{object_id}",
            "exists": exists,
            "images": describe_object(_model_names(model) if model else [_split_label(label)], object_id),
        }
        if model and issubclass(model, get_user_model()):
            data["marks_made"] = describe_marks_by(object_id)
        self.stdout.write(json.dumps(data, cls=DjangoJSONEncoder, indent=2, ensure_ascii=False))
        if not data["images"]:
            self.stderr.write(f"No image data is stored about this object{'' if exists else ', which does not exist'}.")


def _find_model(label: str) -> type[models.Model] | None:
    try:
        return apps.get_model(label)
    except (LookupError, ValueError):
        return None


def _model_names(model: type[models.Model]) -> list[tuple[str, str]]:
    """Return app label and lowercase name of a model and of those that it inherits from, whose images are its own."""
    options = [ancestor._meta for ancestor in model.__mro__ if hasattr(ancestor, "_meta")]
    return [(meta.app_label, str(meta.model_name)) for meta in options if not meta.abstract]


def _split_label(label: str) -> tuple[str, str]:
    app_label, _dot, name = label.lower().rpartition(".")
    return app_label, name


def _has_source(label: str) -> bool:
    app_label, name = _split_label(label)
    return Source.objects.filter(app_label=app_label, model=name).exists()
