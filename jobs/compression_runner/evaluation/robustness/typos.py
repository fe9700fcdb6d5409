"""Typing errors: letters that are swapped, left out or doubled.

Source: Y. Belinkov, Y. Bisk, Synthetic and Natural Noise Both Break Neural Machine Translation, ICLR 2018, section 3.2.
"""

import re
from typing import Final

import numpy as np

SHARES: Final = (0.02, 0.05, 0.1, 0.15, 0.25)
"""Share of the words that are misspelt, by severity."""
LEAST: Final = 4
"""Least letters of a word that may be misspelt: a shorter one would become another word."""
_WORD: Final = re.compile(rf"[^\W\d_]{{{LEAST},}}")


def misspelt(text: str, severity: int, generator: np.random.Generator) -> str:
    """Return a text with one error in some of its words, never in the first letter."""

    def edit(match: re.Match[str]) -> str:
        word = match[0]
        if generator.random() >= SHARES[severity - 1]:
            return word
        place = int(generator.integers(1, len(word) - 1))
        how = int(generator.integers(3))
        if how == 0:
            return word[:place] + word[place + 1] + word[place] + word[place + 2 :]
        return word[:place] + (word[place] * 2 if how == 1 else "") + word[place + 1 :]

    return _WORD.sub(edit, text)
