"""Everything that a host does to its objects and their files."""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.files.base import ContentFile
from django.db import connection, models

from similar_images import marks

from . import pictures
from .journal import Journal
from .models import FIELDS, Asset, FramedPhoto, Photo, key

LIVING = 60
"""Objects of a model that a host keeps, more or less."""

SHARED_SHARE = 0.3
"""Share of assigned files that another object has, too."""


class Host:
    """The operations on the objects of one owner; each writes down beforehand which names it gives to which fields."""

    step = ""
    """The step that the operations belong to."""

    def __init__(self, number: int, journal: Journal, rng: random.Random, first_number: int) -> None:
        self.number = number
        self.journal = journal
        self.random = rng
        self.next_number = first_number
        self.overwritten: Path = settings.CHAOS / "overwritten"
        """The file that says which name some host has overwritten last."""
        self.names: dict[str, str | None] = {}
        self.dead: list[tuple[type[models.Model], Any]] = []

    def operate(self) -> None:
        model: type[models.Model] = self.random.choice([Photo, Photo, FramedPhoto, Asset])
        is_few = model._base_manager.filter(owner=self.number).count() < LIVING
        makers: list[Callable[[Any], None]] = [self.create, self.create, self.bulk_create, self.recreate, self.insert]
        changers: list[Callable[[Any], None]] = [
            self.replace,
            self.replace,
            self.overwrite,
            self.overwrite,
            self.overwrite,
            self.rename,
            self.clear,
            self.touch,
            self.update,
            self.bulk_update,
            self.raw_update,
            self.mark,
        ]
        removers: list[Callable[[Any], None]] = [self.delete, self.delete_many, self.raw_delete]
        kinds = (makers, changers, removers)
        operation = self.random.choice(self.random.choices(kinds, [4 if is_few else 1, 6, 1 if is_few else 3])[0])
        operation(model)

    def change(self, operation: str, names: dict[str, str | None]) -> None:
        """Write down what is about to be tried."""
        self.names |= names
        self.journal.write("change", step=self.step, operation=operation, names=names)

    # Operations

    def create(self, model: Any, pk: Any = None, operation: str = "create") -> None:
        item = model(pk=pk or self.new_pk(model), owner=self.number)
        names = self.assign(item, FIELDS[model])
        self.change(operation, names)
        item.save(force_insert=True)

    def recreate(self, model: Any) -> None:
        """Create an object with the key of a deleted one."""
        pks = [pk for dead, pk in self.dead if issubclass(model, dead) and not model._base_manager.filter(pk=pk)]
        if pks:
            self.create(model, self.random.choice(pks), "recreate")

    def bulk_create(self, model: Any) -> None:
        model = Photo if model is FramedPhoto else model  # which Django can't
        items = [model(pk=self.new_pk(model), owner=self.number) for _ in range(6)]
        names = {name: value for item in items for name, value in self.assign(item, FIELDS[model]).items()}
        self.change("bulk_create", names)
        model.objects.bulk_create(items)

    def insert(self, model: Any) -> None:
        """Insert a row in SQL, with the names of files that are there."""
        model = Asset if model is Asset else Photo
        pk, names = self.new_pk(model), [self.any_name(model, field) for field in FIELDS[model]]
        self.change("insert", {key(model, field, pk): name for field, name in zip(FIELDS[model], names, strict=True)})
        columns = ", ".join(FIELDS[model])
        with connection.cursor() as cursor:
            cursor.execute(
                f"INSERT INTO {model._meta.db_table} (id, owner, title, {columns}) "  # noqa: S608 - names of models
                f"VALUES (%s, %s, 'inserted'{', %s' * len(names)})",
                [pk, self.number, *names],
            )

    def replace(self, model: Any) -> None:
        for item in self.some(model):
            field = self.random.choice(FIELDS[model])
            content = self.new_content()
            way = self.random.choice(["save", "update_fields", "field"])
            name = self.new_name()
            self.change(f"replace ({way})", {key(model, field, item.pk): self.prefix(model, field) + name})
            if way == "field":
                getattr(item, field).save(name, ContentFile(content))
            else:
                setattr(item, field, ContentFile(content, name))
                item.save(update_fields=[field] if way == "update_fields" else None)

    def overwrite(self, model: Any) -> None:
        """Save new bytes under the same name, which another object may have, too."""
        for item in self.some(model):
            field = self.random.choice(FIELDS[model])
            if name := getattr(item, field).name:
                self.change("overwrite", {key(model, field, item.pk): name})
                self.overwritten.write_text(name)
                getattr(item, field).save(Path(name).name, ContentFile(self.new_content()))

    def rename(self, model: Any) -> None:
        """Assign the file of another object, or one that does not exist."""
        for item in self.some(model):
            field = self.random.choice(FIELDS[model])
            is_there = self.random.random() < 0.9
            name = self.any_name(model, field) if is_there else f"{self.prefix(model, field)}missing{item.pk}.png"
            self.change("rename", {key(model, field, item.pk): name})
            setattr(item, field, name)
            item.save()

    def clear(self, model: Any) -> None:
        for item in self.some(model):
            field = FIELDS[model][-1]
            self.change("clear", {key(model, field, item.pk): ""})
            setattr(item, field, "")
            item.save()

    def touch(self, model: Any) -> None:
        """Save an object whose file stays as it is."""
        for item in self.some(model):
            self.change("touch", {key(model, field, item.pk): getattr(item, field).name for field in FIELDS[model]})
            item.title = "touched"
            item.save()

    def update(self, model: Any) -> None:
        field = self.random.choice(FIELDS[model])
        pks = [item.pk for item in self.some(model, 3)]
        name = self.any_name(model, field)
        self.change("update()", {key(model, field, pk): name for pk in pks})
        model.objects.filter(pk__in=pks).update(**{field: name})

    def bulk_update(self, model: Any) -> None:
        field = self.random.choice(FIELDS[model])
        items, names = self.some(model, 3), {}
        for item in items:
            name = self.any_name(model, field)
            setattr(item, field, name)
            names[key(model, field, item.pk)] = name
        self.change("bulk_update", names)
        model.objects.bulk_update(items, [field])

    def raw_update(self, model: Any) -> None:
        model = Asset if model is Asset else Photo
        field = self.random.choice(FIELDS[model])
        for item in self.some(model):
            name = self.any_name(model, field)
            self.change("UPDATE", {key(model, field, item.pk): name})
            with connection.cursor() as cursor:
                cursor.execute(f"UPDATE {model._meta.db_table} SET {field} = %s WHERE id = %s", [name, item.pk])  # noqa: S608 - as above

    def mark(self, model: Any) -> None:
        items = self.some(model, 2)
        if len(items) == 2:
            self.change("mark", {})
            try:
                marks.mark(*items, alike=self.random.random() < 0.5, field=FIELDS[model][0])
            except ValueError:  # one has no image
                return

    def delete(self, model: Any) -> None:
        for item in self.some(model):
            pk = item.pk
            self.forget("delete", model, [pk])
            item.delete()

    def delete_many(self, model: Any) -> None:
        pks = [item.pk for item in self.some(model, 3)]
        self.forget("delete()", model, pks)
        model.objects.filter(pk__in=pks).delete()

    def raw_delete(self, model: Any) -> None:
        pks = [item.pk for item in self.some(model, 2)]
        self.forget("DELETE", model, pks)
        with connection.cursor() as cursor:
            for table, column in (
                [(Asset._meta.db_table, "id")]
                if model is Asset
                else [(FramedPhoto._meta.db_table, "photo_ptr_id"), (Photo._meta.db_table, "id")]
            ):
                cursor.execute(f"DELETE FROM {table} WHERE {column} = ANY(%s)", [pks])  # noqa: S608 - as above

    def forget(self, operation: str, model: Any, pks: list[Any]) -> None:
        self.change(operation, {key(model, field, pk): None for pk in pks for field in FIELDS[model]})
        self.dead = [*self.dead, *((Asset if model is Asset else Photo, pk) for pk in pks)][-50:]

    # Choices

    def some(self, model: Any, most: int = 1) -> list[Any]:
        """Return some of this writer's objects."""
        pks = list(model._base_manager.filter(owner=self.number).values_list("pk", flat=True))
        chosen = self.random.sample(pks, min(most, len(pks)))
        return list(model._base_manager.filter(pk__in=chosen))

    def any_name(self, model: Any, field: str) -> str:
        """Return the name of a file: of a new one, or now and then that of an object, of whichever writer."""
        storage = model._meta.get_field(field).storage
        if self.random.random() < SHARED_SHARE:
            name = self.overwritten.read_text() if self.overwritten.exists() else ""
            if name.startswith(self.prefix(model, field)) and self.random.random() < 0.7:
                return name  # which may be overwritten at this moment
            rows = model._base_manager.exclude(**{field: ""}).order_by("?")
            if name := rows.values_list(field, flat=True).first() or "":
                return name
        return str(storage.save(self.prefix(model, field) + self.new_name(), ContentFile(self.new_content())))

    def assign(self, item: Any, fields: tuple[str, ...]) -> dict[str, str | None]:
        """Give a new object files; return their names by field."""
        names: dict[str, str | None] = {}
        for field in fields:
            way = self.random.choices(["new", "taken", "assigned"], [8, 1, 2])[0]
            if way == "assigned":
                name = self.any_name(type(item), field)
                setattr(item, field, name)
            else:
                base = Path(self.any_name(type(item), field)).name if way == "taken" else self.new_name()
                setattr(item, field, ContentFile(self.new_content(), base))
                name = self.prefix(type(item), field) + base
            names[key(type(item), field, item.pk)] = name
        return names

    def new_number(self) -> int:
        self.next_number += 1
        return self.next_number

    def new_pk(self, model: Any) -> Any:
        return uuid.UUID(int=self.random.getrandbits(128), version=4) if model is Asset else self.new_number()

    def new_name(self) -> str:
        return f"{self.new_number()}.png"

    def new_content(self) -> bytes:
        number = self.new_number()
        return pictures.encode(-number if self.random.random() < 0.05 else number)

    @staticmethod
    def prefix(model: Any, field: str) -> str:
        return str(model._meta.get_field(field).upload_to)
