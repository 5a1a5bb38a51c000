"""One row of a task: a prompt, the answer that is learnt, and choices where there are such."""

from __future__ import annotations

from dataclasses import dataclass, replace

from peft_atlas.texts.normal_form import digest, normalised

# The stratum of what has no kinds.
ALL_ROWS = "all"
# Closes every answer and every choice: a choice that begins another would else be the likelier one whatever the model.
END = "\n"


@dataclass(frozen=True)
class Item:
    """A prompt with its answer.

    Parameters
    ----------
    prompt
        What the model reads.
    answer
        What it should go on with, from the blank to the end of the line.
    choices
        All answers to choose from, the right one among them; none where the answer is open.
    stratum
        The kind of the row, by which accuracy is read too.
    group
        What no two splits share: a noun, a problem, or the prompt itself.
    """

    prompt: str
    answer: str
    choices: tuple[str, ...] = ()
    stratum: str = ALL_ROWS
    group: str = ""

    @property
    def digest(self) -> str:
        """Return the SHA-256 of the prompt, by which rows are ordered."""
        return digest(self.prompt)

    def closed(self) -> Item:
        """Return the item as it is read: a blank before each answer, the line's end after it, and a group."""
        return replace(
            self,
            answer=_closed(self.prompt, self.answer),
            choices=tuple(_closed(self.prompt, choice) for choice in self.choices),
            group=self.group or normalised(self.prompt),
        )


def _closed(prompt: str, answer: str) -> str:
    """Return an answer with the blank that separates it from the prompt, where neither has one, and the line's end."""
    blank = "" if prompt[-1:].isspace() else " "
    return f"{blank}{answer.strip()}{END}"
