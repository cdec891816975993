"""Tests of a site with Wagtail, which Django's own runner runs for each image model in a process of its own."""

from __future__ import annotations

import json
import re
from typing import Any

from django.conf import settings
from django.contrib.auth.models import Group, User
from django.core import checks
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from wagtail.models import CollectionViewRestriction

import similar_images
from similar_images import registry
from similar_images.models import IndexedImage, Mark

from .base import API, FIELDS, Image, WagtailTest, encoded, index_now


class SourceTest(WagtailTest):
    def test_source__is_the_image_model_of_the_site(self) -> None:
        assert registry.get_source(Image).field_name == "file"
        assert [m for m in checks.run_checks() if (m.id or "").startswith("similar_images.E")] == []
        self.save(1, "one")
        index_now()
        assert IndexedImage.objects.get().status == "indexed"

    def test_source__keeps_what_the_site_registered(self) -> None:
        before = dict(registry._sources)
        similar_images.register(Image, "file", title=lambda image: f"Image {image.title}", visible=None)
        try:
            from django.apps import apps

            apps.get_app_config("similar_images_wagtail").ready()
            source = registry.get_source(Image)
            assert source.get_title(Image(title="one")) == "Image one"
            assert "visible_images" in str(source.visible)
        finally:
            registry._sources.clear()
            registry._sources.update(before)

    def test_source__without_a_rule_is_an_error_of_check(self) -> None:
        before = dict(registry._sources)
        similar_images.register(Image, "file")
        try:
            assert "similar_images.E022" in [message.id for message in checks.run_checks()]
        finally:
            registry._sources.update(before)


class PrivacyTest(WagtailTest):
    def setUp(self) -> None:
        self.open = self.save(1, "open")
        self.other = self.save(1, "other", kind="JPEG", quality=90)
        self.hidden = self.save(1, "hidden", self.inner, kind="JPEG", quality=80)
        index_now()

    def found(self, path: str) -> list[str]:
        return [match["title"] for match in self.client.get(path).json()["results"]]

    def restrict(self, kind: str, **fields: Any) -> Any:
        return CollectionViewRestriction.objects.create(collection=self.private, restriction_type=kind, **fields)

    def check_matrix(self, *, allowed: bool) -> None:
        """Check all surfaces, for the visitor of the test's client."""
        similar = f"{API}/{self.open.pk}/similar/?fold=false"
        assert ("hidden" in self.found(similar)) == allowed
        pages = [f"/similar-images/{Image._meta.label_lower}/{{}}/", f"{API}/{{}}/similar/"]
        for page in pages:
            answer = self.client.get(page.format(self.hidden.pk))
            missing = self.client.get(page.format(987654))
            if allowed:
                assert answer.status_code == 200
            else:
                assert answer.status_code == 404
                text = answer.content.decode().replace(str(self.hidden.pk), "987654")
                assert text == missing.content.decode()

    def test_login__hides_what_is_below_a_private_collection(self) -> None:
        self.check_matrix(allowed=True)
        self.restrict("login")
        self.check_matrix(allowed=False)
        self.client.force_login(User.objects.create_user("visitor"))
        self.check_matrix(allowed=True)

    def test_groups(self) -> None:
        restriction = self.restrict("groups")
        group = Group.objects.create(name="members")
        restriction.groups.add(group)
        self.client.force_login(User.objects.create_user("visitor"))
        self.check_matrix(allowed=False)
        member = User.objects.create_user("member")
        member.groups.add(group)
        self.client.force_login(member)
        self.check_matrix(allowed=True)

    def test_password(self) -> None:
        restriction = self.restrict("password", password="secret")
        self.check_matrix(allowed=False)
        session = self.client.session
        session[CollectionViewRestriction.passed_view_restrictions_session_key] = [restriction.pk]
        session.save()
        self.client.cookies[settings.SESSION_COOKIE_NAME] = session.session_key
        self.check_matrix(allowed=True)

    def test_without_a_request__is_an_anonymous_visitor(self) -> None:
        self.restrict("password", password="secret")
        found = similar_images.similar_to(self.open, fold=False)
        assert [match.object for match in found] == [self.other]

    def test_queries__do_not_grow_with_the_groups_of_a_restriction(self) -> None:
        restriction = self.restrict("groups")
        url = f"{API}/{self.open.pk}/similar/"
        self.client.force_login(User.objects.create_user("visitor"))
        with CaptureQueriesContext(
            connection,
        ) as few:
            self.client.get(url)
        restriction.groups.add(*(Group.objects.create(name=f"group {n}") for n in range(5)))
        Mark.objects.all().delete()
        with CaptureQueriesContext(connection) as many:
            self.client.get(f"{url}?limit=11")
        assert len(many) <= len(few) + 1


