"""The local page and its interface, without a browser; with one in test_browser.py."""

import asyncio
import json
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from als_redflags import Report, Scorer
from tests.conftest import ROOT, Run

for package in ("starlette", "uvicorn", "python_multipart", "httpx2"):
    pytest.importorskip(package, reason="the extra 'web' is not installed")

from starlette.testclient import TestClient  # noqa: E402

from als_redflags import server  # noqa: E402

SALE = "Our stem cells cure ALS, no side effects, guaranteed. Only $19,500!"
URL = "http://127.0.0.1:8000"


@pytest.fixture
def client(scorer: Scorer) -> Iterator[TestClient]:
    with TestClient(server.create_app(scorer), URL) as client:
        yield client


def test_the_page_asks_for_a_text(client: TestClient) -> None:
    answer = client.get("/")
    assert answer.status_code == 200
    assert "<textarea" in answer.text
    assert 'method="post"' in answer.text
    assert "http-equiv" in answer.text


def test_a_pasted_text_gives_the_report(client: TestClient) -> None:
    answer = client.post("/", files={"text": (None, SALE), "file": ("", b"")})
    assert answer.status_code == 200
    assert "Promises a cure" in answer.text
    assert "<mark" in answer.text
    assert 'href="/">Score another text' in answer.text


def test_a_file_gives_the_report_under_its_name(client: TestClient) -> None:
    name = "<b>ad</b>.txt"
    answer = client.post("/", files={"text": (None, " \r\n"), "file": (name, SALE.encode())})
    assert answer.status_code == 200
    assert "&lt;b&gt;ad&lt;/b&gt;.txt" in answer.text


def test_uploads_touch_no_disk(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", "/nowhere")
    upload = (" " * 900_000 + SALE).encode("utf-16")
    assert len(upload) > 1_800_000, "more than goes into memory by default"
    answer = client.post("/", files={"file": ("long.txt", upload)})
    assert "Promises a cure" in answer.text


@pytest.mark.parametrize(
    ("parts", "status", "message"),
    [
        ({"text": (None, "")}, 422, "There is no text. Paste one, or choose a file."),
        ({"text": (None, SALE), "file": ("ad.txt", b"x")}, 422, "There is a text and a file."),
        ({"file": ("a.bin", b"\x7fELF\0\0")}, 422, "a.bin: is a binary file; save its text first."),
        ({"file": ("a.txt", b"  ")}, 422, "a.txt: is empty."),
        ({"file": ("a.pdf", b"%PDF-1.4 nothing")}, 422, "a.pdf: "),
        ({"text": (None, "a " * 500_001)}, 413, "The text has more than 1,000,000 characters."),
        ({"file": ("a.txt", b"a " * 500_001)}, 413, "The text has more than 1,000,000 characters."),
        ({"file": ("a.txt", b"a" * 5_000_001)}, 413, "This is larger than 5 MB."),
        ({str(n): (None, "x") for n in range(9)}, 400, "The form could not be read: Too many fields."),
    ],
)
def test_what_is_wrong_is_said_on_the_page(client: TestClient, parts: dict[str, Any], status: int, message: str) -> None:
    answer = client.post("/", files=parts)
    assert answer.status_code == status
    assert message in answer.text
    assert 'role="alert"' in answer.text
    assert "<textarea" in answer.text, "the next try can be made at once"


def test_the_pasted_text_survives_an_error(client: TestClient) -> None:
    text = "\n</textarea><script>alert(1)</script> keep me"
    answer = client.post("/", files={"text": (None, text), "file": ("ad.txt", b"x")})
    assert "\n\n&lt;/textarea&gt;&lt;script&gt;alert(1)&lt;/script&gt; keep me</textarea>" in answer.text


# --- the interface


@pytest.mark.parametrize(
    "body", [{"json": {"text": SALE}}, {"content": SALE, "headers": {"Content-Type": "text/plain; charset=utf-8"}}]
)
def test_interface_gives_the_report_of_the_library(client: TestClient, scorer: Scorer, body: dict[str, Any]) -> None:
    answer = client.post("/api/score", **body)
    assert answer.status_code == 200
    assert answer.json() == scorer.score(SALE).to_dict()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "???",
        "\ud800 Our stem cells cure ALS, guaranteed. \udc00",
        "\0\u202e Our stem cells cure ALS.",
        "\U0001f9e0 Our stem cells cure ALS.",
    ],
    ids=ascii,
)
def test_every_string_of_json_is_answered(client: TestClient, text: str) -> None:
    answer = client.post("/api/score", content=json.dumps({"text": text}), headers={"Content-Type": "application/json"})
    assert answer.status_code == 200
    for flag in answer.json()["flags"]:
        assert text[flag["start"] : flag["end"]] == flag["text"]


