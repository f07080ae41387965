"""Every kind of problem has its title in both languages."""

from collections.abc import Iterator

import services.geo_api.app
import services.member_api.app  # noqa: F401 - importing the apps declares their problems
from shared.errors import Refusal
from shared.problem_texts import TITLES_ZH


def kinds(of: type[Refusal] = Refusal) -> Iterator[type[Refusal]]:
    for kind in of.__subclasses__():
        yield kind
        yield from kinds(kind)


def test_every_problem_of_the_services_has_a_chinese_title() -> None:
    ours = {kind.slug for kind in kinds() if kind.__module__.startswith(("services", "shared"))}
    assert ours <= TITLES_ZH.keys()
