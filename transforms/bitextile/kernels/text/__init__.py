"""Text: code points, normalisation, segmentation, replacement of spans."""
