"""What a visitor or an editor may not see, on every surface: as if it did not exist, byte for byte."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

from django.conf import settings
from django.contrib.auth.models import Group, User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import override_settings
from django.urls import reverse
from wagtail.models import CollectionViewRestriction, Page, Site

from similar_images.contrib.wagtail.access import image_source
from similar_images.models import DuplicateGroup, DuplicateImage, Source

from .base import API, FIELDS, HIDDEN, MISSING, Image, WagtailTest, encoded, index_now, normalized
from .models import ArticlePage

LABEL = Image._meta.label_lower

Surface = Callable[[], Any]


NO_FOLDING = override_settings(SIMILAR_IMAGES={**settings.SIMILAR_IMAGES, "NEAR_DUPLICATE_THRESHOLD": 101})
"""Near-duplicates are shown one by one, as other similar images are."""


class MatrixTest(WagtailTest):
    def setUp(self) -> None:
        home = Page.add_root(title="Home", slug="home")
        Site.objects.create(hostname="testserver", root_page=home, is_default_site=True)
        self.open = self.save(1, "open")
        self.near = self.save(1, "near", kind="JPEG", quality=90)
        self.far = self.save(2, "far")
        self.hidden = self.save(1, "secret", self.inner, kind="JPEG", quality=80, pk=HIDDEN)
        index_now()
        body = [("similar", {"image": self.open, "limit": 6})]
        self.page = home.add_child(instance=ArticlePage(title="Article", slug="article", hero=self.open, body=body))
        home.add_child(instance=ArticlePage(title="Near page", slug="near", hero=self.near))
        home.add_child(instance=ArticlePage(title="Secret page", slug="secret", hero=self.hidden))
        self.group = DuplicateGroup.objects.create(
            source_id=Source.objects.get_id(image_source()), kind="copies", similarity=97, size=3, key="1" * 64
        )
        for image in (self.open, self.near, self.hidden):
            DuplicateImage.objects.create(
                group=self.group,
                source_id=self.group.source_id,
                object_id=str(image.pk),
                object_key=image.pk,
                width=1,
                height=1,
            )

    def upload(self, url: str, name: str, **fields: Any) -> Any:
        data = encoded(1, "JPEG", quality=85)
        return self.client.post(url, {name: SimpleUploadedFile("new.jpg", data, "image/jpeg"), **fields})

    def compare(self, a: Any, b: Any) -> Any:
        return self.client.get(f"/similar-images/compare/?a={LABEL}:{a}&b={LABEL}:{b}")

    def post_json(self, url: str, **data: Any) -> Any:
        return self.client.post(url, json.dumps(data), content_type="application/json")

    def visitor_listings(self) -> Iterator[Surface]:
        """Yield the surfaces that list images, and may list the hidden one."""
        get, pk = self.client.get, self.open.pk
        yield lambda: get("/article/")  # the block, the widget, and the pages by their pictures
        yield lambda: get(f"/similar-images/{LABEL}/{pk}/?fold=0")
        yield lambda: get(f"{API}/{pk}/similar/?fold=false")
        yield lambda: get(f"/api/v2/pages/{self.page.pk}/?fields=similar_images")
        yield lambda: self.post_json(f"{API}/similar/batch/", ids=[pk])
        yield lambda: self.upload("/api/similar-images/search/", "image", model=LABEL)
        yield lambda: self.upload("/similar-images/search/", "image", model=LABEL, fold="0")

    def visitor_queries(self, key: int) -> Iterator[Any]:
        """Yield the answers to requests that name the key of an image."""
        get, pk = self.client.get, self.open.pk
        yield get(f"/similar-images/{LABEL}/{key}/")
        yield get(f"/similar-images/{LABEL}/{pk}/?like={key}")
        yield get(f"{API}/{key}/similar/")
        yield get(f"{API}/{pk}/similar/?like={key}")
        yield get(f"{API}/{pk}/similar/?unlike={key}")
        yield get(f"{API}/{pk}/similar/?why_not={key}")
        yield self.post_json(f"{API}/similar/batch/", ids=[key, pk])
        yield self.compare(key, pk)
        yield self.compare(pk, key)
        yield self.post_json("/api/similar-images/compare/", a=f"{LABEL}:{key}", b=f"{LABEL}:{pk}")
        yield self.post_json(f"{API}/{pk}/mark/", other=key, alike=False)

    def editor_listings(self) -> Iterator[Surface]:
        get = self.client.get
        for url in ("wagtailimages:index", "wagtailimages_chooser:choose", "similar_images_wagtail_duplicates"):
            yield lambda url=url: get(reverse(url))
            yield lambda url=url: get(reverse(url), {"similar_to": self.open.pk})
            yield lambda url=url: get(reverse(url), {"similar_to": self.open.pk, "q": "secret", "layout": "list"})
        yield lambda: get(reverse("wagtailimages:edit", args=[self.open.pk]))

    def editor_queries(self, key: int) -> Iterator[Any]:
        get, mark = self.client.get, "similar_images_wagtail_mark"
        for url in ("wagtailimages:index", "wagtailimages_chooser:choose", "wagtailimages_chooser:choose_results"):
            yield get(reverse(url), {"similar_to": key})
        opts = Image._meta
        compare = reverse("wagtail_bulk_action", args=[opts.app_label, opts.model_name, "compare"])
        yield get(compare, {"id": [key, self.open.pk]})
        yield self.client.post(reverse(mark, args=[LABEL, key]), {"other": self.open.pk})
        yield self.client.post(reverse(mark, args=[LABEL, self.open.pk]), {"other": key})

    def check_queries(self, make_answers: Callable[[int], Iterator[Any]]) -> None:
        for hidden, missing in zip(make_answers(HIDDEN), make_answers(MISSING), strict=True):
            assert hidden.status_code == missing.status_code, hidden.request
            assert normalized(hidden, HIDDEN) == normalized(missing, MISSING), hidden.request

    def check_listings(self, surfaces: list[Surface]) -> None:
        answers = [surface() for surface in surfaces]
        assert [answer.request for answer in answers if answer.status_code != 200] == []
        with_hidden = [normalized(answer, HIDDEN) for answer in answers]
        DuplicateImage.objects.filter(object_key=HIDDEN).delete()
        Page.objects.get(slug="secret").delete()
        self.hidden.delete()
        for surface, shown in zip(surfaces, with_hidden, strict=True):
            assert normalized(surface(), HIDDEN) == shown

    def check_visitor(self, user: User | None = None) -> None:
        if user:
            self.client.force_login(user)
        self.check_queries(self.visitor_queries)
        self.check_listings(list(self.visitor_listings()))

    def restrict(self, kind: str, **fields: Any) -> Any:
        return CollectionViewRestriction.objects.create(collection=self.private, restriction_type=kind, **fields)

    @NO_FOLDING
    def test_open__is_listed_everywhere(self) -> None:
        """The matrix would be empty of meaning if the surfaces did not show the image where it is not private."""
        for answer in [surface() for surface in self.visitor_listings()]:
            assert "secret" in answer.content.decode().lower(), answer.request
        self.client.force_login(self.admin)
        for answer in [surface() for surface in self.editor_listings()]:
            assert "secret" in answer.content.decode().lower(), answer.request

    @NO_FOLDING
    def test_login(self) -> None:
        self.restrict("login")
        self.check_visitor()

    @NO_FOLDING
    def test_groups(self) -> None:
        self.restrict("groups").groups.add(Group.objects.create(name="members"))
        self.check_visitor(User.objects.create_user("visitor"))

    @NO_FOLDING
    def test_password(self) -> None:
        self.restrict("password", password="secret")
        self.check_visitor()

    def test_editor__of_another_collection(self) -> None:
        shop = self.root.add_child(name="Shop")
        Image.objects.filter(pk__in=[self.open.pk, self.near.pk, self.far.pk]).update(collection=shop)
        self.client.force_login(self.editor("editor", "add", "change", "choose", collection=shop))
        self.near.delete()  # else its notice would be the same
        chooser = {f"image-chooser-upload-{name}": value for name, value in FIELDS.items()}
        chooser |= {"image-chooser-upload-title": "new", "image-chooser-upload-collection": shop.pk}
        Image.objects.filter(pk=self.open.pk).update(collection=self.root)
        fields = {"title": "new", "collection": shop.pk, **FIELDS}
        for url, name, data in (
            ("wagtailimages:add_multiple", "files[]", fields),
            ("wagtailimages:add", "file", fields),
            ("wagtailimages_chooser:create", "image-chooser-upload-file", chooser),
        ):
            text = self.upload(reverse(url), name, **data).content.decode()
            assert not any(word in text for word in ("secret", "duplicate_found", "confirm-duplicate-upload"))
            assert Image.objects.filter(title="new").delete()[0] or name == "files[]"
        Image.objects.filter(pk=self.open.pk).update(collection=shop)
        self.client.get(reverse("wagtailimages:index"))  # shows the messages of what was added
        self.check_queries(self.editor_queries)
        self.check_listings(list(self.editor_listings()))
