"""Names of files as a code host knows them."""

from __future__ import annotations

import os
from urllib.parse import quote


def path_in_repository(name: str) -> str:
    """The path from the root of the checkout, with slashes; absolute for a file outside of it.

    The root is GITHUB_WORKSPACE, which GitHub sets in its jobs, as a step may run in a folder below it; else the
    working directory.
    """
    root = os.path.abspath(os.environ.get("GITHUB_WORKSPACE") or os.curdir)
    path = os.path.abspath(name)
    if not path.startswith(os.path.join(root, "")):
        root = os.path.abspath(os.curdir)
    inside = path.startswith(os.path.join(root, ""))
    return (os.path.relpath(path, root) if inside else path).replace(os.sep, "/")


def uri(path: str) -> str:
    """A path with slashes as a URI reference: relative stays relative, any byte of a file name can be told."""
    quoted = quote(os.fsencode(path), safe="/")
    if path.startswith("/"):
        return f"file://{quoted}"
    drive = len(path) > 1 and path[1] == ":"
    return f"file:///{quoted}" if drive else quoted
