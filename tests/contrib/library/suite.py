"""Tests of the home-made CMS, which Django's own runner runs in a process of its own."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import Group, User
from django.core import checks
from django.core.files.base import ContentFile
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import TestCase

import similar_images
from similar_images.indexing import claims, worker
from tests import drawing

from .models import Asset


class LibraryTest(TestCase):
    @classmethod
    def setUpTestData(cls) -> None:
        cls.ours, cls.theirs = Group.objects.create(name="ours"), Group.objects.create(name="theirs")
        cls.editor = User.objects.create_user("ada")
        cls.editor.groups.add(cls.ours)
        cls.reader = User.objects.create_user("reader")
        cls.own = cls.save(1, "own", cls.ours)
        cls.copy = cls.save(1, "copy", cls.ours, is_public=True)
        cls.secret = cls.save(1, "secret", cls.theirs)
        cls.public = cls.save(1, "public", cls.theirs, is_public=True)
        while records := claims.claim_batch():
            worker.index_records(records)

    @staticmethod
    def save(seed: int, title: str, team: Group, **fields: Any) -> Asset:
        file = ContentFile(drawing.encoded(drawing.textured(seed)), name=f"{title}.png")
        return Asset.objects.create(title=title, file=file, team=team, **fields)

    def upload(self, seed: int) -> Any:
        file = SimpleUploadedFile("new.jpg", drawing.encoded(drawing.textured(seed), "JPEG", quality=90))
        return self.client.post("/library/upload/", {"file": file}, follow=True)

    def test_checks__find_nothing_wrong(self) -> None:
        assert [m for m in checks.run_checks() if (m.id or "").startswith("similar_images.E")] == []

    def test_upload__names_what_the_editor_has_already(self) -> None:
        self.client.force_login(self.editor)
        page = self.upload(1).content.decode()
        assert "“new.jpg” looks like “own”" in page
        assert "secret" not in page
        assert "looks like" not in self.upload(2).content.decode()

    def test_upload__of_what_is_no_image_is_told_in_the_form(self) -> None:
        self.client.force_login(self.editor)
        long_named = SimpleUploadedFile("x" * 230 + ".png", drawing.encoded(drawing.textured(3)))
        for files in ({}, {"file": SimpleUploadedFile("new.png", b"none")}, {"file": long_named}):
            assert self.client.post("/library/upload/", files).status_code == 400

    def test_mark__of_a_wrong_key_is_a_404(self) -> None:
        self.client.force_login(self.editor)
        for fields in ({}, {"other": "abc"}, {"other": self.own.pk}):
            assert self.client.post(f"/library/{self.own.pk}/mark/", fields).status_code == 404
        assert self.client.get("/abc/").status_code == 404

    def test_edit__shows_what_the_team_has(self) -> None:
        self.client.force_login(self.editor)
        page = self.client.get(f"/library/{self.own.pk}/").content.decode()
        assert "copy" in page
        assert "secret" not in page
        assert self.client.get(f"/library/{self.secret.pk}/").status_code == 404

    def test_mark__holds_for_visitors(self) -> None:
        self.client.force_login(self.editor)
        path = f"/library/{self.own.pk}/mark/"
        assert self.client.post(path, {"other": self.secret.pk}).status_code == 404
        assert [match.object for match in similar_images.similar_to(self.copy)] == [self.public]
        Asset.objects.update(is_public=True)
        assert self.own in [match.object for match in similar_images.similar_to(self.copy, fold=False)]
        assert self.client.post(path, {"other": self.copy.pk}).status_code == 302
        assert self.own not in [match.object for match in similar_images.similar_to(self.copy, fold=False)]

    def test_page__shows_visitors_what_is_public(self) -> None:
        page = self.client.get(f"/{self.public.pk}/").content.decode()
        assert "copy" in page
        assert "own" not in page
        assert self.client.get(f"/{self.own.pk}/").status_code == 404

    def test_rest__asks_the_policy_who_may_mark(self) -> None:
        path = f"/api/similar-images/library.asset/{self.copy.pk}/mark/"
        body = {"other": self.copy.pk, "alike": False}
        for user, status in ((self.reader, 403), (self.editor, 400)):  # with itself
            self.client.force_login(user)
            answer = self.client.post(path, body, content_type="application/json")
            assert answer.status_code == status, answer.content

    def test_rest__tells_editors_of_nothing_that_they_may_not_see(self) -> None:
        api = "/api/similar-images/"
        self.client.force_login(self.editor)
        paths = [f"{api}library.asset/{self.copy.pk}/similar/?why_not={key}" for key in (self.secret.pk, 987654)]
        hidden, missing = (self.client.get(path).json()["why_not"] for path in paths)
        assert hidden == missing
        path = f"{api}library.asset/{self.copy.pk}/similar/?why_not={self.own.pk}"
        assert self.client.get(path).json()["why_not"]["code"] == "invisible", "to visitors; the editor may see it"
        for user, count in ((self.reader, 2), (self.editor, 3)):
            self.client.force_login(user)
            (source,) = self.client.get(f"{api}status/").json()["sources"]
            assert source["records"]["indexed"] == count
