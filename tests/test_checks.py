from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from django.apps import apps
from django.conf import settings as django_settings
from django.conf.urls.i18n import i18n_patterns
from django.contrib.admin import sites as admin_sites
from django.core import checks as django_checks
from django.core.management import call_command
from django.core.management.base import SystemCheckError
from django.db import ConnectionHandler, models
from django.db.migrations.state import ProjectState
from django.urls import include, path, re_path, set_script_prefix

from project.celery import app as celery_app
from similar_images import registry
from similar_images.checks import privacy, servers, setting, source_fields, surfaces, tables
from tests import drawing
from tests.databases import ALIAS, connection
from tests.testapp.models import Private

SQLITE = {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}


def ids(messages: list[django_checks.CheckMessage]) -> list[str]:
    return [str(message.id) for message in messages if str(message.id).startswith("similar_images.")]


def test_check__the_demo_is_right(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admin_sites, "all_sites", {admin_sites.site})  # without those that other tests have made
    assert ids(django_checks.run_checks()) == []


# --- methods and ranking ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("methods", "reason"),
    [
        ({"colour": {}}, r"\['colour'\]: neither a built-in method \(embedding, color.*\) nor importable"),
        ({"nope.Method": {}}, r"\['nope\.Method'\]: neither a built-in method .* No module named 'nope'"),
        ({"tests.methods.Nope": {}}, r"\['tests\.methods\.Nope'\]: neither a built-in"),
        ({"": {}}, r"\[''\]: neither a built-in"),
        ({"pathlib.Path": {}}, r"\['pathlib\.Path'\] is not a subclass of similar_images\.signatures\.base\.Method"),
        ({"os.getcwd": {}}, r"\['os\.getcwd'\] is not a subclass"),
        ({"similar_images.signatures.base.Method": {}}, r".*base\.Method'\] can't be used: .*abstract"),
        ({"color": {"shade": 3}}, r"\['color'\] can't be used: .*'shade'"),
        ({"color": {1: 2}}, r"\['color'\] can't be used: .*string"),
    ],
)
def test_check__wrong_methods(methods: dict[str, Any], reason: str, configure: Any) -> None:
    configure(METHODS=methods)
    with pytest.raises(SystemCheckError, match=rf"\(similar_images\.E003\) SIMILAR_IMAGES\['METHODS'\]{reason}"):
        call_command("check")


def test_check__ranking_by_a_method_that_is_not_enabled(configure: Any) -> None:
    configure(METHODS={"color": {}}, RANKING={"phash": 1, "color": 1, "embedding": 0})
    with pytest.raises(SystemCheckError) as failed:
        call_command("check")
    report = str(failed.value)
    assert report.count("(similar_images.E004)") == 2
    assert "SIMILAR_IMAGES['RANKING'] has a weight for 'phash', which is not an enabled method." in report
    assert "SIMILAR_IMAGES['RANKING'] has a weight for 'embedding'" in report
    assert "HINT: Add it to SIMILAR_IMAGES['METHODS'], or use only color." in report


def test_check__method_by_path_is_ranked_by_its_name(configure: Any) -> None:
    configure(METHODS={"tests.methods.Mean": {}}, RANKING={"mean": 1})
    call_command("check")
    configure(METHODS={"tests.methods.Mean": {}}, RANKING={"tests.methods.Mean": 1})
    with pytest.raises(SystemCheckError, match=r"E004.* has a weight for 'tests\.methods\.Mean'"):
        call_command("check")


def test_check__wrong_models_and_ranking_at_once(configure: Any) -> None:
    configure(MODELS=["nope"], RANKING={"phash": 1})
    assert ids(setting.check_setting()) == ["similar_images.E002", "similar_images.E004"]


@pytest.mark.parametrize("methods", [{"nope.Method": {}}, {"embedding": {"providers": ["MagicExecutionProvider"]}}])
def test_check__wrong_models_and_methods_at_once_each_with_its_own_hint(
    methods: dict[str, Any], configure: Any
) -> None:
    configure(MODELS=["nope"], METHODS=methods)
    models, wrong = setting.check_setting()[:2]
    assert (models.id, wrong.id) == ("similar_images.E002", "similar_images.E003")
    assert 'Write "app_label.Model.field"' in str(models.hint)
    assert wrong.hint == setting.KEYS_HINT


