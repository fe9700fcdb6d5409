"""Typing errors: letters that change places, are left out or doubled.

Source: Y. Belinkov, Y. Bisk, Synthetic and Natural Noise Both Break Neural Machine Translation, ICLR 2018, section 3.2.
"""

import re
from typing import Final

import numpy as np

SHARES: Final = (0.02, 0.05, 0.1, 0.15, 0.25)
"""Share of the words that are misspelt, by severity."""
LEAST: Final = 4
"""Letters of a word that may be misspelt: a shorter one is another word then."""
_WORD: Final = re.compile(rf"[^\W\d_]{{{LEAST},}}")


def misspelt(text: str, severity: int, generator: np.random.Generator) -> str:
    """Return a text with one error in some of its words; the first letter stays."""

    def edit(found: re.Match[str]) -> str:
        word = found[0]
        if generator.random() >= SHARES[severity - 1]:
            return word
        place = int(generator.integers(1, len(word) - 1))
        how = int(generator.integers(3))
        if how == 0:
            return word[:place] + word[place + 1] + word[place] + word[place + 2 :]
        return word[:place] + (word[place] * 2 if how == 1 else "") + word[place + 1 :]

    return _WORD.sub(edit, text)
