"""A model behind an endpoint as a learner: it has no weights here, and what it answers is asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

from torch import Generator, Tensor, nn

from baselines.api.address import Endpoint
from baselines.api.answering import Answering
from baselines.api.at_once import working_at_once
from baselines.api.connection import Connection
from baselines.api.image_bytes import png_bytes
from baselines.api.prompt_choice import choose_way
from baselines.api.replies import RequestFailed
from baselines.api.request_body import RequestBodies
from baselines.api.secret import read_key
from baselines.api.settings import ApiSettings, read_api_settings
from harness.answers import CAPTIONS, LABELS, form_of
from harness.errors import UsageError
from harness.protocols import BuildContext, ParameterGroups
from harness.sample import Batch, NoAnswer, Prediction, TaskSpec

if TYPE_CHECKING:
    from baselines.api.findings import Findings
    from harness.sample import GivenImage

_READY = 8
"""So many threads more than there may be requests at once: what they ask is written while there is no place for it."""


@dataclass(frozen=True)
class _Asked:
    image: GivenImage | None
    text: str | None
    choices: Sequence[str]


class ApiLearner(nn.Module):
    """Asks for each sample; `images` is whether the model is shown any (control C5: none)."""

    vision = None
    vision_frozen = False

    def __init__(self, endpoint: Endpoint, spec: TaskSpec, context: BuildContext, *, images: bool) -> None:
        super().__init__()
        _require(spec, context)
        self._settings: ApiSettings = read_api_settings(context.options.settings)
        self._endpoint, self._context, self._kind, self.takes_pictures = endpoint, context, spec.answers, images
        self._secret = read_key(self._settings.key_variable, endpoint)
        self._names, self._texts = spec.classes.names, [tuple(texts) for texts in spec.classes.texts]
        self._shown = tuple(self._names)
        self._labels = form_of(spec.answers) == LABELS
        self.reads = ("text", "classes") if self._labels else ("text",)
        self._bodies = RequestBodies(endpoint, self._settings, context.decode.max_tokens, context.seed)

    def predict(self, batch: Batch) -> list[Prediction]:
        """Ask about each sample of a batch, many at once; NoAnswer where there is none."""
        with self.answering() as begin:
            return begin(batch)()

    @contextmanager
    def answering(self) -> Iterator[Callable[[Batch], Callable[[], list[Prediction]]]]:
        """Ask about batch after batch without waiting for the last answer of one before the next."""
        answering, transport = self._answering, self._ready[0].transport
        transport.go_on()
        workers = self._settings.concurrency + _READY
        with working_at_once(partial(_answered, answering), workers, transport.stop) as begin:

            def begin_batch(batch: Batch) -> Callable[[], list[Prediction]]:
                choices = [self._shown] * len(batch) if self._labels else batch.choices or [()] * len(batch)
                images = batch.pictures or (None,) * len(batch)
                return begin([*map(_Asked, images, batch.texts, choices)])

            yield begin_batch

    def reword(self, class_texts: Sequence[Sequence[str]]) -> None:
        """Offer other names of the classes: of a class whose texts are another's now, that one's name."""
        name_of = dict(zip(self._texts, self._names, strict=True))
        groups = [tuple(texts) for texts in class_texts]
        self._shown = tuple(name_of.get(group) or group[0] for group in groups)

    def loss(self, batch: Batch, generator: Generator) -> Tensor:
        """Refuse to be trained."""
        raise UsageError("A model behind an endpoint is evaluated as it is and cannot be trained here.")

    def parameter_groups(self) -> ParameterGroups:
        """Name nothing: nothing is trained."""
        return ParameterGroups((), (), ())

    def service_report(self) -> Mapping[str, Any]:
        """Say which server answered, what a probe found of it, how it was asked, and what that took."""
        connection, _ = self._ready
        return {
            "host": self._endpoint.host,
            "model": self._endpoint.model,
            "server": connection.server,
            "sent": self._bodies.members(),
            "key": f"from ${self._settings.key_variable}" if self._secret.header() else "none was sent",
            "images": self.takes_pictures,
            "probe": self._findings.to_json(),
            **self._answering.report(),
            **connection.asker.report(),
        }

    @cached_property
    def _ready(self) -> tuple[Connection, Findings]:
        connection = Connection(self._endpoint, self._secret, self._settings, self._bodies, self._context.cache)
        wants_prompt = form_of(self._kind) != CAPTIONS
        return connection, connection.probed(images=self.takes_pictures, wants_prompt=wants_prompt)

    @property
    def _findings(self) -> Findings:
        return self._ready[1]

    @cached_property
    def _answering(self) -> Answering:
        connection, findings = self._ready
        way = choose_way(self._kind, self._settings, findings, len(self._names))
        return Answering(
            form_of(self._kind), way.prompt, way.by, way.top_logprobs, self._bodies, connection.asker, self._settings
        )


def _answered(answering: Answering, asked: _Asked) -> Prediction:
    try:
        png = None if asked.image is None else png_bytes(asked.image)
        return answering.answer(png, asked.text, asked.choices)
    except RequestFailed as error:
        return NoAnswer(error.reason)


def _require(spec: TaskSpec, context: BuildContext) -> None:
    """Refuse what no request can ask for; raises UsageError."""
    if spec.classes.multilabel:
        raise UsageError(
            "A model behind an endpoint names one class an image, but images of this data have several (multi-label)."
        )
    if context.decode.beams > 1:
        raise UsageError(f"decode.beams={context.decode.beams}: endpoints have no beam search. Leave it out.")