# --- database --------------------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_check_database__real() -> None:
    call_command("check", databases=[ALIAS])
    assert tables.check_database(databases=[ALIAS]) == []


def test_check_database__asks_no_database_unasked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "connections", None)
    assert tables.check_database() == tables.check_database(databases=["other"]) == []


def test_check_database__not_postgresql(monkeypatch: pytest.MonkeyPatch) -> None:
    sqlite = ConnectionHandler({"default": SQLITE, ALIAS: SQLITE})
    monkeypatch.setattr(tables, "connections", sqlite)
    (error,) = tables.check_database(databases=[ALIAS])
    assert error.id == "similar_images.E005"
    assert f"the database {ALIAS!r} is not PostgreSQL" in error.msg
    assert error.level == django_checks.ERROR


@pytest.mark.parametrize(
    ("versions", "expected"),
    [
        (None, "similar_images.E006"),
        (("0.6.2", None), "similar_images.E007"),
        (("0.8.5", "0.5.1"), "similar_images.E007"),
        (("0.8.0", None), None),
        (("0.9", "0.8.4"), None),
        (("0.10.0", "0.10.0"), None),
        (("1.0.0", "1.0.0"), None),
    ],
)
def test_check_database__pgvector(versions: Any, expected: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """By what the server says of pgvector: (available, installed)."""
    cursor = SimpleNamespace(execute=lambda sql: None, fetchone=lambda: versions)
    connection = SimpleNamespace(vendor="postgresql", cursor=lambda: nullcontext(cursor))
    monkeypatch.setattr(tables, "connections", {ALIAS: connection})
    messages = tables.check_database(databases=[ALIAS])
    assert [message.id for message in messages] == ([expected] if expected else [])
    if expected == "similar_images.E007":
        assert f"pgvector {versions[1] or versions[0]} is too old" in messages[0].msg


class PrivateElsewhere:
    """A router that keeps one model in a database of its own."""

    def db_for_write(self, model: type[models.Model], **hints: Any) -> str | None:
        return "other" if model is Private else None


def test_check_sources__in_another_database_than_the_records(settings: Any) -> None:
    assert source_fields.check_sources() == []
    settings.DATABASE_ROUTERS = ["tests.test_checks.PrivateElsewhere", *settings.DATABASE_ROUTERS]
    with pytest.raises(SystemCheckError) as failed:
        call_command("check")
    report = str(failed.value)
    assert report.count("(similar_images.E008)") == 1
    assert f"testapp.Private.image is in the database 'other', but the image records are in {ALIAS!r}." in report
    assert "HINT: Records are written by triggers on its table" in report


@pytest.mark.django_db
def test_migrate__passes_over_a_database_of_another_kind(settings: Any) -> None:
    settings.DATABASE_ROUTERS = []
    module = import_module("similar_images.migrations.0001_initial")
    sqlite = ConnectionHandler({"default": SQLITE})["default"]
    try:
        with sqlite.schema_editor() as editor:
            state = ProjectState.from_apps(apps)
            for model in apps.get_app_config("similar_images").get_models():
                state.remove_model("similar_images", model._meta.model_name)
            module.Migration("0001_initial", "similar_images").apply(state, editor)
        assert "similar_images_indexedimage" in sqlite.introspection.table_names()
    finally:
        sqlite.close()


@pytest.mark.django_db
def test_check__names_records_of_what_is_no_longer_registered(monkeypatch: pytest.MonkeyPatch) -> None:
    Private.objects.create(owner="ada", image=drawing.file())
    assert tables.check_unregistered(databases=[ALIAS]) == []
    sources = {key: source for key, source in registry._sources.items() if source.model is not Private}
    monkeypatch.setattr(registry, "_sources", sources)
    (warning,) = tables.check_unregistered(databases=[ALIAS])
    assert warning.id == "similar_images.W007"
    assert warning.msg == "testapp.private.image is no longer registered, but 1 image records of it are stored."
    assert tables.check_unregistered() == tables.check_unregistered(databases=["other"]) == []


# --- Celery ----------------------------------------------------------------------------------------------------


@pytest.fixture
def celery_conf() -> Iterator[Any]:
    """The Celery app's configuration; what a test sets is undone after it."""
    names = ("beat_schedule", "beat_scheduler")
    before = {name: celery_app.conf[name] for name in names}
    yield celery_app.conf
    celery_app.conf.update(before)


@pytest.mark.parametrize(
    "schedule", [{}, None, {"other": {"task": "shop.tasks.sweep", "schedule": 30}}, {"odd": {"schedule": 30}}]
)
def test_check_celery__no_sweep(schedule: Any, celery_conf: Any) -> None:
    celery_conf.beat_schedule = schedule
    (message,) = servers.check_celery()
    assert message.id == "similar_images.W002"
    assert '"task": "similar_images.tasks.sweep"' in str(message.hint)
    call_command("check")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("beat_schedule", {"whatever": {"task": "similar_images.tasks.sweep", "schedule": 30}}),
        ("beat_scheduler", "django_celery_beat.schedulers:DatabaseScheduler"),
    ],
)
def test_check_celery__sweep_is_scheduled(name: str, value: Any, celery_conf: Any) -> None:
    celery_conf.beat_schedule = {}
    assert servers.check_celery() != []
    celery_conf[name] = value
    assert servers.check_celery() == []


