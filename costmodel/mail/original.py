"""The mail that is answered, as far as its file tells."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Line:
    """One line of the body without its quote marks; `depth` counts them, 0 is the sender's own text.

    `attribution` marks a line such as `On DATE, NAME wrote:`, which speaks of the lines one deeper;
    `pasted_from` names who wrote a line that the sender pasted without quote marks.
    """

    depth: int
    text: str
    attribution: bool = False
    pasted_from: str = ""

    @property
    def quoted(self) -> str:
        """The line as a reply quotes it: one mark more, never wrapped, no trailing blanks."""
        return ("> " * (self.depth + 1) + self.text).rstrip()


@dataclass(frozen=True)
class Person:
    """A correspondent; `address` is empty where the file has none or masks it."""

    name: str
    address: str


@dataclass(frozen=True)
class Original:
    """A mail. `date` is printed as it stands; `gaps` names what a reply that can be sent would need and the file lacks.

    `inferred` says which part of the structure is no fact of the file but was rebuilt.
    """

    subject: str
    sender: Person
    date: str
    lines: tuple[Line, ...]
    message_id: str = ""
    references: tuple[str, ...] = ()
    reply_to: tuple[Person, ...] = ()
    recipients: tuple[Person, ...] = ()
    gaps: tuple[str, ...] = ()
    inferred: tuple[str, ...] = field(default=())
