"""The HTTP interface of a served model: POST /predict, GET /health, GET /contract, GET /metrics.

A request to /predict is the image itself (`Content-Type: image/…`, text and choices in the query) or JSON with the
image in base64. With a key all but /health want `Authorization: Bearer KEY`.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hmac
import json
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from fastapi import FastAPI, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from harness.answers import describe_answer
from harness.errors import BadSample
from harness.sample import Prediction
from harness.serve.batching import Batcher, BatchLimits, QueueFull
from harness.serve.request_image import ImageTooLarge
from harness.serve.served_model import Question, ReadQuestion, ServedModel

_READING_S = 30.0
_LONGEST_TEXT, _MOST_CHOICES = 4096, 64
_READ_AT_ONCE = 2**18
"""Bytes of an image that the model's thread decodes itself where it has nothing else to do."""
_JSON = "application/json"


@dataclass(frozen=True)
class ServeLimits:
    """What a request may be: bytes of its body; and how requests are batched."""

    most_bytes: int = 10 * 2**20
    batches: BatchLimits = field(default_factory=BatchLimits)


class Refused(Exception):
    """A request that is answered with a 4xx or 5xx status and why."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status, self.reason = status, reason


class _Figures:
    """What /metrics tells, in Prometheus' names and units."""

    def __init__(self, served: ServedModel, waiting: Callable[[], int]) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter("bench_requests", "Answered requests by status.", ["status"], registry=self.registry)
        self.seconds = Histogram(
            "bench_request_seconds", "From the request's last byte to its answer.", registry=self.registry,
            buckets=(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0),
        )  # fmt: skip
        self.batches = Histogram(
            "bench_batch_size", "Requests in a batch.", registry=self.registry, buckets=(1, 2, 4, 8, 16, 32, 64, 128)
        )
        Gauge("bench_waiting_requests", "Requests that wait.", registry=self.registry).set_function(waiting)
        about = Gauge("bench_model", "The model that is served.", ["model", "task", "record"], registry=self.registry)
        about.labels(served.bundle.name, served.bundle.task, served.bundle.record).set(1)


def make_app(served: ServedModel, limits: ServeLimits, key: str | None) -> FastAPI:
    """Build the application of a loaded model; the batcher lives as long as it does."""

    def answer(asked: Sequence[Question | ReadQuestion]) -> list[Prediction]:
        return served.answer([_read(served, each) if isinstance(each, Question) else each for each in asked])

    batcher: Batcher[Question | ReadQuestion, Prediction] = Batcher(answer, limits.batches)
    figures = _Figures(served, lambda: batcher.waiting)
    batcher.batched = figures.batches.observe
    batcher.start()
    app = FastAPI(title=served.bundle.name, docs_url=None, redoc_url=None, openapi_url=None if key else "/openapi.json")
    app.state.batcher = batcher
    about = _contract(served)

    async def told(request: Request, work: Callable[[], Awaitable[Response]]) -> Response:
        try:
            _require_key(request, key)
            return await work()
        except Refused as refused:
            return _json(refused.status, {"error": refused.reason})

    async def health() -> Response:
        """Say that the model answers, and which it is."""
        return _json(200, {"status": "ok", "model": served.bundle.name, "task": served.bundle.task})

    async def contract(request: Request) -> Response:
        """Say what a request must bring and what comes back."""

        async def work() -> Response:
            return _json(200, about)

        return await told(request, work)

    async def metrics(request: Request) -> Response:
        """Tell counts and times in Prometheus' text format."""

        async def work() -> Response:
            return Response(generate_latest(figures.registry), media_type=CONTENT_TYPE_LATEST)

        return await told(request, work)

    async def predict(request: Request) -> Response:
        """Answer about one image, text or both."""
        started = time.perf_counter()

        async def work() -> Response:
            nonlocal started
            question, started = await _question(request, limits.most_bytes), time.perf_counter()
            content = await _answered(served, batcher, question)
            try:
                return _json(200, content)
            except ValueError:
                raise Refused(500, "The model's answer to this request holds a number that is not finite.") from None

        response = await told(request, work)
        figures.requests.labels(str(response.status_code)).inc()
        figures.seconds.observe(time.perf_counter() - started)
        return response

    for route in (health, contract, metrics):
        app.add_api_route(f"/{route.__name__}", route)
    app.add_route("/predict", predict, methods=["POST"])  # as Starlette has it: FastAPI's takes .1 ms a request
    return app


def _contract(served: ServedModel) -> dict[str, Any]:
    bundle = served.bundle
    content = bundle.to_json()
    return {
        "model": bundle.name, "task": bundle.task, "record": bundle.record, "needs": list(bundle.needs),
        "answers": bundle.spec.answers, "classes": list(bundle.spec.classes.names),
        "preprocessing": content["preprocessing"], "preprocessing_sha256": bundle.preprocessing_sha256,
    }  # fmt: skip


