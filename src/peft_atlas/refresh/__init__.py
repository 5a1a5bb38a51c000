"""Import a source of the record again from a clone of its repository, and show what changed."""
