"""The check of an account: its record, WeChat's view of it, and its callback as seen from outside."""

import secrets
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Any

from services.geo_api.wechat.accounts import checking
from services.geo_api.wechat.accounts.checking import Finding, Verdict
from services.geo_api.wechat.accounts.domain import Account, credentials_of
from shared.clock import Clock
from shared.wechat.answers import WeChatRefused, WeChatUnreachable
from shared.wechat.client import WeChatClient
from shared.wechat.crypto import signature
from shared.wechat.probing import Probe


@dataclass(frozen=True, slots=True)
class SelfCheck:
    """``public_url`` is where WeChat reaches this service, if that is known."""

    client: WeChatClient
    probe: Probe
    clock: Clock
    public_url: str | None

    async def of(self, account: Account) -> list[Finding]:
        """Everything that was looked at, what is wrong first. It changes nothing at WeChat."""
        if account.closed_at is not None:
            return [checking.of_closed()]
        findings = [*checking.look_at_record(account), checking.of_kind(account.content.kind)]
        findings += await self._calls(account)
        findings.append(await self._callback(account))
        order = [Verdict.WRONG, Verdict.WARNING, Verdict.UNKNOWN, Verdict.OK]
        return sorted(findings, key=lambda finding: order.index(finding.verdict))

    async def _calls(self, account: Account) -> list[Finding]:
        credentials = credentials_of(account)
        if credentials is None:
            says = "Without an AppSecret WeChat cannot be called: no messages, logins or codes."
            return [Finding("app_secret", Verdict.WARNING, says, "Set app_secret.")]
        failure = await _failure_of(self.client.tokens.checked(credentials))
        findings = [checking.of_token(failure)]
        if failure is None:
            failure = await _failure_of(self.client.callback_ips(credentials))
            findings.append(checking.of_permission(failure))
        findings.append(checking.of_clock(self.client.skew_s))
        return findings

    async def _callback(self, account: Account) -> Finding:
        if self.public_url is None or account.secrets is None:
            return checking.of_callback(None, None)
        timestamp = str(int(self.clock().timestamp()))
        nonce, echo = secrets.token_hex(8), secrets.token_hex(10)
        query = {
            "signature": signature(account.secrets.token, timestamp, nonce),
            "timestamp": timestamp,
            "nonce": nonce,
            "echostr": echo,
        }
        url = f"{self.public_url}/v1/wechat/{account.account_id}/callback"
        return checking.of_callback(self.public_url, await self.probe.fault(url, query, echo))


async def _failure_of(call: Awaitable[Any]) -> WeChatRefused | WeChatUnreachable | None:
    try:
        await call
    except (WeChatRefused, WeChatUnreachable) as failure:
        return failure
    return None
