"""What editors get: a message on upload, similar images in the media library, and a menu in the toolbar."""

from __future__ import annotations

import re
from typing import Any
from unittest import mock

from cms.toolbar.utils import get_object_edit_url
from django.conf import settings
from django.contrib import admin
from django.contrib.auth.models import User
from django.contrib.messages import get_messages
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection, transaction
from django.test import RequestFactory, tag
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from filer.models import File, FolderPermission

from similar_images import permissions, registry
from similar_images.contrib.djangocms import access
from similar_images.contrib.djangocms.admin import extend_admins
from similar_images.contrib.djangocms.models import SimilarImages
from similar_images.merging.undo import undo_merge
from similar_images.models import Merge
from tests.contrib.djangocms.site import (
    API,
    FIELDS,
    FilerTest,
    Image,
    encoded,
    index_now,
    make_page,
)

ADMIN = f"admin:{Image._meta.app_label}_{Image._meta.model_name}"


def change_url(image: Any) -> str:
    return reverse(f"{ADMIN}_change", args=[image.pk])


class EditorTest(FilerTest):
    def setUp(self) -> None:
        super().setUp()
        self.client.force_login(self.admin)

    def upload(self, data: bytes, folder: Any = None, name: str = "new.jpg") -> tuple[Any, list[str]]:
        """Return the image that was uploaded, and what the editor is told on the next page."""
        url = reverse("admin:filer-ajax_upload", kwargs={"folder_id": (folder or self.library).pk})
        answer = self.client.post(url, {"file": SimpleUploadedFile(name, data, "image/jpeg")})
        assert answer.status_code == 200, answer.content
        told = [str(message) for message in get_messages(answer.wsgi_request)]
        self.client.get(reverse("admin:index"))  # which shows them
        return Image.objects.get(pk=answer.json()["file_id"]), told


@tag("models")
class NoticeTest(EditorTest):
    def test_near_copy__is_told_with_a_link_to_use_the_existing_one(self) -> None:
        first = self.save(1, "first")
        self.save(2, "second")
        index_now()
        new, (told,) = self.upload(encoded(1, "JPEG", quality=85))
        assert f'<a href="{change_url(first)}">first</a>' in told
        assert "second" not in told
        assert "This looks almost the same as an image that you already have." in told
        (use_url,) = re.findall(r'<a href="([^"]+)">Use the existing one</a>', told)
        page = self.client.get(use_url).content.decode()
        assert "new.jpg" in page
        assert change_url(first) in page
        path = new.file.path
        answer = self.client.post(use_url)
        self.assertRedirects(answer, change_url(first))
        assert not Image.objects.filter(pk=new.pk).exists()
        assert not File.objects.filter(pk=new.pk).exists()
        assert not new.file.storage.exists(path)

    def test_same_file_and_new_image(self) -> None:
        self.save(1, "first")
        index_now()
        _new, (told,) = self.upload(encoded(1))
        assert "You already have this image." in told
        assert self.upload(encoded(3, "JPEG"))[1] == []

    def test_file_that_is_no_image__is_uploaded_and_nothing_is_told(self) -> None:
        url = reverse("admin:filer-ajax_upload", kwargs={"folder_id": self.library.pk})
        answer = self.client.post(url, {"file": SimpleUploadedFile("notes.txt", b"text", "text/plain")})
        assert (answer.status_code, list(get_messages(answer.wsgi_request))) == (200, [])

    def test_upload__does_not_fail_with_the_lookup(self) -> None:
        self.save(1, "first")
        index_now()
        with self.settings(SIMILAR_IMAGES={**settings.SIMILAR_IMAGES, "SEARCH_MAX_BYTES": 10}):
            assert self.upload(encoded(1, "JPEG", quality=85))[1] == []
            assert "You already have this image." in self.upload(encoded(1))[1][0]
        broken = mock.patch("similar_images.contrib.djangocms.uploads.make_notice", side_effect=RuntimeError)
        with broken, self.assertLogs("similar_images", "WARNING"):
            assert self.upload(encoded(1, "JPEG", quality=85))[1] == []


