"""What visitors see of django-filer's images: on pages, in widgets, over REST, and in comparisons."""

from __future__ import annotations

import itertools
import re
from typing import Any

from django.apps import apps
from django.contrib.auth.models import AnonymousUser, Group, User
from django.core import checks
from django.core.cache import cache
from django.core.management import call_command
from django.db import connection, transaction
from django.test import RequestFactory, tag
from django.test.utils import CaptureQueriesContext
from filer import settings as filer_settings
from filer.models import Folder, FolderPermission

import similar_images
from similar_images import registry
from similar_images.contrib.djangocms import access
from similar_images.models import IndexedImage
from tests.contrib.djangocms.site import API, LABEL, FilerTest, Image, index_now, make_page


@tag("models")
class SourceTest(FilerTest):
    def test_source__is_the_image_model_of_the_site(self) -> None:
        (source,) = registry.get_sources()
        assert (source.model, source.field_name) == (Image, "file")
        assert [m for m in checks.run_checks() if (m.id or "").startswith("similar_images.E")] == []
        self.save(1, "one")
        index_now()
        assert IndexedImage.objects.get().status == "indexed"

    def test_source__keeps_what_the_site_registered(self) -> None:
        before = dict(registry._sources)
        similar_images.register(Image, "file", title=lambda image: f"Image {image.name}", visible=None)
        try:
            apps.get_app_config("similar_images_djangocms").ready()
            source = registry.get_source(Image)
            assert source.get_title(Image(name="one")) == "Image one"
            assert "readable_images" in str(source.visible)
        finally:
            registry._sources.clear()
            registry._sources.update(before)

    def test_source__without_a_rule_is_an_error_of_check(self) -> None:
        before = dict(registry._sources)
        similar_images.register(Image, "file")
        try:
            (error,) = [message for message in checks.run_checks() if message.id == "similar_images.E022"]
            assert "similar_images.contrib.djangocms" in str(error.hint)
        finally:
            registry._sources.update(before)

    def test_migrations__are_those_of_the_models(self) -> None:
        call_command("makemigrations", "similar_images_djangocms", check=True, verbosity=0)


@tag("models")
class PrivateFileTest(FilerTest):
    def test_image__is_read_from_where_it_is_and_stays_indexed_as_it_moves(self) -> None:
        public, private = self.save(1, "public"), self.save(2, "private", is_public=False)
        index_now()
        assert set(IndexedImage.objects.values_list("status", flat=True)) == {"indexed"}
        assert private.file.path != private.file.storages["public"].path(private.file.name)
        for image, is_public in ((public, False), (private, True), (public, True), (private, False)):
            image.is_public = is_public
            image.save()
            index_now()
            record = IndexedImage.objects.get(object_id=str(image.pk))
            assert (record.status, record.error, record.file_name) == ("indexed", "", image.file.name)
            assert image.file.exists()
        (match,) = similar_images.similar_to(private, exact=True, request=self.request_of(self.admin))
        assert match.object == public

    def test_thumbnails__of_private_images_are_behind_the_server_of_private_files(self) -> None:
        open_image, private = self.save(1, "open"), self.save(1, "private", quality=60, is_public=False)
        source = registry.get_source(Image)
        public_url, private_url = (source.make_thumbnails([x]).make(x.file).url for x in (open_image, private))
        assert public_url.startswith("/media/")
        assert private_url.startswith("/smedia/thumbnails/")
        assert self.client.get(private_url).status_code == 404
        self.client.force_login(self.admin)
        answer = self.client.get(private_url)
        assert (answer.status_code, answer["Content-Type"]) == (200, "image/jpeg")

    def request_of(self, user: Any) -> Any:
        request = RequestFactory().get("/")
        request.user = user
        return request


