"""Make the keys of an installation: ``python -m cli.keys``, below ``SOLOMO_KEYS_DIR``."""

import os
import sys
from pathlib import Path


def create_keys(directory: Path) -> None:
    """Make whatever key is missing; never touch one that exists."""
    from shared.keys import create_installation_keys  # noqa: PLC0415 - cryptography loads slowly

    create_installation_keys(directory)


def main() -> int:
    directory = os.environ.get("SOLOMO_KEYS_DIR")
    if not directory:
        print("solomo: SOLOMO_KEYS_DIR must name the folder of the keys.", file=sys.stderr)
        return 1
    create_keys(Path(directory))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
