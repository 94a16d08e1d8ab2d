"""Glue: thin Beam PTransforms around the kernels."""
