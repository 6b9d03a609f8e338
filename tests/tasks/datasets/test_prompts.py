"""Templates by name and by file, and what is said of a file that holds none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from harness.errors import UsageError
from tasks.datasets.prompts import check_templates, fill, read_templates


@pytest.mark.parametrize(("name", "templates"), [("plain", ("{}",)), ("simple", ("a photo of a {}.",))])
def test_names(name: str, templates: tuple[str, ...]) -> None:
    assert check_templates(name) == name
    assert read_templates(check_templates(name)) == templates


def test_openai_imagenet_are_open_clips_own() -> None:
    from open_clip import OPENAI_IMAGENET_TEMPLATES

    templates = read_templates(check_templates("openai-imagenet"))
    assert len(templates) == 80
    assert fill(templates, ["cat"]) == tuple(template("cat") for template in OPENAI_IMAGENET_TEMPLATES)


def test_a_file_gives_its_lines_wherever_it_lies(tmp_path: Path) -> None:
    lines = "\ufeff# for birds\na {} on a branch\n\n  the song of {}  \n# the end\n"
    for name in ("one.txt", "other.txt"):
        (tmp_path / name).write_text(lines, encoding="utf-8")
        chosen = check_templates(str(tmp_path / name))
        assert chosen == ("a {} on a branch", "the song of {}")
        assert read_templates(chosen) == read_templates(list(chosen)) == chosen


def test_each_name_is_put_into_each_template_in_order() -> None:
    names = ["a {} wren", "tit"]
    assert fill(["{}", "two {}s"], names) == ("a {} wren", "tit", "two a {} wrens", "two tits")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a bird\n", r"t.txt holds 'a bird'; wanted one {} in each line"),
        (b"a {}\n{} beside {}\n", r"t.txt holds '{} beside {}'; wanted one {} in each line"),
        (b"# nothing\n\n", r"t.txt holds no template; wanted one {} in each line"),
        (b"\xff\xfe\x00{}", r"t.txt: neither a file that can be read \(UnicodeDecodeError\) nor a name"),
        (None, r"t.txt: neither a file that can be read \(FileNotFoundError\) nor a name"),
    ],
)
def test_a_file_that_holds_no_templates_is_named(content: bytes | None, message: str, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "t.txt").write_bytes(content)
    with pytest.raises(UsageError, match=message):
        check_templates(str(tmp_path / "t.txt"))


@pytest.mark.parametrize("wish", ["simpel", 3, ["simple"], ""])
def test_a_wrong_name_meets_the_nearest(wish: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(
        UsageError, match=r"--templates .*(Did you mean 'simple'|Known: openai-imagenet, plain, simple)"
    ):
        check_templates(wish)
