"""Make the keys of an installation: ``python -m cli.keys``, below ``SOLOMO_KEYS_DIR``."""

import os
import sys
from pathlib import Path

from cli.output import CommandFailed


def create_keys(directory: Path) -> None:
    """Make whatever key is missing; never touch one that exists."""
    from shared.keys import create_installation_keys  # noqa: PLC0415 - cryptography loads slowly

    create_installation_keys(directory)


def require_keys(directory: Path) -> None:
    """For a database that holds data. Raises CommandFailed when a key it needs is gone."""
    from shared.keys import missing_keys  # noqa: PLC0415 - as above

    missing = missing_keys(directory)
    if missing:
        raise CommandFailed(
            f"Missing in {directory}: {', '.join(missing)}. Under new keys nothing of the database "
            "could be read. Nothing was started.",
            "Restore the keys folder from the backup that belongs to this database.",
        )


def main() -> int:
    directory = os.environ.get("SOLOMO_KEYS_DIR")
    if not directory:
        print("solomo: SOLOMO_KEYS_DIR must name the folder of the keys.", file=sys.stderr)
        return 1
    create_keys(Path(directory))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
