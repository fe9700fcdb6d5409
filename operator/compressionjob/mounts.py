"""Files of claims under two names: below a mount path (file://) and in the claim (pvc://)."""

from collections.abc import Mapping

from compressionjob.locations import Location


def in_claim(location: Location, claims: Mapping[str, str]) -> Location:
    """Return a file:// location in a mounted claim as that claim's pvc:// location, and any other as it is.

    ``claims`` are the names of claims by the paths at which they are mounted.
    """
    if location.scheme == "file":
        for path in sorted(claims, key=len, reverse=True):
            mount = path.rstrip("/")
            if f"{location.path}/".startswith(f"{mount}/"):
                return Location("pvc", claims[path], location.path[len(mount) + 1 :])
    return location
