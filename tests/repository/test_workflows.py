"""What stands around the code can be read and is true: workflows, pre-commit, issue forms, the citation, `.ci/run`."""

from __future__ import annotations

import re
import shlex
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from harness.cli.main import app

REPOSITORY = Path(__file__).parents[2]
PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
WORKFLOWS = sorted((REPOSITORY / ".github" / "workflows").glob("*.yml"))
FORMS = sorted(p for p in (REPOSITORY / ".github" / "ISSUE_TEMPLATE").glob("*.yml") if p.name != "config.yml")


def parsed(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def steps(path: Path) -> list[dict[str, Any]]:
    return [step for job in parsed(path)["jobs"].values() for step in job["steps"]]


def commands(path: Path) -> list[list[str]]:
    """Every `uv run …` of a workflow, hook or script, as words."""
    found = re.findall(r"\buv run ([^|>\n]+)", path.read_text(encoding="utf-8"))
    return [shlex.split(line.strip().rstrip("`").strip()) for line in found]


def trouble(words: list[str]) -> str | None:
    """What is wrong with a command of this project's environment, if anything."""
    tool, *arguments = words
    if not Path(sys.executable).with_name(tool).exists():
        return f"{tool} is not installed by `uv sync`"
    if tool != "bench":
        return None
    group: Any = typer.main.get_command(app)
    command = group.commands.get(arguments[0])
    if command is None:
        return f"bench has no command {arguments[0]}"
    known = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}
    unknown = [word for word in arguments if word.startswith("--") and word.partition("=")[0] not in known]
    return f"bench {arguments[0]} has no {unknown}" if unknown else None


CALLERS = [*WORKFLOWS, REPOSITORY / ".ci" / "run", REPOSITORY / ".pre-commit-config.yaml"]


@pytest.mark.parametrize("path", CALLERS, ids=lambda path: path.name)
def test_commands_that_are_called_exist(path: Path) -> None:
    called = commands(path)
    assert called
    assert [(words, told) for words in called if (told := trouble(words))] == []


def test_a_command_that_does_not_exist_is_found() -> None:
    assert trouble(["ruf", "check"]) == "ruf is not installed by `uv sync`"
    assert trouble(["bench", "rum"]) == "bench has no command rum"
    assert trouble(["bench", "run", "--taks", "all"]) == "bench run has no ['--taks']"


def test_every_workflow_runs_on_pull_requests_with_steps_that_do_something() -> None:
    assert len(WORKFLOWS) == 2
    for path in WORKFLOWS:
        content = parsed(path)
        assert "pull_request" in content[True], "YAML reads the key `on` as true"
        assert content["permissions"] == {"contents": "read"}
        assert all(("uses" in step) != ("run" in step) for step in steps(path))


def test_the_tests_workflow_runs_what_ci_runs_on_both_ends_of_python() -> None:
    path = REPOSITORY / ".github" / "workflows" / "tests.yml"
    in_ci = commands(REPOSITORY / ".ci" / "run")
    own = commands(path)
    assert own == [words for words in in_ci if words[0] != "bench"]
    versions = parsed(path)["jobs"]["tests"]["strategy"]["matrix"]["python"]
    assert versions[0] == PROJECT["requires-python"].removeprefix(">=").rpartition(".")[0]
    assert versions == sorted(versions, key=lambda version: int(version.partition(".")[2])) and len(versions) > 1


def test_ci_and_the_readme_test_with_the_same_command() -> None:
    tests = [words for words in commands(REPOSITORY / ".ci" / "run") if words[0] == "pytest"]
    assert tests == [["pytest"]]
    for page in ("README.md", "CONTRIBUTING.md"):
        assert "uv run pytest" in (REPOSITORY / page).read_text(encoding="utf-8"), page


@pytest.mark.parametrize("path", FORMS, ids=lambda path: path.name)
def test_issue_forms_are_whole(path: Path) -> None:
    form = parsed(path)
    assert form["name"] and form["description"] and form["labels"]
    identifiers = [element["id"] for element in form["body"]]
    assert len(set(identifiers)) == len(identifiers)
    for element in form["body"]:
        assert element["type"] in {"input", "textarea", "dropdown", "checkboxes"}
        assert element["attributes"]["label"]
        assert ("options" in element["attributes"]) == (element["type"] in {"dropdown", "checkboxes"})
    assert any(element.get("validations", {}).get("required") for element in form["body"])


def test_there_is_a_form_for_each_kind_of_issue() -> None:
    assert {path.stem for path in FORMS} == {"bug", "wrong-number", "new-plugin"}


def test_the_citation_is_of_this_version() -> None:
    citation = parsed(REPOSITORY / "CITATION.cff")
    assert citation["cff-version"] == "1.2.0"
    assert {"message", "title", "authors"} <= citation.keys()
    assert (str(citation["version"]), citation["license"]) == (PROJECT["version"], PROJECT["license"])
