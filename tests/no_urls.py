"""The URL conf of a project that has no pages of this app."""

urlpatterns: list[object] = []
