"""The entity-F1 report: one self-contained HTML file."""

from pipeline.scoring.report.examples import ExampleSource
from pipeline.scoring.report.page import ReportInput, build_report

__all__ = ["ExampleSource", "ReportInput", "build_report"]
