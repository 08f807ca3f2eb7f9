"""A page on this machine to paste a text into, and the same as a small HTTP interface. Needs the extra ``web``.

Nothing is stored, logged or sent on. The server is made for one machine: it listens on the loopback address unless told
otherwise, answers there to the names of this machine only (a page elsewhere could point its own name here), takes no form from
another site, and bounds size and time of every request.
"""

import asyncio
import contextlib
import ipaddress
import json
import re
import socket
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from importlib.resources import files
from typing import Any, NamedTuple, TypeVar

import uvicorn
import yaml
from starlette.applications import Starlette
from starlette.datastructures import Headers, MutableHeaders, UploadFile
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from als_redflags import __version__, readers
from als_redflags.errors import InputError
from als_redflags.html_report import environment, style_policy, to_html
from als_redflags.scorer import Scorer

MAX_BYTES = 5_000_000  # of a request
MAX_CHARS = 1_000_000  # of a text; a long page has 50,000
LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "[::1]"})
_READ_SECONDS = 20.0
_SCORE_SECONDS = 60.0
_WORKERS = 2  # threads that score; further requests wait for their turn
_CONNECTIONS = 64
_DRAINED = (
    20 * MAX_BYTES
)  # of a request that is too large this much is read and dropped: a browser shows no answer before it has sent all

