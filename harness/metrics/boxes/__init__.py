"""Detection metrics, by COCO's definition."""
