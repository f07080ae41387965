"""Wire shape of how an account may write to people."""

import re
from typing import Annotated, Any, Self

from pydantic import AfterValidator, ConfigDict, Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from services.geo_api.places.schemas import Zone
from services.geo_api.wechat.accounts.outreach import PLACEHOLDERS
from shared.wire import Integer, WireModel

OUTREACH_EXAMPLE: dict[str, Any] = {
    "enabled": True,
    "per_person_per_day": 1,
    "quiet_hours": {"from": "21:00", "until": "09:00"},
    "timezone": "Asia/Shanghai",
    "coupon": {
        "template_id": "zun-LzcQyW-edafCVvzPkK4de2Rllr1fFpw2A_x0oXE",
        "page": "pages/coupon/index",
        "data": {"thing1": "{title}", "thing2": "{store}", "time3": "{valid_until}"},
        "text": "{title} · {store}",
    },
}

_NAMED = re.compile(r"\{([a-z_]*)\}")
_MAX_KEYWORDS = 10


def _knows_its_placeholders(text: str) -> str:
    unknown = set(_NAMED.findall(text)) - PLACEHOLDERS
    if unknown or re.search(r"[{}]", _NAMED.sub("", text)):
        known = ", ".join(f"{{{name}}}" for name in sorted(PLACEHOLDERS))
        raise PydanticCustomError("placeholder", "may name {known}", {"known": known})
    return text


ClockTime = Annotated[str, StringConstraints(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")]
TemplateId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
Page = Annotated[str, StringConstraints(pattern=r"^[^/\s][!-~]{0,199}$")]
Keyword = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_]{1,32}[0-9]{0,3}$")]
Wording = Annotated[
    str, StringConstraints(min_length=1, max_length=200), AfterValidator(_knows_its_placeholders)
]


class QuietHoursBody(WireModel):
    """Nobody is written to from ``from`` up to ``until``, past midnight too."""

    from_: ClockTime = Field(alias="from")
    until: ClockTime


class CouponMessageBody(WireModel):
    """How a coupon is told: by a template's message, as text within a window, or both ways."""

    template_id: TemplateId | None = None
    page: Annotated[Page | None, Field(description="Of the mini-program, without a first /")] = None
    data: Annotated[
        dict[Keyword, Wording],
        Field(max_length=_MAX_KEYWORDS, description="By the template's keywords, such as thing1"),
    ] = Field(default_factory=dict)
    text: Wording | None = None

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if self.template_id is not None and not self.data:
            raise PydanticCustomError("no_data", "a template needs data, by its keywords")
        if self.template_id is None and self.text is None:
            raise PydanticCustomError("no_way", "needs a template_id with its data, or a text")
        return self


class OutreachBody(WireModel):
    """Nothing is sent unless ``enabled``."""

    model_config = ConfigDict(json_schema_extra={"examples": [OUTREACH_EXAMPLE]})

    enabled: Annotated[bool, Field(strict=True)] = False
    per_person_per_day: Annotated[Integer, Field(ge=1, le=20)] = 1
    quiet_hours: QuietHoursBody | None = None
    timezone: Zone = "Asia/Shanghai"
    coupon: CouponMessageBody | None = None
