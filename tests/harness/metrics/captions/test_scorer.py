from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from harness.errors import BenchError
from harness.metrics.captions import cider, ptb, spice
from harness.metrics.captions import java_archives as jars
from harness.metrics.captions import scorer as captions
from harness.metrics.captions.golden import GOLDEN_CASES
from harness.metrics.captions.scorer import CaptionScorer
from harness.metrics.metric import MetricDrift
from harness.stats.resampling import MeanStatistics

FAST = [name for name in captions.CAPTION_METRICS if name != "METEOR"]
CASE = GOLDEN_CASES[0]


@pytest.fixture(scope="module")
def scorer() -> Iterator[CaptionScorer]:
    with CaptionScorer(FAST) as opened:
        yield opened


def test_verify_returns_the_signature(tmp_path: Path) -> None:
    with CaptionScorer(cache_folder=tmp_path) as scorer:
        signature = scorer.verify()
        scores = scorer.score(CASE.references, CASE.candidates)
        assert scores["METEOR"] is not None
        assert scores["METEOR"].value == pytest.approx(CASE.scores["METEOR"], abs=1e-9)
    assert signature.startswith("caption:v1|pycocoevalcap1.2|ptb3.4.1")
    assert len(list(tmp_path.iterdir())) == 1  # one cut table for all golden cases


def test_the_golden_part_is_scored_as_pycocoevalcap_scores_it_among_all() -> None:
    from pycocoevalcap.cider.cider import Cider

    from harness.metrics.captions.golden import GOLDEN_PART, GOLDEN_PART_SCORES

    with ptb.PtbTokenizer() as tokenizer:
        references = {image: tokenizer.tokenize(texts) for image, texts in CASE.references.items()}
        tokens = tokenizer.tokenize(list(CASE.candidates.values()))
    candidates = {image: [text] for image, text in zip(CASE.candidates, tokens, strict=True)}
    _, per_image = Cider().compute_score(references, candidates)
    chosen = [per_image[list(references).index(image)] for image in GOLDEN_PART]
    assert np.mean(chosen) == pytest.approx(GOLDEN_PART_SCORES["CIDEr"], abs=1e-12)


def test_absent_metrics_are_none(scorer: CaptionScorer) -> None:
    scores = scorer.score(CASE.references, CASE.candidates)
    assert list(scores) == list(captions.CAPTION_METRICS)
    assert scores["METEOR"] is None
    assert scores["SPICE"] is None  # its models are not installed here


def test_a_skipped_tokenizer_is_found(scorer: CaptionScorer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ptb.PtbTokenizer, "tokenize", lambda self, texts: [" ".join(text.split()) for text in texts])
    monkeypatch.setattr(scorer, "_reference_tokens", {})
    with pytest.raises(MetricDrift, match=r"CIDEr gives .* instead of 2\.8865"):
        scorer.verify()


def test_an_idf_from_one_pair_is_found(scorer: CaptionScorer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cider, "cider_statistics", lambda *_: MeanStatistics(np.zeros(4)))
    with pytest.raises(MetricDrift, match=r"CIDEr gives 0\.0"):
        scorer.verify()


def test_missing_and_surplus_captions_are_named(scorer: CaptionScorer) -> None:
    with pytest.raises(BenchError, match=r"2 images have no caption \(first: b, c\)"):
        scorer.score({"a": ["x"], "b": ["y"], "c": ["z"]}, {"a": "x"})
    with pytest.raises(BenchError, match=r"1 captions are for images without references \(first: q\)"):
        scorer.score({"a": ["x"]}, {"a": "x", "q": "y"})
    with pytest.raises(BenchError, match="1 images have no reference"):
        scorer.score({"a": []}, {"a": "x"})
    with pytest.raises(BenchError, match="at least one image"):
        scorer.score({}, {})
    with pytest.raises(BenchError, match="1 images are not in the split"):
        scorer.score({"a": ["x"]}, {"a": "x"}, split_references={"b": ["y"]})


def test_unknown_metric_is_named() -> None:
    with pytest.raises(BenchError, match="Did you mean 'CIDEr'"):
        CaptionScorer(["CIDER"])


def test_samples_follow_the_references(scorer: CaptionScorer) -> None:
    scores = scorer.score(CASE.references, CASE.candidates)["ROUGE-L"]
    backwards = scorer.score(CASE.references, dict(reversed(CASE.candidates.items())))["ROUGE-L"]
    assert scores is not None and backwards is not None
    assert scores.per_sample.tolist() == backwards.per_sample.tolist()


def test_part_of_a_split_keeps_the_idf(scorer: CaptionScorer) -> None:
    whole = scorer.score(CASE.references, CASE.candidates)["CIDEr"]
    part = scorer.score(
        {i: CASE.references[i] for i in ("3", "1")},
        {i: CASE.candidates[i] for i in ("1", "3")},
        split_references=CASE.references,
    )["CIDEr"]
    assert whole is not None and part is not None
    assert part.per_sample == pytest.approx(whole.per_sample[[2, 0]], abs=1e-12)


def test_references_are_tokenized_once(scorer: CaptionScorer, monkeypatch: pytest.MonkeyPatch) -> None:
    scorer.score(CASE.references, CASE.candidates)
    asked: list[int] = []
    tokenize = ptb.PtbTokenizer.tokenize
    monkeypatch.setattr(ptb.PtbTokenizer, "tokenize", lambda self, t: (asked.append(len(t)), tokenize(self, t))[1])
    scorer.score(CASE.references, CASE.candidates)
    assert asked == [4]


def test_spice_runs_where_its_models_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    java = tmp_path / "java"
    result = '[{"image_id": 1, "scores": {"All": {"f": 0.5}}}, {"image_id": 0, "scores": {"All": {"f": 0.25}}}]'
    java.write_text(f"#!/bin/sh\necho '{result}' > \"$8\"\n")  # -jar -Xmx8G JAR IN -cache FOLDER -out OUT
    java.chmod(0o755)
    monkeypatch.setattr(spice, "find_java", lambda path: java)
    assert spice.spice_statistics(["a", "b"], [["a"], ["b"]]).per_sample.tolist() == [0.25, 0.5]


def test_spice_models_are_looked_for_and_never_downloaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jars, "_package_folder", lambda: tmp_path)
    assert not jars.spice_models_installed()
    (tmp_path / "spice" / "lib").mkdir(parents=True)
    for name in ("stanford-corenlp-3.6.0.jar", "stanford-corenlp-3.6.0-models.jar"):
        (tmp_path / "spice" / "lib" / name).touch()
    assert jars.spice_models_installed()


def test_importing_the_scorer_imports_nothing_heavy() -> None:
    code = (
        "import sys, harness.metrics.captions; print({'numpy', 'scipy', 'pandas', 'pycocoevalcap'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_how_long_java_may_take_holds_for_all_of_its_programs() -> None:
    with CaptionScorer(["BLEU-1"]) as scorer:
        scorer.wait_at_most(12.0)
        assert scorer.score({"1": ["a dog"]}, {"1": "a dog"})["BLEU-1"] is not None
        process = scorer._open_tokenizer()._process
        assert process is not None and process.patience_s == 12.0
