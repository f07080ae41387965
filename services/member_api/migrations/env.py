"""Alembic environment of schema ``member``."""

from services.member_api.schema import metadata
from shared.migrating import run_migrations

run_migrations(metadata)
