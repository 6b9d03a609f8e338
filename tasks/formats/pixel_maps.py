"""Semantic maps whose values are COCO category ids: COCO-Stuff's pixel maps and those of Scenes.

In COCO-Stuff's 2017 maps 0 is unlabelled and 183 ("other") a category of the file; in Scenes 255 is ignored.
"""

from __future__ import annotations

from tasks.formats.coco_entries import read_categories, read_image_entries
from tasks.formats.coco_layout import SplitFile
from tasks.formats.file_names import require_files
from tasks.formats.json_files import read_json
from tasks.formats.label_maps import LabelEntry, LabelMaps, scheme_of_categories


def read_pixel_maps(file: SplitFile) -> LabelMaps:
    """Read one split (see `find_pixel_map_files`): images and categories of the JSON, one PNG for each image.

    Raises DataError for what is wrong in the JSON, and for maps that are missing.
    """
    content = read_json(file.annotations)
    images = read_image_entries(content, file.annotations, file.images)
    maps = file.maps if file.maps is not None else file.annotations.parent
    labels = require_files([maps / f"{image.path.stem}.png" for image in images], file.annotations, maps)
    entries = tuple(LabelEntry(image.sample_id, image.path, label) for image, label in zip(images, labels, strict=True))
    return LabelMaps(entries, scheme_of_categories(read_categories(content, file.annotations)), (file.annotations,))
