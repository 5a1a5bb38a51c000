"""Every statement of the report as a row: who says it, how it stands, the effect, and what it rests on."""