class SearchTest(WagtailTest):
    def test_results_of_wagtails_search__narrow_a_search(self) -> None:
        one, two, three = (self.save(1, title, kind="JPEG", quality=90 - n) for n, title in enumerate(["a", "b", "c"]))
        index_now()
        call_command("update_index", verbosity=0)
        found = similar_images.similar_to(one, queryset=Image.objects.search("b"), fold=False)
        assert [match.object for match in found] == [two]
        assert len(similar_images.similar_to(one, queryset=Image.objects.search("nothing"))) == 0
        assert three


class UploadTest(WagtailTest):
    def setUp(self) -> None:
        self.client.force_login(self.admin)

    def upload(self, data: bytes, name: str = "new.jpg") -> dict[str, Any]:
        file = SimpleUploadedFile(name, data, "image/jpeg")
        url = reverse("wagtailimages:add_multiple")
        answer = self.client.post(url, {"title": "new", "files[]": file, "collection": self.root.pk})
        return json.loads(answer.content)

    def test_near_copy__joins_wagtails_notice_of_duplicates(self) -> None:
        first = self.save(1, "first")
        self.save(2, "second")
        index_now()
        answer = self.upload(encoded(1, "JPEG", quality=85))
        assert answer["success"]
        assert answer["duplicate"]
        assert "first" in answer["confirm_duplicate_upload"]
        assert "Delete new image" in answer["confirm_duplicate_upload"]
        assert not self.upload(encoded(3, "JPEG", quality=85)).get("duplicate")
        assert first

    def test_near_copy__that_the_user_may_not_choose_is_not_told(self) -> None:
        self.save(1, "first", self.private)
        index_now()
        self.client.force_login(self.editor("clerk", "add", "choose", collection=self.inner))
        file = SimpleUploadedFile("new.jpg", encoded(1, "JPEG", quality=85), "image/jpeg")
        url = reverse("wagtailimages:add_multiple")
        answer = self.client.post(url, {"title": "new", "files[]": file, "collection": self.inner.pk}).json()
        assert (answer["success"], answer.get("duplicate", False)) == (True, False)

    def test_broken_lookup__does_not_hold_up_an_upload(self) -> None:
        self.save(1, "first")
        index_now()
        with self.settings(SIMILAR_IMAGES={**settings.SIMILAR_IMAGES, "SEARCH_MAX_BYTES": 10}):
            assert not self.upload(encoded(1, "JPEG", quality=85)).get("duplicate")

    def test_add__tells_of_a_near_copy_after_saving(self) -> None:
        first = self.save(1, "first")
        index_now()
        file = SimpleUploadedFile("new.jpg", encoded(1, "JPEG", quality=85), "image/jpeg")
        fields = {"title": "new", "file": file, "collection": self.root.pk, **FIELDS}
        html = self.client.post(reverse("wagtailimages:add"), fields, follow=True).content.decode()
        assert "“first” looks almost the same." in html
        assert f'href="{reverse("wagtailimages:edit", args=[first.pk])}"' in html
        new = Image.objects.get(title="new")
        assert f'href="{reverse("wagtailimages:delete", args=[new.pk])}"' in html

    def test_chooser__offers_the_image_that_is_there(self) -> None:
        first = self.save(1, "first")
        index_now()
        url = reverse("wagtailimages_chooser:create")
        fields = {
            "image-chooser-upload-title": "new",
            "image-chooser-upload-file": SimpleUploadedFile("new.jpg", encoded(1, "JPEG", quality=85), "image/jpeg"),
            "image-chooser-upload-collection": self.root.pk,
            **{f"image-chooser-upload-{name}": value for name, value in FIELDS.items()},
        }
        answer = json.loads(self.client.post(url, fields).content)
        assert answer["step"] == "duplicate_found"
        assert "Use existing and delete new" in answer["htmlFragment"]
        assert reverse("wagtailimages:edit", args=[first.pk]) in answer["htmlFragment"]
        fields["image-chooser-upload-file"] = SimpleUploadedFile("other.jpg", encoded(4, "JPEG"), "image/jpeg")
        assert json.loads(self.client.post(url, fields).content)["step"] == "chosen"
        fields["image-chooser-upload-file"] = SimpleUploadedFile(
            "new.jpg", encoded(1, "JPEG", quality=70), "image/jpeg"
        )
        answer = json.loads(self.client.post(f"{url}?select_format=true", fields).content)
        assert answer["step"] == "duplicate_found"


