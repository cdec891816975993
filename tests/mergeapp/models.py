"""Assets, and rows that refer to them in every way."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from django.contrib.contenttypes.fields import GenericForeignKey, GenericRelation
from django.contrib.contenttypes.models import ContentType
from django.db import models
from django.db.models import Q

from tests.databases import VARIANT

GENERIC_RELATIONS = pytest.mark.skipif(
    VARIANT == "alias",
    reason="Django deletes objects with a GenericRelation only where content types are in their database",
)


class Asset(models.Model):
    """What is merged."""

    code = models.CharField(max_length=20, unique=True)
    image = models.ImageField(upload_to="assets/")
    parent = models.ForeignKey("self", models.SET_NULL, null=True, related_name="parts")
    tags = models.ManyToManyField("Tag")
    related = models.ManyToManyField("self")
    notes = GenericRelation("Note")

    def __str__(self) -> str:
        return self.code


class SpecialAsset(Asset):
    """A child with a table of its own."""

    price = models.DecimalField(max_digits=8, decimal_places=2, default=0)


class AssetProxy(Asset):
    class Meta:
        proxy = True


class Tag(models.Model):
    name = models.CharField(max_length=20)


class Page(models.Model):
    """Refers by foreign keys, to the key and to another unique column, and by a text."""

    title = models.CharField(max_length=50)
    hero = models.ForeignKey(Asset, models.PROTECT, null=True, related_name="+")
    cover = models.ForeignKey(Asset, models.SET_NULL, null=True, to_field="code", related_name="covers")
    special = models.ForeignKey(SpecialAsset, models.CASCADE, null=True)
    body = models.TextField(default="")

    def __str__(self) -> str:
        return self.title


class Album(models.Model):
    """Refers by many-to-many fields, with and without a model of their own."""

    assets = models.ManyToManyField(Asset, related_name="albums")
    sorted_assets = models.ManyToManyField(Asset, through="Placement", related_name="+")


class Placement(models.Model):
    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    album = models.ForeignKey(Album, models.CASCADE)
    asset = models.ForeignKey(Asset, models.CASCADE)
    position = models.IntegerField()
    size = models.FloatField(default=0.1)
    options = models.JSONField(default=dict)
    data = models.BinaryField(default=b"")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["album", "asset"], name="placement_once"),
            models.UniqueConstraint(
                fields=["album", "position"], name="placement_position", deferrable=models.Deferrable.DEFERRED
            ),
        ]


class License(models.Model):
    """A one-to-one field that is the key, to which others refer."""

    asset = models.OneToOneField(Asset, models.CASCADE, primary_key=True)
    text = models.CharField(max_length=50)


class LicenseFee(models.Model):
    license = models.ForeignKey(License, models.CASCADE)
    amount = models.DecimalField(max_digits=8, decimal_places=2)


class Focus(models.Model):
    """A one-to-one field beside a key of its own; at most one of each asset is current."""

    asset = models.OneToOneField(Asset, models.CASCADE)
    x = models.IntegerField(default=0)


class Rating(models.Model):
    """A constraint of some rows only, and one that no field of a foreign key has."""

    asset = models.ForeignKey(AssetProxy, models.CASCADE)
    is_current = models.BooleanField(default=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["asset"], condition=Q(is_current=True), name="rating_current"),
        ]


class Note(models.Model):
    """Refers to whatever object, once by each author."""

    content_type = models.ForeignKey(ContentType, models.CASCADE, db_constraint=False)
    object_id = models.CharField(max_length=50)
    subject = GenericForeignKey("content_type", "object_id", for_concrete_model=False)
    author = models.CharField(max_length=20)

    class Meta:
        unique_together = [("content_type", "object_id", "author")]


class Usage(models.Model):
    """Refers by every other kind of `on_delete`, and once by a row of each kind that may be in the way."""

    restricted = models.ForeignKey(Asset, models.RESTRICT, null=True, related_name="+")
    defaulted = models.ForeignKey(Asset, models.SET_DEFAULT, null=True, default=None, related_name="+")
    untouched = models.ForeignKey(Asset, models.DO_NOTHING, null=True, db_constraint=False, related_name="+")
    emptied_once = models.OneToOneField(Asset, models.SET_NULL, null=True, related_name="+")
    protected_once = models.OneToOneField(Asset, models.PROTECT, null=True, related_name="+")
    restricted_once = models.OneToOneField(Asset, models.RESTRICT, null=True, related_name="+")


class Legacy(models.Model):
    """A table that Django does not manage; the database itself deletes its rows, and empties columns."""

    asset = models.ForeignKey(Asset, models.DO_NOTHING, null=True, related_name="+")
    asset_once = models.OneToOneField(Asset, models.DO_NOTHING, null=True, related_name="+")
    emptied_once = models.OneToOneField(Asset, models.DO_NOTHING, null=True, related_name="+")

    class Meta:
        managed = False
        db_table = "mergeapp_legacy"


class LegacyPart(models.Model):
    """What is deleted with a row that the database deletes."""

    legacy = models.ForeignKey(Legacy, models.DO_NOTHING, related_name="+")

    class Meta:
        managed = False
        db_table = "mergeapp_legacypart"


LEGACY_TABLES = """
CREATE TABLE mergeapp_legacy (
    id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    asset_id bigint REFERENCES mergeapp_asset ON DELETE CASCADE,
    asset_once_id bigint UNIQUE REFERENCES mergeapp_asset ON DELETE CASCADE,
    emptied_once_id bigint UNIQUE REFERENCES mergeapp_asset ON DELETE SET NULL
);
CREATE TABLE mergeapp_legacypart (
    id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    legacy_id bigint NOT NULL REFERENCES mergeapp_legacy ON DELETE CASCADE
);
"""
"""Tables with rules of the database; as long as they are not there, merges go without them."""

if DB_CASCADE := getattr(models, "DB_CASCADE", None):  # from Django 6.1 on

    class CascadedByDatabase(models.Model):
        """Refers by the kinds of `on_delete` that the database carries out."""

        asset = models.OneToOneField(Asset, DB_CASCADE, null=True, related_name="+")
        emptied = models.OneToOneField(Asset, models.DB_SET_NULL, null=True, related_name="+")  # type: ignore[attr-defined]


class Rendition(models.Model):
    """A file made of the asset's: it is no reference."""

    asset = models.ForeignKey(Asset, models.CASCADE, related_name="renditions")


def embedded_assets(model: type[models.Model], replacements: Any, using: str) -> Any:
    """Find assets that are embedded in the texts of pages."""
    import re

    from similar_images.merging.hooks import FieldChange

    if model is not Asset:
        return
    for page in Page.objects.using(using).filter(body__contains="<embed "):
        text = re.sub(r'<embed id="(\w+)"/>', lambda m: f'<embed id="{replacements.get(m[1], m[1])}"/>', page.body)
        if text != page.body:
            yield FieldChange(Page, page.pk, "body", text)
