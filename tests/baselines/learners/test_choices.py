"""Choices among texts: by likelihood as captions, by a language model that sees nothing, by a dual encoder."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from baselines.catalog import cnn_transformer, prefix, text_only
from baselines.clip.catalog import dual_encoder
from baselines.pretrained.text_likelihood import parse_text_name
from harness.answers import CHOICES
from harness.cell import DecodeOptions, ModelOptions, TrainOptions
from harness.errors import UsageError
from harness.protocols import BuildContext
from harness.sample import Batch, TaskSpec
from tests.baselines.conftest import TARGETS, random_batch

TEXTS = tuple(target.references[0] for target in TARGETS[:3])


def chosen(learner: Any, choices: tuple[tuple[str, ...], ...]) -> Batch:
    batch = random_batch(learner, len(choices), with_targets=False)
    return Batch(batch.sample_ids, batch.visual, batch.texts, choices=choices)


@pytest.mark.parametrize("model", [text_only, cnn_transformer, prefix], ids=lambda model: model.name)
@pytest.mark.parametrize("how", ["sum", "mean"])
def test_the_likelihood_of_a_text_is_that_of_its_words_one_after_the_other(model: Any, how: str, build: Any) -> None:
    assert CHOICES in model.answers and model.controls_for(CHOICES) == (("C1", "C2") if model.fused else ())
    learner = build(model, option_score=how).eval()
    choices = (TEXTS[:2], (TEXTS[2],), TEXTS)
    batch = chosen(learner, choices)
    found = learner.predict(batch)
    words = learner.decoder.vocabulary
    for row, (texts, scores) in enumerate(zip(choices, found, strict=True)):
        for text, score in zip(texts, scores, strict=True):
            ids, total = (*words.encode(text), words.end), 0.0
            for place, wanted in enumerate(ids):
                before = torch.tensor([[words.begin, *ids[:place]]])
                visual = None if batch.visual is None else batch.visual[row : row + 1]
                with torch.no_grad():
                    total += float(learner.decoder(visual, before)[0, -1].float().log_softmax(dim=-1)[wanted])
            assert score == pytest.approx(total / (len(ids) if how == "mean" else 1), abs=2e-4)
    if model is text_only:
        assert found[0] == pytest.approx(found[2][:2], abs=1e-4), "no image: the same texts score alike"


def test_captions_are_written_where_there_are_no_choices(build: Any) -> None:
    learner = build(text_only).eval()
    assert all(isinstance(answer, str) for answer in learner.predict(chosen(learner, ((), ()))))


def test_a_score_that_is_neither_sum_nor_mean_is_refused(build: Any) -> None:
    with pytest.raises(UsageError, match=r"model\.option_score=max: wanted sum or mean"):
        build(text_only, option_score="max")


def context_of(tmp_path: Path, **settings: Any) -> BuildContext:
    return BuildContext(ModelOptions(settings=settings), TrainOptions(), DecodeOptions(), 0, tmp_path)


@pytest.mark.parametrize("language", ["gpt2", "llama"])
def test_a_blind_language_model_scores_texts_as_its_own_loss_does(
    language: str, languages: dict[str, Path], tmp_path: Path
) -> None:
    model = parse_text_name(f"text:{languages[language]}")
    assert (model.sees_images, model.evaluates_only, model.answers) == (False, True, (CHOICES,))
    assert model.recipe(ModelOptions(settings={"option_score": "mean"}))["option_score"] == "mean"
    spec = TaskSpec("t", (), CHOICES)
    scorers: dict[str, Any] = {
        how: model.build(spec, context_of(tmp_path, option_score=how)).eval()  # type: ignore[attr-defined]
        for how in ("sum", "mean")
    }
    batch = Batch(("a",), None, (None,), choices=(TEXTS,))
    by_sum, by_mean = (scorers[how].predict(batch)[0] for how in ("sum", "mean"))
    scorer = scorers["sum"]
    for text, total, mean in zip(TEXTS, by_sum, by_mean, strict=True):
        ids = torch.tensor([[0, *scorer._tokenizer(text, add_special_tokens=False)["input_ids"]]])
        ids[0, 0] = scorer._begin
        with torch.no_grad():
            loss = float(scorer.model(input_ids=ids, labels=ids).loss)
        assert mean == pytest.approx(-loss, abs=1e-4) and total == pytest.approx(mean * (ids.shape[1] - 1), abs=1e-3)
    with pytest.raises(UsageError, match="names no language model"):
        parse_text_name("text:")


def test_a_dual_encoder_learns_whole_captions_and_answers_with_cosines(
    prerequisite: Path, languages: dict[str, Path], tmp_path: Path
) -> None:
    assert dual_encoder.controls_for(CHOICES) == ("C2",)
    options = ModelOptions(language=str(languages["bert"]), settings={"joint_width": 24}, answers=CHOICES)
    context = BuildContext(options, TrainOptions(), DecodeOptions(), 0, tmp_path, prerequisite)
    learner: Any = dual_encoder.build(TaskSpec("t", (), CHOICES), context)
    generator = torch.Generator().manual_seed(0)
    visual = torch.randn(4, learner.vision.tokens, learner.vision.width, generator=generator)
    targets: Any = tuple(SimpleNamespace(references=(text,)) for text in (*TEXTS, TEXTS[0]))
    batch = Batch(("a", "b", "c", "d"), visual, (None,) * 4, targets)
    trained = torch.optim.Adam([p for p in learner.parameters() if p.requires_grad], 1e-2)
    losses = []
    for _ in range(12):
        loss = learner.loss(batch, generator)
        trained.zero_grad()
        loss.backward()
        trained.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.7 * losses[0]
    learner.eval()
    found = learner.predict(Batch(batch.sample_ids, visual, batch.texts, choices=(TEXTS, TEXTS[:1], TEXTS[1:], TEXTS)))
    with torch.no_grad():
        image = F.normalize(learner.projection(visual.mean(dim=1)), dim=-1)
        cosines = image @ learner.text.embed(TEXTS).T
    assert found[0] == pytest.approx(cosines[0].tolist(), abs=1e-5)
    assert found[1] == pytest.approx(cosines[1, :1].tolist(), abs=1e-5)
    assert found[2] == pytest.approx(cosines[2, 1:].tolist(), abs=1e-5)