class RuleTest(FilerTest):
    """The rules for querysets say of every image what django-filer says of the object."""

    def setUp(self) -> None:
        super().setUp()
        filer_settings.FILER_ENABLE_PERMISSIONS = True
        self.addCleanup(setattr, filer_settings, "FILER_ENABLE_PERMISSIONS", True)
        group = Group.objects.create(name="group")
        self.users = {
            name: User.objects.create_user(name, is_staff=True) for name in ("none", "owner", "group", "reader")
        }
        self.users["group"].groups.add(group)
        own_folder = Folder.objects.create(name="Own", owner=self.users["owner"])
        folders = (self.library, self.private, self.inner, own_folder, None)
        for folder, owner, is_public in itertools.product(folders, (None, self.users["owner"]), (True, False)):
            image = self.save(1, "image", folder, owner=owner, is_public=is_public)
            Image.objects.filter(pk=image.pk).update(folder=folder)
        allow, deny = FolderPermission.ALLOW, FolderPermission.DENY
        for rule in (
            {
                "type": FolderPermission.CHILDREN,
                "folder": self.private,
                "user": self.users["reader"],
                "can_read": allow,
            },
            {"type": FolderPermission.THIS, "folder": self.inner, "user": self.users["reader"], "can_read": deny},
            {"type": FolderPermission.THIS, "folder": self.inner, "user": self.users["reader"], "can_edit": allow},
            {"type": FolderPermission.ALL, "group": group, "can_read": allow, "can_edit": allow},
            {"type": FolderPermission.THIS, "folder": self.library, "everybody": True, "can_read": allow},
        ):
            FolderPermission.objects.create(**rule)
        cache.clear()

    def requests(self) -> Any:
        everybody = [
            AnonymousUser(),
            self.admin,
            *self.users.values(),
            self.editor("viewer", f"view_{Image.__name__.lower()}"),
        ]
        for user, is_enabled in itertools.product(everybody, (True, False)):
            filer_settings.FILER_ENABLE_PERMISSIONS = is_enabled
            cache.clear()
            request = RequestFactory().get("/")
            request.user = User.objects.get(pk=user.pk) if user.pk else user
            yield request

    def test_visible__is_what_the_server_of_files_serves(self) -> None:
        seen = set()
        for request in self.requests():
            visible = set(access.readable_images(request))
            expected = {x for x in Image.objects.all() if x.is_public or x.has_read_permission(request)}
            assert visible == expected, request.user
            seen.add(len(visible))
        assert len(seen) > 3

    def test_editable__is_what_the_admin_opens(self) -> None:
        from django.contrib import admin

        model_admin = admin.site.get_model_admin(Image)
        seen = set()
        for request in self.requests():
            if request.user.is_authenticated:
                editable = set(access.editable_images(request))
                expected = {x for x in Image.objects.all() if model_admin.has_view_or_change_permission(request, x)}
                assert editable == expected, request.user
                seen.add(len(editable))
        assert len(seen) > 3

    def test_visible__takes_no_query_for_a_row(self) -> None:
        request = RequestFactory().get("/")
        request.user = self.users["reader"]
        with CaptureQueriesContext(connection) as queries:
            list(access.readable_images(request))
        few = len(queries)
        for number in range(5):
            self.save(1, f"more {number}", self.inner, is_public=False)
        with CaptureQueriesContext(connection) as queries:
            list(access.readable_images(request))
        assert len(queries) <= few


class VisitorMatrixTest(FilerTest):
    """An image that is not for a visitor leaves no trace: all answers are those of a site without it."""

    def setUp(self) -> None:
        super().setUp()
        self.open = self.save(1, "open")
        self.other = self.save(1, "other", quality=80)
        self.hidden = self.save(1, "secret", self.inner, quality=85, is_public=False)
        index_now()
        make_page("Open", self.open)
        make_page("Hidden", self.hidden)

    def answers(self) -> dict[str, bytes]:
        key, hidden = (f"{LABEL}.file:{image.pk}" for image in (self.open, self.hidden))
        addresses = {
            "plug-in": "/open/",
            "plug-in, as query": "/hidden/",
            "widget": f"/widget/{self.open.pk}/",
            "page": f"/similar-images/{LABEL}/{self.open.pk}/?fold=false",
            "page, as query": f"/similar-images/{LABEL}/{self.hidden.pk}/",
            "REST": f"{API}/{self.open.pk}/similar/?fold=false",
            "REST, as query": f"{API}/{self.hidden.pk}/similar/",
            "compare": f"/similar-images/compare/?a={key}&b={hidden}",
            "explanation": f"/similar-images/compare/explanation/?a={key}&b={hidden}",
        }
        cache.clear()
        answers = {}
        for name, address in addresses.items():
            answer = self.client.get(address)
            text = re.sub(rb'(csrf\w+["\'] value="|csrfToken": ")\w+', b"", answer.content)
            answers[name] = b"%d %s" % (answer.status_code, text)
        return answers

    def check(self, *, allowed: bool) -> None:
        answers = self.answers()
        with transaction.atomic():  # a queryset leaves the file
            Image.objects.filter(pk=self.hidden.pk).delete()
            missing = self.answers()
            transaction.set_rollback(True)
        index_now()
        for name, answer in answers.items():
            assert (answer == missing[name]) != allowed, name
        assert (b"secret" in answers["plug-in"]) == allowed
        assert b"% similar" in answers["plug-in"]

    def test_anonymous(self) -> None:
        self.check(allowed=False)

    def test_without_a_permission(self) -> None:
        self.client.force_login(User.objects.create_user("visitor"))
        self.check(allowed=False)

    def test_with_permission_on_a_folder_above(self) -> None:
        reader = User.objects.create_user("reader")
        self.allow(reader, self.private, "read")
        self.client.force_login(reader)
        self.check(allowed=True)

    def test_denied_below_an_allowed_folder(self) -> None:
        reader = User.objects.create_user("reader")
        self.allow(reader, self.private, "read")
        FolderPermission.objects.create(
            folder=self.inner, user=reader, type=FolderPermission.THIS, can_read=FolderPermission.DENY
        )
        self.client.force_login(reader)
        self.check(allowed=False)

    def test_public(self) -> None:
        self.hidden.is_public = True
        self.hidden.save()
        index_now()
        self.check(allowed=True)

    def test_page__is_not_shown_to_one_visitor_as_it_was_to_another(self) -> None:
        self.client.force_login(self.admin)
        answer = self.client.get("/open/")
        assert b"secret" in answer.content
        assert {"no-store", "private"} <= set(answer["Cache-Control"].split(", "))
        self.client.logout()
        assert b"secret" not in self.client.get("/open/").content
