"""The entity-F1 report and the comparison of two runs: self-contained HTML files."""

from pipeline.report.attention_section import Attended, read_attention
from pipeline.report.comparison_page import ComparisonInput, build_comparison
from pipeline.report.examples import ExampleSource
from pipeline.report.page import ReportInput, build_report

__all__ = [
    "Attended",
    "ComparisonInput",
    "ExampleSource",
    "ReportInput",
    "build_comparison",
    "build_report",
    "read_attention",
]
