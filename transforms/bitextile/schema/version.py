"""The version of bitextile that is installed.

It stands here, as `bitextile` itself is a namespace of several folders and can have no attributes.
"""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("bitextile")
    """Such as "0.2.0"."""
except PackageNotFoundError:  # run from a folder on the path, without installation
    __version__ = "0+unknown"