class UseExistingTest(EditorTest):
    def setUp(self) -> None:
        super().setUp()
        self.first, self.new = self.save(1, "first"), self.save(1, "new", quality=85)
        self.url = reverse(f"{ADMIN}_use_existing", args=[self.new.pk, self.first.pk])
        page = make_page("Gallery", self.new)
        self.plugin = SimilarImages.objects.get()
        assert page

    def test_references__follow_and_come_back(self) -> None:
        assert "is used in 1 place" in self.client.get(self.url).content.decode()
        self.client.post(self.url)
        self.plugin.refresh_from_db()
        assert self.plugin.image == self.first
        assert not Image.objects.filter(pk=self.new.pk).exists()
        undo_merge(Merge.objects.get().pk)
        self.plugin.refresh_from_db()
        assert self.plugin.image == self.new
        assert self.new.file.exists()

    def test_editor__needs_permission_on_what_refers_to_it(self) -> None:
        editor = self.editor("editor", edit=self.library)
        self.client.force_login(editor)
        assert "Ask someone who may." in self.client.post(self.url, follow=True).content.decode()
        self.plugin.refresh_from_db()
        assert self.plugin.image == self.new

    def test_editor__of_other_folders_does_not_find_the_page(self) -> None:
        self.client.force_login(self.editor("editor", edit=self.private))
        hidden = self.client.get(self.url)
        missing = self.client.get(reverse(f"{ADMIN}_use_existing", args=[987654, self.first.pk]))
        assert hidden.status_code == missing.status_code == 404

    def test_editor__who_may_only_look_may_not_delete(self) -> None:
        self.client.force_login(self.editor("viewer", f"view_{Image._meta.model_name}", read=self.library))
        assert self.client.get(self.url).status_code == 403
        assert self.client.post(self.url).status_code == 403

    def test_image__is_not_replaced_by_itself(self) -> None:
        assert self.client.get(reverse(f"{ADMIN}_use_existing", args=[self.new.pk, self.new.pk])).status_code == 404


class LibraryTest(EditorTest):
    def setUp(self) -> None:
        super().setUp()
        self.first, self.second = self.save(1, "first"), self.save(1, "second", quality=85)
        index_now()

    def test_change_page__has_the_panel_and_can_be_saved(self) -> None:
        html = self.client.get(change_url(self.first)).content.decode()
        assert "Similar items" in html
        assert change_url(self.second) in html
        answer = self.client.post(change_url(self.first), {"name": "renamed", "subject_location": "", **FIELDS})
        assert answer.status_code == 302
        self.first.refresh_from_db()
        assert self.first.name == "renamed"

    def test_change_page__tells_of_copies_of_a_file_that_replaces_another(self) -> None:
        third = self.save(3, "third")
        copy = SimpleUploadedFile("new.jpg", encoded(1, "JPEG", quality=70), "image/jpeg")
        data = {"name": "third", "subject_location": "", "is_public": "on", "file": copy, **FIELDS}
        answer = self.client.post(change_url(third), data, follow=True)
        assert "This looks almost the same as" in answer.content.decode()
        third.refresh_from_db()
        assert third.file.name.endswith("new.jpg")

    def test_listing__links_to_similar_images_in_both_views(self) -> None:
        url = reverse("admin:filer-directory_listing", args=[self.library.pk])
        similar_url = f"{reverse(f'{ADMIN}_changelist')}?similar_to={self.first.pk}"
        for kind in ("tb", "th"):
            html = self.client.get(f"{url}?_list_type={kind}").content.decode()
            assert f'<a href="{similar_url}" data-similar-images-of="file-{self.first.pk}"' in html
            assert f'value="file-{self.first.pk}"' in html  # by which the script finds the row
        assert similar_url not in self.client.get(f"{url}?_popup=1&_pick=file").content.decode()
        listed = self.client.get(similar_url).content.decode()
        assert ">second</a>" in listed
        assert "/media/" in listed

    def test_listing__asks_before_actions_as_ever(self) -> None:
        url = reverse("admin:filer-directory_listing", args=[self.library.pk])
        for action in ("copy_files_and_folders", "delete_files_or_folders", "resize_images"):
            answer = self.client.post(url, {"action": action, "_selected_action": f"file-{self.first.pk}"})
            assert answer.status_code == 200
            assert b"data-similar-images" not in answer.content

    def test_change_page__of_a_hidden_image_is_refused_by_filer_as_ever(self) -> None:
        self.client.force_login(self.editor("editor", edit=self.private))
        assert self.client.get(change_url(self.first)).status_code == 403

    def test_listing__without_images_is_as_ever(self) -> None:
        html = self.client.get(reverse("admin:filer-directory_listing", args=[self.private.pk])).content.decode()
        assert "data-similar-images" not in html

    def test_site__can_be_one_of_the_project_with_admins_of_its_own(self) -> None:
        from filer.admin import ImageAdmin

        class CaptionAdmin(ImageAdmin):
            list_display = ("default_caption",)

        site = admin.AdminSite()
        site.register(Image, CaptionAdmin)
        for _again in range(2):
            extend_admins(site)
        model_admin = site.get_model_admin(Image)
        assert isinstance(model_admin, CaptionAdmin)
        request = RequestFactory().get("/", {"similar_to": self.first.pk})
        request.user = self.admin
        columns = model_admin.get_list_display(request)
        assert columns[:2] == ["similar_images_thumbnail", "default_caption"]

    def test_queries__do_not_grow_with_the_matches(self) -> None:
        self.client.force_login(self.editor("editor", edit=self.library))
        few = self.count_queries()
        for number in range(4):
            self.save(1, f"more {number}", quality=80 - number)
        index_now()
        assert self.count_queries() <= few + 1  # that tells how many there are

    def count_queries(self) -> int:
        """Count the queries of the change page, once its thumbnails are made."""
        self.client.get(change_url(self.first))
        with CaptureQueriesContext(connection) as queries:
            self.client.get(change_url(self.first))
        return len(queries)


