"""Captioning: the task, its scorer, and CLIPScore; imports targets, data sets and formats, no other task."""

from tasks.captioning.task import CaptionTask, coco_caption

__all__ = ["CaptionTask", "coco_caption"]
