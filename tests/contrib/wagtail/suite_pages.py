"""Pages by their pictures, and what is similar in Wagtail's REST API."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import AnonymousUser, User
from django.db import connection
from django.test import RequestFactory
from django.test.utils import CaptureQueriesContext
from wagtail.models import CollectionViewRestriction, Page, PageViewRestriction, Site

from similar_images.contrib.wagtail.pages import similar_pages

from .base import WagtailTest, index_now
from .models import ArticlePage, GalleryImage


class PagesTest(WagtailTest):
    def setUp(self) -> None:
        self.home = Page.add_root(title="Home", slug="home")
        Site.objects.create(hostname="testserver", root_page=self.home, is_default_site=True)
        self.images = [
            self.save(seed, f"{seed}-{quality}", kind="JPEG", quality=quality)
            for seed in (1, 2)
            for quality in (95, 60, 30)
        ]
        index_now()
        self.page = self.add("page", self.images[0])
        self.alike = self.add("alike", self.images[1])
        self.other = self.add("other", self.images[3])

    def add(self, title: str, hero: Any = None, parent: Any = None, **fields: Any) -> ArticlePage:
        page = ArticlePage(title=title, slug=title, hero=hero, **fields)
        return (parent or self.home).add_child(instance=page)

    def found(self, user: Any = None, **options: Any) -> list[str]:
        request = RequestFactory().get("/")
        request.user = user or AnonymousUser()
        request.session = self.client.session
        return [page.title for page in similar_pages(self.page, request, **options)]

    def test_pages__come_by_the_similarity_of_their_pictures(self) -> None:
        assert self.found() == ["alike", "other"]
        assert self.found(limit=1) == ["alike"]
        assert [page.title for page in similar_pages(Page.objects.get(pk=self.page.pk))] == ["alike", "other"]

    def test_pages__with_the_same_picture_come_first(self) -> None:
        self.add("same", self.images[0])
        assert self.found() == ["same", "alike", "other"]

    def test_pages__come_once_by_the_best_picture_of_a_gallery(self) -> None:
        both = self.add("both", self.images[4])
        for image in self.images[1:3]:
            GalleryImage.objects.create(page=both, picture=image)
        assert self.found()[0] == "alike"
        paths = ["hero", "gallery__picture"]
        assert sorted(self.found(paths=paths)[:2]) == ["alike", "both"]
        assert len(self.found(paths=paths)) == 3
        assert similar_pages(self.add("empty")) == []

    def test_pages__that_are_drafts_or_private_never_show(self) -> None:
        self.add("draft", self.images[0], live=False)
        private = self.add("private", self.images[0])
        self.add("below", self.images[0], parent=private)
        restriction = PageViewRestriction.objects.create(page=private, restriction_type="login")
        assert self.found() == ["alike", "other"]
        assert self.found(User.objects.create_user("visitor"))[:2] == ["private", "below"]
        restriction.restriction_type = "password"
        restriction.password = "secret"
        restriction.save()
        assert self.found() == ["alike", "other"]
        assert [page.title for page in similar_pages(self.page)] == ["alike", "other"]

    def test_pages__with_a_private_picture_never_show_by_it(self) -> None:
        self.add("hidden", self.save(1, "hidden", self.inner, kind="JPEG", quality=90))
        index_now()
        assert "hidden" in self.found()
        CollectionViewRestriction.objects.create(collection=self.private, restriction_type="login")
        assert self.found() == ["alike", "other"]

    def test_queries__are_as_many_for_more_pages(self) -> None:
        with CaptureQueriesContext(connection) as few:
            self.found()
        for number in range(5):
            self.add(f"more-{number}", self.images[number])
        with CaptureQueriesContext(connection) as many:
            self.found(limit=9)
        assert len(many) <= len(few)

    def test_api__has_what_is_similar_to_the_picture_of_a_page(self) -> None:
        hidden = self.save(1, "hidden", self.inner, kind="JPEG", quality=90)
        index_now()
        CollectionViewRestriction.objects.create(collection=self.private, restriction_type="login")
        url = f"/api/v2/pages/{self.page.pk}/?fields=similar_images"
        matches = self.client.get(url).json()["similar_images"]
        assert matches[0]["pk"] == str(self.images[1].pk)
        assert matches[0]["similarity"] > 90
        assert hidden.title not in [match["title"] for match in matches]
        self.client.force_login(User.objects.create_user("visitor"))
        assert hidden.title in [match["title"] for match in self.client.get(url).json()["similar_images"]]
        empty = self.add("empty")
        assert self.client.get(f"/api/v2/pages/{empty.pk}/?fields=similar_images").json()["similar_images"] is None
