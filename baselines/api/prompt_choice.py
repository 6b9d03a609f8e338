"""Which prompt is asked, and how one of several options is found: as the user says, or as the server can."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from baselines.api.address import EndpointError
from baselines.api.findings import OF_PROMPT, TOP, Findings
from baselines.api.settings import AUTO, FIRST_TOKEN, GENERATION, LIKELIHOOD, ApiSettings
from baselines.prompts.prompt import LETTERS, Prompt, slots_of
from baselines.prompts.prompt_file import choose_prompt, read_prompts
from harness.answers import CAPTIONS, CHOICES, LABELS, form_of
from harness.errors import UsageError

_MOST_LETTERS = 26
_LETTERED = Prompt(
    "letters", "{text}\nWhich of these is shown in the image?\n{options}\nAnswer with the letter only.", options=LETTERS
)
"""Of classes by the first token: names may begin with the same token, letters do not."""


@dataclass(frozen=True)
class Way:
    """A prompt, how an option is found, and how many log-probabilities are asked for."""

    prompt: Prompt
    by: str
    top_logprobs: int


def candidate_prompts(kind: str, settings: ApiSettings) -> tuple[Prompt, ...]:
    """Name the prompts that may be taken for a kind of answer: the one that the user names, else all that are there."""
    found = read_prompts(settings.prompts, kind) if settings.prompts else read_prompts("builtin", kind)
    if settings.prompt_name:
        return (choose_prompt(found, settings.prompt_name),)
    if form_of(kind) == LABELS and not settings.prompts:
        return (*found, _LETTERED)
    return found


def choose_way(kind: str, settings: ApiSettings, findings: Findings, classes: int) -> Way:
    """Choose for a kind of answer and so many classes; raises EndpointError for a way that the server lacks."""
    form = form_of(kind)
    prompts = candidate_prompts(kind, settings)
    if form == CAPTIONS:
        return Way(prompts[0], GENERATION, 0)
    by = _way_of_options(settings, findings, classes if form == LABELS else 1)
    prompt = _fitting(prompts, by, form, settings)
    return Way(prompt, by, findings.top_logprobs if by == FIRST_TOKEN else 0)


def _way_of_options(settings: ApiSettings, findings: Findings, classes: int) -> str:
    known, wish = findings.log_probabilities, settings.options_by
    fits = known == TOP and classes <= min(findings.top_logprobs, _MOST_LETTERS)
    if wish == AUTO:
        return FIRST_TOKEN if fits else LIKELIHOOD if known == OF_PROMPT else GENERATION
    if wish == FIRST_TOKEN and not fits:
        seen = f"{findings.top_logprobs} a token" if known == TOP else "none"
        raise EndpointError(
            f"model.options_by=first-token: the server gives log-probabilities of {seen}, for {classes} options. Take "
            "model.options_by=generation, or auto."
        )
    return wish


def _fitting(prompts: Sequence[Prompt], by: str, form: str, settings: ApiSettings) -> Prompt:
    """Take the first prompt that fits the way: one that shows options, but for likelihoods of whole texts."""
    if by == LIKELIHOOD:
        return prompts[0]
    showing = [prompt for prompt in prompts if "options" in slots_of(prompt.user)]
    if by == FIRST_TOKEN and form in (LABELS, CHOICES):
        showing = [prompt for prompt in showing if prompt.options == LETTERS] or showing
    if showing:
        return showing[0]
    if form == LABELS:
        return prompts[0]  # an answer in words is looked for among the names
    raise UsageError(
        f"The prompt '{prompts[0].name}' shows no {{options}}, so that {by} finds none. Take another with "
        f"--set model.prompt_name=NAME{f' from {settings.prompts}' if settings.prompts else ''}, or a server that "
        "gives log-probabilities of requests."
    )
