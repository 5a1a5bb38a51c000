"""Texts that a user gives, as they are in a file, and the form in which two count as the same."""
