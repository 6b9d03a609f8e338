"""What is asked of a sample, by the kind of answer that the task wants, and what the reply means for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

from baselines.api.asker import Asker
from baselines.api.forced_choice import first_token_scores, likelihood_score, shares
from baselines.api.replies import Reply, RequestFailed
from baselines.api.request_body import RequestBodies
from baselines.api.settings import FIRST_TOKEN, LIKELIHOOD, ApiSettings
from baselines.prompts.prompt import LETTERS, Prompt, RenderedPrompt, render, said_in_own_order
from harness.answers import CAPTIONS, CHOICES, LABELS, NO_CLASS
from harness.sample import Prediction
from harness.text.said_option import parse_option


@dataclass
class Answering:
    """Makes requests of samples and predictions of replies, by one prompt.

    `by` is how one of several options is found.
    """

    form: str
    prompt: Prompt
    by: str
    top_logprobs: int
    bodies: RequestBodies
    asker: Asker
    settings: ApiSettings
    unparsed: int = 0
    parsed: int = 0
    """Samples whose option was read from words although log-probabilities were asked for."""
    _lock: Lock = field(default_factory=Lock, repr=False)

    def answer(self, png: bytes | None, text: str | None, options: Sequence[str]) -> Prediction:
        """Answer a sample, `options` being the names of the classes or its own; raises RequestFailed."""
        prompt = self.rendered(text, options)
        if not options or self.form == CAPTIONS:
            return " ".join(self.asker.reply(self.bodies.ask(prompt, png)).text.split())
        if self.by == LIKELIHOOD:
            return self._of_scores([self._likelihood(prompt, png, answer) for answer in prompt.answers])
        top = self.top_logprobs if self.by == FIRST_TOKEN else 0
        reply = self.asker.reply(self.bodies.ask(prompt, png, top))
        return self._scored(reply, prompt, options) if top else self._said(reply, options)

    def rendered(self, text: str | None, options: Sequence[str]) -> RenderedPrompt:
        """Fill the prompt in for a sample."""
        beside = {} if self.form == "answers" else {"text": text or ""}
        return render(self.prompt, question=(text or "") if self.form == "answers" else "", options=options, **beside)

    def report(self) -> dict[str, Any]:
        """Say how options were found, and how often words told none."""
        told: dict[str, Any] = {"prompt": self.prompt.to_json()}
        if self.form != CAPTIONS:
            told |= {"options_by": self.by, "unparsed": self.unparsed, "read_from_words": self.parsed}
        return told | ({"option_score": self.settings.option_score} if self.by == LIKELIHOOD else {})

    def _likelihood(self, prompt: RenderedPrompt, png: bytes | None, answer: str) -> float:
        reply = self.asker.reply(self.bodies.likelihood(prompt, png, answer), may_be_empty=True)
        score = likelihood_score(reply.prompt, answer, self.settings.option_score)
        if score is None:
            raise RequestFailed(f"the server's log-probabilities do not end with the option '{answer:.40}'")
        return score

    def _scored(self, reply: Reply, prompt: RenderedPrompt, options: Sequence[str]) -> Prediction:
        """Take the probabilities of the first token; where they tell no option, what was said has all of it."""
        scores = first_token_scores(reply.first, prompt.answers)
        if scores is not None:
            return self._of_scores(scores)
        place = self._place(reply, options)
        with self._lock:
            self.parsed += 1
        return (
            [1.0 / len(options)] * len(options) if place is None else [float(i == place) for i in range(len(options))]
        )

    def _of_scores(self, scores: Sequence[float]) -> Prediction:
        return shares(scores) if self.form == LABELS else list(scores)

    def _said(self, reply: Reply, options: Sequence[str]) -> Prediction:
        """Read the option out of words: right, wrong, or none."""
        if self.form not in (LABELS, CHOICES):
            return said_in_own_order(self.prompt, reply.text, options)  # the task's scorer reads it
        place = self._place(reply, options)
        if self.form == LABELS:
            return NO_CLASS if place is None else place
        return [float(other == place) for other in range(len(options))]

    def _place(self, reply: Reply, options: Sequence[str]) -> int | None:
        shown = tuple(reversed(options)) if self.prompt.reversed else tuple(options)
        place = parse_option(reply.text, shown, letters=self.prompt.options == LETTERS)
        if place is None:
            with self._lock:
                self.unparsed += 1
            return None
        return len(options) - 1 - place if self.prompt.reversed else place
