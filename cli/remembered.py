"""The settings of the services that an installation remembers from one ``up`` to the next.

Passwords and addresses are not among them: ``up`` knows those by itself.
"""

import os
from collections.abc import Mapping

OF_BOTH = frozenset(
    {
        "SOLOMO_ACCESS_LOG",
        "SOLOMO_DATABASE_POOL",
        "SOLOMO_LOG_FORMAT",
        "SOLOMO_LOG_LEVEL",
        "SOLOMO_MAX_BATCH_BODY_BYTES",
        "SOLOMO_MAX_BODY_BYTES",
        "SOLOMO_RATE_CODE_GUESSES_PER_MIN",
        "SOLOMO_RATE_KEY_PER_S",
        "SOLOMO_RATE_SUBJECT_PER_S",
    }
)
OF_GEO = frozenset(
    {
        "SOLOMO_ARRIVAL_RULE",
        "SOLOMO_CAMPAIGN",
        "SOLOMO_COMMIT_LANES",
        "SOLOMO_GEO_PUBLIC_URL",
        "SOLOMO_JOIN_URL",
        "SOLOMO_RATE_LOGINS_ACCOUNT_PER_S",
        "SOLOMO_RATE_LOGINS_ADDRESS_PER_S",
        "SOLOMO_TRUSTED_PROXIES",
        "SOLOMO_WECHAT_API_BASES",
        "SOLOMO_WECHAT_MP_BASE",
    }
)
"""geo_api alone reads these."""


def given() -> dict[str, str]:
    """What the caller's environment says; an empty value unsets."""
    return {name: os.environ[name] for name in OF_BOTH | OF_GEO if name in os.environ}


def merged(recorded: Mapping[str, str]) -> dict[str, str]:
    """What was remembered, overridden by the environment, by name."""
    wanted = {**recorded, **given()}
    return {name: wanted[name] for name in sorted(OF_BOTH | OF_GEO) if wanted.get(name)}


def read_by(schema: str, settings: Mapping[str, str]) -> dict[str, str]:
    """Those of ``settings`` that the service of ``schema`` reads."""
    names = OF_BOTH | OF_GEO if schema == "geo" else OF_BOTH
    return {name: value for name, value in settings.items() if name in names}
