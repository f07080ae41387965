"""What everything about WeChat works with: made once a process, at ``app.state.wechat``."""

from dataclasses import dataclass

from services.geo_api.invitations.service import Inviter
from services.geo_api.settings import GeoSettings
from services.geo_api.wechat.accounts.live import LiveAccounts
from shared.clock import Clock
from shared.db import Database
from shared.feed.delivery import Deliverer
from shared.feed.tables import FeedTables
from shared.keys import GeoKeys
from shared.wechat.answers import TokenSource
from shared.wechat.client import WeChatClient
from shared.wechat.probing import Probe


@dataclass(frozen=True, slots=True)
class WeChatTools:
    """``feed`` is woken once facts enqueued in ``feed_tables`` are committed.

    ``accounts`` has the secrets of all accounts in clear, ``keys.storage`` encrypts what is stored.
    """

    settings: GeoSettings
    database: Database
    keys: GeoKeys
    clock: Clock
    feed: Deliverer
    feed_tables: FeedTables
    accounts: LiveAccounts
    client: WeChatClient
    inviter: Inviter
    probe: Probe

    @property
    def tokens(self) -> TokenSource:
        """The access tokens that all processes share."""
        return self.client.tokens
