"""Decodes the images of a split once and keeps them as uint8 pixels of the size that a tower wants."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import numpy.typing as npt

from harness.errors import BadSample
from harness.inputs.array_file import has_room, too_large_for, writing_array
from harness.inputs.decoding_memory import PixelBudget
from harness.inputs.sealed_files import find_or_make
from harness.protocols import NOTICE, Progress
from harness.read_ahead import reading_in_threads
from harness.sample import Preprocessing, Sample
from harness.storage.content import Contents

if TYPE_CHECKING:
    from PIL.Image import Image

Pixels = npt.NDArray[np.uint8]
Value = TypeVar("Value")
_TOLD_EVERY = 64
_TOO_LARGE = "has more than 178,956,970 pixels, which Pillow does not decode. Scale it down"
DECODER = 2
"""Raised whenever the same file would decode to other pixels: cached pixels carry it."""
_ORIENTATION_TAG = 0x0112
_UPRIGHT = (
    None, None, "FLIP_LEFT_RIGHT", "ROTATE_180", "FLIP_TOP_BOTTOM", "TRANSPOSE", "ROTATE_270", "TRANSVERSE",
    "ROTATE_90",
)  # fmt: skip
"""What makes an image upright, by its EXIF orientation (CIPA DC-008, 0x0112): 1 is upright, from 5 on sides swap."""


@dataclass(frozen=True)
class ImageSplit:
    """The readable samples of a split with their pixels; `skipped` says which ones were left out, and why.

    An image that several samples ask about is decoded and kept once: `paths` are the images and `rows` says which
    of them each sample has. `sizes` are width and height in px of the upright images on disk, `digests` their files'
    contents.
    """

    samples: tuple[Sample, ...]
    skipped: dict[str, str]
    preprocessing: Preprocessing
    cached: Pixels | None
    paths: tuple[Path, ...] = ()
    rows: tuple[int, ...] = ()
    sizes: tuple[tuple[int, int], ...] = ()
    digests: tuple[str, ...] = ()
    budget: PixelBudget = field(default_factory=PixelBudget, compare=False)

    def read(self, indices: Sequence[int]) -> Pixels:
        """Read the uint8 pixels of samples, `[B, 3, size, size]`, RGB."""
        return self.read_rows([self.rows[index] for index in indices])

    def read_rows(self, rows: Sequence[int]) -> Pixels:
        """Read the uint8 pixels of images, `[B, 3, size, size]`, RGB."""
        if self.cached is not None:
            return np.ascontiguousarray(self.cached[list(rows)])
        return np.stack([self.decode(row) for row in rows])

    def in_memory(self, count: int) -> ImageSplit:
        """The first `count` samples with pixels that are read now: whoever asks for them later reads no file."""
        samples, given = self.samples[:count], self.rows[:count]
        place = {row: new for new, row in enumerate(dict.fromkeys(given))}
        return replace(
            self,
            samples=samples,
            cached=self.read_rows(list(place)),
            paths=tuple(self.paths[row] for row in place),
            rows=tuple(place[row] for row in given),
            sizes=tuple(self.sizes[row] for row in place) if self.sizes else (),
            digests=tuple(self.digests[row] for row in place) if self.digests else (),
        )

    def upright(self, row: int) -> Image:
        """Decode one image whole, beside what other threads decode; BadSample names its file."""
        with self.budget.decoding(self.paths[row]):
            return upright_image(self.paths[row])

    def decode(self, row: int) -> Pixels:
        """Decode one image to uint8 `[3, size, size]`, beside what other threads decode; BadSample names its file."""
        with self.budget.decoding(self.paths[row]):
            return read_image(self.paths[row], self.preprocessing)

    def sizes_of(self, indices: Sequence[int]) -> tuple[tuple[int, int], ...]:
        """Width and height in px of the samples' images; empty where no image is wanted."""
        return tuple(self.sizes[self.rows[index]] for index in indices) if self.sizes else ()


