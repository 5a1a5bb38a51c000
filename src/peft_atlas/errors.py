"""The only exception whose message is meant for users."""


class AtlasError(Exception):
    """A problem the user can fix; its one-line message names the culprit, its value and what is allowed.

    Unprintable characters and line breaks, which values from files may contain, are escaped.
    """

    def __init__(self, message: str) -> None:
        super().__init__("".join(map(_shown, message)))


def _shown(character: str) -> str:
    return character if character.isprintable() else character.encode("unicode_escape").decode("ascii")
