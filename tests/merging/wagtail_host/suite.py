"""The hook of the how-to on merging, on Wagtail's own pages; Django's runner runs it in a process of its own."""

from __future__ import annotations

import json
import sys
import types
import uuid
from pathlib import Path
from typing import Any

from django.core.files.base import ContentFile
from django.test import TestCase
from wagtail.images.models import Image
from wagtail.models import Collection, Locale, Page, ReferenceIndex

from similar_images.merging.merge import merge_objects, plan_merge
from similar_images.merging.undo import undo_merge
from similar_images.registry import get_source
from tests import drawing
from tests.merging.dumps import dump
from tests.merging.wagtail_host.models import Article, Footnote

HOW_TO = Path(__file__).parents[3] / "docs" / "how-to" / "review-duplicates.md"

LABELS = ("wagtailcore", "wagtailimages", "wagtailsearch", "taggit", "wagtail_host", "similar_images")


def load_documented_hook() -> None:
    """Make a module of the how-to's code, as a reader would."""
    code = next(part for part in HOW_TO.read_text().split("```python\n") if part.startswith("# shop/merging.py"))
    module = types.ModuleType("shop.merging")
    exec(compile(code.partition("\n```")[0], "shop/merging.py", "exec"), module.__dict__)  # noqa: S102 - our own docs
    sys.modules["shop"] = types.ModuleType("shop")
    sys.modules["shop.merging"] = module


def make_image(title: str) -> Any:
    return Image.objects.create(title=title, file=ContentFile(drawing.encoded(drawing.scene(1)), name=f"{title}.png"))


def embed(image: Any) -> str:
    return f'<p>{image.pk}</p><embed alt="{image.pk}" embedtype="image" format="left" id="{image.pk}"/>'


def block(kind: str, value: Any) -> dict[str, Any]:
    return {"type": kind, "value": value, "id": str(uuid.uuid4())}


def make_body(image: Any, number: int) -> list[dict[str, Any]]:
    """Return a stream that refers to an image by every block; `number` is no image, whatever its value is."""
    card = {"image": image.pk, "text": embed(image)}
    return [
        block("image", image.pk),
        block("described", {"image": image.pk, "alt_text": str(number), "decorative": False}),
        block("text", embed(image)),
        block("number", number),
        block("card", card),
        block("gallery", [block("item", image.pk)]),
        block("cards", [block("item", card)]),
        block("nested", [block("image", image.pk), block("card", card)]),
    ]


def as_text(value: Any) -> str:
    """Return a raw value as JSON whose keys are sorted."""
    return json.dumps(without_ids(value), sort_keys=True)


def without_ids(value: Any) -> Any:
    """Return a raw stream without the ids of its blocks."""
    if isinstance(value, dict):
        return {key: without_ids(part) for key, part in value.items() if key != "id" or "type" not in value}
    return [without_ids(part) for part in value] if isinstance(value, list) else value


class WagtailTest(TestCase):
    kept: Any
    other: Any
    article: Any

    @classmethod
    def setUpTestData(cls) -> None:
        load_documented_hook()
        Collection.add_root(name="Root")
        Locale.objects.get_or_create(language_code="en")
        root = Page.add_root(title="Root", slug="root")
        cls.kept, cls.other = make_image("kept"), make_image("other")
        cls.article = Article(
            title="Article", hero=cls.other, intro=embed(cls.other), body=make_body(cls.other, cls.other.pk)
        )
        root.add_child(instance=cls.article)
        cls.article.footnotes = [Footnote(text=embed(cls.other))]
        cls.article.save()
        ReferenceIndex.create_or_update_for_object(cls.article)

    def references(self) -> set[tuple[str, str]]:
        rows = ReferenceIndex.get_references_for_object(self.article)
        return set(rows.values_list("content_path", "to_object_id"))

    def test_every_text_and_block_refers_to_the_kept_image(self) -> None:
        source = get_source(Image)
        assert len(self.references()) == 14
        before = dump(*LABELS)
        plan = plan_merge(source, self.kept.pk, [self.other.pk], is_removal=True)
        assert dump(*LABELS) == before
        done = merge_objects(source, self.kept.pk, [self.other.pk], fingerprint=plan.fingerprint)
        article = Article.objects.get()
        text = embed(self.other).replace(f'id="{self.other.pk}"', f'id="{self.kept.pk}"')
        assert article.hero == self.kept
        assert article.intro == article.footnotes.get().text == text
        expected = as_text(make_body(self.kept, self.other.pk)).replace(as_text(embed(self.kept)), as_text(text))
        assert as_text(list(article.body.raw_data)) == expected
        moved = self.references()
        assert {key for _path, key in moved} == {str(self.kept.pk)}
        ReferenceIndex.create_or_update_for_object(article)
        assert self.references() == moved
        assert article.body[0].value == self.kept
        undo_merge(done.pk)
        assert dump(*LABELS) == before

    def test_other_images_stay(self) -> None:
        third = make_image("third")
        before = dump("wagtail_host", "wagtailcore")
        merge_objects(get_source(Image), self.kept.pk, [third.pk])
        assert dump("wagtail_host", "wagtailcore") == before
