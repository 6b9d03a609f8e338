"""Annotations that were read, as the content of a COCO file again: what pycocotools and hotcoco are given."""

from __future__ import annotations

from typing import Any

from tasks.formats.coco_instances import Instances


def to_coco_dict(instances: Instances) -> dict[str, Any]:
    """Boxes are the stated ones, not clipped."""
    annotations = []
    for image, objects in zip(instances.images, instances.objects, strict=True):
        for i, mask in enumerate(objects.segmentations):
            row: dict[str, Any] = {
                "id": int(objects.annotation_ids[i]),
                "image_id": image.image_id,
                "category_id": instances.categories[objects.category_index[i]].category_id,
                "bbox": objects.stated_boxes[i].tolist(),
                "area": float(objects.areas[i]),
                "iscrowd": int(objects.iscrowd[i]),
            }
            annotations.append(row if mask is None else row | {"segmentation": mask})
    return {
        "info": {},
        "images": [
            {"id": image.image_id, "file_name": image.path.name, "width": image.width, "height": image.height}
            for image in instances.images
        ],
        "annotations": annotations,
        "categories": [{"id": c.category_id, "name": c.name, **c.extra} for c in instances.categories],
    }