def open_images(
    samples: Sequence[Sample], preprocessing: Preprocessing, cache: Path, on_bad: str, progress: Progress
) -> ImageSplit:
    """Decode a split, or find it in the cache; its pixels are kept where they fit on the disk (`array_file`).

    An unreadable image raises BadSample when `on_bad` is fail, and is left out and named when it is skip.
    """
    paths = list(dict.fromkeys(sample.image for sample in samples))
    contents = Contents(cache, progress)
    digests = dict(zip(paths, contents.of(paths), strict=True))
    path = cache / "pixels" / f"{_key(digests.values(), preprocessing)}.npy"
    wanted = len(paths) * 3 * preprocessing.size**2
    keep = has_room(path, wanted)
    if not keep:  # its notes alone, which say what is broken; once there is room the pixels are kept after all
        what = too_large_for(path, f"the pixels of {len(paths)} images", wanted)
        progress(f"{what}: images are decoded anew at each use, which takes processors", 0, NOTICE)
        path = path.with_name(f"{path.stem}-sizes.npy")
    noted = find_or_make(
        path, lambda place: _decode_all(paths, preprocessing, place if keep else None, progress), contents
    )
    broken = broken_of(noted, paths)
    kept, skipped = keep_readable(samples, broken, on_bad)
    good = tuple(path for path in paths if path not in broken)
    row_of = {path: row for row, path in enumerate(good)}
    return ImageSplit(
        samples=kept,
        skipped=skipped,
        preprocessing=preprocessing,
        cached=np.load(path, mmap_mode="r") if noted["kept"] else None,
        paths=good,
        digests=tuple(digests[path] for path in good),
        rows=tuple(row_of[sample.image] for sample in kept),
        sizes=tuple((width, height) for width, height in noted["sizes"]),
    )


def broken_of(noted: Mapping[str, Any], paths: Sequence[Path]) -> dict[Path, str]:
    """Read from notes which images are broken, and why, each named as it is called now."""
    return {paths[int(at)]: f"{paths[int(at)]} {reason}" for at, reason in noted["broken"].items()}


def keep_readable(
    samples: Sequence[Sample], broken: Mapping[Path, str], on_bad: str
) -> tuple[tuple[Sample, ...], dict[str, str]]:
    """Part the samples whose image can be read from the others, by id and reason; raises BadSample."""
    skipped = {sample.sample_id: broken[sample.image] for sample in samples if sample.image in broken}
    if skipped and on_bad == "fail":
        name, reason = next(iter(skipped.items()))
        raise BadSample(
            f"{reason} ({len(skipped)} of {len(samples)} images cannot be read; first: sample {name}). "
            "Mend the file, or leave such images out with --on-bad-sample skip."
        )
    kept = tuple(sample for sample in samples if sample.sample_id not in skipped)
    if not kept:
        raise BadSample(f"Not one of {len(samples)} images can be read; first: {next(iter(skipped.values()), 'none')}.")
    return kept, skipped


def read_image(path: Path, preprocessing: Preprocessing) -> Pixels:
    """Decode and fit one image to uint8 `[3, size, size]` RGB; raises BadSample naming the file."""
    return _read(path, preprocessing)[0]


def _read(path: Path, preprocessing: Preprocessing) -> tuple[Pixels, tuple[int, int]]:
    """Decode and fit one image; also its own width and height in px."""
    whole = upright_image(path)
    with _naming(path):
        fitted = fit_image(whole, preprocessing)
    return to_channels_first(fitted), whole.size


def to_channels_first(image: Image) -> Pixels:
    """Turn an RGB image into uint8 `[3, H, W]`."""
    return np.ascontiguousarray(np.asarray(image).transpose(2, 0, 1))


