"""Fine-tune MiniLM on mails: two epochs at 128 tokens, about eleven minutes on one core."""

# torch annotates little of what training calls.
# mypy: disallow-untyped-calls=False

from collections.abc import Sequence
from pathlib import Path

import torch
from transformers import AutoTokenizer, BertForSequenceClassification

SEED = 20261124
EPOCHS = 2
BATCH = 32
LENGTH = 128


def fine_tune(base: Path, into: Path, rows: Sequence[tuple[str, int]], names: Sequence[str]) -> None:
    """Train MiniLM without its word embeddings on texts and labels; write a Transformers folder."""
    torch.manual_seed(SEED)
    tokenizer = AutoTokenizer.from_pretrained(base)
    model = BertForSequenceClassification.from_pretrained(
        base,
        num_labels=len(names),
        id2label=dict(enumerate(names)),
        label2id={name: index for index, name in enumerate(names)},
        use_safetensors=True,
    ).train()
    model.bert.embeddings.requires_grad_(False)
    encoded = tokenizer([text for text, _ in rows], truncation=True, max_length=LENGTH)["input_ids"]
    target = torch.tensor([label for _, label in rows])
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-4, weight_decay=1e-2)
    steps = EPOCHS * -(-len(rows) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=2e-4, total_steps=steps, pct_start=0.1)
    for _ in range(EPOCHS):
        for index in torch.randperm(len(rows)).split(BATCH):
            batch = tokenizer.pad({"input_ids": [encoded[row] for row in index.tolist()]}, return_tensors="pt")
            with torch.autocast("cpu", torch.bfloat16):
                logits = model(**batch).logits
            loss = torch.nn.functional.cross_entropy(logits.float(), target[index])
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
    model.eval().save_pretrained(into)
    tokenizer.save_pretrained(into)
