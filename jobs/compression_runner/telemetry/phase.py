"""A part of a run."""

from dataclasses import dataclass

Key = tuple[str, str]
"""Title and method: what makes a phase the same one in another run."""


@dataclass(frozen=True)
class Phase:
    """A part of a run: its title, its method where it is a stage, and its rough share of the whole time."""

    title: str
    method: str
    weight: float

    @property
    def key(self) -> Key:
        """What makes it the same phase in another run."""
        return self.title, self.method
