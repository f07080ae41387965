"""All tables of schema ``geo`` in one place, for migrations and for the app."""

import services.geo_api.checkins.models
import services.geo_api.evidence.models
import services.geo_api.offers.models
import services.geo_api.places.models
import services.geo_api.presence.models
import services.geo_api.redemptions.models
import services.geo_api.subjects.models
import services.geo_api.trust.models  # noqa: F401 - importing declares the tables
from services.geo_api.tables import Base
from shared.access import revoked_tokens_table
from shared.feed.tables import feed_tables
from shared.idempotency import idempotency_table

METADATA = Base.metadata
FEED = feed_tables(METADATA)
REVOKED_TOKENS = revoked_tokens_table(METADATA)
IDEMPOTENCY = idempotency_table(METADATA)
