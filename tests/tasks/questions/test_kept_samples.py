"""Questions that were kept in the cache are those that would be made; other annotations have others."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.storage.cache_in_use import digests_remembered
from tasks.questions import scenes
from tasks.questions.scenes import scene_question_samples
from tasks.scenes.generate import write_splits
from tests.tasks.questions.test_scene_groups import data_of

SPLITS = ("train", "questions")
PARTS = ("train", "test", "novel", "prior-conflict")


def test_what_is_kept_is_what_would_be_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data, fewer = data_of(tmp_path / "scenes"), data_of(tmp_path / "fewer")
    write_splits(data.root, list(PARTS), processes=1, limit=8)
    write_splits(fewer.root, ["train"], processes=1, limit=4)
    made = {split: scene_question_samples(data, split) for split in SPLITS}
    with digests_remembered(tmp_path / "cache"):
        assert {split: scene_question_samples(data, split) for split in SPLITS} == made
        assert 0 < len(scene_question_samples(fewer, "train")) < len(made["train"])
        monkeypatch.setattr(scenes, "read_views", lambda *_: pytest.fail("the annotations were read again"))
        assert {split: scene_question_samples(data, split) for split in SPLITS} == made
