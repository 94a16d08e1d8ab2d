"""What a report shows."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class ReportConfig:
    """What a report shows that does not follow from the datasets."""

    title: str = "Data report"
    """Heading of the page."""
    examples: int = 8
    """Rows shown per dataset, at most. 0 shows none."""


DEFAULT_REPORT = ReportConfig()
