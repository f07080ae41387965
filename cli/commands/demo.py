"""``./solomo demo``: the main job within a minute, told as the story of one visitor."""

import argparse
import json
import secrets
import shlex
import time
from typing import Any
from urllib.parse import urlencode

from cli.arguments import between
from cli.city import STORES
from cli.client import checked_url
from cli.demo_city import DemoCity, Told, demo_city, identity
from cli.home import Home
from cli.output import CommandFailed, Output
from cli.tally import Tally

HERO = "ada"
STORE = STORES[0]
_MOST_VISITORS = 1_000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add(
        "--visitors",
        type=between(1, _MOST_VISITORS),
        default=12,
        metavar="N",
        help="who walk about (default: 12)",
    )
    add("--seed", type=int, default=1, metavar="N", help="decides how they walk (default: 1)")
    add("--geo-url", metavar="URL", help="where geo_api is; default: this installation's")
    add("--member-url", metavar="URL", help="where member_api is; default: this installation's")


def run(arguments: argparse.Namespace, output: Output) -> int:
    settings = Home.find().settings()
    geo_url = checked_url(arguments.geo_url or settings.geo_url)
    member_url = checked_url(arguments.member_url or settings.member_url)
    run_name = f"{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}-{secrets.token_hex(2)}"
    with demo_city(geo_url, member_url, run_name) as city:
        story = _Story(output, geo_url, member_url)
        story.tell(city, arguments, run_name)
    output.result(story.document)
    return 0


class _Story:
    """Says what happens as it happens, and keeps it for ``--json``."""

    def __init__(self, output: Output, geo_url: str, member_url: str) -> None:
        self._output = output
        self._geo_url = geo_url
        self._member_url = member_url
        self.document: dict[str, Any] = {}

    def tell(self, city: DemoCity, arguments: argparse.Namespace, run_name: str) -> None:
        ada = identity(run_name, HERO)
        city.build()
        self._say(f"A small city: {', '.join(store.name for store in STORES)}.")
        began = time.monotonic()
        tally = city.send_visitors(arguments.seed, arguments.visitors)
        self._visitors(tally, arguments.visitors, time.monotonic() - began)
        sent, answer = city.check_in(ada, STORE)
        coupon, invitation = self._check_in(answer)
        member = city.sign_up(ada, invitation["token"], "Ada")
        self._say(f"\nAda takes the invitation and is a {member.get('lifecycle', 'member')} now.")
        redemption = city.redeem(coupon["code"], STORE)
        self._say(f"A clerk of {STORE.name} takes her coupon {coupon['code']}.")
        told = city.profile(ada, until_type="coupon_redeemed")
        self._profile(told)
        commands = self._commands(sent, told)
        self.document |= {
            "run": run_name,
            "check_in": answer,
            "sign_up": member,
            "redemption": redemption,
            "person": told.person,
            "timeline": told.timeline,
            "commands": commands,
        }

    def _visitors(self, tally: Tally, visitors: int, took_s: float) -> None:
        self.document["visitors"] = tally.document(took_s)
        self._say(
            f"{visitors} visitors walked about for eight minutes: {tally.answered} check-ins, "
            f"{tally.visits} visits, {tally.coupons} coupons, {tally.invitations} invitations "
            f"in {took_s:.1f} s."
        )

    def _check_in(self, answer: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        """Show what the answer brought: (its first coupon, its invitation)."""
        if not answer["coupons"] or answer["invitation"] is None:
            hint = "Are the demo's offers active? GET /v1/offers tells."
            raise CommandFailed("Ada's check-in brought no coupon or no invitation.", hint)
        self._say(f"\nAda checks in at {STORE.name}. In the same answer:")
        for match in answer["matches"]:
            inside = f"{-match['distance_m']:.0f} m inside"
            self._say(f"  matched    {match['store_id']}, {inside} ({match['transition']})")
        for coupon in answer["coupons"]:
            self._say(f"  won        {coupon['title']}: {coupon['code']}")
        self._say(f"  invited    to join until {answer['invitation']['expires_at']}")
        return answer["coupons"][0], answer["invitation"]

    def _profile(self, told: Told) -> None:
        lifecycle, traits = told.person["lifecycle"], told.person["traits"]
        self._say(f"\nWhat member_api remembers: Ada is a {lifecycle}; {_traits(traits)}.")
        for item in reversed(told.timeline):
            where = f" at {item['store_id']}" if item["store_id"] else ""
            self._say(f"  {item['occurred_at'][11:19]}  {item['type']}{where}")

    def _commands(self, sent: dict[str, Any], told: Told) -> list[str]:
        """What to paste to see the same: the check-in (a repeat), the profile, the timeline."""
        server = '-H "Authorization: Bearer $(./solomo token server)"'
        who = urlencode(sent["subject"])
        person = f"{self._member_url}/v1/people"
        json_body = f"-H 'Content-Type: application/json' -d {shlex.quote(json.dumps(sent))}"
        commands = [
            f"curl -sw '\\n' {self._geo_url}/v1/check-ins {server} {json_body}",
            f"curl -sw '\\n' '{person}?{who}' {server}",
            f"curl -sw '\\n' {person}/{told.person['person_id']}/timeline {server}",
        ]
        self._say("\nSee it yourself (the first repeats Ada's check-in and changes nothing):")
        for command in commands:
            self._say(f"  {command}")
        return commands

    def _say(self, text: str) -> None:
        self._output.say(text)


def _traits(traits: dict[str, Any]) -> str:
    numbers = {
        name: value
        for name, value in traits.items()
        if isinstance(value, int) and not isinstance(value, bool)
    }
    return ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in numbers.items())
