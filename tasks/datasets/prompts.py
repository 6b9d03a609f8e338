"""What a language model reads for a class: its name in prompt templates."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from harness.errors import UsageError, nearest

PLAIN, SIMPLE, OPENAI = "plain", "simple", "openai-imagenet"
NAMED = (PLAIN, SIMPLE, OPENAI)


def read_templates(chosen: str | Sequence[str]) -> tuple[str, ...]:
    """Turn what `check_templates` chose into templates; each has one `{}` where the class name goes.

    `openai-imagenet` are the 80 of CLIP (Radford et al. 2021, arXiv 2103.00020) as open_clip ships them.
    """
    if not isinstance(chosen, str):
        return tuple(chosen)
    if chosen == PLAIN:
        return ("{}",)
    if chosen == SIMPLE:
        return ("a photo of a {}.",)
    from open_clip.zero_shot_metadata import OPENAI_IMAGENET_TEMPLATES

    return tuple(template("{}") for template in OPENAI_IMAGENET_TEMPLATES)


def check_templates(wish: Any) -> str | tuple[str, ...]:
    """Choose templates by name (plain, simple, openai-imagenet), or read a file with one a line; raises UsageError.

    A name stays a name, since open_clip is slow to import. A file gives its lines: digests of the data must hold
    what models read, not where it was written.
    """
    return str(wish) if wish in NAMED else _read_file(Path(str(wish)).expanduser())


def fill(templates: Sequence[str], names: Sequence[str]) -> tuple[str, ...]:
    """Put each name into each template."""
    return tuple(template.replace("{}", name) for template in templates for name in names)


def _read_file(path: Path) -> tuple[str, ...]:
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(
            f"--templates {path}: neither a file that can be read ({type(error).__name__}) nor a name. "
            f"{nearest(str(path), NAMED)}"
        ) from None
    templates = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    wrong = [template for template in templates if template.count("{}") != 1]
    if wrong or not templates:
        seen = f"'{wrong[0]}'" if wrong else "no template"
        raise UsageError(f"--templates {path} holds {seen}; wanted one {{}} in each line, where the class name goes.")
    return tuple(templates)


def spoken(name: str) -> str:
    """Write a class name as text: underscores are spaces."""
    return name.replace("_", " ")
