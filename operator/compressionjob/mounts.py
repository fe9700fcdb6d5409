"""Translation of file:// locations below a mount path into pvc:// locations of the mounted claim."""

from collections.abc import Mapping

from compressionjob.locations import Location


def in_claim(location: Location, claims: Mapping[str, str]) -> Location:
    """Return a file:// location in a mounted claim as the claim's pvc:// location, and any other location unchanged.

    ``claims`` maps mount paths to names of claims.
    """
    if location.scheme == "file":
        for path in sorted(claims, key=len, reverse=True):
            mount = path.rstrip("/")
            if f"{location.path}/".startswith(f"{mount}/"):
                return Location("pvc", claims[path], location.path[len(mount) + 1 :])
    return location
