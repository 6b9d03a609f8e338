"""The pages of docs/ are true: what a reader copies from them works as it stands there, in a package of their own."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import timm
from safetensors.torch import save_file

from harness.judge.verdict.verdict import CLAIMS
from tests.conftest import REPOSITORY, Bench
from tests.tasks.squares import write_squares
from tests.warm_bench import WarmServer

DOCS = REPOSITORY / "docs"
PAGES = sorted(path.name for path in DOCS.glob("*.md"))
GENERATED = {"options.md", "models.md"}
RUN = ["own-model.md", "own-operator.md", "own-task.md", "own-perturbation.md", "own-metric.md"]
_LINK = re.compile(r"\]\(([^)#\s]+?)(#[^)]*)?\)")


@dataclass(frozen=True)
class Block:
    """A fenced block: what stands behind the fence (`python my_models.py`), and its lines."""

    kind: str
    name: str
    text: str


def blocks(page: str) -> Iterator[Block]:
    text = (DOCS / page).read_text(encoding="utf-8")
    for fence in re.finditer(r"^```(\w+) ?(\S*)\n(.*?)^```$", text, re.M | re.S):
        yield Block(fence[1], fence[2], fence[3])


def install_page(page: str, site: Path) -> None:
    """Put the files of a page into a folder, and its entry points beside them, as an installer does."""
    site.mkdir(exist_ok=True)
    for block in blocks(page):
        if block.kind == "python" and block.name:
            (site / block.name).write_text(block.text)
        if block.kind == "toml" and block.name == "pyproject.toml":
            import tomllib

            project = tomllib.loads(block.text)["project"]
            information = site / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
            information.mkdir()
            (information / "METADATA").write_text(
                f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
            )
            groups = [
                f"[{group}]\n" + "".join(f"{name} = {value}\n" for name, value in entries.items())
                for group, entries in project["entry-points"].items()
            ]
            (information / "entry_points.txt").write_text("\n".join(groups))


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory, warm: WarmServer) -> Bench:
    """Somebody who has copied every page of a plugin into one folder, beside a folder of photographs."""
    folder = tmp_path_factory.mktemp("reader")
    for page in RUN:
        install_page(page, folder / "site")
    write_squares(folder / "photos", {"train": 6, "val": 2, "test": 2})
    save_file(timm.create_model("mobilenetv3_small_050").state_dict(), folder / "backbone.safetensors")
    return Bench(folder, {"BENCH_CACHE": str(folder / "cache"), "PYTHONPATH": str(folder / "site")}, warm)


@pytest.mark.parametrize("page", RUN)
def test_the_commands_of_a_page_work(page: str, reader: Bench) -> None:
    commands = [line for block in blocks(page) if block.kind == "console" for line in block.text.splitlines()]
    assert any("bench run" in command for command in commands)
    own = [
        name
        for block in blocks(page)
        if block.kind == "toml"
        for name in re.findall(r'^(\S+) = "my_', block.text, re.M)
    ]
    shown = ""
    for command in commands:
        ended = reader(*shlex.split(command)[1:])
        assert ended.returncode == 0, f"{command}\n{ended.stdout}\n{ended.stderr}"
        shown += ended.stdout
    assert own and all(name in shown for name in own)


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere_and_pages_are_short(page: str) -> None:
    text = (DOCS / page).read_text(encoding="utf-8")
    for link in _LINK.finditer(text):
        if not link[1].startswith(("http:", "https:")):
            assert (DOCS / link[1]).exists(), f"{page} links to {link[1]}"
    assert page in GENERATED or text.count("\n") <= 150


def test_the_readme_is_short_and_its_links_lead_somewhere() -> None:
    text = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    assert text.count("\n") <= 150
    for link in _LINK.finditer(text):
        if not link[1].startswith(("http:", "https:")):
            assert (REPOSITORY / link[1]).exists(), f"README.md links to {link[1]}"


@pytest.mark.parametrize("page", [*PAGES, "../README.md", "../CONTRIBUTING.md"])
def test_files_and_modules_that_are_named_are_there(page: str) -> None:
    text = (DOCS / page).read_text(encoding="utf-8")
    for path in re.findall(r"(?<![\w/.-])((?:harness|tasks|baselines|tests|runs|docs)/[\w/.-]+\w)", text):
        assert (REPOSITORY / path).exists(), f"{page} names {path}"


@pytest.mark.slow
def test_the_verdict_of_the_readme_is_what_the_command_prints(reader: Bench) -> None:
    text = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    command = re.search(r"^    uv run (bench verdict --task .*)$", text, re.M)
    shown = text.partition("```verdict\n")[2].partition("\n```")[0]
    assert command and shown
    arguments = [
        str(REPOSITORY / word) if word.startswith("results/") else word for word in shlex.split(command[1])[1:]
    ]
    printed, wanted = reader(*arguments).stdout.splitlines(), shown.splitlines()
    assert printed[: len(wanted)] == wanted, "copy what the command prints"


def test_the_concepts_name_every_claim_and_control() -> None:
    text = (DOCS / "concepts.md").read_text(encoding="utf-8")
    assert all(f"| `{name}` |" in text for name in CLAIMS)
    assert all(f"| {control} |" in text for control in ("C0", "C1", "C2", "C3", "C4", "C5", "C6"))
