"""Every dependency has a known licence whose terms do not apply to this project."""

from email.message import Message
from importlib.metadata import PackageMetadata
from typing import cast

import pytest

from images.licences import PAGE, PROPRIETARY, Unlicensed, licence_of, licences, page, require_allowed
from images.lock import Locked, locked

PACKAGE = Locked("some-package", "1.0")


def metadata(**fields: str | list[str]) -> PackageMetadata:
    message = Message()
    for name, values in fields.items():
        for value in values if isinstance(values, list) else [values]:
            message[name.replace("_", "-")] = value
    return cast(PackageMetadata, message)


@pytest.mark.parametrize(
    ("stated", "expected"),
    [
        ({"License_Expression": "MIT"}, "MIT"),
        ({"License_Expression": "Apache-2.0 OR BSD-2-Clause"}, "Apache-2.0 OR BSD-2-Clause"),
        ({"License": "Apache 2.0 License"}, "Apache-2.0"),
        ({"License": "A text\nof a licence", "Classifier": ["License :: OSI Approved :: BSD License"]}, "BSD-3-Clause"),
        ({"License": "Dual License", "Classifier": ["License :: OSI Approved :: BSD License",
          "License :: OSI Approved :: Apache Software License"]}, "BSD-3-Clause OR Apache-2.0"),
    ],
)  # fmt: skip
def test_a_licence_is_read_wherever_a_package_states_it(stated: dict[str, str | list[str]], expected: str) -> None:
    assert licence_of(PACKAGE, metadata(**stated)) == expected


@pytest.mark.parametrize("stated", [{}, {"License": "see LICENSE"}, {"License_Expression": "MIT AND Beerware"}])
def test_an_unknown_licence_is_an_error(stated: dict[str, str]) -> None:
    with pytest.raises(Unlicensed, match=r"some-package 1\.0"):
        licence_of(PACKAGE, metadata(**stated))


@pytest.mark.parametrize("licence", ["GPL-3.0-only", "AGPL-3.0-or-later", "MIT AND LGPL-2.1-or-later", PROPRIETARY])
def test_copyleft_and_proprietary_licences_are_errors(licence: str) -> None:
    with pytest.raises(Unlicensed):
        require_allowed(PACKAGE, licence)


@pytest.mark.parametrize("licence", ["MIT", "GPL-3.0-only OR MIT", "MPL-2.0 AND MIT", "Apache-2.0 AND BSD-3-Clause"])
def test_a_choice_that_is_permissive_is_enough(licence: str) -> None:
    require_allowed(PACKAGE, licence)


def test_cudas_libraries_are_the_only_proprietary_ones() -> None:
    require_allowed(Locked("nvidia-cublas", "13.1"), PROPRIETARY)
    with pytest.raises(Unlicensed):
        require_allowed(Locked("nvidia-ml-py", "13"), PROPRIETARY)
    proprietary = {item.package.name for item in licences(locked()) if PROPRIETARY in item.licence}
    assert all(name.startswith("nvidia-") or name == "cuda-toolkit" for name in proprietary)


def test_the_page_lists_the_locked_packages() -> None:
    assert PAGE.read_text() == page(), "run `python -m images.licences` and commit docs/licences.md"


def test_indirect_dependencies_of_an_extra_are_included() -> None:
    names = {item.name for item in locked(["operator"])}
    assert {"kopf", "aiohttp", "yarl", "pydantic", "pydantic-core"} <= names
    assert not names & {"torch", "pytest", "rich"}
    assert "pytest" not in {item.name for item in locked()}
