"""Journeys by way of WeChat take its stand-in from the tests of geo_api."""

from tests.geo_api.wechat.conftest import rehearsal, switchboard

__all__ = ["rehearsal", "switchboard"]
