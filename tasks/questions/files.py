"""Questions on disk: VQA v2's pairs of files, POPE's lines, GQA's objects, simple JSON and CSV, with their images."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import msgspec

from harness.errors import DataError, UsageError, nearest
from harness.protocols import DataContext
from harness.sample import Dataset, Sample
from harness.storage.content import Contents
from harness.storage.remembered import Remembered, name_of_content
from tasks.datasets.shared_images import KnownImage, shared_images
from tasks.datasets.split_roles import Roles, folder_dataset, part_of, roles_of, stored_split
from tasks.formats.digests import digest_of_files
from tasks.formats.question_images import find_images
from tasks.formats.question_rows import QuestionRow, looks_like_questions, read_question_rows
from tasks.formats.vqa_json import find_vqa_files, read_vqa, subtype_of
from tasks.questions.judging import right_answers
from tasks.questions.kept_samples import question_code
from tasks.questions.target import CHOICE, NO, NUMBER, SHORT, YES, YES_NO, QuestionTarget
from tasks.table_data.columns import role_in_path

_SUFFIXES = (".json", ".jsonl", ".csv")
_STANDARD = ("train", "val", "test")
_FORM_WORDS = 2
WANTED = (
    "VQA's *_questions.json with *_annotations.json, or .json, .jsonl or .csv of question_id, image, question, answer"
)


@dataclass(frozen=True)
class QuestionFiles:
    """The files of a split: one, or VQA's questions and annotations."""

    questions: Path
    annotations: Path | None = None

    @property
    def paths(self) -> tuple[Path, ...]:
        """All of them."""
        return (self.questions,) if self.annotations is None else (self.questions, self.annotations)


def find_question_files(root: Path) -> dict[str, QuestionFiles]:
    """Find the files of each split: train, val or test where names say so, else a split as each file is called.

    Raises DataError for a folder without any, and for two files of one split.
    """
    if root.is_file():
        return {role_in_path(root.name) or root.stem: QuestionFiles(root)}
    if not root.is_dir():
        raise DataError(f"No folder {root}. Give --data a folder with {WANTED}.")
    folders = [root, root / "annotations", root / "questions"]
    pairs = [QuestionFiles(*files) for folder in folders for files in find_vqa_files(folder).values()]
    singles = [
        QuestionFiles(path)
        for folder in folders
        if folder.is_dir() and not pairs
        for path in sorted(folder.iterdir())
        if path.suffix.lower() in _SUFFIXES and looks_like_questions(path)
    ]
    found: dict[str, QuestionFiles] = {}
    for files in pairs or singles:
        split = role_in_path(files.questions.name) or files.questions.stem
        if split in found:
            raise DataError(f"{root}: {found[split].questions.name} and {files.questions.name} are both of {split}. "
                            "Keep one, or give the file itself with --data.")  # fmt: skip
        found[split] = files
    if not found:
        raise DataError(f"{root} has no questions. Wanted {WANTED}.")
    return found


def open_questions_on_disk(root: Path, context: DataContext) -> Dataset:
    """Open a folder of questions, or one file of them; raises DataError."""
    found = find_question_files(root)
    named = set(found) <= set(_STANDARD)
    roles = roles_of(root, found, context.split) if named else _evaluated(found)
    given = context.settings.get("images")
    images = None if given is None else Path(str(given)).expanduser()
    if images is not None and not images.is_dir():
        raise UsageError(f"task.images={given}: there is no such folder.")
    contents = Contents(context.cache, context.progress)
    splits = {split: _read(root, found[split], images) for split in roles.stored}
    known = {s: [KnownImage(q.sample_id, q.image, str(q.image)) for q in samples] for s, samples in splits.items()}
    every = {image.path: image.path.name for images_of in known.values() for image in images_of}
    options = {"questions": {split: [path.name for path in found[split].paths] for split in roles.stored}}
    digest = digest_of_files(
        [json.dumps(options, sort_keys=True)],
        [path for split in roles.stored for path in found[split].paths],
        sorted((name, path) for path, name in every.items()),
        contents,
    )
    folder = root if root.is_dir() else root.parent
    if images is not None:
        options["images"] = {"": [str(images.resolve())]}
    notes = shared_images(known, contents)
    return folder_dataset(folder, roles, "questions", digest, options=options, cache=context.cache, notes=notes)


def questions_of_split(data: Dataset, split: str) -> list[Sample]:
    """Read a split in the order of its file."""
    stored = stored_split(data, split)
    names = data.options["questions"].get(stored)
    if names is None:
        raise UsageError(f"No split '{split}' in {data.root}. {nearest(split, data.splits)}")
    below = ("", "annotations", "questions")
    paths = [next(data.root / f / name for f in below if (data.root / f / name).is_file()) for name in names]
    images = data.options.get("images")
    folder = Path(images[""][0]) if images else None
    return part_of(data, split, _read(data.root, QuestionFiles(*paths), folder))


def _evaluated(found: Mapping[str, QuestionFiles]) -> Roles:
    names = tuple(found)
    return Roles(names, names, None, names[0], None)


