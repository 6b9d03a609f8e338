"""What a fusion operator says of itself (entry points `bench.fusion`). Cheap to import: no torch here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from harness.errors import PluginError
from harness.plan.parts import load_part, part_names

GROUP = "fusion"


@dataclass(frozen=True)
class FusionOperator:
    """A way for images and language to meet, under one name for every task whose head can take it.

    `features` names the class (`package.module:Class`) that joins visual tokens with texts
    (`baselines.fusion.feature_fusion.FeatureFusion`), for all heads that answer from features; `decoder` the one that
    feeds a language model that writes (`baselines.fusion.decoder_fusion.DecoderFusion`). One of them is enough.
    `reads_pooled`: its features take one vector a text, so that it can read each class by itself. `keeps_places`: token
    n of what it returns is still about place n of the image; without this it serves no head that answers about places.
    `settings` are its own options with their defaults (`--set model.NAME=VALUE`), handed over as `shape.settings`;
    those in `decoder_only` its decoder side alone has.
    """

    name: str
    summary: str
    features: str | None = None
    decoder: str | None = None
    reads_pooled: bool = False
    keeps_places: bool = True
    settings: Mapping[str, int | float | str] = field(default_factory=dict)
    decoder_only: tuple[str, ...] = ()

    @property
    def feature_settings(self) -> dict[str, int | float | str]:
        """What its side of features has of the settings."""
        return {name: default for name, default in self.settings.items() if name not in self.decoder_only}


def operator_names() -> list[str]:
    """Name every installed operator."""
    return part_names(GROUP)


def find_operator(name: str) -> FusionOperator:
    """Load what an operator says of itself; raises UsageError for an unknown one, PluginError for one that misfits."""
    operator = load_part(GROUP, name)
    if not isinstance(operator, FusionOperator):
        raise PluginError(f"The fusion operator '{name}' is a {type(operator).__name__}; wanted a FusionOperator.")
    if operator.features is None and operator.decoder is None:
        raise PluginError(f"The fusion operator '{name}' has neither features nor a decoder; wanted one of them.")
    return operator
