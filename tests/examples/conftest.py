from tests.geo_api.wechat.conftest import rehearsal, switchboard

__all__ = ["rehearsal", "switchboard"]