class EditorMatrixTest(EditorTest):
    """An image that is not for an editor leaves no trace in the admin, in messages, and over REST."""

    def setUp(self) -> None:
        super().setUp()
        self.open = self.save(1, "open")
        self.other = self.save(1, "other", quality=80)
        self.hidden = self.save(1, "secret", self.inner, quality=85, is_public=False)
        index_now()

    def answers(self) -> dict[str, Any]:
        pair = reverse(f"{ADMIN}_similar_images", args=[self.open.pk])
        addresses = {
            "panel": change_url(self.open),
            "list": f"{reverse(f'{ADMIN}_changelist')}?similar_to={self.open.pk}",
            "list, as query": f"{reverse(f'{ADMIN}_changelist')}?similar_to={self.hidden.pk}",
            "pair": f"{pair}?field=file&other={self.hidden.pk}",
            "pair, as query": reverse(f"{ADMIN}_similar_images", args=[self.hidden.pk]),
            "use existing": reverse(f"{ADMIN}_use_existing", args=[self.open.pk, self.hidden.pk]),
            "duplicates": reverse("admin:similar_images_duplicates_changelist"),
            "REST, as query": f"{API}/{self.hidden.pk}/similar/?exact=true",
        }
        answers: dict[str, Any] = {}
        for name, address in addresses.items():
            answer = self.client.get(address)
            text = re.sub(rb'csrfmiddlewaretoken" value="\w+', b"", answer.content)
            answers[name] = b"%d %s" % (answer.status_code, text)
        with transaction.atomic():
            new, told = self.upload(encoded(1, "JPEG", quality=60))
            answers["notice"] = [text.replace(f"/{new.pk}/", "/new/") for text in told]
            transaction.set_rollback(True)
        return answers

    def check(self, user: User, *, allowed: bool) -> None:
        self.client.force_login(user)
        answers = self.answers()
        with transaction.atomic():
            Image.objects.filter(pk=self.hidden.pk).delete()  # a queryset leaves the file
            missing = self.answers()
            transaction.set_rollback(True)
        for name, answer in answers.items():
            if name != "duplicates":
                assert (answer == missing[name]) != allowed, name
        assert b"other" in answers["panel"]
        assert ("secret" in str(answers["notice"])) == allowed
        assert "other" in str(answers["notice"])

    def test_without_permission_on_the_folder(self) -> None:
        self.check(self.editor("editor", f"view_{Image._meta.model_name}", edit=self.library), allowed=False)

    def test_denied_below_an_allowed_folder(self) -> None:
        editor = self.editor("editor", edit=self.library)
        self.allow(editor, self.private, "edit", "read")
        FolderPermission.objects.create(
            folder=self.inner,
            user=editor,
            type=FolderPermission.THIS,
            can_edit=FolderPermission.DENY,
            can_read=FolderPermission.DENY,
        )
        self.check(editor, allowed=False)

    def test_with_permission_on_a_folder_above(self) -> None:
        editor = self.editor("editor", edit=self.library)
        self.allow(editor, self.private, "edit", "read")
        self.check(editor, allowed=True)


