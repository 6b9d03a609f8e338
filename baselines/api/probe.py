"""What a server does, found out before anything is scored: a few requests about images of known colour.

Repeated, with another image, with a blank one, without any, and with the options in another order. So it is known of a
row whether its answers are deterministic, whether the server reads images at all (one that drops them is a common
misconfiguration, and scores as well as a blind model), and whether it gives log-probabilities.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol

from baselines.api.findings import GETS, NO, NONE, OF_PROMPT, TOP, UNKNOWN, YES, Findings
from baselines.api.probe_images import FIRST, SECOND, probe_images
from baselines.api.replies import Reply, RequestFailed, read_reply
from baselines.api.request_body import RequestBodies
from baselines.prompts.prompt import RenderedPrompt
from harness.text.said_option import parse_option

_REPEATS = 3
_QUESTION = RenderedPrompt("", "Which colour fills most of the image? Answer with one word.")
_NEAR = 1e-3
"""Log-probabilities so near to each other are the same: their sums depend on what else a server computes at once."""


class Send(Protocol):
    """Sends the body of a request and gives the reply; raises RequestFailed."""

    def __call__(self, body: bytes, *, may_be_empty: bool = False) -> Mapping[str, Any]:
        """Ask anew, whatever is kept."""
        ...


@dataclass
class Probe:
    """Asks one model; `send` sends a body and gives the reply, `images` says whether it is shown any."""

    send: Send
    bodies: RequestBodies
    top_logprobs: int
    images: bool = True
    wants_prompt: bool = False
    """Whether log-probabilities of requests would be of use, where those of answers are not given."""
    requests: int = 0
    remarks: list[str] = field(default_factory=list)

    def run(self) -> Findings:
        """Find out; raises RequestFailed where the server answers none of the first requests."""
        shown: Mapping[str, bytes | None] = probe_images() if self.images else {"first": None}
        top = self._top(shown["first"])
        repeats = [self._asked(_QUESTION, shown["first"], top) for _ in range(_REPEATS)]
        deterministic = self._deterministic(repeats)
        reads = UNKNOWN
        if self.images:
            others = {name: self._asked(_QUESTION, shown[name], top) for name in ("second", "blank")}
            reads = reads_image(repeats, others, self._without(top), deterministic=deterministic == YES)
        known = TOP if any(reply.first for reply in repeats) else NONE
        if known == NONE and self.wants_prompt and self._gives_prompt(shown["first"]):
            known = OF_PROMPT
        order = self._order(shown["first"])
        return Findings(
            deterministic, reads, known, order, top if known == TOP else 0, tuple(self.remarks),
            datetime.now(UTC).isoformat(timespec="seconds"), self.requests,
        )  # fmt: skip

    def _asked(self, prompt: RenderedPrompt, png: bytes | None, top: int) -> Reply:
        self.requests += 1
        return read_reply(self.send(self.bodies.ask(prompt, png, top)))

    def _top(self, png: bytes | None) -> int:
        """Find how many log-probabilities the server gives, of those wished for; raises RequestFailed as `run`."""
        for count in sorted({self.top_logprobs, min(self.top_logprobs, 5)}, reverse=True):
            try:
                self._asked(_QUESTION, png, count)
                return count
            except RequestFailed as error:
                if not error.refused:
                    raise
        self._asked(_QUESTION, png, 0)
        self.remarks.append("it refuses requests for log-probabilities")
        return 0

    def _deterministic(self, repeats: Sequence[Reply]) -> str:
        if len({reply.text for reply in repeats}) > 1:
            self.remarks.append(f"{len(repeats)} equal requests had different answers")
            return NO
        drift = max((_distance(repeats[0].first, reply.first) for reply in repeats), default=0.0)
        if drift > _NEAR:
            self.remarks.append(f"{len(repeats)} equal requests: same answer, log-probabilities {drift:.2g} apart")
        return YES

    def _without(self, top: int) -> Reply | None:
        """Ask without an image; None where the server refuses that, as one that reads them may."""
        try:
            return self._asked(_QUESTION, None, top)
        except RequestFailed as error:
            if not error.refused:
                raise
            self.remarks.append("it refuses requests without an image")
            return None

    def _gives_prompt(self, png: bytes | None) -> bool:
        self.requests += 1
        try:
            return bool(self._prompt_of(self.bodies.likelihood(_QUESTION, png, FIRST)))
        except RequestFailed as error:
            if not error.refused:
                raise
            return False

    def _prompt_of(self, body: bytes) -> Sequence[tuple[str, float]]:
        return read_reply(self.send(body, may_be_empty=True), may_be_empty=True).prompt

    def _order(self, png: bytes | None) -> str:
        """Ask with options in two orders: an answer should follow the text and not the place."""
        said = []
        for options in ((FIRST, SECOND), (SECOND, FIRST)):
            asked = f"Which colour fills most of the image? Answer with one of these: {', '.join(options)}."
            place = parse_option(self._asked(RenderedPrompt("", asked), png, 0).text, options)
            said.append(None if place is None else options[place])
        if None in said:
            return UNKNOWN
        if said[0] != said[1]:
            self.remarks.append(
                "its answer follows the place of an option: the first one or the last one, whatever it is"
            )
            return "follows the place"
        return "follows the text"


def reads_image(
    repeats: Sequence[Reply], others: Mapping[str, Reply], without: Reply | None, *, deterministic: bool
) -> str:
    """Judge from the replies about the first image, the `second` and `blank` one, and none, whether images are read.

    GETS where they cost tokens but change no answer here. NO where neither answers nor counts of tokens tell that there
    is an image. UNKNOWN where answers differ anyhow and tokens are not counted.
    """
    first = repeats[0]
    if deterministic and any(_differs(first, reply) for reply in others.values()):
        return YES
    if all(_names(reply, FIRST) for reply in repeats) and _names(others["second"], SECOND):
        return YES
    if without is None:
        return GETS
    counts = first.prompt_tokens, without.prompt_tokens
    if counts[0] is not None and counts[1] is not None:
        return GETS if counts[0] > counts[1] + _PLACEHOLDER else NO
    return NO if deterministic else UNKNOWN


_PLACEHOLDER = 3
"""So many tokens more are the mark of an image, and not the image."""


def _names(reply: Reply, colour: str) -> bool:
    return parse_option(reply.text, (FIRST, SECOND), letters=False) == (FIRST, SECOND).index(colour)


def _differs(one: Reply, other: Reply) -> bool:
    return one.text != other.text or _distance(one.first, other.first) > 10 * _NEAR


def _distance(one: Mapping[str, float], other: Mapping[str, float]) -> float:
    """How far the log-probabilities of tokens that both list are from each other at most."""
    return max((abs(value - other[token]) for token, value in one.items() if token in other), default=0.0)
