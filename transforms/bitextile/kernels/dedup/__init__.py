"""De-duplication."""
