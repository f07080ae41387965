"""Settings common to both services, read from ``SOLOMO_*`` and checked at start-up."""

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from shared.limits import Limiter, build_limiter

MIB = 1024 * 1024


class InvalidSettings(SystemExit):
    """Ends the process with a message that names each wrong variable."""


class ServiceSettings(BaseSettings):
    """A service adds its own: its database, the other service's address.

    ``keys_dir`` is the folder of this service's keys. Bodies are measured in bytes. Traces are
    sent where ``OTEL_EXPORTER_OTLP_ENDPOINT`` says, and nowhere without it. An empty variable is one
    that is not set.
    """

    model_config = SettingsConfigDict(
        env_prefix="SOLOMO_", env_ignore_empty=True, extra="ignore", frozen=True
    )

    keys_dir: Path
    workers: int = Field(default=1, ge=1, le=256)

    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["json", "console"] = "json"
    access_log: bool = True

    rate_key_per_s: float = Field(default=10_000, gt=0)
    rate_subject_per_s: float = Field(default=10, gt=0)
    rate_code_guesses_per_min: float = Field(default=10, gt=0)

    max_body_bytes: int = Field(default=MIB, ge=1024)
    max_batch_body_bytes: int = Field(default=64 * MIB, ge=1024)

    @classmethod
    def load(cls) -> Self:
        """Read the environment. Raises InvalidSettings."""
        try:
            return cls()
        except ValidationError as error:
            raise InvalidSettings(_explain(error)) from None

    def limiter(self) -> Limiter:
        """A fresh limiter for this process."""
        return build_limiter(
            key_per_s=self.rate_key_per_s,
            subject_per_s=self.rate_subject_per_s,
            code_guesses_per_min=self.rate_code_guesses_per_min,
            workers=self.workers,
        )


def _explain(error: ValidationError) -> str:
    """One line per variable, without its value: it may be a password."""
    lines = ["SOLOMO cannot start; mend these settings:"]
    for fault in error.errors(include_url=False, include_input=False):
        name = "SOLOMO_" + "_".join(str(part) for part in fault["loc"]).upper()
        said = "is not set" if fault["type"] == "missing" else fault["msg"]
        lines.append(f"  {name}: {said}")
    return "\n".join(lines)
