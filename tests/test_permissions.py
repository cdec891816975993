"""Editors: what they may see and change, by the permissions of the admin or by a policy of their own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser, Group, Permission, User
from django.http import HttpRequest
from django.test import Client, RequestFactory

import similar_images
from similar_images import permissions, registry
from similar_images.models import Mark
from similar_images.permissions import EditorPolicy
from tests.items import matched_objects
from tests.testapp.models import Picture

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("mean_method")]


class CuratorPolicy(EditorPolicy):
    """Curators are the editors, whether they are staff or not; what is called “locked” is for nobody to change."""

    def can_view(self, request: HttpRequest | None) -> bool:
        user = getattr(request, "user", AnonymousUser())
        return user.is_authenticated and user.groups.filter(name="curators").exists()

    def can_change(self, request: HttpRequest | None, *items: Any) -> bool:
        return self.can_view(request) and not any(item.title == "locked" for item in items)


@pytest.fixture
def with_curators(monkeypatch: pytest.MonkeyPatch) -> None:
    source = replace(registry.get_source(Picture), policy="tests.test_permissions.CuratorPolicy")
    monkeypatch.setitem(registry._sources, (Picture, "image"), source)


def request_of(user: Any) -> HttpRequest:
    request = RequestFactory().get("/")
    request.user = user
    return request


@pytest.fixture
def curator() -> User:
    user = User.objects.create_user("curator")
    user.groups.add(Group.objects.create(name="curators"))
    return user


@pytest.fixture
def staff() -> User:
    user = User.objects.create_user("staff", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=["view_picture", "change_picture"]))
    return user


Found = Callable[[Any], list[Any]]


@pytest.fixture
def found_by_editor(gray_pictures: list[Picture]) -> Found:
    """Hide all but the first image; return a search of what a user sees as an editor."""
    Picture.objects.exclude(pk=gray_pictures[0].pk).update(published=False)

    def find(user: Any) -> list[Any]:
        request = request_of(user)
        assert similar_images.similar_to(gray_pictures[0], request=request) == []
        return matched_objects(similar_images.similar_to(gray_pictures[0], request=request, for_editors=True))

    return find


def test_for_editors__is_what_the_permissions_of_the_admin_show(
    found_by_editor: Found, gray_pictures: list[Picture], staff: User
) -> None:
    assert found_by_editor(staff) == gray_pictures[1:]
    assert found_by_editor(User.objects.create_user("visitor")) == []
    assert found_by_editor(User.objects.create_user("clerk", is_staff=True)) == []
    assert found_by_editor(AnonymousUser()) == []
    assert similar_images.similar_to(gray_pictures[0], for_editors=True) == []


@pytest.mark.usefixtures("with_curators")
def test_for_editors__is_what_the_policy_of_the_source_shows(
    found_by_editor: Found, gray_pictures: list[Picture], curator: User, staff: User
) -> None:
    assert found_by_editor(curator) == gray_pictures[1:]
    assert found_by_editor(staff) == []
    hidden = gray_pictures[1]
    query = Picture.objects.all()
    request = request_of(curator)
    assert list(query.similar_to(gray_pictures[0], request=request, for_editors=True)) == gray_pictures[1:]
    why = similar_images.why_not(gray_pictures[0], hidden, request=request, for_editors=True)
    assert why.code == "listed"
    assert similar_images.why_not(gray_pictures[0], hidden, request=request).code == "invisible"
    assert similar_images.why_not(gray_pictures[0], hidden, request=request_of(staff)).code == "unknown"


@pytest.mark.usefixtures("with_curators")
def test_marks_over_rest__are_for_those_whom_the_policy_names(
    gray_pictures: list[Picture], client: Client, curator: User, staff: User
) -> None:
    a, b, c, *_rest = gray_pictures
    Picture.objects.filter(pk=c.pk).update(title="locked")

    def mark(other: Picture) -> int:
        url = f"/api/similar-images/testapp.picture/{a.pk}/mark/"
        return client.post(url, {"other": str(other.pk), "alike": False}, content_type="application/json").status_code

    client.force_login(staff)
    assert mark(b) == 403
    client.force_login(curator)
    assert mark(b) == 200
    assert mark(c) == 403
    assert Mark.objects.count() == 1


def test_policy__of_a_wrong_path_is_an_error_of_check(monkeypatch: pytest.MonkeyPatch) -> None:
    from similar_images.checks import surfaces

    source = replace(registry.get_source(Picture), policy="tests.nowhere.Policy")
    monkeypatch.setitem(registry._sources, (Picture, "image"), source)
    (message,) = [message for message in surfaces.check_presentation() if message.id == "similar_images.E012"]
    assert "policy='tests.nowhere.Policy' can't be imported" in str(message)


def test_get_policy__by_default_is_that_of_the_admin() -> None:
    assert type(permissions.get_policy(registry.get_source(Picture))) is EditorPolicy
