"""What a language model reads for a class: its name in prompt templates."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from harness.errors import UsageError, nearest

PLAIN, SIMPLE, OPENAI = "plain", "simple", "openai-imagenet"
NAMED = (PLAIN, SIMPLE, OPENAI)


def read_templates(wish: str) -> tuple[str, ...]:
    """Find templates by name (plain, simple, openai-imagenet), or read a file with one a line; raises UsageError.

    Each has one `{}` where the class name goes. `openai-imagenet` are the 80 of CLIP (Radford et al. 2021,
    arXiv 2103.00020) as open_clip ships them.
    """
    if wish == PLAIN:
        return ("{}",)
    if wish == SIMPLE:
        return ("a photo of a {}.",)
    if wish == OPENAI:
        from open_clip.zero_shot_metadata import OPENAI_IMAGENET_TEMPLATES

        return tuple(template("{}") for template in OPENAI_IMAGENET_TEMPLATES)
    return _read_file(Path(wish).expanduser())


def check_templates(wish: str) -> str:
    """Return what names templates, without loading them; raises UsageError for neither a name nor a file."""
    if wish not in NAMED:
        _read_file(Path(wish).expanduser())
    return wish


def fill(templates: Sequence[str], names: Sequence[str]) -> tuple[str, ...]:
    """Put each name into each template."""
    return tuple(template.replace("{}", name) for template in templates for name in names)


def _read_file(path: Path) -> tuple[str, ...]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
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
