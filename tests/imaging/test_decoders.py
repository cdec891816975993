"""Decoder processes: limited, replaced, shared by threads, and gone with the process that started them."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from similar_images.imaging import decoders
from similar_images.imaging.decode import Picture, UnreadableImage, decode
from similar_images.imaging.decoder import program
from similar_images.imaging.decoder.protocol import Limits
from similar_images.imaging.decoders import DecoderPool, DecoderUnavailable
from tests import hostile
from tests.drawing import encoded, scene

ROOT = Path(__file__).parents[2]
SMALL = encoded(scene(1), "JPEG")
SLOW = hostile.progressive_jpeg(99, side=3000)
"""Takes half a second or more, on any machine."""


@pytest.fixture(autouse=True)
def _own_pool(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Use decoders of the test's own, which are ended with it."""
    pool = DecoderPool()
    monkeypatch.setattr(decoders, "_pool", pool)
    yield
    pool.close()


def decode_small() -> Picture:
    picture = decode(SMALL, max_pixels=20_000)
    assert (picture.width, picture.height) == (160, 120)
    return picture


def supervisors() -> list[psutil.Process]:
    pids = [decoder._process.pid for decoder in (*decoders.get_pool()._idle, *decoders.get_pool()._busy)]
    return [psutil.Process(pid) for pid in pids]


def wait_for_child() -> psutil.Process:
    """Return the process that decodes, of the only decoder, once it has worked for a while."""
    for _ in range(3000):
        time.sleep(0.01)
        with suppress(psutil.NoSuchProcess):
            for supervisor in supervisors():
                for child in supervisor.children():
                    if sum(child.cpu_times()[:2]) >= 0.1:
                        return child
    raise AssertionError("nothing is decoded")


def end_child(number: signal.Signals) -> None:
    """Send a signal to the process that decodes, and wait until it is gone."""
    child = wait_for_child()
    child.send_signal(number)
    child.wait(60)


@contextmanager
def decoding(data: bytes) -> Iterator[Future[Picture]]:
    """Decode on another thread."""
    with ThreadPoolExecutor(1) as executor:
        yield executor.submit(decode, data, max_pixels=25_000_000)


@pytest.mark.parametrize("name", hostile.WORST_FILES)
def test_worst_files__are_refused_before_they_are_decoded(name: str) -> None:
    data = hostile.WORST_FILES[name]()
    assert len(data) < 10 * 2**20
    with pytest.raises(UnreadableImage, match="built in an unusual way that takes too much time or memory"):
        decode(data, max_pixels=25_000_000, timeout=10)
    decode_small()


@pytest.mark.parametrize("name", hostile.COSTLY_FILES)
def test_costly_files__stay_within_the_limits(name: str) -> None:
    assert decode(hostile.COSTLY_FILES[name](), max_pixels=25_000_000).pixels.size


def test_time__an_image_that_takes_too_long_is_refused_and_the_next_one_is_decoded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    decode_small()
    before = supervisors()
    with monkeypatch.context() as patch:
        patch.setattr(decoders, "LIMITS", Limits(seconds=0.1, seconds_per_pixel=0))
        with pytest.raises(UnreadableImage, match=r"^The image takes too long to decode\."):
            decode(SLOW, max_pixels=25_000_000)
    decode_small()
    assert supervisors() == before, "only the process that decodes is replaced"


def test_time__is_counted_for_each_image() -> None:
    """The limit is for one image, however many the process has decoded."""
    data = encoded(scene(1, (1200, 900)), "PNG")
    decode(data, max_pixels=2_000_000)
    child = supervisors()[0].children()[0]
    while sum(child.cpu_times()[:2]) <= Limits().processor_seconds(0):
        decode(data, max_pixels=2_000_000)
    assert supervisors()[0].children() == [child], "the process goes on"


def test_time__an_image_of_few_pixels_gets_little() -> None:
    limits = Limits()
    assert limits.processor_seconds(0) <= 1
    assert limits.processor_seconds(25_000_000) < 10
    assert limits.address_space(0, 0) < 100 * 2**20


def test_timeout__is_kept_and_not_the_fault_of_the_image() -> None:
    start = time.monotonic()
    with pytest.raises(DecoderUnavailable, match="right now"):
        decode(SLOW, max_pixels=25_000_000, timeout=0.3)
    assert time.monotonic() - start < 10
    decode_small()


