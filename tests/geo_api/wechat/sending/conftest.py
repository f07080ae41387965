from pathlib import Path

import pytest

from tests.conftest import DatabaseUrls
from tests.geo_api.checkins.audience import MemberVoice
from tests.geo_api.checkins.helpers import open_store
from tests.geo_api.wechat.sending.shop import Shop
from tests.geo_api.wechat.stand_in import Rehearsal


@pytest.fixture
async def shop(rehearsal: Rehearsal, database_urls: DatabaseUrls) -> Shop:
    """A store, and an offer that each check-in wins; outreach is off at both accounts."""
    await open_store(rehearsal.geo, rehearsal.app, rehearsal.server)
    rehearsal.world.send_takes_s = 0.0
    one = Shop(rehearsal, database_urls)
    await one.offer("o1")
    return one


@pytest.fixture
def voice(rehearsal: Rehearsal, installation_keys: Path) -> MemberVoice:
    """member_api, telling who people are."""
    return MemberVoice(rehearsal.geo, installation_keys)
