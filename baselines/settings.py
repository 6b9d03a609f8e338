"""The models' own options, `--set model.KEY=VALUE`: one frozen dataclass for all of them, and what parts bring.

A run hands the same settings to each of its models; a model takes those that concern it, and its
recipe holds no others. A key that neither a model nor an installed part (`harness.plan.parts`) knows is an error.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

from baselines.load_options import LOAD_SETTINGS, LoadOptions, load_options_of, read_load_options
from harness.errors import UsageError, nearest
from harness.plan.parts import part_defaults
from harness.protocols import BuildContext


@dataclass(frozen=True)
class Settings:
    """What can be set, with its default."""

    vision_stage: int = -1
    """Cut the backbone after this stage, 0 the first; -1 takes its last features."""
    vision_tune: str = "frozen"
    """frozen or full: whether the backbone's weights move."""
    language_layers: int = 0
    """Keep this many of the language model's first blocks; 0 keeps all."""
    layers: int = 3
    """Blocks of the decoder that is trained from scratch."""
    width: int = 256
    """Width of the decoder that is trained from scratch, and of the LSTM."""
    ffn: int = 0
    """Inner width of its feed-forward parts; 0 takes four times the width."""
    heads: int = 8
    """Attention heads of the decoder that is trained from scratch."""
    text_layers: int = 0
    """Keep this many blocks of the language model where it only reads class names, remarks or expressions; 0: all."""
    joint_width: int = 128
    """Width at which image and text meet, for labels, boxes and label maps."""
    join_layers: int = 2
    """Blocks of a fusion operator there."""
    grid: int = 0
    """Cells a side that the backbone's map must have there; 0 takes 7 for labels, 16 for boxes and label maps."""
    head: str = ""
    """The head that answers, where several can (`bench list heads`)."""
    box_head: str = "centre"
    """The head for boxes: centre (dense, learns in a minute), set (DETR's queries, for GPUs) or another one."""
    knowledge: str = ""
    """A table of facts about classes, FILE.csv (class, relation, value) or FILE.toml, for labels, boxes and maps."""
    knowledge_as: str = "texts"
    """texts or vectors: facts are words after each text of a class, or a vector beside the text's."""
    knowledge_rows: str = "own"
    """own, or shuffled: the control of a table of facts, in which each class is given those of another one."""
    min_count: int = 1
    """A word that the training captions have less often is unknown to decoders trained from scratch."""
    option_score: str = "sum"
    """sum or mean: the log-likelihood of a text among choices over its words, or for each of them."""
    neighbours: int = 0
    """Training images whose captions retrieval chooses among; 0 takes the model's own number."""
    clip: str = ""
    """The open_clip checkpoint that clip-* models adapt: NAME/TAG, NAME/./FILE, local-dir:FOLDER or hf-hub:OWNER/NAME;
    empty takes ViT-B-32/laion2b_s34b_b79k where it is in the Hugging Face cache."""
    context_vectors: int = 16
    """Vectors that CoOp learns in the place of a prompt's words."""
    adapter_ratio: float = 0.2
    """Share of the adapted image embedding in CLIP-Adapter, 0..1."""
    shots: int = 16
    """Training images a class in Tip-Adapter's cache; 0 keeps all."""
    wise_alpha: float = 0.5
    """Share of the fine-tuned weights in WiSE-FT, above 0 and up to 1; the rest are the zero-shot ones."""

    load: LoadOptions = field(default_factory=LoadOptions)
    """How pretrained weights are loaded: dtype, device_map, quantise, attention."""
    parts: Mapping[str, Any] = field(default_factory=dict)
    """What was given for the own settings of fusion operators, heads and tuning policies, by name."""

    def of_part(self, defaults: Mapping[str, Any]) -> dict[str, Any]:
        """The own settings of a part: what was given, else its defaults; raises UsageError for another type."""
        return {name: _converted(name, self.parts.get(name, value), type(value)) for name, value in defaults.items()}


_DEFAULTS = {each.name: each.default for each in fields(Settings) if each.name not in ("load", "parts")}


def setting_names() -> tuple[str, ...]:
    """Name what compositions take in `--set model.NAME=VALUE`: their own settings and those of all installed parts."""
    own = (*_DEFAULTS, *LOAD_SETTINGS)
    return (*own, *(name for name in part_defaults() if name not in own))


def read_settings(given: Mapping[str, Any]) -> Settings:
    """Check and convert settings; raises UsageError for an unknown key or a value of another type."""
    of_parts = part_defaults() if given else {}
    for key in given:
        if key not in (known := {*_DEFAULTS, *LOAD_SETTINGS, *of_parts}):
            raise UsageError(f"Unknown setting model.{key}. {nearest(key, known)}")
    own = {key: _converted(key, value, type(_DEFAULTS[key])) for key, value in given.items() if key in _DEFAULTS}
    parts = {key: _converted(key, value, type(of_parts[key])) for key, value in given.items() if key in of_parts}
    settings = Settings(**own, load=read_load_options(given), parts=parts)
    if settings.option_score not in ("sum", "mean"):
        raise UsageError(f"model.option_score={settings.option_score}: wanted sum or mean.")
    if settings.vision_tune not in ("frozen", "full"):
        raise UsageError(f"model.vision_tune={settings.vision_tune}: wanted frozen or full.")
    return settings


def settings_to_build(context: BuildContext) -> Settings:
    """The settings of a model that is being built, how it is loaded settled for its device."""
    return replace(read_settings(context.options.settings), load=load_options_of(context))


def settings_of(settings: Settings, *names: str) -> dict[str, Any]:
    """Pick settings by name, for a recipe."""
    return {name: getattr(settings, name) for name in names}


def _converted(key: str, value: Any, wanted: type) -> Any:
    try:
        converted = wanted(value)
    except (TypeError, ValueError):
        converted = None
    alike = isinstance(value, bool) == (wanted is bool)
    if converted is None or not alike or (wanted is int and str(converted) != str(value)):
        kind = {int: "a whole number", float: "a number", bool: "true or false"}.get(wanted, "text")
        raise UsageError(f"model.{key}={value!r}: wanted {kind}.")
    return converted