def upright_image(path: Path) -> Image:
    """Decode a file to an upright 8-bit RGB image; raises BadSample naming the file."""
    from PIL import Image

    with _naming(path), Image.open(path) as image:
        return upright_rgb(image)


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Turn whatever a decoder raises into a BadSample that names the file."""
    from PIL import UnidentifiedImageError
    from PIL.Image import DecompressionBombError

    try:
        yield
    except BadSample as error:
        raise BadSample(f"{path} {error}") from None
    except FileNotFoundError:
        raise BadSample(f"{path} is not there") from None
    except UnidentifiedImageError:
        raise BadSample(f"{path} is not an image") from None
    except (MemoryError, RecursionError):
        raise
    except DecompressionBombError:
        raise BadSample(f"{path} {_TOO_LARGE}") from None
    except Exception as error:  # a decoder may raise anything on broken bytes
        raise BadSample(f"{path} is a broken image: {error}") from None


def upright_rgb(image: Image) -> Image:
    """Decode to 8-bit RGB, turned as its EXIF orientation says; raises BadSample for values without a known range.

    Alpha is dropped and the colours beneath it are kept, in palettes too. 16-bit grey is scaled by its
    range (65,535 becomes 255), never clipped. Boxes and label maps refer to the upright image, as in detectron2:
    pixels that were annotated as stored, with an orientation in their EXIF, must lose that entry first.
    """
    image.load()  # a broken file must say so here, not while its EXIF is looked at
    if image.mode in ("P", "PA") and (image.mode == "PA" or "transparency" in image.info):
        image = upright(image).convert("RGBA")  # straight to RGB, Pillow warns or keeps a stale transparent colour
    elif image.mode.startswith("I"):
        image = _eight_bits(upright(image))
    elif image.mode == "F":
        raise BadSample("holds floating-point values; wanted 8 or 16 bits. Convert it.")
    else:
        image = upright(image)
    return image.convert("RGB")


def upright(image: Image) -> Image:
    """Turn or mirror a loaded image, of any mode, as its EXIF orientation says; no pixel changes its value."""
    from PIL import Image as pillow

    name = _UPRIGHT[_orientation(image)]
    return image if name is None else image.transpose(pillow.Transpose[name])


def image_size(path: Path) -> tuple[int, int]:
    """Read width and height in px of the upright image, mostly from the header alone; raises BadSample."""
    from PIL import Image

    try:
        with Image.open(path) as image:
            if image.format in ("PNG", "TIFF"):  # only their pixels tell whether they are turned already
                image.load()
            width, height = image.size
            return (height, width) if _orientation(image) >= 5 else (width, height)
    except FileNotFoundError:
        raise BadSample(f"{path} is not there") from None
    except (MemoryError, RecursionError):
        raise
    except Exception as error:  # a decoder may raise anything on broken bytes
        raise BadSample(f"{path} is not an image, or a broken one: {error}") from None


def fit_image(image: Image, preprocessing: Preprocessing) -> Image:
    """Resize and crop an RGB image to the square that a tower wants, as torchvision and timm do."""
    from PIL import Image as pillow

    resampling = pillow.Resampling[preprocessing.interpolation.upper()]
    size = preprocessing.size
    if preprocessing.fit == "squash":
        return image.resize((size, size), resampling)
    if preprocessing.fit == "pad":
        square = pillow.new("RGB", (size, size))
        square.paste(image.resize(preprocessing.extent(*image.size), resampling))
        return square
    shorter = int(size / preprocessing.crop_fraction)
    width, height = image.size
    scale = shorter / min(width, height)
    resized = (shorter, int(height * scale)) if width <= height else (int(width * scale), shorter)
    image = image if image.size == resized else image.resize(resized, resampling)
    left, top = round((resized[0] - size) / 2), round((resized[1] - size) / 2)
    return image.crop((left, top, left + size, top + size))


def _orientation(image: Image) -> int:
    try:
        value = image.getexif().get(_ORIENTATION_TAG, 1)
    except Exception:  # EXIF that cannot be read says nothing, and the pixels are still good
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _eight_bits(image: Image) -> Image:
    """Scale 0..65535 to 0..255, rounded; the "I" modes are 16 bits, or 32 of which 16 are meant."""
    from PIL import Image as pillow

    values = np.asarray(image).astype(np.int32)
    if values.min() < 0 or values.max() > 65_535:
        raise BadSample(f"holds 32-bit values {values.min()}..{values.max()}; wanted 0..65535. Convert it.")
    return pillow.fromarray(((values + 128) // 257).astype(np.uint8))


def _key(contents: Iterable[str], preprocessing: Preprocessing) -> str:
    digest = hashlib.sha256(repr((DECODER, preprocessing.size, preprocessing.crop_fraction)).encode())
    digest.update(f"{preprocessing.interpolation} {preprocessing.fit} {preprocessing.shortest}".encode())
    for content in contents:
        digest.update(f"\n{content}".encode())
    return digest.hexdigest()[:24]


def _decode_all(
    paths: Sequence[Path], preprocessing: Preprocessing, place: Path | None, progress: Progress
) -> Mapping[str, Any]:
    """Decode every image once and write all pixels, where there is a place; returns what is broken, and sizes."""
    sizes: list[tuple[int, int]] = []
    broken: dict[int, str] = {}
    shape = (0, 3, preprocessing.size, preprocessing.size)
    with (
        writing_array(place) if place else nullcontext() as writer,
        closing(each_readable(paths, lambda path: _read(path, preprocessing), broken, progress)) as decoded,
    ):
        if writer is not None:
            writer.append(np.zeros(shape, np.uint8))
        for pixels, size in decoded:
            sizes.append(size)
            if writer is not None:
                writer.append(pixels[np.newaxis])
    return {"broken": {str(at): reason for at, reason in broken.items()}, "sizes": sizes, "kept": place is not None}


def each_readable(
    paths: Sequence[Path], read: Callable[[Path], Value], broken: dict[int, str], progress: Progress
) -> Generator[Value, None, None]:
    """Give what `read` makes of each image, in order, made in threads; close it when done.

    What raises BadSample is left out, and put with the reason into `broken` by its position.
    """
    budget = PixelBudget()

    def read_or_say(path: Path) -> tuple[Value, None] | tuple[None, str]:
        try:
            with budget.decoding(path):
                return read(path), None
        except BadSample as error:
            return None, str(error)

    with reading_in_threads(paths, read_or_say) as results:
        for position, (value, reason) in enumerate(results):
            if reason is not None:
                broken[position] = reason.removeprefix(f"{paths[position]} ")
            else:
                yield value  # type: ignore[misc]
            if (position + 1) % _TOLD_EVERY == 0 or position + 1 == len(paths):
                progress("decoding images", position + 1, len(paths))
