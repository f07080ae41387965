"""What people do with official accounts, and in any chat; each act pushes what WeChat would push."""

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from wechat_sandbox import events
from wechat_sandbox.accounts import Account, Kind
from wechat_sandbox.events import Document, Place
from wechat_sandbox.people import Fan
from wechat_sandbox.refusals import NotPossible
from wechat_sandbox.scenes import QrCode
from wechat_sandbox.world import World

Told = dict[str, Any]
Text = Annotated[str, Field(max_length=2_048)]
Latitude = Annotated[float, Field(ge=-90, le=90, allow_inf_nan=False)]
Longitude = Annotated[float, Field(ge=-180, le=180, allow_inf_nan=False)]


@dataclass(frozen=True, slots=True)
class Stage:
    """Where an act happens: the person, by name and as the account knows them."""

    world: World
    account: Account
    name: str
    fan: Fan

    def message(self, kind: str, **fields: Any) -> Told:
        """A message: it opens the long window."""
        self._require_chat()
        head = events.envelope(self.account, self.fan.openid, self.world.clock.stamp(), kind)
        self.open_window("message")
        return self.push({**head, **fields, "MsgId": self.world.maker.next_number()})

    def event(self, name: str, **fields: Any) -> Told:
        at = self.world.clock.stamp()
        return self.push(events.event(self.account, self.fan.openid, at, name, **fields))

    def push(self, document: Document) -> Told:
        number = self.world.push(self.account, document)
        return {"openid": self.fan.openid, "pushes": [] if number is None else [number]}

    def open_window(self, why: str) -> None:
        now = self.world.clock.now()
        self.fan.open_window(why, now, official=self.account.is_official)

    def require_official(self) -> None:
        if not self.account.is_official:
            raise NotPossible(f"{self.account.account_id} is a mini-program: nobody follows it.")

    def require_mini(self) -> None:
        if self.account.is_official:
            raise NotPossible(f"{self.account.account_id} is not a mini-program.")

    def require_following(self) -> None:
        self.require_official()
        if not self.fan.follows:
            raise NotPossible(f"{self.name} does not follow {self.account.account_id}.")

    def _require_chat(self) -> None:
        if self.account.is_official:
            self.require_following()


class Act(BaseModel):
    """An act at ``account``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    account: str

    def perform(self, stage: Stage) -> Told:
        raise NotImplementedError


class Follow(Act):
    """Follow an official account from its profile, without a code."""

    act: Literal["follow"]

    def perform(self, stage: Stage) -> Told:
        stage.require_official()
        if stage.fan.follows:
            raise NotPossible(f"{stage.name} follows {self.account} already.")
        stage.fan.follows = True
        stage.open_window("touch")
        return stage.event("subscribe", EventKey="")


class Unfollow(Act):
    """Nothing can be sent any more; grants stay."""

    act: Literal["unfollow"]

    def perform(self, stage: Stage) -> Told:
        stage.require_following()
        stage.fan.follows = False
        stage.fan.windows.clear()
        return stage.event("unsubscribe", EventKey="")


class Scan(Act):
    """Scan a code of the account, by its ticket or the newest of a scene.

    Who does not follow yet, follows by it.
    """

    act: Literal["scan"]
    scene: str | None = None
    ticket: str | None = None

    def perform(self, stage: Stage) -> Told:
        stage.require_official()
        code = self._code(stage)
        if code.account_id != self.account:
            raise NotPossible(f"This code is {code.account_id}'s.")
        stage.open_window("touch")
        if stage.fan.follows:
            return stage.event("SCAN", EventKey=code.scene, Ticket=code.ticket)
        stage.fan.follows = True
        return stage.event("subscribe", EventKey=f"qrscene_{code.scene}", Ticket=code.ticket)

    def _code(self, stage: Stage) -> QrCode:
        if self.ticket is not None:
            return stage.world.scenes.by_ticket(self.ticket)
        if self.scene is None:
            raise NotPossible("Give the code's scene or its ticket.")
        return stage.world.scenes.by_scene(self.account, self.scene)


class Menu(Act):
    """Tap a menu entry. ``key`` is its key; with ``VIEW`` the address it opens.

    CLICK and scans open the short window, VIEW none.
    """

    act: Literal["menu"]
    key: Text
    type: Literal["CLICK", "VIEW", "scancode_push", "scancode_waitmsg"] = "CLICK"
    result: Text = ""

    def perform(self, stage: Stage) -> Told:
        stage.require_following()
        if self.type == "VIEW":
            return stage.event("VIEW", EventKey=self.key, MenuId=430_000_001)
        stage.open_window("touch")
        if self.type == "CLICK":
            return stage.event("CLICK", EventKey=self.key)
        scanned = {"ScanType": "qrcode", "ScanResult": self.result}
        return stage.event(self.type, EventKey=self.key, ScanCodeInfo=scanned)


class Say(Act):
    """Write a text into the chat."""

    act: Literal["say"]
    text: Text

    def perform(self, stage: Stage) -> Told:
        return stage.message("text", Content=self.text)


class SendImage(Act):
    """Send a picture into the chat."""

    act: Literal["send_image"]

    def perform(self, stage: Stage) -> Told:
        media = stage.world.maker.next_text("media", 64)
        url = f"http://mmbiz.qpic.cn/{media[:16]}/0"
        return stage.message("image", PicUrl=url, MediaId=media)


class _AtPlace(Act):
    latitude: Latitude
    longitude: Longitude
    label: Text = ""

    @property
    def place(self) -> Place:
        return Place(self.latitude, self.longitude, self.label)


class SendLocation(_AtPlace):
    """Send a place, chosen on the map (GCJ-02 within China), into the chat of an official account."""

    act: Literal["send_location"]

    def perform(self, stage: Stage) -> Told:
        stage.require_official()
        return stage.message("location", **events.location_fields(self.place))


class SelectLocation(_AtPlace):
    """Tap a menu entry that asks for a place: the event, then the same place as a message."""

    act: Literal["select_location"]
    key: Text = "PICK"

    def perform(self, stage: Stage) -> Told:
        stage.require_following()
        fields = events.selection_fields(self.place)
        told = stage.event("location_select", EventKey=self.key, **fields)
        message = stage.message("location", **events.location_fields(self.place))
        return {**told, "pushes": told["pushes"] + message["pushes"]}


class ReportLocation(_AtPlace):
    """The phone reports where it is (LOCATION): verified service accounts only; opens no window."""

    act: Literal["report_location"]
    precision_m: Annotated[float, Field(ge=0, le=100_000, allow_inf_nan=False)] = 65.0

    def perform(self, stage: Stage) -> Told:
        stage.require_following()
        if stage.account.kind is not Kind.SERVICE or not stage.account.verified:
            raise NotPossible("Only verified service accounts are told where people are.")
        return stage.event("LOCATION", **events.report_fields(self.place, self.precision_m))
