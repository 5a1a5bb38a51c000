"""Making a release: the version set everywhere, and everything that bears it checked."""
