from __future__ import annotations

import os
import socket
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import dj_database_url
import psutil
import psycopg
import pytest
import redis

from project import services


@pytest.fixture
def data() -> Iterator[Path]:
    """A folder that PostgreSQL may use even as root: pytest's own are closed to its user."""
    with tempfile.TemporaryDirectory(prefix="similar_images_") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


def processes_of(folder: Path) -> list[psutil.Process]:
    # The servers name their folder in their arguments; the dead have none.
    return [process for process in psutil.process_iter(["cmdline"]) if str(folder) in str(process.info["cmdline"])]


def test_postgres__has_pgvector_and_keeps_its_data(data: Path) -> None:
    with services.postgres(data) as server:
        assert server.is_running()
        with psycopg.connect(server.url) as connection:
            connection.execute("CREATE EXTENSION vector")
            connection.execute("CREATE TABLE kept AS SELECT '[1,2]'::vector AS value")
    assert not server.is_running()
    assert not processes_of(data)
    with services.postgres(data) as server, psycopg.connect(server.url) as connection:
        assert connection.execute("SELECT value::text FROM kept").fetchall() == [("[1,2]",)]


def test_postgres__stops_after_an_earlier_client_was_killed(data: Path) -> None:
    with services.postgres(data):
        pass
    (data / "postgres" / ".handle_pids.json").write_text("[1]")
    with services.postgres(data) as server:
        pass
    assert not server.is_running()


def test_postgres__serves_one_demo_per_folder(data: Path) -> None:
    with services.postgres(data), pytest.raises(services.ServiceError, match="DEMO_DATA"), services.postgres(data):
        pass


@pytest.mark.skipif(os.geteuid() != 0, reason="only root opens folders")
def test_postgres__warns_root_about_readable_folders(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    inner = data / "closed" / "demo"
    inner.mkdir(parents=True)
    inner.parent.chmod(0o700)
    with services.postgres(inner):
        pass
    assert str(inner.parent) in capsys.readouterr().err
    with services.postgres(inner):
        pass
    assert capsys.readouterr().err == ""
    assert stat.S_IMODE(inner.parent.stat().st_mode) == 0o755


def test_valkey__responds(data: Path) -> None:
    with services.valkey(data) as server, redis.Redis.from_url(server.url) as client:
        assert client.ping()
        assert server.is_running()
    assert not server.is_running()
    assert not processes_of(data)


@pytest.mark.parametrize("start", [services.postgres, services.valkey])
def test_servers__reject_a_path_with_a_space(start: type, tmp_path: Path) -> None:
    with pytest.raises(services.ServiceError, match="DEMO_DATA"), start(tmp_path / "my data"):
        pass


def test_process__is_stopped_with_its_children(tmp_path: Path) -> None:
    family = f"{sys.executable} -c 'import time; time.sleep(99)' & echo $! > child; wait"
    with services.process(["sh", "-c", family], cwd=tmp_path, log=tmp_path / "log") as parent:
        while not (tmp_path / "child").exists() or not (tmp_path / "child").read_text():
            time.sleep(0.01)
        child = psutil.Process(int((tmp_path / "child").read_text()))
    assert parent.returncode is not None
    psutil.wait_procs([child], timeout=5)
    assert not child.is_running() or child.status() == psutil.STATUS_ZOMBIE


def test_check_port__reports_a_port_in_use() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(services.ServiceError, match=f"{port}.*DEMO_PORT"):
            services.check_port("127.0.0.1", port)
    services.check_port("127.0.0.1", port)


def test_demo__reports_a_port_in_use(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        result = subprocess.run(
            [sys.executable, "manage.py", "demo"],
            env={
                **os.environ,
                "DEMO_PORT": port,
                "DEMO_DATA": str(tmp_path),
                "DJANGO_SETTINGS_MODULE": "project.settings",
            },
            capture_output=True,
            text=True,
            check=False,
        )
    assert result.returncode == 1
    assert port in result.stderr
    assert "DEMO_PORT" in result.stderr
    assert "Traceback" not in result.stderr


def test_database_url__has_the_socket_folder() -> None:
    parsed = dj_database_url.parse("postgresql://postgres@/postgres?host=/some/d%C3%AFr")
    assert parsed["NAME"] == parsed["USER"] == "postgres"
    assert parsed["HOST"] == ""
    assert parsed["OPTIONS"] == {"host": "/some/dïr"}
