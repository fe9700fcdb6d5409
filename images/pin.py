"""Resolves the tags of the base images to digests and writes them into the Dockerfiles: ``scripts/pin-images``.

The registry is asked by the distribution API, as a container runtime asks it: a HEAD of the tag's manifest gives the
digest of the index of all platforms. A registry that wants a token says where to get one.
"""

import argparse
import hashlib
import json
import re
import sys
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

DOCKERFILES: Final = Path(__file__).parent
ACCEPT: Final = ", ".join(
    (
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.v2+json",
    )
)
TIMEOUT: Final = 30
_BASE: Final = re.compile(
    r"^(ARG BASE=)(?P<name>[a-z0-9._/-]+):(?P<tag>[\w.-]+)(?:@(?P<digest>sha256:[0-9a-f]{64}))?$", re.MULTILINE
)
_DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}")
_LOCAL: Final = "compression-"
"""Images of this project, which are built and have no digest before that."""


class Unresolved(Exception):
    """A registry does not say which digest a tag has."""


def resolve(registry: str, name: str, tag: str) -> str:
    """Return the digest that a registry (its URL) has for a tag. Raises Unresolved."""
    repository = name if "/" in name else f"library/{name}"
    url = f"{registry.rstrip('/')}/v2/{repository}/manifests/{tag}"
    try:
        headers, _ = _ask(url, "HEAD")
        digest = headers.get("docker-content-digest", "")
        if not digest:
            _, content = _ask(url, "GET")
            digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
    except (OSError, ValueError, KeyError) as error:
        raise Unresolved(f"{name}:{tag}: {registry} does not give its digest ({error})") from error
    if not _DIGEST.fullmatch(digest):
        raise Unresolved(f"{name}:{tag}: {registry} answers with {digest!r}, which is no digest")
    return digest


def pins(text: str) -> Iterator[tuple[str, str, str]]:
    """The base images of a Dockerfile: name, tag and digest ("" where it has none). Our own images are left out."""
    for match in _BASE.finditer(text):
        if not match["name"].startswith(_LOCAL):
            yield match["name"], match["tag"], match["digest"] or ""


def pinned(text: str, digests: Mapping[tuple[str, str], str]) -> str:
    """Return a Dockerfile whose base images have these digests, by name and tag."""

    def written(match: re.Match[str]) -> str:
        digest = digests.get((match["name"], match["tag"]))
        return f"{match[1]}{match['name']}:{match['tag']}@{digest}" if digest else match[0]

    return _BASE.sub(written, text)


def main(arguments: list[str] | None = None) -> int:
    """Pin all Dockerfiles, or with ``--check`` say which are behind; returns the exit status."""
    parser = argparse.ArgumentParser(prog="scripts/pin-images", description="pin the base images by digest")
    parser.add_argument("--registry", required=True, metavar="URL", help="the registry's API, such as https://REGISTRY")
    parser.add_argument("--check", action="store_true", help="write nothing; fail where a digest differs")
    parser.add_argument("--folder", type=Path, default=DOCKERFILES, metavar="DIR", help="the folder of the Dockerfiles")
    given = parser.parse_args(arguments)
    texts = {path: path.read_text() for path in sorted(given.folder.glob("*.Dockerfile"))}
    wanted = {(name, tag) for text in texts.values() for name, tag, _ in pins(text)}
    try:
        digests = {image: resolve(given.registry, *image) for image in sorted(wanted)}
    except Unresolved as error:
        sys.stderr.write(f"{error}; check the URL, the network and the tag\n")
        return 1
    behind = {path: pinned(text, digests) for path, text in texts.items() if pinned(text, digests) != text}
    for path, text in behind.items():
        sys.stdout.write(f"{path.name}: {'differs' if given.check else 'pinned'}\n")
        if not given.check:
            path.write_text(text)
    return 1 if given.check and behind else 0


def _ask(url: str, method: str) -> tuple[Mapping[str, str], bytes]:
    """The headers (in lower case) and the content of an answer, with a token where the registry asks for one."""
    try:
        return _request(url, method, {})
    except urllib.error.HTTPError as error:
        challenge = error.headers.get("WWW-Authenticate", "")
        if error.code != 401 or not challenge.lower().startswith("bearer "):
            raise
        return _request(url, method, {"Authorization": f"Bearer {_token(challenge)}"})


def _token(challenge: str) -> str:
    """Return an anonymous token, as a registry's challenge says how to get it."""
    told = dict(re.findall(r'(\w+)="([^"]*)"', challenge))
    query = urllib.parse.urlencode({key: told[key] for key in ("service", "scope") if key in told})
    _, content = _request(f"{told['realm']}?{query}", "GET", {})
    answer = json.loads(content)
    return str(answer.get("token") or answer["access_token"])


def _request(url: str, method: str, more: Mapping[str, str]) -> tuple[Mapping[str, str], bytes]:
    if not url.startswith(("https://", "http://127.0.0.1:", "http://localhost:")):
        raise ValueError("it is not reached by https")
    request = urllib.request.Request(url, method=method, headers={"Accept": ACCEPT, **more})
    with urllib.request.urlopen(request, timeout=TIMEOUT) as answer:
        return {name.lower(): value for name, value in answer.headers.items()}, answer.read()


if __name__ == "__main__":
    sys.exit(main())