class PolicyTest(FilerTest):
    def test_policy__is_that_of_filer(self) -> None:
        mine, other = self.save(1, "mine"), self.save(2, "other", self.private)
        policy = permissions.get_policy(registry.get_source(Image))
        assert isinstance(policy, access.FilerPolicy)
        request = RequestFactory().get("/")
        for user, seen, changed in (
            (self.admin, {mine, other}, {mine, other}),
            (self.editor("editor", edit=self.library), {mine}, {mine}),
            (self.editor("viewer", f"view_{Image._meta.model_name}", read=self.library), {mine}, set()),
            (User.objects.create_user("visitor"), set(), set()),
            (User.objects.create_user("clerk", is_staff=True), set(), set()),
        ):
            request.user = user
            assert set(policy.viewable(request)) == seen, user
            assert {image for image in (mine, other) if policy.can_change(request, image)} == changed, user
            assert policy.can_change(request) == policy.can_view(request) == bool(seen), user
        assert not policy.can_view(None)


class ToolbarTest(EditorTest):
    def setUp(self) -> None:
        super().setUp()
        self.page = make_page("Page", None)

    def menu(self, user: User) -> list[str]:
        self.client.force_login(user)
        html = self.client.get(get_object_edit_url(self.page.get_content_obj("en"))).content.decode()
        return [name for name in ("Duplicates to review", "Map of images", "Search by image") if name in html]

    def test_menu__has_what_the_editor_may_open(self) -> None:
        assert self.menu(self.admin) == ["Duplicates to review", "Map of images", "Search by image"]
        with self.settings(SIMILAR_IMAGES={**settings.SIMILAR_IMAGES, "SEARCH_BY_PICTURE": "nobody"}):
            assert "Search by image" not in self.menu(self.admin)


class PluginTest(EditorTest):
    def test_plugin__without_matches_says_so_to_editors_alone(self) -> None:
        page = make_page("Empty", None)
        content = page.get_content_obj("en")
        hint = "Visitors see similar images here"
        assert hint in self.client.get(get_object_edit_url(content)).content.decode()
        assert hint not in self.client.get("/empty/").content.decode()

    def test_plugin__template_can_be_another(self) -> None:
        page = make_page("Other", self.save(1, "first"))
        with self.settings(TEMPLATES=[overridden_templates()]):
            assert b"Own template" in self.client.get(page.get_absolute_url("en")).content

    def test_plugin__form_takes_an_image_and_a_number(self) -> None:
        image = self.save(1, "first")
        page = make_page("Form", image)
        plugin = SimilarImages.objects.get()
        url = reverse("admin:cms_placeholder_edit_plugin", args=[plugin.pk])
        assert self.client.get(url).status_code == 200
        answer = self.client.post(url, {"title": "Like it", "image": image.pk, "limit": 25})
        assert b"less than or equal to 24" in answer.content
        assert self.client.post(url, {"title": "Like it", "image": image.pk, "limit": 3}).status_code == 200
        plugin.refresh_from_db()
        assert (plugin.title, plugin.limit, str(plugin)) == ("Like it", 3, "Like it")
        assert page


def overridden_templates() -> dict[str, Any]:
    loader = ("django.template.loaders.locmem.Loader", {"similar_images/djangocms/plugin.html": "Own template"})
    options = {**settings.TEMPLATES[0]["OPTIONS"]}
    options["loaders"] = [loader, "django.template.loaders.app_directories.Loader"]
    return {**settings.TEMPLATES[0], "APP_DIRS": False, "OPTIONS": options}
