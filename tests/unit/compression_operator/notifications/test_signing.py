"""Signatures follow Standard Webhooks; keys are read at each use; errors of key files show no content."""

import base64
import hashlib
import hmac
from datetime import UTC, datetime
from pathlib import Path

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from compression_operator.notifications.signing import UnusableKey, headers, read_keys

KEY = "whsec_" + base64.b64encode(bytes(range(32))).decode()
OTHER = "whsec_" + base64.b64encode(bytes(range(32, 64))).decode()


def test_the_signature_is_an_hmac_of_id_time_and_body(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text(f"{KEY}\n")
    sent = datetime(2026, 11, 24, 12, 0, 0, 900000, tzinfo=UTC)
    sent_headers = headers(file, "id-1", sent, b'{"a": "\xc3\xa9"}')
    signed = f"id-1.{int(sent.timestamp())}.".encode() + b'{"a": "\xc3\xa9"}'
    expected = base64.b64encode(hmac.new(bytes(range(32)), signed, hashlib.sha256).digest()).decode()
    assert sent_headers == {
        "webhook-id": "id-1",
        "webhook-timestamp": str(int(sent.timestamp())),
        "webhook-signature": f"v1,{expected}",
    }


def test_without_a_key_nothing_is_signed() -> None:
    assert set(headers(None, "id-1", datetime.now(UTC), b"{}")) == {"webhook-id", "webhook-timestamp"}


def test_a_receiver_verifies_it_with_either_key_while_keys_change(tmp_path: Path) -> None:
    file = tmp_path / "key"
    sent = datetime.now(UTC)
    file.write_text(f"{KEY}\n{OTHER}\n")
    both = headers(file, "id-1", sent, b"{}")
    Webhook(KEY).verify(b"{}", both)
    Webhook(OTHER).verify(b"{}", both)
    file.write_text(OTHER)
    new = headers(file, "id-1", sent, b"{}")
    Webhook(OTHER).verify(b"{}", new)
    with pytest.raises(WebhookVerificationError, match="No matching signature"):
        Webhook(KEY).verify(b"{}", new)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("", "has 0 lines"),
        ("\n".join([KEY] * 5), "has 5 lines"),
        ("hunter2-hunter2-hunter2-hunter2", "line 1"),
        (f"{KEY}\nwhsec_hunter2!", "line 2"),
        ("whsec_" + base64.b64encode(b"hunter2").decode(), "24 to 64 random bytes"),
        (base64.b64encode(b"hunter2" * 5).decode(), "each whsec_"),
    ],
)
def test_invalid_key_is_reported_but_not_shown(tmp_path: Path, content: str, says: str) -> None:
    file = tmp_path / "key"
    file.write_text(content)
    with pytest.raises(UnusableKey) as caught:
        read_keys(file)
    message = str(caught.value)
    assert says in message
    assert str(file) in message
    assert "openssl rand -base64 32" in message
    assert "hunter2" not in message
    assert KEY not in message


def test_a_key_file_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(UnusableKey, match="No such file"):
        read_keys(tmp_path / "absent")
