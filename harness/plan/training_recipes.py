"""Modifiers that change how a model is trained: `film+mixup`, `film+replay:0.5`, `film+lora`.

Each is a shorter way to write settings of a run for single models of it: a row names them as settings, and controls of
the model are trained by the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from harness.cell import TrainOptions
from harness.errors import UsageError
from harness.option_fields import Declared, declared
from harness.plan.modifiers import Modifier, load_modifier, split_modifiers
from harness.record import name_of, split_name

if TYPE_CHECKING:
    from harness.plan.config import RunConfig


@dataclass(frozen=True)
class TrainingRecipe:
    """A modifier that sets an option of training, to `value` where no argument is given.

    `option` is a field of `TrainOptions`, or `tune` for the tuning policy of the language model.
    """

    name: str
    summary: str
    option: str
    value: str

    def check(self, argument: str) -> None:
        """Raise UsageError for a value that the option does not take."""
        if self.option != "tune":
            _read(self._declared, argument or self.value, self.name)
        elif argument:
            raise UsageError(f"'+{self.name}:{argument}': wanted {self.name} alone.")

    def changed(self, config: RunConfig, argument: str) -> RunConfig:
        """The settings of a run with this one."""
        if self.option == "tune":
            request = replace(config.request, tune=self.value)
            return replace(config, request=request, options=replace(config.options, tune=self.value))
        changes: dict[str, Any] = {self.option: _read(self._declared, argument or self.value, self.name)}
        return replace(config, train=replace(config.train, **changes))

    @property
    def _declared(self) -> Declared:
        return next(each for each in declared(TrainOptions) if each.name == self.option)


def _read(option: Declared, text: str, name: str) -> str | int | float:
    """Read a value as the option declares it; raises UsageError."""
    if option.kind is str:
        if text not in option.choices:
            raise UsageError(f"'+{name}:{text}': wanted one of {', '.join(option.choices)}.")
        return text
    try:
        value: int | float = int(text) if option.kind is int else float(text)
    except ValueError:
        raise UsageError(f"'+{name}:{text}': wanted a number, as +{name}:{option.default or 1}.") from None
    limits = option.range
    low = limits is not None and limits.ge is not None and value < limits.ge
    high = limits is not None and limits.lt is not None and value >= limits.lt
    if low or high or value != value:
        raise UsageError(f"'+{name}:{text}': wanted a number that is {limits}.")
    return value


def by_recipe(config: RunConfig) -> list[RunConfig]:
    """Divide a run by the recipes of its models, those without one first; raises UsageError as modifiers do."""
    found: dict[tuple[str, ...], list[str]] = {}
    recipes: dict[tuple[str, ...], list[Modifier]] = {(): []}
    for whole in config.models:
        name, control = split_name(whole)
        base, words = split_modifiers(name)
        modifiers = [load_modifier(word) for word in words]
        own = [each for each in modifiers if isinstance(each.plugin, TrainingRecipe)]
        rest = [each.word for each in modifiers if each not in own]
        _require_one_each(whole, own)
        key = tuple(each.word for each in own)
        recipes[key] = own
        found.setdefault(key, []).append(name_of("+".join([base, *rest]), control) if own else whole)
    if set(found) <= {()}:
        return [config]
    divided = []
    for key in sorted(found, key=lambda key: key != ()):
        own_config = replace(config, request=replace(config.request, model=",".join(found[key])))
        for each in recipes[key]:
            own_config = each.plugin.changed(own_config, each.argument)
        divided.append(own_config)
    return divided


def _require_one_each(whole: str, recipes: Sequence[Modifier]) -> None:
    options = [each.plugin.option for each in recipes]
    twice = next((each for each in recipes if options.count(each.plugin.option) > 1), None)
    if twice is not None:
        raise UsageError(f"'{whole}': '+{twice.word}' and another one set the same option. Name one of them.")


ACQUIRE = TrainingRecipe("acquire", "labels go to images that a rule chooses, :entropy", "acquire", "entropy")
ADVERSARIAL = TrainingRecipe("adversarial", "trained on pixels that PGD moves within :4 of 255", "adversarial", "4")
AUGMIX = TrainingRecipe("augmix", "training images mixed with changed copies of themselves", "augment", "augmix")
CUTMIX = TrainingRecipe("cutmix", "images of classes get a part of another one", "mix", "cutmix")
DROPOUT = TrainingRecipe("dropout", "dropout of :0.3", "dropout", "0.3")
EARLY_STOPPING = TrainingRecipe("early-stopping", "training ends after :2 validations without a gain", "patience", "2")
ENSEMBLE = TrainingRecipe("ensemble", "the mean of :3 members trained from seeds of their own", "ensemble", "3")
IA3 = TrainingRecipe("ia3", "its language model tuned by IA3", "tune", "ia3")
KEEP = TrainingRecipe("keep", "WiSE-FT in later stages of a sequence, :0.5 of the weights before", "keep", "0.5")
LORA = TrainingRecipe("lora", "its language model tuned by LoRA", "tune", "lora")
MIXUP = TrainingRecipe("mixup", "images of classes are mixed in training", "mix", "mixup")
PSEUDO_LABELS = TrainingRecipe(
    "pseudo-labels", "images without labels by its own answers of :0.95 or more", "unlabelled", "0.95"
)
PULL = TrainingRecipe("pull", "weights pulled by :0.5 to those before a later stage (L2-SP)", "pull", "0.5")
RANDAUGMENT = TrainingRecipe("randaugment", "random changes of training images", "augment", "randaugment")
REPLAY = TrainingRecipe("replay", "a share of :0.5 of a later stage's samples from earlier ones", "replay", "0.5")
SOUP = TrainingRecipe("soup", "the mean of the weights of the :3 best validations", "soup", "3")
WORD_EDITS = TrainingRecipe("words", "words of training texts left out (or :word-synonym)", "words", "word-delete")