async def _answered(
    served: ServedModel, batcher: Batcher[Question | ReadQuestion, Prediction], question: Question
) -> dict[str, Any]:
    """Answer a question; where the model is at work, the image is decoded meanwhile, else by the model's own thread.

    A question goes from thread to thread twice less then, and each time it may wait for a core.
    """
    try:
        asked: Question | ReadQuestion = question
        if not batcher.is_idle or len(question.image or b"") > _READ_AT_ONCE:
            asked = await asyncio.to_thread(_read, served, question)
        answer = await asyncio.wrap_future(batcher.submit(asked))
    except Refused:
        raise
    except QueueFull:
        raise Refused(503, f"{batcher.limits.waiting} requests wait already. Ask again later.") from None
    except Exception:  # nothing of it may leave: it can hold paths and data
        raise Refused(500, "The model failed on this request.") from None
    return {"prediction": answer, "said": describe_answer(answer, served.bundle.spec, question.choices)}


def _read(served: ServedModel, question: Question) -> ReadQuestion:
    """Check and decode a question; raises Refused for what is none."""
    try:
        return served.read(question)
    except ImageTooLarge as error:
        raise Refused(413, str(error)) from None
    except BadSample as error:
        raise Refused(422, str(error)) from None


async def _question(request: Request, most_bytes: int) -> Question:
    """Read a request; raises Refused for what is none."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != _JSON and not kind.startswith("image/"):
        raise Refused(415, f"Content-Type is '{kind[:80]}'; wanted image/… with the image as body, or {_JSON}.")
    body = await _body(request, most_bytes)
    if kind == _JSON:
        return _question_of_json(body)
    if not body:
        raise Refused(422, "The body is empty; wanted the bytes of an image.")
    query = request.query_params
    if unknown := sorted(set(query) - {"text", "choice"}):
        wanted = "text, and choice once for each choice"
        raise Refused(422, f"Unknown parameter '{unknown[0][:80]}' of the address; wanted {wanted}.")
    return Question(body, _text(query.get("text")), _choices(query.getlist("choice")))


async def _body(request: Request, most_bytes: int) -> bytes:
    too_large = f"The body has more than {most_bytes:,} bytes, which is the limit."
    stated = request.headers.get("content-length", "0")
    if not stated.isdecimal() or int(stated) > most_bytes:
        raise Refused(413, too_large)
    parts, size = [], 0
    try:
        async with asyncio.timeout(_READING_S):
            async for part in request.stream():
                size += len(part)
                if size > most_bytes:
                    raise Refused(413, too_large)
                parts.append(part)
    except TimeoutError:
        raise Refused(408, f"The body did not come within {_READING_S:.0f} s.") from None
    return b"".join(parts)


def _question_of_json(body: bytes) -> Question:
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        raise Refused(400, "The body is not JSON in UTF-8.") from None
    if not isinstance(content, dict):
        raise Refused(422, "The body is no JSON object; wanted image (base64), text, choices.")
    if unknown := sorted(set(content) - {"image", "text", "choices"}):
        raise Refused(422, f"Unknown key '{unknown[0][:80]}'; wanted image (base64), text, choices.")
    image = content.get("image")
    if image is not None:
        try:
            image = base64.b64decode(image, validate=True)
        except (binascii.Error, ValueError, TypeError):
            raise Refused(422, "image is not base64 of an image file's bytes.") from None
    return Question(image, _text(content.get("text")), _choices(content.get("choices") or []))


def _text(value: Any) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str) or len(value) > _LONGEST_TEXT:
        raise Refused(422, f"text and choices must be texts of at most {_LONGEST_TEXT} characters.")
    return value


def _choices(values: Any) -> tuple[str, ...]:
    if not isinstance(values, Sequence) or isinstance(values, str) or len(values) > _MOST_CHOICES:
        raise Refused(422, f"choices must be a list of at most {_MOST_CHOICES} texts.")
    texts = [_text(value) for value in values]
    if None in texts:
        raise Refused(422, "A choice is null; wanted a list of texts.")
    return tuple(text for text in texts if text is not None)


def _require_key(request: Request, key: str | None) -> None:
    if key is None:
        return
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not hmac.compare_digest(given.strip().encode(), key.encode()):
        raise Refused(401, "Wanted: the header Authorization: Bearer KEY.")


def _json(status: int, content: Any) -> Response:
    return Response(json.dumps(content, allow_nan=False), status_code=status, media_type=_JSON)
