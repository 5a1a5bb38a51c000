"""The one exception type whose message a user is meant to read."""


class AtlasError(Exception):
    """A fault that the user can mend; its message is one line naming the thing, its value and what is allowed.

    What cannot be printed on one line, as a value from a file may hold, is shown as its escape.
    """

    def __init__(self, message: str) -> None:
        super().__init__("".join(map(_shown, message)))


def _shown(character: str) -> str:
    return character if character.isprintable() else character.encode("unicode_escape").decode("ascii")
