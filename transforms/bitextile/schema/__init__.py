"""Contracts: dataset kinds, the manifest, ids and the error classes; needs only pyarrow."""