def test_timeout__counts_the_wait_for_a_decoder(monkeypatch: pytest.MonkeyPatch) -> None:
    pool = DecoderPool(light_slots=1, heavy_slots=1)
    monkeypatch.setattr(decoders, "_pool", pool)
    monkeypatch.setattr(decoders, "LIMITS", Limits(light_pixels=10**9))
    with decoding(SLOW) as slow:
        wait_for_child()
        with pytest.raises(DecoderUnavailable):
            decode(SMALL, max_pixels=20_000, timeout=0.1)
        assert slow.result().width == 3000
    pool.close()


def test_heavy_images__do_not_keep_others_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    pool = DecoderPool(light_slots=1, heavy_slots=1)
    monkeypatch.setattr(decoders, "_pool", pool)
    with ThreadPoolExecutor(4) as executor:
        slow = [executor.submit(decode, SLOW, max_pixels=25_000_000) for _ in range(4)]
        child = wait_for_child()
        decode_small()
        assert sum(future.done() for future in slow) < 4
        assert child.nice() == min(os.nice(0) + program.NICENESS, 19)
        assert {future.result().width for future in slow} == {3000}
    pool.close()


def test_memory__an_image_that_takes_too_much_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    data = encoded(scene(1, (3000, 2000)).convert("RGBA"), "PNG")
    with monkeypatch.context() as patch:
        patch.setattr(decoders, "LIMITS", Limits(bytes=4 * 2**20, bytes_per_pixel=1))
        with pytest.raises(UnreadableImage, match=r"^The image takes too much memory to decode\."):
            decode(data, max_pixels=25_000_000)
    assert decode(data, max_pixels=25_000_000).width == 3000


def test_memory__the_system_limits_the_process_that_decodes() -> None:
    decode_small()
    child = supervisors()[0].children()[0]
    if sys.platform == "linux":
        space, _ = child.rlimit(psutil.RLIMIT_AS)
        assert space < child.memory_info().vms + 200 * 2**20
        for limit in (psutil.RLIMIT_CORE, psutil.RLIMIT_FSIZE):
            assert child.rlimit(limit) == (0, 0)
        assert child.rlimit(psutil.RLIMIT_NOFILE)[1] <= 16


def test_crash__is_tried_once_more() -> None:
    with decoding(SLOW) as slow:
        end_child(signal.SIGSEGV)
        assert slow.result().width == 3000


def test_crash__twice_is_told_as_what_it_is() -> None:
    with decoding(SLOW) as slow:
        for _ in range(2):
            end_child(signal.SIGSEGV)
        with pytest.raises(UnreadableImage, match=r"^The image crashes the program that decodes it\."):
            slow.result()
    decode_small()


def test_crash__a_kill_by_the_system_is_not_the_fault_of_the_image() -> None:
    with decoding(SLOW) as slow:
        for _ in range(2):
            end_child(signal.SIGKILL)
        with pytest.raises(DecoderUnavailable):
            slow.result()
    decode_small()


def test_crash__of_the_whole_decoder_is_not_noticed() -> None:
    decode_small()
    (supervisor,) = supervisors()
    for process in (*supervisor.children(), supervisor):
        process.kill()
    decode_small()