def _read(root: Path, files: QuestionFiles, images: Path | None) -> list[Sample]:
    stamps = tuple((path, path.stat().st_mtime_ns) for path in files.paths)
    return list(_read_once(root if root.is_dir() else root.parent, files, images, stamps))


@lru_cache(maxsize=8)
def _read_once(root: Path, files: QuestionFiles, images: Path | None, stamps: object) -> tuple[Sample, ...]:
    """Read a split as its files were last changed (`stamps`)."""
    if files.annotations is None:
        rows, subtype = read_question_rows(files.questions), ""
    else:
        rows, subtype = read_vqa(files.questions, files.annotations), subtype_of(files.questions)
    paths = find_images(root, [row.image for row in rows], subtype, images)
    places: dict[tuple[str, str], int] = {}
    samples = []
    for row, path in zip(rows, paths, strict=True):
        number = places.setdefault((row.group, row.question), len(places)) if row.group else 0
        samples.append(Sample(row.question_id, path, target_of(row, number), row.question, options_of(row)))
    return tuple(samples)


def options_of(row: QuestionRow) -> tuple[str, ...]:
    """The options that a row states; yes and no where these are its answers."""
    if row.options:
        return row.options
    return (YES, NO) if _is_yes_or_no(row) else ()


def target_of(row: QuestionRow, number: int) -> QuestionTarget:
    """Say what is right for a row; `number` tells the questions of its group apart."""
    options = options_of(row)
    accepted = tuple(answer.casefold() for answer in row.answers) if _is_yes_or_no(row) else row.answers
    lettered = _by_letter(accepted, options)
    kind = YES_NO if set(options) == {YES, NO} else CHOICE if options else SHORT
    if kind == SHORT and all(answer.isdigit() for answer in _commonest(row.answers)):
        kind = NUMBER
    form = row.form or " ".join(row.question.casefold().split()[:_FORM_WORDS])
    return QuestionTarget(
        accepted=lettered,
        kind=kind,
        form=form,
        image_id=row.image,
        cluster=row.group or row.image,
        options=options,
        group=row.group,
        question=str(number) if row.group else "",
        slices=(row.form,) if row.form else (),
        chance=1 / len(options) if options else 0.0,
    )


def _by_letter(accepted: tuple[str, ...], options: Sequence[str]) -> tuple[str, ...]:
    """Answers that are letters of options, as in many files of multiple choice, turned into the options' texts."""
    letters = {chr(ord("A") + place): option for place, option in enumerate(options[:26])}
    known = {option.casefold() for option in options}
    if not options or any(answer.casefold() in known for answer in accepted):
        return accepted
    if not all(answer.strip("(). ").upper() in letters for answer in accepted):
        raise DataError(f"The answer {accepted[0]!r} is none of the options {', '.join(options)}. Mend the file.")
    return tuple(letters[answer.strip("(). ").upper()] for answer in accepted)


def _is_yes_or_no(row: QuestionRow) -> bool:
    words = {answer.casefold() for answer in (row.options or _commonest(row.answers))}
    return bool(words) and words <= {YES, NO}


def _commonest(answers: Sequence[str]) -> list[str]:
    counts = Counter(answers)
    most = max(counts.values(), default=0)
    return [answer for answer, count in counts.items() if count == most]


@dataclass(frozen=True)
class TrainingAnswers:
    """What training says of answers: the commonest, and by form of question the one that is commonest alone."""

    answers: tuple[str, ...] = ()
    priors: Mapping[str, str] = field(default_factory=dict)


def training_answers(data: Dataset, most: int) -> TrainingAnswers:
    """Read what the training split says of answers, from the cache where this code has read it before."""
    if data.training_split is None or data.cache is None:
        return TrainingAnswers()
    memory = Remembered("question-answers", data.cache)
    name = name_of_content(question_code(), data.digest, str(most))
    known = memory.find([name]).get(name)
    if known is not None:
        return msgspec.json.decode(known, type=TrainingAnswers)
    targets = [sample.target for sample in questions_of_split(data, data.training_split)]
    found = TrainingAnswers(answer_vocabulary(targets, most), priors_of(targets))
    memory.keep({name: msgspec.json.encode(found)})
    return found


def answer_vocabulary(targets: Sequence[QuestionTarget], most: int) -> tuple[str, ...]:
    """The commonest answers of these targets, each counted once a question; of equally common ones the first by name.

    >>> target = QuestionTarget(("red", "red", "pink"), "short", "", "1", "1")
    >>> answer_vocabulary([target, target], 1)
    ('red',)
    """
    counts: Counter[str] = Counter()
    for target in targets:
        counts.update(right_answers(target))
    ordered = sorted(counts, key=lambda answer: (-counts[answer], answer))
    return tuple(ordered[:most])


def priors_of(targets: Sequence[QuestionTarget]) -> dict[str, str]:
    """The answer that is commonest alone among the questions of a form, of forms with two questions at least."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for target in targets:
        counts[target.form].update(right_answers(target))
    found = {}
    for form, own in counts.items():
        ordered = own.most_common(2)
        if ordered[0][1] > 1 and (len(ordered) == 1 or ordered[0][1] > ordered[1][1]):
            found[form] = ordered[0][0]
    return found
