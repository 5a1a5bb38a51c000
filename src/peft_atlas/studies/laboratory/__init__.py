"""The claims laboratory: questions that the field disputes, asked of a network small enough to tune everything."""
