"""What editors do beside the listing: panels of other models, images compared, duplicates, search by a picture."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import User
from django.core.files.base import ContentFile
from django.core.files.uploadedfile import SimpleUploadedFile
from django.template import RequestContext, Template
from django.test import override_settings
from django.urls import reverse

from similar_images.contrib.wagtail.access import image_source
from similar_images.duplicates.scans import due_scans
from similar_images.models import DuplicateGroup, DuplicateImage, Mark, Source

from .base import HIDDEN, MISSING, Image, WagtailTest, encoded, index_now, normalized
from .models import Product, Vehicle


class OtherModelsTest(WagtailTest):
    def test_panel__of_a_snippet_and_of_a_viewset(self) -> None:
        for model, name in ((Product, "wagtailsnippets_site_product:edit"), (Vehicle, "vehicles:edit")):
            first, second = (
                model.objects.create(name=title, photo=ContentFile(encoded(1, "JPEG", quality=quality), f"{title}.jpg"))
                for title, quality in (("first", 90), ("second", 60))
            )
            index_now()
            self.client.force_login(self.admin)
            url = reverse(name, args=[first.pk])
            html = self.client.get(url).content.decode()
            assert f'<a class="w-label-3" href="{reverse(name, args=[second.pk])}">second</a>' in html
            assert "Not similar: second" in html
            mark_url = reverse("similar_images_wagtail_mark", args=[model._meta.label_lower, first.pk])
            answer = self.client.post(mark_url, {"other": second.pk, "next": url}, follow=True)
            assert "Undo: second" in answer.content.decode()
            self.client.force_login(self.editor(f"editor of {name}", "change"))
            assert self.client.post(mark_url, {"other": second.pk}).status_code == 404  # none of theirs

    def test_mark__of_a_model_that_is_no_source(self) -> None:
        self.client.force_login(self.admin)
        url = reverse("similar_images_wagtail_mark", args=["auth.user", 1])
        assert self.client.post(url, {"other": 2}).status_code == 404


class CompareTest(WagtailTest):
    def setUp(self) -> None:
        self.first, self.second = self.save(1, "first"), self.save(1, "second", kind="JPEG", quality=80)
        self.hidden = self.save(1, "hidden", self.private, kind="JPEG", quality=70, pk=HIDDEN)
        index_now()
        opts = Image._meta
        self.url = reverse("wagtail_bulk_action", args=[opts.app_label, opts.model_name, "compare"])
        self.client.force_login(self.admin)

    def test_listing__offers_it(self) -> None:
        assert self.url in self.client.get(reverse("wagtailimages:index")).content.decode()

    def test_images__are_compared_and_marked(self) -> None:
        url = f"{self.url}?id={self.first.pk}&id={self.second.pk}&next=/admin/images/"
        html = self.client.get(url).content.decode()
        assert "first" in html
        assert "second" in html
        assert "/similar-images/compare/?a=" in html
        self.assertRedirects(self.client.post(url), "/admin/images/")
        assert (Mark.objects.get().is_alike, Mark.objects.get().marked_by) == (False, self.admin)

    def test_images__that_may_not_be_seen_are_missing(self) -> None:
        self.client.force_login(self.editor("editor", "change", "choose", collection=self.inner))
        hidden, missing = (self.client.get(f"{self.url}?id={key}&id=x") for key in (HIDDEN, MISSING))
        assert normalized(hidden, HIDDEN) == normalized(missing, MISSING)
        self.client.post(f"{self.url}?id={HIDDEN}&id={self.first.pk}")
        assert not Mark.objects.exists()

    def test_images__that_may_be_chosen_alone_are_not_marked(self) -> None:
        self.client.force_login(self.editor("chooser", "choose"))
        self.client.post(f"{self.url}?id={self.second.pk}&id={self.first.pk}")
        assert not Mark.objects.exists()


class DuplicatesTest(WagtailTest):
    url = "/admin/reports/duplicate-images/"

    def setUp(self) -> None:
        self.images = [self.save(1, f"image {n}", kind="JPEG", quality=90 - n) for n in range(2)]
        self.images.append(self.save(1, "hidden one", self.private, kind="JPEG", quality=80, pk=HIDDEN))
        index_now()
        source_id = Source.objects.get_id(image_source())
        self.group = DuplicateGroup.objects.create(
            source_id=source_id, kind="copies", similarity=97.4, size=3, key="1" * 64
        )
        for image in self.images:
            self.put(image, self.group)

    def put(self, image: Any, group: Any) -> None:
        DuplicateImage.objects.create(
            group=group, source_id=group.source_id, object_id=str(image.pk), object_key=image.pk, width=1, height=1
        )

    def test_report__lists_duplicates_and_the_state_of_the_index(self) -> None:
        self.client.force_login(self.admin)
        assert self.url in self.client.get("/admin/account/").content.decode()
        html = self.client.get(self.url).content.decode()
        assert "Edited copies, 97% similar" in html
        assert all(image.title in html for image in self.images)
        assert "<dt>Indexed</dt><dd>3</dd>" in html
        self.client.post(self.url)
        assert due_scans().count() == 1

    def test_report__shows_and_counts_what_the_user_may_see(self) -> None:
        editor = self.editor("editor", "change", "choose", collection=self.inner)
        self.client.force_login(editor)
        before = self.client.get(self.url).content.decode()
        assert "hidden one" not in before
        assert "No duplicates to review." in before
        assert "<dt>Indexed</dt><dd>0</dd>" in before
        DuplicateGroup.objects.all().delete()
        Image.objects.all().delete()
        after = self.client.get(self.url)
        assert normalized(after, 0) == normalized(type("Answer", (), {"content": before.encode()}), 0)

    def test_report__is_for_those_who_may_change_images(self) -> None:
        for user in (self.editor("chooser", "choose"), User.objects.create_user("visitor")):
            self.client.force_login(user)
            assert self.client.get(self.url).status_code == 302
            assert self.url not in self.client.get("/admin/account/").content.decode()


@override_settings(DEBUG=True)
class SearchByPictureTest(WagtailTest):
    url = "/admin/similar-images/search/"

    def setUp(self) -> None:
        self.first, self.second = self.save(1, "first"), self.save(2, "second")
        self.hidden = self.save(1, "hidden", self.private)
        index_now()

    def search(self, data: bytes) -> Any:
        return self.client.post(self.url, {"image": SimpleUploadedFile("new.jpg", data, "image/jpeg")}, follow=True)

    def search_areas(self) -> str:
        """Return the links to searches of all kinds, of which the sidebar has the first."""
        request = self.client.get("/admin/account/").wsgi_request
        return Template("{% load wagtailadmin_tags %}{% search_other %}").render(RequestContext(request))

    def test_images__are_listed_by_the_picture(self) -> None:
        self.client.force_login(self.admin)
        assert self.url in self.client.get("/admin/images/", {"q": "first"}).content.decode()
        answer = self.search(encoded(1, "JPEG", quality=80))
        assert [image.title for image in answer.context["object_list"]][-1] == "second"
        assert len(answer.context["object_list"]) == 3
        assert '<b class="w-ml-1">new.jpg</b>' in answer.content.decode()

    def test_images__are_those_that_the_user_may_change(self) -> None:
        self.client.force_login(self.editor("editor", "change", "choose", collection=self.private))
        answer = self.search(encoded(1, "JPEG", quality=80))
        assert [image.title for image in answer.context["object_list"]] == ["hidden"]
        assert self.url in self.search_areas()
        self.client.force_login(self.editor("chooser", "choose"))
        assert self.client.get(self.url).status_code == 302
        assert self.url not in self.search_areas()

    def test_what_is_no_image__is_told(self) -> None:
        self.client.force_login(self.admin)
        assert "error-message" in self.search(b"no image").content.decode()
