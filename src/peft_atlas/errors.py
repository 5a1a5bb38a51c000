"""The one exception type whose message a user is meant to read."""


class AtlasError(Exception):
    """A fault that the user can mend; its message is one line naming the thing, its value and what is allowed."""
