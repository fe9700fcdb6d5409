"""Resolve the tags of the base images to digests and write them to the Dockerfiles: ``scripts/pin-images``.

It uses the distribution API of the registry, like a container runtime: a HEAD request for the tag's manifest returns
the digest of the index of all platforms. A registry that needs a token states where to get one.
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
"""Prefix of the images of this project, which have no digest before they are built."""


class Unresolved(Exception):
    """A registry does not return the digest of a tag."""


def resolve(registry: str, name: str, tag: str) -> str:
    """Return the digest of a tag in a registry, which is options by its URL. Raises Unresolved."""
    repository = name if "/" in name else f"library/{name}"
    url = f"{registry.rstrip('/')}/v2/{repository}/manifests/{tag}"
    try:
        headers, _ = _fetch(url, "HEAD")
        digest = headers.get("docker-content-digest", "")
        if not digest:
            _, content = _fetch(url, "GET")
            digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
    except (OSError, ValueError, KeyError) as error:
        raise Unresolved(f"{name}:{tag}: {registry} does not return its digest ({error})") from error
    if not _DIGEST.fullmatch(digest):
        raise Unresolved(f"{name}:{tag}: {registry} returns {digest!r}, which is not a digest")
    return digest


def pins(text: str) -> Iterator[tuple[str, str, str]]:
    """Yield the base images of a Dockerfile: name, tag and digest ("" if it has none). Skip this project's images."""
    for match in _BASE.finditer(text):
        if not match["name"].startswith(_LOCAL):
            yield match["name"], match["tag"], match["digest"] or ""


def pinned(text: str, digests: Mapping[tuple[str, str], str]) -> str:
    """Return a Dockerfile with these digests of its base images, by name and tag."""

    def replacement(match: re.Match[str]) -> str:
        digest = digests.get((match["name"], match["tag"]))
        return f"{match[1]}{match['name']}:{match['tag']}@{digest}" if digest else match[0]

    return _BASE.sub(replacement, text)


def main(arguments: list[str] | None = None) -> int:
    """Pin all Dockerfiles, or list the outdated ones with ``--check``; return the exit status."""
    parser = argparse.ArgumentParser(prog="scripts/pin-images", description="pin the base images by digest")
    parser.add_argument("--registry", required=True, metavar="URL", help="the registry's API, such as https://REGISTRY")
    parser.add_argument("--check", action="store_true", help="write nothing; fail where a digest differs")
    parser.add_argument("--folder", type=Path, default=DOCKERFILES, metavar="DIR", help="the folder of the Dockerfiles")
    options = parser.parse_args(arguments)
    texts = {path: path.read_text() for path in sorted(options.folder.glob("*.Dockerfile"))}
    wanted = {(name, tag) for text in texts.values() for name, tag, _ in pins(text)}
    try:
        digests = {image: resolve(options.registry, *image) for image in sorted(wanted)}
    except Unresolved as error:
        sys.stderr.write(f"{error}; check the URL, the network and the tag\n")
        return 1
    outdated = {path: pinned(text, digests) for path, text in texts.items() if pinned(text, digests) != text}
    for path, text in outdated.items():
        sys.stdout.write(f"{path.name}: {'differs' if options.check else 'pinned'}\n")
        if not options.check:
            path.write_text(text)
    return 1 if options.check and outdated else 0


def _fetch(url: str, method: str) -> tuple[Mapping[str, str], bytes]:
    """Return headers (in lower case) and content of a response. Send a token if the registry requires one."""
    try:
        return _request(url, method, {})
    except urllib.error.HTTPError as error:
        challenge = error.headers.get("WWW-Authenticate", "")
        if error.code != 401 or not challenge.lower().startswith("bearer "):
            raise
        return _request(url, method, {"Authorization": f"Bearer {_token(challenge)}"})


def _token(challenge: str) -> str:
    """Return an anonymous token from the server that a registry's challenge names."""
    parameters = dict(re.findall(r'(\w+)="([^"]*)"', challenge))
    query = urllib.parse.urlencode({key: parameters[key] for key in ("service", "scope") if key in parameters})
    _, content = _request(f"{parameters['realm']}?{query}", "GET", {})
    response = json.loads(content)
    return str(response.get("token") or response["access_token"])


def _request(url: str, method: str, more: Mapping[str, str]) -> tuple[Mapping[str, str], bytes]:
    if not url.startswith(("https://", "http://127.0.0.1:", "http://localhost:")):
        raise ValueError("its URL is not https")
    request = urllib.request.Request(url, method=method, headers={"Accept": ACCEPT, **more})
    with urllib.request.urlopen(request, timeout=TIMEOUT) as response:
        return {name.lower(): value for name, value in response.headers.items()}, response.read()


if __name__ == "__main__":
    sys.exit(main())
