"""A hub's data set is read at the commit that its revision names; what cannot be had is said in one message."""

from __future__ import annotations

import hashlib
import io
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from huggingface_hub import constants

from harness.errors import DataError
from tasks.table_data.hub_tables import open_hub
from tests.tasks.table_data.conftest import encoded, quiet

COMMITS = {"main": "a" * 40, "v1": "b" * 40, "refs/convert/parquet": "c" * 40}


def table(*captions: str) -> bytes:
    buffer = io.BytesIO()
    images = [{"bytes": encoded(n), "path": None} for n in range(len(captions))]
    pq.write_table(pa.table({"image": images, "caption": list(captions)}), buffer)
    return buffer.getvalue()


FILES = {
    "a" * 40: {"data/train-0.parquet": table("main"), "data/test-0.parquet": table("main test"), "README.md": b"#"},
    "b" * 40: {"en/test-0.parquet": table("one"), "de/test-0.parquet": table("eins")},
    "c" * 40: {"run.py": b"raise SystemExit"},
}


class _Hub(BaseHTTPRequestHandler):
    """The two routes of a hub that reading a data set takes."""

    def do_GET(self) -> None:
        self._answer(body=True)

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def _answer(self, *, body: bool) -> None:
        path = unquote(self.path)
        if path.startswith("/api/datasets/org/gated"):
            self._send(403, b"{}", body, {"X-Error-Code": "GatedRepo"})
        elif path.startswith("/api/datasets/org/photos/revision/"):
            revision = path.removeprefix("/api/datasets/org/photos/revision/").partition("?")[0]
            commit = COMMITS.get(revision, revision)
            if commit not in FILES:
                self._send(404, b"{}", body, {"X-Error-Code": "RevisionNotFound"})
                return
            siblings = [{"rfilename": name} for name in FILES[commit]]
            content = {"id": "org/photos", "sha": commit, "siblings": siblings, "tags": [], "private": False}
            self._send(200, json.dumps(content).encode(), body)
        elif path.startswith("/datasets/org/photos/resolve/"):
            commit, _, name = path.removeprefix("/datasets/org/photos/resolve/").partition("/")
            content_of = FILES[commit][name]
            etag = hashlib.sha256(content_of).hexdigest()
            self._send(200, content_of, body, {"ETag": f'"{etag}"', "X-Repo-Commit": commit})
        else:
            self._send(404, b"{}", body, {"X-Error-Code": "RepoNotFound"})

    def _send(self, status: int, content: bytes, body: bool, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if body:
            self.wfile.write(content)

    def log_message(self, *told: object) -> None:
        """Say nothing."""


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Hub) as server:
        url = f"http://127.0.0.1:{server.server_address[1]}"
        monkeypatch.setattr(constants, "ENDPOINT", url)
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", url + "/{repo_id}/resolve/{revision}/{filename}")
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield url
        server.shutdown()
        thread.join()


COLUMNS = "#image=image,caption=caption"


def test_a_revision_is_a_commit(hub: str, tmp_path: Path, as_captions: Any) -> None:
    folder = open_hub(f"org/photos{COLUMNS}", tmp_path / "cache", quiet)
    assert as_captions(folder) == {"train": [(encoded(0), ("main",))], "test": [(encoded(0), ("main test",))]}
    assert open_hub(f"org/photos@{'a' * 40}{COLUMNS}", tmp_path / "cache", quiet) == folder
    one = open_hub(f"org/photos@v1:en{COLUMNS}", tmp_path / "cache", quiet)
    assert one != folder and as_captions(one) == {"test": [(encoded(0), ("one",))]}


@pytest.mark.parametrize(
    ("wish", "why"),
    [
        (f"org/photos@v1{COLUMNS}", "has the configurations de, en. Name one: hf:org/photos@v1:de"),
        (f"org/photos@v1:fr{COLUMNS}", "has no configuration 'fr'. There are de, en"),
        (f"org/photos@v9{COLUMNS}", "has no revision 'v9'"),
        (f"org/photos@refs/convert/parquet{COLUMNS}", "has no Parquet files"),
        (f"org/other{COLUMNS}", "no data set 'org/other'"),
        (f"org/gated{COLUMNS}", "is gated. Ask for access"),
        (f"photos{COLUMNS}", "wanted hf:ORG/NAME"),
    ],
)
def test_what_cannot_be_had_is_said(wish: str, why: str, hub: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=why):
        open_hub(wish, tmp_path / "cache", quiet)


def test_columns_are_asked_for(hub: str, tmp_path: Path) -> None:
    with pytest.raises(Exception, match=rf"hf:org/photos@{'a' * 40} has image, caption\. Say which is what"):
        open_hub("org/photos", tmp_path / "cache", quiet)


def test_a_hub_that_does_not_answer(hub: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(DataError, match=r"did not answer for hf:org/photos.*--data parquet:FOLDER"):
        open_hub(f"org/photos{COLUMNS}", tmp_path / "cache", quiet)
