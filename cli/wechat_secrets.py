"""An account's secrets: from a file or standard input, for others on the machine see arguments."""

import getpass
import json
import sys
from pathlib import Path

from cli.output import CommandFailed

SECRETS = {
    "token": "Token, as set in WeChat's console",
    "aes_key": "EncodingAESKey",
    "app_secret": "AppSecret",
}
_FORM = "Lines such as app_secret=…, or a JSON object; known are token, aes_key and app_secret."


def read_secrets(path: Path | None) -> dict[str, str]:
    """Those that are given; from a terminal without a file they are asked for, unseen.

    Raises CommandFailed.
    """
    if path is None and sys.stdin.isatty():
        asked = {name: getpass.getpass(f"{text}: ").strip() for name, text in SECRETS.items()}
        return {name: secret for name, secret in asked.items() if secret}
    try:
        text = sys.stdin.read() if path is None else path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise CommandFailed(f"{path or 'Standard input'} cannot be read: {error}.") from error
    return parse_secrets(text)


def parse_secrets(text: str) -> dict[str, str]:
    """Raises CommandFailed for what is neither form, without repeating it."""
    if text.lstrip().startswith("{"):
        try:
            said = json.loads(text)
        except ValueError as error:
            raise CommandFailed("The secrets are not JSON.", _FORM) from error
        pairs = [(name, value) for name, value in said.items() if value is not None]
    else:
        lines = [line.strip() for line in text.splitlines()]
        kept = [line for line in lines if line and not line.startswith("#")]
        pairs = [
            (name.strip(), value.strip()) for name, _, value in (k.partition("=") for k in kept)
        ]
    for number, (name, value) in enumerate(pairs, 1):
        if name not in SECRETS or not isinstance(value, str) or not value:
            raise CommandFailed(f"Secret {number} is not one that is known.", _FORM)
    return dict(pairs)
