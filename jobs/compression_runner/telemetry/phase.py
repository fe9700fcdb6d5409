"""A part of a run."""

from dataclasses import dataclass

Key = tuple[str, str]
"""Title and method, which identify a phase across runs."""


@dataclass(frozen=True)
class Phase:
    """A part of a run: its title, its method if it is a stage, and its rough share of the total time."""

    title: str
    method: str
    weight: float

    @property
    def key(self) -> Key:
        """Identifies the phase across runs."""
        return self.title, self.method
