"""Says a logical form in English: picks a template and words, keyed by a random stream."""

from __future__ import annotations

from dataclasses import dataclass

from tasks.scenes.counter_rng import Stream
from tasks.scenes.lexicons import LEXICONS, NUMBERS, Lexicon, article, plural
from tasks.scenes.meaning import Description, LogicalForm
from tasks.scenes.templates import RELATION_WORDS, TEMPLATES, Signature

_ADJECTIVES = ("size", "pose", "colour", "pattern", "part")


@dataclass(frozen=True, slots=True)
class Voice:
    """A way of speaking: which words and which templates."""

    lexicon: str = "training"
    templates: str = "training"


TRAINING_VOICE = Voice()


def signature_of(form: LogicalForm) -> Signature:
    """Which row of templates can say a logical form."""
    return (form["plan"], bool(form.get("objects")), "ground" in form)


def say(form: LogicalForm, draw: Stream, voice: Voice = TRAINING_VOICE) -> str:
    """One caption that means `form`: capitalised, with a full stop."""
    lexicon = LEXICONS[voice.lexicon]
    template = draw.choice(TEMPLATES[voice.templates][signature_of(form)])
    text = template.format(**_slots(form, lexicon, draw))
    return text[0].upper() + text[1:]


def _slots(form: LogicalForm, lexicon: Lexicon, draw: Stream) -> dict[str, str]:
    slots: dict[str, str] = {}
    objects = form.get("objects", [])
    if "count" in form:
        slots |= _count_slots(form, lexicon, draw)
    else:
        for name, description in zip("AB", objects, strict=False):
            phrase = noun_phrase(description, lexicon, draw)
            slots[name] = f"{article(phrase)} {phrase}"
            slots[f"the_{name}"] = f"the {phrase}"
    if "relation" in form:
        slots["rel"], slots["inv"] = (draw.choice(words) for words in RELATION_WORDS[form["relation"]])
    if "ground" in form:
        slots["g"] = _ground(form, lexicon, draw)
    if "sky" in form:
        sky = draw.choice(lexicon.words["sky"][form["sky"]])
        slots["s"] = f"{article(sky)} {sky}"
    return slots


def _ground(form: LogicalForm, lexicon: Lexicon, draw: Stream) -> str:
    ground = draw.choice(lexicon.words["ground"][form["ground"]])
    if "ground_colour" not in form:
        return ground
    return f"{draw.choice(lexicon.words['ground_colour'][form['ground_colour']])} {ground}"


def _count_slots(form: LogicalForm, lexicon: Lexicon, draw: Stream) -> dict[str, str]:
    number: int = form["count"]
    phrase = noun_phrase(form["objects"][0], lexicon, draw, many=number != 1)
    words = f"exactly {NUMBERS[number]}" if number == 1 else NUMBERS[number]
    return {"n": words, "N": phrase, "be": "is" if number == 1 else "are"}


def noun_phrase(description: Description, lexicon: Lexicon, draw: Stream, *, many: bool = False) -> str:
    """A description without its article: adjectives, noun, and perhaps "with stripes and a hole"."""
    front: list[str] = []
    after: list[str] = []
    for factor in _ADJECTIVES:
        if factor not in description:
            continue
        value = description[factor]
        word = draw.choice(lexicon.words[factor][value])
        behind = lexicon.after_with.get(factor, {}).get(value)
        if behind is not None and draw.chance(350):
            after.append(behind)
        else:
            front.append(word)
    shape = description.get("shape")
    noun = draw.choice(lexicon.words["shape"][shape] if shape else lexicon.generic_nouns)
    words = [*front, plural(noun) if many else noun]
    return " ".join(words) + (f" with {' and '.join(after)}" if after else "")


def paraphrase(form: LogicalForm, *key: int | str, voice: Voice = TRAINING_VOICE) -> str:
    """Another caption of exactly the same meaning; equal keys give equal captions."""
    return say(form, Stream("paraphrase", *key), voice)