_HEADERS = {
    "Content-Security-Policy": f"default-src 'none'; style-src {style_policy()}; script-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}

T = TypeVar("T")


class RefusedError(Exception):
    """A request that gets no result: the status, what to do about it, and what the form had in it."""

    def __init__(self, status: int, message: str, text: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.text = text


class Given(NamedTuple):
    """A text with the name of its file, if it has one."""

    text: str
    source: str | None


class _InMemory(MultiPartParser):
    spool_max_size = MAX_BYTES  # uploads are not stored, not even in a temporary file


class Guard:
    """Stands before the application: host, origin, size and time of a request; security headers of every answer."""

    def __init__(self, app: ASGIApp, hosts: frozenset[str] | None, read_seconds: float) -> None:
        self.app = app
        self.hosts = hosts
        self.read_seconds = read_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request (ASGI)."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(_HEADERS)
            await send(message)

        try:
            self._check(Headers(scope=scope), scope["method"])
            replayed = await self._read(receive) if scope["method"] == "POST" else receive
        except RefusedError as refused:
            await _answer(scope["path"], refused)(scope, receive, send_guarded)
            return
        await self.app(scope, replayed, send_guarded)

    def _check(self, headers: Headers, method: str) -> None:
        if self.hosts is not None and not all(_host(value) in self.hosts for value in headers.getlist("host") or [""]):
            raise RefusedError(400, "This page answers to http://localhost and http://127.0.0.1 only.")
        if method == "POST" and headers.get("sec-fetch-site", "none") not in ("same-origin", "none"):
            raise RefusedError(403, "The text was sent by another web site. Open this page itself and paste the text there.")

    async def _read(self, receive: Receive) -> Receive:
        """Read the whole body, within its limits, and give it to the application in one piece."""
        body = bytearray()
        size = 0
        more = True
        try:
            async with asyncio.timeout(self.read_seconds):
                while more and size <= _DRAINED:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise RefusedError(400, "The request was broken off.")
                    chunk = message.get("body", b"")
                    size += len(chunk)
                    if size <= MAX_BYTES:
                        body += chunk
                    more = message.get("more_body", False)
        except TimeoutError:
            raise RefusedError(408, "The request took too long to arrive. Send it again.") from None
        if size > MAX_BYTES:
            raise RefusedError(413, f"This is larger than {MAX_BYTES // 1_000_000} MB. Score its pages one by one.")
        read = False

        async def replay() -> Message:
            nonlocal read
            if read:
                return await receive()
            read = True
            return {"type": "http.request", "body": bytes(body), "more_body": False}

        return replay


def create_app(
    scorer: Scorer,
    *,
    hosts: frozenset[str] | None = LOOPBACK_NAMES,
    read_seconds: float = _READ_SECONDS,
    score_seconds: float = _SCORE_SECONDS,
) -> ASGIApp:
    """The page as an ASGI application.

    Parameters
    ----------
    scorer : Scorer, shared by the threads that score
    hosts : names that a request may call this server by, without port; None for any
    read_seconds, score_seconds : how long a request may take to arrive and to be scored
    """
    pool = ThreadPoolExecutor(_WORKERS, "score")

    async def work(make: Callable[[], T]) -> T:
        try:
            return await asyncio.wait_for(asyncio.get_running_loop().run_in_executor(pool, make), score_seconds)
        except TimeoutError:
            raise RefusedError(
                503, "Scoring takes too long. Try a part of the text, or the command als-redflags score."
            ) from None

    async def form(_: Request) -> Response:
        return HTMLResponse(_form())

    async def result(request: Request) -> Response:
        given = await _from_form(request)
        page = await work(lambda: to_html(scorer, [(given.text, scorer.score(given.text, source=given.source))], back="/"))
        return HTMLResponse(page)

    async def api(request: Request) -> Response:
        text = await _from_body(request)
        # ASCII only: a text may hold half a surrogate pair, which has no UTF-8
        content = await work(lambda: json.dumps(scorer.score(text).to_dict()))
        return Response(content, media_type="application/json")

    async def openapi(_: Request) -> Response:
        return JSONResponse(openapi_document())

    async def healthz(_: Request) -> Response:
        return JSONResponse({"status": "ok", "version": __version__})

    async def drop(_: Request) -> Response:
        return Response(_script(), media_type="text/javascript")

    routes = [
        Route("/", form),
        Route("/", result, methods=["POST"]),
        Route("/drop.js", drop),
        Route("/api/score", api, methods=["POST"]),
        Route("/openapi.json", openapi),
        Route("/healthz", healthz),
    ]
    handlers: dict[Any, Any] = {RefusedError: _on_refused, HTTPException: _on_http_error, Exception: _on_fault}
    return Guard(Starlette(routes=routes, exception_handlers=handlers), hosts, read_seconds)


def serve(scorer: Scorer, host: str, port: int, announce: Callable[[str], None]) -> None:
    """Serve until interrupted; ``announce`` is told the address. Port 0 takes a free one.

    Raises
    ------
    InputError
        If the address cannot be listened on.
    """
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        listening = socket.create_server((host, port), family=family)
    except OSError as error:
        raise InputError(
            f"cannot listen on {host}, port {port} ({error.strerror}); choose another with --host and --port"
        ) from None
    shown = f"[{host}]" if ":" in host else host
    announce(f"http://{shown}:{listening.getsockname()[1]}/  (Ctrl-C stops it)")
    hosts = LOOPBACK_NAMES | {shown.lower()} if _is_loopback(host) else None
    if hosts is None:
        announce("Others on the network can use this page; what they send is not encrypted.")
    config = uvicorn.Config(
        create_app(scorer, hosts=hosts),
        http="h11",
        ws="none",
        lifespan="off",
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=_CONNECTIONS,
        timeout_keep_alive=5,
        timeout_graceful_shutdown=3,
    )
    with contextlib.suppress(KeyboardInterrupt):
        uvicorn.Server(config).run(sockets=[listening])


@cache
def openapi_document() -> dict[str, Any]:
    """What ``POST /api/score`` takes and gives, as an OpenAPI 3.1 document."""
    document: dict[str, Any] = yaml.safe_load((files("als_redflags") / "openapi.yaml").read_text("utf-8"))
    document["info"]["version"] = __version__
    document["components"]["schemas"]["Text"]["maxLength"] = MAX_CHARS
    return document


@cache
def _script() -> str:
    return (files("als_redflags") / "templates" / "drop.js").read_text("utf-8")


def _form(error: str | None = None, text: str = "") -> str:
    return environment().get_template("form.html.j2").render(error=error, text=text)


def _host(header: str) -> str:
    match = re.fullmatch(r"(\[[^\]]*\]|[^:]*)(?::\d*)?", header.strip())
    return match[1].lower() if match else ""


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


async def _from_form(request: Request) -> Given:
    """The text of the form: pasted, or of the file."""
    if not request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
        raise RefusedError(415, "Send the form of this page, or JSON to /api/score.")

    async def whole() -> AsyncGenerator[bytes, None]:
        yield await request.body()

    try:
        form = await _InMemory(request.headers, whole(), max_files=1, max_fields=4, max_part_size=MAX_BYTES).parse()
    except MultiPartException as error:
        raise RefusedError(400, f"The form could not be read: {error.message}") from None
    pasted, upload = form.get("text"), form.get("file")
    text = pasted.replace("\r\n", "\n") if isinstance(pasted, str) else ""
    if isinstance(upload, UploadFile) and upload.filename:
        data = await upload.read()
        await upload.close()
        if text.strip():
            raise RefusedError(422, "There is a text and a file. Empty the field, or choose the file no more.", text)
        try:
            page = await asyncio.to_thread(readers.extract, data, upload.filename)
            return Given(_bounded(page.text), upload.filename)
        except InputError as error:
            raise RefusedError(422, f"{error}.") from None
    if not text.strip():
        raise RefusedError(422, "There is no text. Paste one, or choose a file.")
    return Given(_bounded(text), None)


async def _from_body(request: Request) -> str:
    """The text of a request to the interface: plain, or in a JSON object."""
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type not in ("application/json", "text/plain"):
        raise RefusedError(415, 'Send application/json with {"text": ...}, or text/plain.')
    try:
        text = (await request.body()).decode("utf-8-sig")
        if media_type == "application/json":
            given = json.loads(text)
            if not isinstance(given, dict) or set(given) != {"text"} or not isinstance(given["text"], str):
                raise RefusedError(422, 'Send a JSON object with nothing but the key "text" and a string.')
            text = given["text"]
    except UnicodeDecodeError as error:
        raise RefusedError(400, f"The body is not UTF-8 (byte {error.start}).") from None
    except (ValueError, RecursionError):
        raise RefusedError(400, "The body is no JSON.") from None
    return _bounded(text)


def _bounded(text: str) -> str:
    if len(text) > MAX_CHARS:
        raise RefusedError(413, f"The text has more than {MAX_CHARS:,} characters. Score its pages one by one.")
    return text


def _answer(path: str, refused: RefusedError) -> Response:
    if path.startswith("/api/"):
        return JSONResponse({"error": refused.message}, refused.status)
    return HTMLResponse(_form(refused.message, refused.text), refused.status)


async def _on_refused(request: Request, refused: RefusedError) -> Response:
    return _answer(request.url.path, refused)


async def _on_http_error(request: Request, error: HTTPException) -> Response:
    response = _answer(request.url.path, RefusedError(error.status_code, f"{error.detail}: {request.method} {request.url.path}"))
    response.headers.update(error.headers or {})
    return response


async def _on_fault(request: Request, _: Exception) -> Response:
    return _answer(request.url.path, RefusedError(500, "Something is wrong in als_redflags itself. Please report it."))
