"""All tables of schema ``geo`` in one place, for migrations and for the app."""

import services.geo_api.checkins.models
import services.geo_api.evidence.models
import services.geo_api.offers.models
import services.geo_api.outreach.models
import services.geo_api.places.models
import services.geo_api.presence.models
import services.geo_api.redemptions.models
import services.geo_api.subjects.models
import services.geo_api.trust.models
import services.geo_api.wechat.accounts.models
import services.geo_api.wechat.pushes.models
import services.geo_api.wechat.scenes.models
import services.geo_api.wechat.users.models  # noqa: F401 - importing declares the tables
from services.geo_api.tables import Base

METADATA = Base.metadata
