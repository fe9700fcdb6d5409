"""The verification in docs/notifications.md accepts real messages and refuses others."""

import base64
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from compression_operator.notifications.message import TYPE_PREFIX, message
from compression_operator.notifications.signing import headers
from compressionjob.notifications import NOTIFICATION_EVENTS
from tests.support.operator.builders import job, stamp

PAGE = (Path(__file__).parents[4] / "docs" / "notifications.md").read_text()
SNIPPETS = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)
KEY = "whsec_" + base64.b64encode(bytes(range(32))).decode()


@pytest.mark.parametrize("snippet", SNIPPETS)
def test_documented_receiver_accepts_only_valid_messages(snippet: str, tmp_path: Path) -> None:
    scope: dict[str, Any] = {}
    exec(snippet, scope)
    file = tmp_path / "key"
    file.write_text(KEY)
    record = job()
    body = message(record, record.status(), ("ops", "Failed", stamp()), "").body
    good = headers(file, "id-1", datetime.now(UTC), body)
    assert scope["receive"](good, body, KEY)["subject"] == "default/minilm-int8"
    for wrong_headers, wrong_body in [
        (good, body + b" "),
        (good | {"webhook-id": "id-2"}, body),
        (headers(file, "id-1", datetime.now(UTC) - timedelta(minutes=6), body), body),
    ]:
        with pytest.raises(Exception, match=r"o (matching signature|signature matches)|too old"):
            scope["receive"](wrong_headers, wrong_body, KEY)


def test_page_documents_both_verifications() -> None:
    assert len(SNIPPETS) == 2


def test_every_event_has_a_row() -> None:
    for event in NOTIFICATION_EVENTS:
        (row,) = re.findall(rf"^\| `{event}` \| `([^`]*)`", PAGE, flags=re.MULTILINE)
        assert row.startswith(f"{TYPE_PREFIX}.")
        assert row.rsplit(".", 1)[1].replace("-", "") == event.lower()
