"""The tables as the literature printed them: transcriptions, their sources, and their checks."""
