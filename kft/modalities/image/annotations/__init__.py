"""Layouts of pictures with boxes: Pascal VOC, COCO and YOLO."""
