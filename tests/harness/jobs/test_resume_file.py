"""The state of a training comes back as it was written, or not at all, and then that is said."""

from __future__ import annotations

import errno
import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from harness.jobs import resume_file
from harness.jobs.resume_file import ResumeFile
from harness.protocols import NOTICE

STATE: dict[str, Any] = {
    "tensors": {0: {"step": torch.tensor(3.0), "moments": [torch.arange(6.0).reshape(2, 3), torch.zeros(0, 2)]}},
    "kinds": (torch.tensor([True, False]), torch.tensor([-1, 2**62]), torch.ones(2, dtype=torch.bfloat16), None),
    "numbers": [0.1 + 0.2, math.inf, 1e-320, 2**80, True, "\ud800 é"],
    "empty": {},
}


class Notices(list[str]):
    """What was told of a file."""

    def __call__(self, what: str, done: int, total: int) -> None:
        assert total == NOTICE
        self.append(what)


@pytest.fixture
def kept(tmp_path: Path) -> ResumeFile:
    return ResumeFile(tmp_path / "resume.safetensors", "key", 1e-9)


def same(first: Any, second: Any) -> bool:
    if isinstance(first, torch.Tensor):
        return first.dtype == second.dtype and torch.equal(first, second)
    if isinstance(first, dict):
        return list(first) == list(second) and all(same(first[key], second[key]) for key in first)
    if isinstance(first, list | tuple):
        return type(first) is type(second) and all(map(same, first, second))
    return type(first) is type(second) and first == second


def test_a_state_comes_back_as_it_was(kept: ResumeFile) -> None:
    notices = Notices()
    assert kept.read(notices) is None
    kept.write(STATE, notices)
    assert same(kept.read(notices), STATE)
    assert notices == []
    assert [path.name for path in kept.path.parent.iterdir()] == ["resume.safetensors"]


def test_tensors_that_share_memory_and_views_come_back(kept: ResumeFile) -> None:
    whole = torch.arange(12.0).reshape(3, 4)
    state = {"a": whole, "b": whole, "rows": whole[1:], "turned": whole.T}
    kept.write(state, Notices())
    assert same(kept.read(Notices()), state)


def damaged(kind: str, path: Path) -> None:
    content = path.read_bytes()
    if kind == "torn":
        path.write_bytes(content[: len(content) // 2])
    elif kind == "a bit of the last tensor":
        path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    elif kind == "a number":
        path.write_bytes(content.replace(b"0.30000000000000004", b"0.30000000000000005"))
    elif kind == "empty":
        path.write_bytes(b"")
    elif kind == "of another":
        ResumeFile(path, "other", 1.0).write(STATE, Notices())
    elif kind == "pickle":
        torch.save(STATE, path)
    else:
        save_file({"weight": torch.ones(2)}, path, {"key": "key"})


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("torn", "Error"),
        ("a bit of the last tensor", "its content does not have the sha256 that it names"),
        ("a number", "its content does not have the sha256 that it names"),
        ("empty", "Error"),
        ("of another", "it is of the training other, this one is key"),
        ("pickle", "Error"),
        ("a checkpoint", "it is no state of a training"),
    ],
)
def test_what_is_not_whole_or_not_its_own_is_ignored_and_that_is_said(kind: str, reason: str, kept: ResumeFile) -> None:
    kept.write(STATE, Notices())
    damaged(kind, kept.path)
    notices = Notices()
    assert kept.read(notices) is None
    (notice,) = notices
    assert notice.startswith(f"{kept.path} is ignored, and the training begins anew: ")
    assert reason in notice


def test_any_flipped_byte_is_noticed(kept: ResumeFile) -> None:
    kept.write({"weights": torch.arange(4.0), "step": 7}, Notices())
    content = kept.path.read_bytes()
    for position in range(0, len(content), 3):
        kept.path.write_bytes(content[:position] + bytes([content[position] ^ 1]) + content[position + 1 :])
        notices = Notices()
        found = kept.read(notices)
        assert (found is None) == bool(notices)
        assert found is None or same(found, {"weights": torch.arange(4.0), "step": 7}), position


