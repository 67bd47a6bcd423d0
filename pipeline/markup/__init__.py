"""HTML and SVG out of Python: elements that escape, tables, charts, a self-contained document."""
