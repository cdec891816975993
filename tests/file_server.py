"""An HTTP server of one file that breaks connections, changes its mind, and keeps what it was asked."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread


@dataclass
class FileServer:
    """A server on this machine.

    `content`: the file. `breaks_after`: bytes after which each of the next connections breaks. `redirect`: an address
    that it sends to instead. `claimed`: the length that it claims, if another. `ignores_condition`: whether it
    sends a part of the file whatever the If-Range header says. `requests`: the Range and If-Range
    headers of each request.
    """

    content: bytes
    breaks_after: list[int] = field(default_factory=list)
    redirect: str = ""
    claimed: int | None = None
    ignores_condition: bool = False
    requests: list[tuple[str | None, str | None]] = field(default_factory=list)
    address: str = ""

    @property
    def etag(self) -> str:
        return f'"{hashlib.sha256(self.content).hexdigest()[:8]}"'


@contextmanager
def serve(content: bytes) -> Iterator[FileServer]:
    state = FileServer(content)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked, condition = self.headers["Range"], self.headers["If-Range"]
            state.requests.append((asked, condition))
            if state.redirect:
                self.send_response(302)
                self.send_header("Location", state.redirect)
                self.end_headers()
                return
            start = 0
            if asked and (condition == state.etag or state.ignores_condition):
                start = int(asked.removeprefix("bytes=").removesuffix("-"))
            body = state.content[start:]
            self.send_response(206 if start else 200)
            if start:
                self.send_header("Content-Range", f"bytes {start}-{len(state.content) - 1}/{len(state.content)}")
            self.send_header("Content-Length", str(len(body) if state.claimed is None else state.claimed))
            self.send_header("ETag", state.etag)
            self.end_headers()
            self.wfile.write(body[: state.breaks_after.pop(0)] if state.breaks_after else body)

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.address = f"http://127.0.0.1:{server.server_port}"
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