def test_a_full_disk_ends_the_writing_and_not_the_training(kept: ResumeFile, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    notices = Notices()
    assert kept.is_due
    monkeypatch.setattr(resume_file, "save_file", full)
    kept.write(STATE, notices)
    assert "trains on without that" in notices[0]
    assert "No space left on device" in notices[0]
    assert not kept.is_due
    assert list(kept.path.parent.iterdir()) == []


def test_it_is_due_after_the_interval_and_costs_a_twentieth_at_most(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr(resume_file.time, "monotonic", lambda: now[0])
    kept, never = (ResumeFile(tmp_path / "r", "key", every, 0.0) for every in (60.0, 0.0))

    def slowly(*_: Any) -> None:
        now[0] += 10.0

    def due(seconds: float) -> tuple[bool, bool]:
        now[0] += seconds
        return kept.is_due, never.is_due

    assert [due(59.0), due(1.0)] == [(False, False), (True, False)]
    monkeypatch.setattr(resume_file, "_write", slowly)
    kept.write({}, Notices())
    assert [due(189.0), due(1.0)] == [(False, False), (True, False)]  # 10 s in 200 s


def test_json_holds_all_but_tensors(kept: ResumeFile) -> None:
    from safetensors import safe_open

    kept.write(STATE, Notices())
    with safe_open(kept.path, framework="pt") as file:
        state = json.loads(file.metadata()["state"])
    assert state["mapping"][3] == ["empty", {"mapping": []}]


class TestOnAUrl:
    """A state that lies on a URL too is found by another machine."""

    @pytest.fixture(params=["memory", "file", "s3"])
    def url(self, request: pytest.FixtureRequest, tmp_path: Path) -> str:
        if request.param == "s3":
            return str(request.getfixturevalue("bucket"))
        return f"memory://{tmp_path.name}/kept" if request.param == "memory" else f"file://{tmp_path}/kept"

    def test_the_state_that_is_further_on_is_taken(self, tmp_path: Path, url: str) -> None:
        notices = Notices()
        here, there = (ResumeFile(tmp_path / name / "resume.safetensors", "key", 1e-9, url=url) for name in "ab")
        there.path.parent.mkdir()
        there.fetch(notices)
        assert there.read(notices) is None
        here.write({"step": 3, **STATE}, notices)
        there.fetch(notices)
        assert same(there.read(notices), {"step": 3, **STATE})
        here.write({"step": 4}, notices)
        ResumeFile(there.path, "key", 1e-9).write({"step": 5}, notices)
        there.fetch(notices)
        assert there.read(notices) == {"step": 5}
        here.fetch(notices)
        assert here.read(notices) == {"step": 4}
        assert notices == [] and [path.name for path in there.path.parent.iterdir()] == ["resume.safetensors"]

    def test_one_of_another_training_is_not_taken_and_that_is_said(self, tmp_path: Path, url: str) -> None:
        notices = Notices()
        ResumeFile(tmp_path / "resume.safetensors", "other", 1e-9, url=url).write({"step": 9}, notices)
        mine = ResumeFile(tmp_path / "mine" / "resume.safetensors", "key", 1e-9, url=url)
        mine.fetch(notices)
        assert mine.read(notices) is None
        (notice,) = notices
        assert notice == f"{url}/resume.safetensors is not used: it is of the training other, this one is key"

    def test_a_url_that_takes_nothing_ends_the_copying_alone(self, tmp_path: Path) -> None:
        notices = Notices()
        mine = ResumeFile(tmp_path / "resume.safetensors", "key", 1e-9, url="nonsense://nowhere")
        mine.write({"step": 1}, notices)
        mine.write({"step": 2}, notices)
        (notice,) = notices
        assert notice.startswith("is kept on this machine alone, and cannot go on elsewhere: Cannot open --results")
        assert mine.read(notices) == {"step": 2}
