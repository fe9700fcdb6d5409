"""The file of --network-policy: errors name field, value and remedy."""

import json
from pathlib import Path
from typing import Any

import pytest

from compression_operator.network.settings import METADATA_ADDRESSES, read_settings
from compressionjob.errors import InvalidSpec

VALID = {"name": "runners", "operator": {"namespace": "system", "podLabels": {"app": "operator"}}}


def write(folder: Path, **changes: Any) -> Path:
    path = folder / "policy.yaml"
    path.write_text(json.dumps(VALID | changes))
    return path


def test_without_a_file_no_policies_are_kept(tmp_path: Path) -> None:
    assert read_settings(None) is None
    settings = read_settings(write(tmp_path))
    assert settings is not None
    assert (settings.egress.mode, tuple(settings.egress.metadata_addresses)) == ("Auto", METADATA_ADDRESSES)


@pytest.mark.parametrize(
    ("egress", "message"),
    [
        (
            {"to": [{"ipBlock": {"cidr": "10.0.0/8"}}]},
            r"egress.to\[0\].ipBlock.cidr: '10.0.0/8' is not valid: .*10.0.0.0/8",
        ),
        ({"to": [{}]}, r"egress.to\[0\].*name ipBlock alone, or podSelector"),
        ({"to": [{"ipBlock": {"cidr": "10.0.0.0/8"}, "podSelector": {}}]}, r"egress.to\[0\].*name ipBlock alone"),
        ({"ports": [0]}, r"egress.ports\[0\]"),
        ({"mode": "Closed"}, r"egress.mode: 'Closed' is not valid"),
        ({"metadataAddresses": ["cloud"]}, r"egress.metadataAddresses.*must be an address block"),
    ],
)
def test_invalid_settings_are_named(tmp_path: Path, egress: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidSpec, match=message):
        read_settings(write(tmp_path, egress=egress))


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidSpec, match=r"--network-policy: .*missing.*cannot be read"):
        read_settings(tmp_path / "missing")
    (tmp_path / "broken").write_text("a: [")
    with pytest.raises(InvalidSpec, match=r"is not YAML \(line"):
        read_settings(tmp_path / "broken")
