"""The formats that entity lists come in. Imports no library: command lines name them."""

from pipeline.entities.cloud_rows import CLOUD
from pipeline.entities.text_rows import NAMED

FORMATS = (*NAMED, *CLOUD, "csv", "tsv", "json", "jsonl", "parquet")
