"""What people do in mini-programs, with subscriptions, and with what they allowed before."""

from collections.abc import Mapping
from string import ascii_letters, digits
from typing import Annotated, Literal
from urllib.parse import quote

from pydantic import Field

from wechat_sandbox import events
from wechat_sandbox.acts import Act, Stage, Told
from wechat_sandbox.codes import Purpose
from wechat_sandbox.refusals import NotPossible

SCENE_CHARACTERS = frozenset(ascii_letters + digits + "!#$&'()*+,/:;=?@-._~")
"""What a mini-program code's scene may be made of."""


class Open(Act):
    """Open the mini-program, by a code with a scene where one is given.

    Told are ``code``, that of ``wx.login``, and ``query``, what the page is opened with.
    """

    act: Literal["open"]
    scene: Annotated[str, Field(max_length=32)] | None = None
    page: Annotated[str, Field(max_length=200)] = "pages/index/index"

    def perform(self, stage: Stage) -> Told:
        stage.require_mini()
        if self.scene is not None and not set(self.scene) <= SCENE_CHARACTERS:
            raise NotPossible("No mini-program code can have this scene.")
        code = stage.world.codes.give(Purpose.LOGIN, self.account, stage.name)
        query = {} if self.scene is None else {"scene": quote(self.scene, safe="")}
        return {"openid": stage.fan.openid, "code": code, "page": self.page, "query": query}


class SharePhone(Act):
    """Tap the button that gives the phone number: a code for the server."""

    act: Literal["share_phone"]

    def perform(self, stage: Stage) -> Told:
        stage.require_mini()
        if stage.world.person(stage.name).phone is None:
            raise NotPossible(f"{stage.name} has no phone number.")
        code = stage.world.codes.give(Purpose.PHONE, self.account, stage.name)
        return {"openid": stage.fan.openid, "code": code}


class EnterChat(Act):
    """Open the mini-program's customer-service chat."""

    act: Literal["enter_chat"]
    session_from: Annotated[str, Field(max_length=1_000)] = ""

    def perform(self, stage: Stage) -> Told:
        stage.require_mini()
        stage.open_window("enter")
        return stage.event("user_enter_tempsession", SessionFrom=self.session_from)


class AnswerSubscriptions(Act):
    """Answer the popup that asks for subscribe messages; each acceptance permits one message."""

    act: Literal["answer_subscriptions"]
    answers: Annotated[Mapping[str, Literal["accept", "reject"]], Field(min_length=1, max_length=3)]

    def perform(self, stage: Stage) -> Told:
        _require_templates(stage, self.answers)
        scene = "1" if stage.account.is_official else "0"
        items = [
            {"TemplateId": template, "SubscribeStatusString": answer, "PopupScene": scene}
            for template, answer in self.answers.items()
        ]
        stage.fan.grants.update(t for t, answer in self.answers.items() if answer == "accept")
        at = stage.world.clock.stamp()
        return stage.push(events.subscriptions(stage.account, stage.fan.openid, at, "popup", items))


class RefuseSubscriptions(Act):
    """Turn subscribe messages off in WeChat's settings: what was accepted before is gone."""

    act: Literal["refuse_subscriptions"]
    templates: Annotated[tuple[str, ...], Field(min_length=1, max_length=25)]

    def perform(self, stage: Stage) -> Told:
        _require_templates(stage, self.templates)
        for template in self.templates:
            del stage.fan.grants[template]
        items = [{"TemplateId": t, "SubscribeStatusString": "reject"} for t in self.templates]
        at = stage.world.clock.stamp()
        return stage.push(
            events.subscriptions(stage.account, stage.fan.openid, at, "change", items)
        )


class Revoke(Act):
    """Take a permission back.

    Mini-programs: 8 phone, 13 location, 18 chosen location, 6, 19 or 20 name or avatar; pages of
    service accounts: 201 address, 206 location.
    """

    act: Literal["revoke"]
    info: Annotated[str, Field(pattern=r"^\d{1,3}(,\d{1,3})*$")] = "13"

    def perform(self, stage: Stage) -> Told:
        return _privacy(stage, "user_authorization_revoke", RevokeInfo=self.info)


class Modify(Act):
    """WeChat cleans a risky name or picture. ``named`` False leaves OpenID out, as users report."""

    act: Literal["modify"]
    named: bool = True

    def perform(self, stage: Stage) -> Told:
        return _privacy(stage, "user_info_modified", named=self.named)


class Cancel(Act):
    """Close the WeChat account: the openid is nobody's any more."""

    act: Literal["cancel"]

    def perform(self, stage: Stage) -> Told:
        stage.fan.cancelled, stage.fan.follows = True, False
        stage.fan.grants.clear()
        stage.fan.windows.clear()
        return _privacy(stage, "user_authorization_cancellation")


class Block(Act):
    """WeChat finds the person risky: their logins are refused with 40226."""

    act: Literal["block"]
    blocked: bool = True

    def perform(self, stage: Stage) -> Told:
        stage.fan.blocked = self.blocked
        return {"openid": stage.fan.openid}


def _privacy(stage: Stage, name: str, *, named: bool = True, **fields: str) -> Told:
    person = {"OpenID": stage.fan.openid} if named else {}
    platform, at = stage.world.maker.platform_id(), stage.world.clock.stamp()
    return stage.push(events.privacy(stage.account, platform, at, name, **person, **fields))


def _require_templates(stage: Stage, templates: Mapping[str, str] | tuple[str, ...]) -> None:
    for template in templates:
        if template not in stage.account.templates:
            known = ", ".join(stage.account.templates) or "none"
            raise NotPossible(f"{template!r} is not a template of the account. Known: {known}.")