@pytest.mark.parametrize(
    ("content", "media_type", "status", "message"),
    [
        (b'{"text": "x"', "application/json", 400, "The body is no JSON."),
        (b"[" * 100_000, "application/json", 400, "The body is no JSON."),
        (b"9" * 5000, "application/json", 400, "The body is no JSON."),
        (b'{"text": "caf\xe9"}', "application/json", 400, "The body is not UTF-8 (byte 13)."),
        (b'{"text": 5}', "application/json", 422, "nothing but the key"),
        (b'{"text": "x", "path": "/etc/passwd"}', "application/json", 422, "nothing but the key"),
        (b"[]", "application/json", 422, "nothing but the key"),
        (b"x", "", 415, "Send application/json"),
        (b"text=x", "application/x-www-form-urlencoded", 415, "Send application/json"),
        (b"a" * 1_000_001, "text/plain", 413, "The text has more than 1,000,000 characters."),
        (b"a" * 5_000_001, "text/plain", 413, "This is larger than 5 MB."),
    ],
    ids=lambda value: str(value[:20]) if isinstance(value, bytes) else None,
)  # fmt: skip
def test_bad_requests(client: TestClient, content: bytes, media_type: str, status: int, message: str) -> None:
    answer = client.post("/api/score", content=content, headers={"Content-Type": media_type})
    assert answer.status_code == status
    assert message in answer.json()["error"]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/api/score", 405), ("PUT", "/", 405), ("GET", "/nowhere", 404), ("GET", "/../als_redflags/server.py", 404),
     ("GET", "/api/", 404), ("OPTIONS", "/api/score", 405)],
)  # fmt: skip
def test_other_addresses(client: TestClient, method: str, path: str, status: int) -> None:
    answer = client.request(method, path)
    assert answer.status_code == status
    assert answer.headers["content-type"].startswith("application/json" if "/api" in path else "text/html")
    assert status != 405 or answer.headers["allow"]


def test_openapi_describes_what_is_sent(client: TestClient) -> None:
    jsonschema = pytest.importorskip("jsonschema", reason="jsonschema comes with the extra 'notebooks'")
    document = client.get("/openapi.json").json()
    served = {(method.upper(), path) for path, item in document["paths"].items() for method in item}
    assert served == {("POST", "/api/score"), ("GET", "/healthz")}
    report = document["components"]["schemas"]["Report"]
    assert document["components"]["schemas"]["Text"]["maxLength"] == server.MAX_CHARS
    validator = jsonschema.Draft202012Validator({**report, "components": document["components"]})
    texts = [path.read_text("utf-8") for path in (ROOT / "examples").glob("*.txt")]
    for text in [*texts, "???", SALE]:
        data = client.post("/api/score", json={"text": text}).json()
        validator.validate(data)
        assert set(report["properties"]) == set(report["required"]) == set(data)
    for spoilt in ({**data, "score": 2}, {**data, "verdict": "guilty"}, {**data, "flags": [{"id": "x"}]}):
        assert not validator.is_valid(spoilt)


def test_health(client: TestClient) -> None:
    assert client.get("/healthz").json()["status"] == "ok"


# --- who may ask, and how long


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/"), ("POST", "/"), ("GET", "/nowhere"), ("POST", "/api/score"), ("GET", "/drop.js")]
)
def test_every_answer_has_the_security_headers(client: TestClient, method: str, path: str) -> None:
    headers = client.request(method, path).headers
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cache-control"] == "no-store"
    assert not [name for name in headers if name.startswith("access-control-")], "no other site may read an answer"
    assert "set-cookie" not in headers