# --- addresses --------------------------------------------------------------------------------------------------


def serve_page(request: Any, **kwargs: Any) -> None:
    """Show a page of a CMS."""


def urlconf(urlpatterns: list[Any]) -> ModuleType:
    module = ModuleType("urlconf")
    module.urlpatterns = urlpatterns  # type: ignore[attr-defined]
    return module


OWN_PATTERNS = [
    path("similar/", include("similar_images.urls")),
    path("api/", include("similar_images.api.urls")),
]


@pytest.mark.parametrize("catch_all", [path("<path:page>", serve_page), re_path(r"^((?:[\w\-]+/)*)$", serve_page)])
def test_check_urls__behind_a_catch_all(catch_all: Any, settings: Any) -> None:
    settings.ROOT_URLCONF = urlconf([*OWN_PATTERNS, catch_all])
    assert surfaces.check_urls() == []
    settings.ROOT_URLCONF = urlconf([catch_all, *OWN_PATTERNS])
    messages = surfaces.check_urls()
    assert ids(messages)[-1] == "similar_images.E021"
    assert "/api/status/ is answered by tests.test_checks.serve_page" in [*map(str, messages)][-1]
    assert 'includes "similar_images.api.urls" before' in str(messages[-1].hint)


def test_check_urls__addresses_with_a_language_and_a_prefix(settings: Any) -> None:
    settings.ROOT_URLCONF = urlconf(i18n_patterns(*OWN_PATTERNS))
    set_script_prefix("/shop/")
    try:
        assert surfaces.check_urls() == []
    finally:
        set_script_prefix("/")


def test_check_urls__of_a_project_without_the_pages(settings: Any) -> None:
    settings.ROOT_URLCONF = urlconf([path("<path:page>", serve_page)])
    assert surfaces.check_urls() == []


# --- media libraries ----------------------------------------------------------------------------------------------


def test_check_media_libraries__without_a_rule(monkeypatch: pytest.MonkeyPatch) -> None:
    class AbstractImage:
        """Has the name of Wagtail's."""

    AbstractImage.__module__, AbstractImage.__qualname__ = "wagtail.images.models", "AbstractImage"
    model = SimpleNamespace(__mro__=(AbstractImage,), _meta=SimpleNamespace(label="site.Image"))
    source = SimpleNamespace(model=model, visible=None)
    monkeypatch.setattr(registry, "get_sources", lambda: [source])
    (message,) = privacy.check_media_libraries()
    assert str(message).startswith("?: (similar_images.E022) Every visitor may see every image of site.Image, private")
    assert "'similar_images.contrib.wagtail' to INSTALLED_APPS" in str(message.hint)
    source.visible = lambda request: None
    assert privacy.check_media_libraries() == []


