"""Alembic environment of schema ``geo``."""

from services.geo_api.metadata import METADATA
from shared.migrating import run_migrations

run_migrations(METADATA)
