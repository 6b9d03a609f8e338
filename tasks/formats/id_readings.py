"""What the ids in a file of predictions stand for: one reading for the whole file, never one for each id."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.errors import DataError
from harness.sample import Note
from harness.text.spelling import normal_form


@dataclass(frozen=True)
class IdReading:
    """One way to take ids for samples: `words` say what the ids then are, `sample_of` gives the sample of each."""

    words: str
    sample_of: Mapping[str, str]

    def sample(self, given: str) -> str | None:
        """The sample that an id stands for; names may be composed (NFC) or decomposed (NFD). None where it is none."""
        return self.sample_of.get(given, self.sample_of.get(normal_form(given)))


def ids_themselves(sample_ids: Sequence[str]) -> IdReading:
    """Take ids for the samples' own."""
    return IdReading("sample ids", _by_normal_form({key: key for key in sample_ids}))


def image_stems(images: Mapping[str, Path]) -> IdReading:
    """Take ids for the names of image files without their suffix, where each means one sample only."""
    stems = Counter(path.stem for path in images.values())
    return IdReading(
        "names of image files", _by_normal_form({p.stem: i for i, p in images.items() if stems[p.stem] == 1})
    )


def numbers_of_names(sample_ids: Sequence[str]) -> IdReading:
    """Take ids for the numbers that names are: "2007_000027" is 2007000027, "000005" is 5. None where two are one."""
    digits = {key: key.replace("_", "") for key in sample_ids}
    number_of = {key: str(int(text)) for key, text in digits.items() if text.isascii() and text.isdigit()}
    unique = len(set(number_of.values())) == len(number_of)
    return IdReading(
        "numbers (without zeros in front and underscores)", {n: key for key, n in number_of.items()} if unique else {}
    )


def one_reading(given: Sequence[str], readings: Sequence[IdReading]) -> IdReading:
    """Choose the reading by which every id is a sample's; raises DataError where none is, and where two differ."""
    fitting = [reading for reading in readings if all(reading.sample(key) is not None for key in given)]
    for other in fitting[1:]:
        differ = [key for key in given if fitting[0].sample(key) != other.sample(key)]
        if differ:
            key = differ[0]
            raise DataError(
                f"The ids of the predictions can be read in two ways: '{key}' is the sample '{fitting[0].sample(key)}' "
                f"as one of the {fitting[0].words}, and '{other.sample(key)}' as one of the {other.words}; "
                f"{len(differ)} of {len(given)} differ. Name the predictions by ids that mean one sample only."
            )
    if fitting:
        return fitting[0]
    raise DataError(_no_reading(given, readings))


def reading_note(given: Sequence[str], chosen: IdReading, first: IdReading) -> tuple[Note, ...]:
    """Say how ids were read where that is not the plainest way, with an example."""
    other = [key for key in given if first.sample(key) != chosen.sample(key)]
    if not other:
        return ()
    text = f"ids of predictions are read as {chosen.words}: '{other[0]}' is the sample '{chosen.sample(other[0])}'"
    return (Note(text, None, len(other), len(given)),)


def _by_normal_form(sample_of: Mapping[str, str]) -> dict[str, str]:
    """Add the composed form of each key, where it means one sample only."""
    forms = Counter(normal_form(key) for key in sample_of)
    return {normal_form(key): value for key, value in sample_of.items() if forms[normal_form(key)] == 1} | {**sample_of}


def _no_reading(given: Sequence[str], readings: Sequence[IdReading]) -> str:
    parts = []
    for reading in readings:
        strange = [key for key in given if reading.sample(key) is None]
        has = ", ".join(list(dict.fromkeys(reading.sample_of))[:3])
        parts.append(
            f"as {reading.words} {len(strange)} of {len(given)} are unknown (first: {', '.join(strange[:3])}; "
            f"the split has {has or 'none'})"
        )
    return (
        f"The ids of the predictions are not those of the split: {'; '.join(parts)}. Write all ids one way, and score "
        "predictions against the split that they were made for."
    )
