"""Attacks the texts that a model reads: beside each image, and of the classes, which all samples share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from harness.condition import Part
from harness.perturb.attack.pixel_attack import loss_notes
from harness.perturb.attack.request import AttackOptions, AttackRequest, AttackResult, ConfiguredAttack
from harness.perturb.attack.text_edits import Edited, Reworded, WordedClasses, edit_once, reword_once, text_losses
from harness.perturb.attack.victim import (
    Victim,
    cannot_query,
    generators,
    loss_kind,
    pixels_of,
    prepared,
    slices,
    victim_of,
)
from harness.perturb.randomness import generator_for
from harness.protocols import Learner, ReadsText
from harness.sample import Prediction

UNIVERSAL = "universal: one set of class texts for all samples, found on the first of them"
UNCHECKED = "not checked: an edited text may mean something else"
_SHOWN = 3


def attack_texts(attack: ConfiguredAttack, learner: Learner, request: AttackRequest, severity: int) -> AttackResult:
    """Edit texts `severity` times; skipped for a model that reads none, or none that can be edited."""
    with prepared(learner, request):
        reason = cannot_edit(learner, request)
        if reason is not None:
            return AttackResult([], skipped=reason)
        writer = Writer(learner, request, Part(attack.name, severity), attack.options)
        state = TextState([sample.text for sample in request.samples], request.class_texts)
        before = writer.losses(state, None)
        for round_number in range(severity):
            writer.edit(state, None, round_number)
        if not state.candidates:
            return AttackResult([], skipped="no edit changes any of the texts that the model reads")
        after = writer.losses(state, None)
        predictions = writer.predict(state, None)
        return AttackResult(predictions, {**writer.notes(state), **loss_notes([(before, after)])})


def cannot_edit(learner: Learner, request: AttackRequest) -> str | None:
    """Say why an attack on texts is out of the question, None where it is not."""
    reads = learner.reads if isinstance(learner, ReadsText) else ()
    if not reads:
        return "the model reads no text"
    if not request.samples:
        return "there is no sample to attack"
    if "classes" not in reads and not any(sample.text for sample in request.samples):
        return "no sample has a text beside its image"
    return cannot_query(learner, request)


@dataclass
class TextState:
    """The texts beside all samples and those of the classes, as they are so far; `candidates` have been tried."""

    texts: list[str | None]
    class_texts: WordedClasses
    candidates: int = 0


@dataclass(frozen=True)
class Writer:
    """Edits what a learner reads; `pixels` are those of all samples `[N, 3, S, S]`, None for the request's own."""

    learner: Any
    request: AttackRequest
    part: Part
    options: AttackOptions

    def edit(self, state: TextState, pixels: Tensor | None, round_number: int) -> None:
        """Make one edit of each text beside a sample, and one of each class's texts, where the learner reads them.

        The learner is left reading the new texts of the classes.
        """
        if "text" in self.learner.reads:
            for rows in self._batches():
                victim, tokens = self._at(state, pixels, rows)
                rngs = generators(self.part, self.request, rows, f"round {round_number}")
                now = Edited(state.texts[rows], text_losses(victim, tokens, state.texts[rows]))
                found = edit_once(victim, tokens, now, rngs, self.options.text_draws)
                state.texts[rows] = found.texts
                state.candidates += found.candidates
        if "classes" in self.learner.reads:
            found_words = self._reword(state, pixels, round_number)
            state.class_texts = found_words.texts
            state.candidates += found_words.candidates

    def losses(self, state: TextState, pixels: Tensor | None) -> Tensor:
        """Losses of all samples `[N]` under the texts as they are."""
        parts = [text_losses(*self._at(state, pixels, rows), state.texts[rows]) for rows in self._batches()]
        return torch.cat(parts)

    def predict(self, state: TextState, pixels: Tensor | None) -> list[Prediction]:
        """Answers for all samples under the texts as they are."""
        answers: list[Prediction] = []
        for rows in self._batches():
            victim = victim_of(self.learner, self.request, rows, state.texts)
            answers += victim.predict(self._pixels(pixels, rows))
        return answers

    def notes(self, state: TextState) -> dict[str, Any]:
        """What was edited, with a few examples."""
        reads, samples = self.learner.reads, self.request.samples
        pairs = [(sample.text, text) for sample, text in zip(samples, state.texts, strict=True)]
        if "classes" in reads:
            pairs += [(a[0], b[0]) for a, b in zip(self.request.class_texts, state.class_texts, strict=True) if a]
        changed = [list(pair) for pair in pairs if pair[0] != pair[1]]
        return {
            "edits": self.part.severity,
            "meaning": UNCHECKED,
            "candidates": state.candidates,
            "texts_changed": len(changed),
            "examples": changed[:_SHOWN],
            **loss_kind(self.learner),
            **({"classes": UNIVERSAL} if "classes" in reads else {}),
        }

    def _reword(self, state: TextState, pixels: Tensor | None, round_number: int) -> Reworded:
        """One round of edits of class texts, by the mean loss of the first samples."""
        rows = slice(0, min(self.options.class_samples, len(self.request.samples)))
        victim, tokens = self._at(state, pixels, rows)

        def mean_loss() -> float:
            losses = text_losses(victim, tokens, state.texts[rows])
            return float(losses[torch.isfinite(losses)].double().mean())

        rng = generator_for(self.part, self.request.seed, f"classes, round {round_number}")
        now = Reworded(state.class_texts, mean_loss())
        return reword_once(self.learner, mean_loss, now, rng, self.options.class_queries)

    def _batches(self) -> list[slice]:
        return list(slices(len(self.request.samples), self.request.batch_size))

    @torch.no_grad()
    def _at(self, state: TextState, pixels: Tensor | None, rows: slice) -> tuple[Victim, Tensor | None]:
        """Some samples as they are, and their visual tokens, computed once."""
        victim = victim_of(self.learner, self.request, rows, state.texts)
        shown = self._pixels(pixels, rows)
        if shown is None or self.learner.vision is None:
            return victim, None
        parts = [self.learner.vision(shown[part] * 255.0) for part in slices(len(shown), self.request.batch_size)]
        return victim, torch.cat(parts)

    def _pixels(self, pixels: Tensor | None, rows: slice) -> Tensor | None:
        return pixels_of(self.request, rows) if pixels is None else pixels[rows].to(self.request.device)
