"""The report: sections made of blocks, written as Markdown and as one self-contained HTML file."""
