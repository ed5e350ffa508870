"""A real HTTP server on this machine that serves files, and fails as servers do."""

import hashlib
import re
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class FileServer:
    """What is served and how; `requests` is what was asked: (path, Range header or "").

    Attributes:
        files: path -> content.
        ranges: whether a part of a file can be asked for.
        tags: whether an entity tag names the content.
        cut_after: bytes of an answer after which the connection breaks; None never.
        cuts: how many answers still break so.
        kind: the content type.
        chunked: answers without a length.
        redirects: path -> path.
        gate: files are handed out once it is set.
        asked: set by the first file that is asked for.
    """

    files: dict[str, bytes] = field(default_factory=dict)
    ranges: bool = True
    tags: bool = True
    cut_after: int | None = None
    cuts: int = 1_000_000
    kind: str = "application/octet-stream"
    chunked: bool = False
    redirects: dict[str, str] = field(default_factory=dict)
    requests: list[tuple[str, str]] = field(default_factory=list)
    gate: threading.Event | None = None
    asked: threading.Event = field(default_factory=threading.Event)

    def __enter__(self):
        owner = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                owner.answer(self)

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()

    def url(self, path):
        return f"http://127.0.0.1:{self.server.server_port}{path}"

    def answer(self, request):
        asked = request.headers.get("Range", "")
        self.requests.append((request.path, asked))
        path = request.path.partition("?")[0]
        if path in self.redirects:
            request.send_response(302)
            request.send_header("Location", self.url(self.redirects[path]))
            request.send_header("Content-Length", "0")
            request.end_headers()
            return
        if path not in self.files:
            request.send_error(404)
            return
        self.asked.set()
        if self.gate is not None:
            self.gate.wait(60)
        content = self.files[path]
        tag = f'"{hashlib.md5(content).hexdigest()}"'
        start = self.start_of(request, asked, tag)
        if start >= len(content) > 0 and start:
            request.send_response(416)
            request.send_header("Content-Range", f"bytes */{len(content)}")
            request.send_header("Content-Length", "0")
            request.end_headers()
            return
        body = content[start:]
        request.send_response(206 if start else 200)
        request.send_header("Content-Type", self.kind)
        if self.tags:
            request.send_header("ETag", tag)
        if start:
            request.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        if self.chunked:
            request.send_header("Transfer-Encoding", "chunked")
            body = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
        else:
            request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        if self.cut_after is not None and self.cuts:
            self.cuts -= 1
            body = body[: self.cut_after]
            request.close_connection = True
        request.wfile.write(body)

    def start_of(self, request, asked, tag):
        found = re.fullmatch(r"bytes=(\d+)-", asked)
        same = request.headers.get("If-Range", tag) == tag
        return int(found[1]) if found and self.ranges and same else 0
