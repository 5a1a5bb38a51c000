"""What studies share once their runs are in tables: statistics, contrasts, summaries, findings, evidence."""
