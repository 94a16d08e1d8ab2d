"""Code-switching: words or fields replaced by translations."""