def test_decoder_that_does_not_start__is_not_the_fault_of_the_image(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(decoders, "_find_folder", lambda package: Path("/nowhere"))
    with pytest.raises(DecoderUnavailable):
        decode_small()
    assert "when it started" in caplog.text
    assert "No module named 'PIL'" in capfd.readouterr().err
    monkeypatch.setattr(decoders, "_find_interpreter", lambda: "/nowhere/python")
    with pytest.raises(DecoderUnavailable):
        decode_small()


def test_interpreter__is_found_within_a_server_that_embeds_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/usr/bin/uwsgi")
    decode_small()


def test_interruption__of_the_caller_does_not_mix_up_images() -> None:
    """A late reply is not taken for that to the next request."""

    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    former = signal.signal(signal.SIGUSR1, interrupt)
    try:
        with ThreadPoolExecutor(1) as executor, pytest.raises(KeyboardInterrupt):
            executor.submit(lambda: (wait_for_child(), os.kill(os.getpid(), signal.SIGUSR1)))
            decode(SLOW, max_pixels=25_000_000)
    finally:
        signal.signal(signal.SIGUSR1, former)
    decode_small()


def test_threads__each_get_their_own_image() -> None:
    sizes = [(100 + number, 50 + number % 7) for number in range(120)]
    files = [encoded(scene(1, size), "JPEG") for size in sizes]
    with ThreadPoolExecutor(16) as executor:
        pictures = list(executor.map(lambda data: decode(data, max_pixels=20_000), files))
    assert [(picture.width, picture.height) for picture in pictures] == sizes
    assert len(supervisors()) <= decoders.LIGHT_SLOTS


def test_processes__leave_neither_files_nor_zombies(monkeypatch: pytest.MonkeyPatch) -> None:
    """200 processes are ended by their limits, and ten decoders by force."""
    decode_small()
    process = psutil.Process()
    files, threads = process.num_fds(), process.num_threads()
    overrun = hostile.progressive_jpeg(99, side=1500)
    with monkeypatch.context() as patch:
        patch.setattr(decoders, "LIMITS", Limits(seconds=0.01, seconds_per_pixel=0))
        for _ in range(200):
            with pytest.raises(UnreadableImage, match="too long"):
                decode(overrun, max_pixels=25_000_000)
    for _ in range(10):
        os.killpg(supervisors()[0].pid, signal.SIGKILL)
        decode_small()
    assert (process.num_fds(), process.num_threads()) == (files, threads)
    assert len(supervisors()) == 1
    ours = {*supervisors(), *supervisors()[0].children()}
    assert len(ours) == 2
    assert not [child for child in process.children() if child.status() == psutil.STATUS_ZOMBIE]


def test_processes__are_replaced_from_time_to_time() -> None:
    decode_small()
    before = supervisors()[0].children()
    for _ in range(program.IMAGES_PER_PROCESS):
        decode_small()
    assert supervisors()[0].children() != before


def test_memory_of_a_process__does_not_grow() -> None:
    data = encoded(scene(1, (1200, 900)), "PNG")
    for _ in range(20):
        decode(data, max_pixels=2_000_000)
    child = supervisors()[0].children()[0]
    before = child.memory_info().rss
    for _ in range(100):
        decode(data, max_pixels=2_000_000)
    assert child.memory_info().rss < before + 8 * 2**20


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_fork__each_process_has_decoders_of_its_own() -> None:
    decode_small()
    before = supervisors()
    if (pid := os.fork()) == 0:
        try:
            decode_small()
            os._exit(supervisors() == before)
        except BaseException:
            os._exit(2)
    _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    decode_small()
    assert supervisors() == before


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM], ids=lambda number: number.name)
def test_decoders__end_with_the_process_that_started_them(number: signal.Signals) -> None:
    script = """
import os, sys
from django.conf import settings
settings.configure()
from similar_images.imaging import decoders
from similar_images.imaging.decode import decode
decode(open(sys.argv[1], "rb").read(), max_pixels=20_000)
print(decoders.get_pool()._idle[0]._process.pid, flush=True)
sys.stdin.read()
"""
    path = Path(os.environ.get("TMPDIR", "/tmp"), f"similar_images_{os.getpid()}.jpg")  # noqa: S108
    path.write_bytes(SMALL)
    try:
        with subprocess.Popen(
            [sys.executable, "-c", script, str(path)], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as parent:
            assert parent.stdout
            supervisor = psutil.Process(int(parent.stdout.readline()))
            processes = [supervisor, *supervisor.children()]
            assert len(processes) == 2
            assert "DATABASE_URL" not in supervisor.environ(), "secrets are not for the decoder"
            parent.send_signal(number)
    finally:
        path.unlink()
    _, alive = psutil.wait_procs(processes, timeout=30)
    assert [process for process in alive if process.status() != psutil.STATUS_ZOMBIE] == []


def test_decoder__loads_pillow_only() -> None:
    folders = [str(Path(decoders.__file__).parent), str(decoders._find_folder("PIL"))]
    script = (
        "import sys; sys.path += sys.argv[1:]; import decoder.program;"
        "sys.exit(bool(set(sys.modules) & {'django', 'numpy', 'similar_images', 'celery', 'cv2'}))"
    )
    subprocess.run([sys.executable, "-I", "-S", "-c", script, *folders], check=True, timeout=60)


def test_limits__leave_the_address_space_of_this_process_alone() -> None:
    before = resource.getrlimit(resource.RLIMIT_AS)
    decode_small()
    assert resource.getrlimit(resource.RLIMIT_AS) == before


@pytest.mark.parametrize("size", [(1, 2_000_000), (2_000_000, 1), (3, 700_000)])
def test_very_long_images__become_small(size: tuple[int, int]) -> None:
    """Whatever its shape, no method gets more than 1280 pixels on a side."""
    picture = decode(hostile.bilevel_png(size), max_pixels=3_000_000)
    assert (picture.width, picture.height) == size
    assert max(picture.pixels.shape) < 1280