def test_a_fault_is_an_answer_without_details(scorer: Scorer, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> Report:
        raise ZeroDivisionError("a detail")

    monkeypatch.setattr(scorer, "score", fail)
    answer = TestClient(server.create_app(scorer), URL, raise_server_exceptions=False).post("/api/score", json={"text": SALE})
    assert answer.status_code == 500
    assert "a detail" not in answer.text
    assert "default-src 'none'" in answer.headers["content-security-policy"]


@pytest.mark.parametrize(
    ("host", "status"),
    [("127.0.0.1", 200), ("localhost:8000", 200), ("LOCALHOST", 200), ("[::1]:8000", 200), ("evil.example", 400), ("", 400),
     ("localhost.evil.example", 400), ("127.0.0.1.evil.example:8000", 400), ("localhost:8000@evil.example", 400), ("[::1", 400)],
)  # fmt: skip
def test_only_names_of_this_machine_on_loopback(client: TestClient, scorer: Scorer, host: str, status: int) -> None:
    assert client.get("/healthz", headers={"Host": host}).status_code == status
    anywhere = TestClient(server.create_app(scorer, hosts=None), URL)
    assert anywhere.get("/healthz", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(("site", "status"), [("same-origin", 200), ("none", 200), ("cross-site", 403), ("same-site", 403)])
def test_no_form_of_another_site(client: TestClient, site: str, status: int) -> None:
    answer = client.post("/", files={"text": (None, SALE)}, headers={"Sec-Fetch-Site": site})
    assert answer.status_code == status


class SlowScorer(Scorer):
    """Waits until it is released, then scores."""

    def __init__(self, scorer: Scorer) -> None:
        self.__dict__.update(scorer.__dict__)
        self.begun, self.released = threading.Event(), threading.Event()

    def score(self, text: str, *, source: str | None = None) -> Report:
        self.begun.set()
        assert self.released.wait(30)
        return super().score(text, source=source)


def test_the_server_answers_while_it_scores(scorer: Scorer) -> None:
    slow = SlowScorer(scorer)
    with TestClient(server.create_app(slow), URL) as client, ThreadPoolExecutor() as pool:
        waiting = pool.submit(client.post, "/api/score", json={"text": SALE})
        assert slow.begun.wait(30)
        assert client.get("/healthz").status_code == 200
        assert not waiting.done()
        slow.released.set()
        assert waiting.result(30).json()["verdict"] == "high"


def test_scoring_that_takes_too_long_is_given_up(scorer: Scorer) -> None:
    slow = SlowScorer(scorer)
    with TestClient(server.create_app(slow, score_seconds=0.01), URL) as client:
        answer = client.post("/api/score", json={"text": SALE})
        slow.released.set()
    assert answer.status_code == 503
    assert "Scoring takes too long" in answer.json()["error"]


@pytest.mark.parametrize(
    ("messages", "status"),
    [
        ([], 408),
        ([{"type": "http.request", "body": b"half", "more_body": True}], 408),
        ([{"type": "http.disconnect"}], 400),
        ([{"type": "http.request", "body": b"a" * 1_000_000, "more_body": True}] * 200, 413),
    ],
)
def test_bodies_that_do_not_end(scorer: Scorer, messages: list[dict[str, Any]], status: int) -> None:
    sent: list[Any] = []
    arriving = iter(messages)

    async def receive() -> Any:
        for message in arriving:
            return message
        return await asyncio.Event().wait()

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": "/api/score", "headers": [(b"host", b"localhost")], "query_string": b""}
    asyncio.run(server.create_app(scorer, read_seconds=0.05)(scope, receive, send))
    assert sent[0]["status"] == status
    assert json.loads(sent[1]["body"])["error"]


def test_threads_share_a_scorer(client: TestClient, scorer: Scorer) -> None:
    texts = [path.read_text("utf-8") for path in sorted((ROOT / "examples").glob("*.txt"))] * 3
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda text: client.post("/api/score", json={"text": text}).json(), texts))
    assert answers == [scorer.score(text).to_dict() for text in texts]


# --- the command


@pytest.fixture
def served() -> Iterator[tuple[str, "subprocess.Popen[str]"]]:
    """The command as it runs on a free port, with its address."""
    command = [Path(sys.executable).with_name("als-redflags"), "serve", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout
        yield process.stdout.readline().split()[0], process
        process.kill()


@pytest.mark.skipif(sys.platform == "win32", reason="signals are different there")
def test_command_serves_until_interrupted_and_logs_no_text(served: tuple[str, "subprocess.Popen[str]"]) -> None:
    import httpx2

    url, process = served
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/", url)
    with httpx2.Client(base_url=url, trust_env=False) as client:
        assert client.post("/api/score", json={"text": SALE}).json()["verdict"] == "high"
        assert client.post("/", files={"file": ("big.txt", b"a" * 6_000_000)}).status_code == 413
        assert "server" not in client.get("/").headers
    process.send_signal(signal.SIGINT)
    said, _ = process.communicate(timeout=30)
    assert process.returncode == 0
    assert said == "", "nothing is logged"


def test_an_address_in_use(run: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = run("serve", "--port", str(taken.getsockname()[1]))
    assert done.returncode == 2
    assert b"cannot listen on 127.0.0.1, port" in done.stderr
    assert b"choose another with --host and --port" in done.stderr


def test_without_the_extra_the_command_says_what_to_install(tmp_path: Path) -> None:
    code = "import sys; sys.modules['starlette'] = None; sys.argv[1:] = ['serve']; from als_redflags.cli import main; main()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, cwd=tmp_path, timeout=60, check=False)
    assert done.returncode == 2
    assert b"pip install 'als-redflags[web]'" in done.stderr