# --- a host of its own -----------------------------------------------------------------------------------------

HOST = """
import sys
import django
from django.conf import settings
from django.core import checks
settings.configure(
    INSTALLED_APPS=["django.contrib.contenttypes", "similar_images", "tests.testapp"],
    DATABASES={"default": {"ENGINE": "django.db.backends.postgresql", "NAME": "none"}},
    SIMILAR_IMAGES=eval(sys.argv[1]),
)
django.setup()
from similar_images import registry
from tests.testapp.models import Unregistered
print(*[source.label for source in registry.get_sources_for_model(Unregistered)])
print(*sorted(message.id for message in checks.run_checks() if message.id.startswith("similar")))
"""


def host(setting: dict[str, Any]) -> list[str]:
    """Start a project without Celery; return the sources of Unregistered and the ids of the check's messages."""
    environment = {key: value for key, value in os.environ.items() if key != "DJANGO_SETTINGS_MODULE"}
    command = [sys.executable, "-c", HOST, repr(setting)]
    folder = Path(django_settings.BASE_DIR)
    run = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=60)
    assert run.returncode == 0, run.stderr
    return run.stdout.splitlines()


def test_host__without_celery_registers_by_the_setting() -> None:
    assert host({"MODELS": ["testapp.Unregistered.image"]}) == ["testapp.Unregistered.image", "similar_images.W001"]


def test_host__starts_with_a_wrong_setting() -> None:
    """So that `manage.py check` can say what is wrong, and the other commands run."""
    assert host({"MODELS": ["nope"]}) == ["", "similar_images.E002 similar_images.W001"]
    assert host({"LIMIT": 0}) == ["", "similar_images.E001 similar_images.W001"]


# --- deploy ----------------------------------------------------------------------------------------------------


def test_check_visible__only_before_a_deploy() -> None:
    messages = django_checks.run_checks(include_deployment_checks=True)
    public = [message.msg for message in messages if message.id == "similar_images.W003"]
    assert "Every visitor may see every object of testapp.UuidPicture.image." in public
    assert any("testapp.Couple.back" in message for message in public)
    assert not any("testapp.Picture.image" in message or "testapp.Private" in message for message in public)
    (hint,) = [message.hint for message in messages if "testapp.Couple.back" in message.msg]
    assert 'similar_images.register(Couple, "back", visible=lambda request: …)' in str(hint)
    assert "similar_images.W003" not in ids(django_checks.run_checks())


@pytest.mark.parametrize(
    ("backend", "location", "expected"),
    [
        ("locmem.LocMemCache", "", ["similar_images.W005"]),
        ("dummy.DummyCache", "", ["similar_images.W005"]),
        ("redis.RedisCache", "redis://127.0.0.1:1/0", []),
        ("filebased.FileBasedCache", "/nonexistent", []),
    ],
)
def test_check_cache__that_processes_do_not_share(
    backend: str, location: str, expected: list[str], settings: Any, configure: Any
) -> None:
    pictures = {"BACKEND": f"django.core.cache.backends.{backend}", "LOCATION": location}
    settings.CACHES = {**settings.CACHES, "pictures": pictures}
    configure(COMPARE_CACHE="pictures")
    assert ids(servers.check_cache()) == expected
    messages = django_checks.run_checks(include_deployment_checks=True)
    assert [name for name in ids(messages) if name == "similar_images.W005"] == expected
    assert "similar_images.W005" not in ids(django_checks.run_checks())


def test_check_cache__that_there_is_not(configure: Any) -> None:
    configure(COMPARE_CACHE="nonsense")
    with pytest.raises(SystemCheckError, match=r"E001\) SIMILAR_IMAGES\['COMPARE_CACHE'\] is 'nonsense', which"):
        call_command("check", deploy=True)


