"""Asks a model and counts: replies that are kept are not asked for again, tokens and money are added up."""

from __future__ import annotations

from dataclasses import dataclass, field
from threading import Lock
from typing import Any

from baselines.api.replies import Reply, RequestFailed, read_reply
from baselines.api.responses import KeptReplies
from baselines.api.settings import ApiSettings
from baselines.api.transport import Transport

_PER = 1_000_000


@dataclass
class Tally:
    """What was asked and what came: of all answers, and of those that were asked for in this run."""

    asked: int = 0
    cached: int = 0
    failed: int = 0
    cut: int = 0
    """Answers that ended for want of tokens."""
    prompt: int = 0
    completion: int = 0
    asked_prompt: int = 0
    asked_completion: int = 0
    uncounted: int = 0
    """Answers for which the server told no number of tokens."""
    _lock: Lock = field(default_factory=Lock, repr=False)

    def add(self, reply: Reply, *, cached: bool) -> None:
        """Count an answer."""
        prompt, completion = reply.prompt_tokens or 0, reply.completion_tokens or 0
        with self._lock:
            self.cached += cached
            self.asked += not cached
            self.cut += reply.finish == "length"
            self.uncounted += reply.prompt_tokens is None or reply.completion_tokens is None
            self.prompt += prompt
            self.completion += completion
            if not cached:
                self.asked_prompt += prompt
                self.asked_completion += completion

    def add_failure(self) -> None:
        """Count a request without an answer."""
        with self._lock:
            self.failed += 1


class Asker:
    """Gives the reply to a request, from the cache or from the server; for any number of threads."""

    def __init__(self, transport: Transport, kept: KeptReplies, settings: ApiSettings) -> None:
        self._transport, self._kept, self._settings = transport, kept, settings
        self.tally = Tally()

    def reply(self, body: bytes, *, may_be_empty: bool = False) -> Reply:
        """Find or ask for a reply; raises RequestFailed."""
        key = self._kept.key(body)
        if (known := self._kept.find(key)) is not None:
            found = read_reply(known, may_be_empty=may_be_empty)
            self.tally.add(found, cached=True)
            return found
        try:
            content, seconds = self._transport.ask(body, may_be_empty=may_be_empty)
        except RequestFailed:
            self.tally.add_failure()
            raise
        found = read_reply(content, may_be_empty=may_be_empty)
        self._kept.keep(key, content, seconds)
        self.tally.add(found, cached=False)
        return found

    def report(self) -> dict[str, Any]:
        """Say what was asked, what it took and what it cost."""
        tally = self.tally
        return {
            "requests": {
                "asked": tally.asked,
                "cached": tally.cached,
                "failed": tally.failed,
                "retries": self._transport.retries,
                "cut": tally.cut,
            },
            "tokens": {
                "prompt": tally.prompt,
                "completion": tally.completion,
                "asked_prompt": tally.asked_prompt,
                "asked_completion": tally.asked_completion,
                "answers_without_counts": tally.uncounted,
            },
            "cost": self._cost(),
            "latency": self._latency(),
        }

    def _cost(self) -> dict[str, Any] | None:
        """None where no price was given."""
        settings, tally = self._settings, self.tally
        if not settings.price_in and not settings.price_out:
            return None
        total = (tally.prompt * settings.price_in + tally.completion * settings.price_out) / _PER
        asked = (tally.asked_prompt * settings.price_in + tally.asked_completion * settings.price_out) / _PER
        prices = {"price_in_per_million": settings.price_in, "price_out_per_million": settings.price_out}
        return {"total": total, "this_run": asked, **prices}

    def _latency(self) -> dict[str, Any]:
        """Of requests that were sent in this run: seconds of each with its wait, and how many were on their way."""
        seconds, gate = sorted(self._transport.latencies_s), self._transport.gate
        if not seconds:
            return {}
        return {
            "requests": len(seconds),
            "p50_seconds": seconds[len(seconds) // 2],
            "p95_seconds": seconds[min(len(seconds) - 1, int(0.95 * len(seconds)))],
            "concurrency": gate.mean_inside,
            "concurrency_at_most": self._settings.concurrency,
            "requests_per_second": len(seconds) / gate.busy_s if gate.busy_s else None,
            "halvings": gate.halvings,
        }
