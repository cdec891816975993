"""Listings of images by similarity: of the admin, and of the chooser."""

from __future__ import annotations

import json
from typing import Any

from django.core.management import call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from .base import HIDDEN, MISSING, Image, WagtailTest, index_now, normalized


class ListingTest(WagtailTest):
    def setUp(self) -> None:
        self.other = self.save(5, "other harbor")
        self.far = self.save(1, "harbor small", kind="JPEG", quality=50)
        self.near = self.save(1, "harbor large", self.private, kind="JPEG", quality=90)
        self.query = self.save(1, "query", pk=HIDDEN)
        self.plain = self.save(1, "quay", kind="JPEG", quality=80)
        index_now()
        call_command("update_index", verbosity=0)
        self.client.force_login(self.admin)

    def listed(self, **parameters: Any) -> list[Any]:
        answer = self.client.get(reverse("wagtailimages:index_results"), parameters)
        return list(answer.context["object_list"])

    def test_listing__is_ranked_by_similarity(self) -> None:
        found = self.listed(similar_to=self.query.pk)
        assert self.query not in found
        assert found.index(self.near) < found.index(self.far) < found.index(self.other)

    def test_listing__is_ranked_within_a_search_and_a_collection(self) -> None:
        found = self.listed(similar_to=self.query.pk, q="harbor", ordering="")
        assert found == [self.near, self.far, self.other]
        assert self.listed(similar_to=self.query.pk, q="harbor", collection_id=self.private.pk) == [self.near]

    def test_listing__has_pages(self) -> None:
        every = self.listed(similar_to=self.query.pk)
        with self.settings(WAGTAILIMAGES_INDEX_PAGE_SIZE=2):
            pages = [self.listed(similar_to=self.query.pk, p=number) for number in (1, 2)]
        assert [len(page) for page in pages] == [2, 2]
        assert [*pages[0], *pages[1]] == every

    def test_listing__can_be_left(self) -> None:
        url = reverse("wagtailimages:index")
        html = self.client.get(url, {"similar_to": self.query.pk}).content.decode()
        assert '<b class="w-ml-1">query</b>' in html
        assert f'type="hidden" name="similar_to" value="{self.query.pk}"' in html
        assert "similar_to" not in self.client.get(url).content.decode()

    def test_listing__takes_as_many_queries_for_more_images(self) -> None:
        url = f"{reverse('wagtailimages:index_results')}?similar_to={self.query.pk}&layout=list"
        self.client.get(url)  # makes renditions
        with self.settings(WAGTAILIMAGES_INDEX_PAGE_SIZE=2), CaptureQueriesContext(connection) as few:
            self.client.get(url)
        with CaptureQueriesContext(connection) as many:
            self.client.get(url)
        assert len(many) <= len(few)

    def test_listing__takes_what_may_not_be_seen_as_missing(self) -> None:
        self.client.force_login(self.editor("editor", "change", "choose", collection=self.private))
        url = reverse("wagtailimages:index")
        for address in (url, reverse("wagtailimages_chooser:choose")):
            hidden, missing = (self.client.get(address, {"similar_to": key}) for key in (HIDDEN, MISSING))
            assert hidden.status_code == 200
            assert normalized(hidden, HIDDEN) == normalized(missing, MISSING)
        for key in ("", "x", "1\0", "9" * 40):
            assert self.listed(similar_to=key) == [self.near]
        assert self.listed(similar_to=self.near.pk) == []

    def test_listing__takes_another_order_that_is_chosen(self) -> None:
        parameters = {"similar_to": self.query.pk, "q": "harbor", "ordering": "-title"}
        answer = self.client.get(reverse("wagtailimages:index"), parameters)
        assert [image.title for image in answer.context["object_list"]] == [
            "other harbor",
            "harbor small",
            "harbor large",
        ]
        assert answer.context["current_ordering"] == "-title"

    def test_panel__leads_to_the_listing(self) -> None:
        html = self.client.get(reverse("wagtailimages:edit", args=[self.query.pk])).content.decode()
        assert f'href="{reverse("wagtailimages:index")}?similar_to={self.query.pk}"' in html


class ChooserTest(ListingTest):
    test_listing__takes_another_order_that_is_chosen = None

    def listed(self, **parameters: Any) -> list[Any]:
        answer = self.client.get(reverse("wagtailimages_chooser:choose_results"), parameters)
        return list(answer.context["results"])

    def test_listing__has_pages(self) -> None:
        every = self.listed(similar_to=self.query.pk)
        with self.settings(WAGTAILIMAGES_CHOOSER_PAGE_SIZE=2):
            pages = [self.listed(similar_to=self.query.pk, p=number) for number in (1, 2)]
        assert [*pages[0], *pages[1]] == every

    def test_listing__can_be_left(self) -> None:
        url = reverse("wagtailimages_chooser:choose")
        answer = self.client.get(url, {"similar_to": self.query.pk, "q": "harbor", "p": 1, "select_format": "true"})
        html = json.loads(answer.content)["html"]
        assert '<b class="w-ml-1">query</b>' in html
        assert f'href="{url}?q=harbor&amp;select_format=true" aria-label="Show all images"' in html
        assert (
            f"{reverse('wagtailimages_chooser:choose_results')}?select_format=true&amp;similar_to={self.query.pk}"
            in html
        )
        near = f"{url}?similar_to={self.near.pk}&amp;q=harbor&amp;select_format=true"
        assert f'href="{near}" aria-label="Similar to harbor large"' in html

    def test_nothing_similar__is_told(self) -> None:
        Image.objects.exclude(pk=self.query.pk).delete()
        html = self.client.get(reverse("wagtailimages_chooser:choose_results"), {"similar_to": self.query.pk})
        assert "Nothing similar found." in html.content.decode()
