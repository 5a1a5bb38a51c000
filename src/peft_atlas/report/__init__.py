"""The report: sections of blocks, rendered as Markdown and as a single self-contained HTML page."""
