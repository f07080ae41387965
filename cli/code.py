"""Which code a process runs: told apart by content, wherever it came from."""

import hashlib
import sys
from functools import cache
from pathlib import Path

from cli.home import PROJECT

VARIABLE = "SOLOMO_CODE"
"""Each service is started with the fingerprint of the code that it runs."""

_FOLDERS = ("services", "shared")
_LOCK = "requirements.lock"


@cache
def fingerprint() -> str:
    """Of all that the services run: their files, their packages and the interpreter.

    A pull, a checkout, an edit or a new lock changes it; a touch or another folder does not.
    """
    digest = hashlib.sha256(sys.version.encode())
    for path in _files():
        content = path.read_bytes()
        digest.update(f"{path.relative_to(PROJECT)}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()[:16]


def _files() -> list[Path]:
    """In a fixed order; without what Python makes and editors leave."""
    found = (path for folder in _FOLDERS for path in (PROJECT / folder).rglob("[!.]*"))
    files = (path for path in found if path.is_file() and path.suffix != ".pyc")
    return [PROJECT / _LOCK, *sorted(files)]
