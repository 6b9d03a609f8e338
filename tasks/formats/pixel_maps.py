"""Semantic maps whose values are COCO category ids: COCO-Stuff's pixel maps and those of Scenes.

In COCO-Stuff's 2017 maps 0 is unlabelled and 183 ("other") a category of the file; in Scenes 255 is ignored.
"""

from __future__ import annotations

from tasks.caption_files import read_json
from tasks.formats.coco_entries import read_categories, read_image_entries, require_files
from tasks.formats.coco_layout import SplitFile
from tasks.formats.label_maps import LabelEntry, LabelMaps, scheme_of_categories


def read_pixel_maps(file: SplitFile) -> LabelMaps:
    """Read one split (see `find_pixel_map_files`): images and categories of the JSON, one PNG for each image.

    Raises DataError for what is wrong in the JSON, and for maps that are missing.
    """
    content = read_json(file.annotations)
    images = read_image_entries(content, file.annotations, file.images)
    maps = file.maps if file.maps is not None else file.annotations.parent
    entries = tuple(LabelEntry(str(image.image_id), image.path, maps / f"{image.path.stem}.png") for image in images)
    require_files([entry.labels for entry in entries], file.annotations, maps)
    return LabelMaps(entries, scheme_of_categories(read_categories(content, file.annotations)), (file.annotations,))
