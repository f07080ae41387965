"""Every table of schema ``member``, gathered for migrations and tests."""

from services.member_api.consents import models as consents
from services.member_api.membership import models as membership
from services.member_api.people import models as people
from services.member_api.tables import Base
from services.member_api.timeline import models as timeline

MODELS = (people, membership, consents, timeline)
metadata = Base.metadata
