"""The literature: published tables as printed, recomputed, reconciled and judged."""
