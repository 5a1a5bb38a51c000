"""The studies: each turns its section of the configuration into runs."""