# --- measures --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("keys", "reason"),
    [
        ({"MEASURES": {"sim": {}}}, r"SIMILAR_IMAGES\['MEASURES'\]\['sim'\]: neither a built-in measure"),
        ({"MEASURES": {"pathlib.Path": {}}}, r".*\['pathlib\.Path'\] is not a subclass of .*Measure"),
        ({"MEASURES": {"keypoints-orb": {"ratio": 7}}}, r".*\['keypoints-orb'\] can't be used: ratio must be"),
        (
            {"COMPARE_MEASURES": ["ssim", "taste"]},
            r"SIMILAR_IMAGES\['COMPARE_MEASURES'\] names 'taste', which is not a measure",
        ),
    ],
)
def test_check__wrong_measures(keys: dict[str, Any], reason: str, configure: Any) -> None:
    configure(**keys)
    with pytest.raises(SystemCheckError, match=rf"\(similar_images\.E009\) {reason}"):
        call_command("check")


def test_check__measures_that_lack_something(configure: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("similar_images.measures.geometry.keypoint_options.find_spec", lambda name: None)
    monkeypatch.setattr("similar_images.measures.transport.find_spec", lambda name: None)
    assert setting.check_measures() == [], "pytest is not the command check, nor are migrate and runserver"
    monkeypatch.setattr(sys, "argv", ["manage.py", "check"])
    [message] = setting.check_measures()
    assert (message.id, message.level) == ("similar_images.I002", django_checks.INFO)
    assert message.msg == "Optional comparison measures are not available: keypoints-surf, emd-color, emd-gray."
    assert str(message.hint).count("pip install similar_images[compare]") == 2


def test_presentation__advice_is_given_by_the_command_check_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    assert surfaces.check_presentation() == []
    monkeypatch.setattr(sys, "argv", ["manage.py", "check"])
    originals, links = surfaces.check_presentation()
    assert originals.id == "similar_images.I003"
    assert originals.msg.startswith("Lists of similar items show original files, however large they are: ")
    assert "testapp.Picture.image" in originals.msg
    assert (links.id, "testapp.Couple.front" in links.msg) == ("similar_images.I004", True)
    assert "testapp.Picture.image" not in links.msg, "it has get_absolute_url()"


def test_presentation__a_serializer_is_one_of_the_rest_framework(monkeypatch: pytest.MonkeyPatch) -> None:
    source = registry.get_source(Private)
    monkeypatch.setitem(registry._sources, (Private, "image"), replace(source, serializer=dict))
    (error,) = source_fields.check_source_options()
    assert error.id == "similar_images.E011"
    assert "serializer=<class 'dict'> is no serializer class" in error.msg


def test_presentation__wrong_paths_are_errors(monkeypatch: pytest.MonkeyPatch) -> None:
    source = registry.get_source(Private)
    monkeypatch.setitem(registry._sources, (Private, "image"), replace(source, thumbnail="shop.nowhere.thumbnail"))
    (error,) = surfaces.check_presentation()
    assert (error.id, error.level) == ("similar_images.E012", django_checks.ERROR)
    assert "testapp.Private.image: thumbnail='shop.nowhere.thumbnail' can't be imported" in error.msg
    assert source_fields.check_source_options() == [], "one message for one fault"


@pytest.mark.django_db
def test_database__a_table_without_triggers_is_reported() -> None:
    from similar_images.indexing import triggers

    assert "similar_images.W008" not in ids(tables.check_triggers(databases=[ALIAS]))
    (trigger, *_others) = triggers.source_triggers(registry.get_source(Private), ALIAS)
    with connection.cursor() as cursor:
        cursor.execute(f"DROP TRIGGER {trigger.name} ON {trigger.table}")
    (warning,) = tables.check_triggers(databases=[ALIAS])
    assert warning.id == "similar_images.W008"
    assert "testapp.Private.image" in warning.msg
    assert tables.check_triggers(databases=None) == []


def test_tenants__need_tables_of_their_own(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    assert tables.check_tenants() == []
    monkeypatch.setattr(apps, "is_installed", lambda name: name == "django_tenants")
    settings.TENANT_APPS = ["shop", "similar_images.apps.SimilarImagesConfig"]
    assert tables.check_tenants() == []
    settings.TENANT_APPS = ["shop"]
    assert ids(tables.check_tenants()) == ["similar_images.E010"]
