"""What a tuning policy says of itself (entry points `bench.tuning`). Cheap to import: no torch here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from baselines.load_options import keep_frozen_in
from baselines.settings import Settings
from harness.errors import PluginError, UsageError
from harness.plan.parts import load_code, load_part, load_parts

if TYPE_CHECKING:
    from baselines.tuning.transformer import Transformer

GROUP = "tuning"


@dataclass(frozen=True)
class TuningPolicy:
    """Which weights of a pretrained language model move (`--tune NAME`).

    `apply` names a function (`package.module:function`) that takes a `Transformer` and the policy's own settings
    (`--set model.NAME=VALUE`, with their defaults in `settings`). It sets `requires_grad` in place, all pretrained
    weights being trainable before, and may put small new parts into the model. Weights that are new (fusion, a head
    that the checkpoint lacks) are trained under every policy.
    """

    name: str
    summary: str
    apply: str
    settings: Mapping[str, int | float | str] = field(default_factory=dict)


def find_policy(name: str) -> TuningPolicy:
    """Load what a policy says of itself; raises UsageError for an unknown one, PluginError for one that misfits."""
    policy = load_part(GROUP, name)
    if not isinstance(policy, TuningPolicy):
        raise PluginError(f"The tuning policy '{name}' is a {type(policy).__name__}; wanted a TuningPolicy.")
    return policy


def installed_policies() -> list[TuningPolicy]:
    """Every installed policy that works, in the order of their names."""
    return [policy for policy in load_parts(GROUP)[0] if isinstance(policy, TuningPolicy)]


def apply_policy(name: str, language: Transformer, settings: Settings) -> None:
    """Change a language model as a policy says, with what was set of its own settings.

    What it leaves frozen is kept in the dtype of the settings. Raises UsageError where it trains what is quantised.
    """
    policy = find_policy(name)
    try:
        load_code(policy.apply)(language, settings.of_part(policy.settings))
    except RuntimeError as error:
        if settings.load.quantise == "none":
            raise
        raise UsageError(
            f"--tune {name} trains weights of {language.name} that model.quantise={settings.load.quantise} keeps as "
            f"whole numbers ({error}). Take --tune lora or frozen, or leave model.quantise out."
        ) from error
    if settings.load.dtype != "fp32":
        keep_frozen_in(language.model, settings.load.torch_dtype)
