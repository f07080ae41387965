"""Which migrations the project has: read from their files, which is quicker than loading them."""

import re
from pathlib import Path

_REVISION = re.compile(r"^revision(?:: [^=]+)? = ['\"](\w+)['\"]", re.MULTILINE)
_DOWN_REVISION = re.compile(r"^down_revision(?:: [^=]+)? = (.+)$", re.MULTILINE)
_NAME = re.compile(r"['\"](\w+)['\"]")


def heads(versions: Path) -> frozenset[str]:
    """The newest revisions in a folder of Alembic migrations: those that none comes after."""
    texts = [path.read_text() for path in versions.glob("*.py")]
    revisions = {name for text in texts for name in _REVISION.findall(text)}
    earlier = {
        name
        for text in texts
        for named in _DOWN_REVISION.findall(text)
        for name in _NAME.findall(named)
    }
    return frozenset(revisions - earlier)