class PanelTest(WagtailTest):
    def setUp(self) -> None:
        self.first = self.save(1, "first")
        self.second = self.save(1, "second", kind="JPEG", quality=85)
        self.third = self.save(3, "third", self.private)
        index_now()
        self.url = reverse("wagtailimages:edit", args=[self.first.pk])

    def mark(self, other: Any, **fields: Any) -> Any:
        return self.client.post(
            reverse("similar_images_wagtail_mark", args=[Image._meta.label_lower, self.first.pk]),
            {"other": other.pk, "next": self.url, **fields},
            follow=True,
        )

    def test_panel__shows_what_is_similar_and_marks_it(self) -> None:
        self.client.force_login(self.admin)
        html = self.client.get(self.url).content.decode()
        assert "Similar images" in html
        assert f'<a class="w-label-3" href="/admin/images/{self.second.pk}/">second</a>' in html
        assert "Not similar: second" in html
        answer = self.mark(self.second)
        self.assertRedirects(answer, self.url)
        html = answer.content.decode()
        assert "Not similar: second" not in html
        assert "Undo: second" in html
        assert (Mark.objects.get().is_alike, Mark.objects.get().marked_by) == (False, self.admin)
        html = self.mark(self.second, undo="1").content.decode()
        assert "Not similar: second" in html
        assert not Mark.objects.exists()

    def test_panel__has_forms_that_django_takes(self) -> None:
        self.client = Client(enforce_csrf_checks=True)
        self.client.force_login(self.admin)
        html = self.client.get(self.url).content.decode()
        form = re.findall(r'<form method="post" action="(\S+)">.*?value="(\w{64})"', html, re.DOTALL)[0]
        answer = self.client.post(form[0], {"csrfmiddlewaretoken": form[1], "other": self.second.pk})
        assert (answer.status_code, Mark.objects.count()) == (302, 1)

    def test_panel__of_an_image_that_is_not_indexed_yet(self) -> None:
        self.client.force_login(self.admin)
        new = self.save(5, "new")
        html = self.client.get(reverse("wagtailimages:edit", args=[new.pk])).content.decode()
        assert "This image has not been processed yet." in html

    def test_permissions__are_those_of_wagtail(self) -> None:
        editor = self.editor("editor", "change", "choose")
        self.client.force_login(editor)
        assert "third" in self.client.get(self.url).content.decode()
        inner = self.editor("inner", "change", "choose", collection=self.private)
        self.client.force_login(inner)
        html = self.client.get(reverse("wagtailimages:edit", args=[self.third.pk])).content.decode()
        assert ">second<" not in html
        assert self.mark(self.second).status_code == 404
        assert self.mark(self.first).status_code == 404
        assert self.mark(self.third).status_code == 404  # the first is none of theirs
        self.client.force_login(User.objects.create_user("visitor"))
        assert self.mark(self.second).redirect_chain[0][0].startswith("/admin/login/")
        assert not Mark.objects.exists()

    def test_marks_over_rest__are_for_editors_of_wagtail_who_are_no_staff(self) -> None:
        url = f"{API}/{self.first.pk}/mark/"
        data = {"other": str(self.second.pk), "alike": False}
        for user, status in ((self.editor("chooser", "choose"), 403), (self.editor("editor", "change"), 200)):
            self.client.force_login(user)
            assert self.client.post(url, data, content_type="application/json").status_code == status


class BlockTest(WagtailTest):
    def test_block__shows_what_the_visitor_may_see(self) -> None:
        from similar_images.contrib.wagtail.blocks import SimilarImagesBlock

        first, second = self.save(1, "first"), self.save(1, "second", kind="JPEG", quality=85)
        hidden = self.save(1, "hidden", self.private, kind="JPEG", quality=80)
        CollectionViewRestriction.objects.create(collection=self.private, restriction_type="login")
        index_now()
        block = SimilarImagesBlock()
        html = block.render(block.to_python({"image": first.pk, "limit": 6}))
        assert html.count("<img") == 1
        assert second.get_rendition("fill-320x320").url in html
        assert hidden.get_rendition("fill-320x320").url not in html
        assert block.render(block.to_python({"image": None, "limit": 6})).strip() == ""
