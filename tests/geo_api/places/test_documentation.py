"""The examples of docs/places.md are such as the services take."""

import json
import re
from pathlib import Path

from services.geo_api.places.hours_schemas import HoursBody
from services.geo_api.places.schemas import GeofenceIn
from services.geo_api.redrawing.endpoints import DryRunIn

PAGE = Path(__file__).parents[3] / "docs/places.md"


def test_every_example_on_the_page_is_accepted() -> None:
    blocks = re.findall(r"```json\n(.*?)```", PAGE.read_text(), re.DOTALL)

    hours, geofence, dry_run = map(json.loads, blocks)

    assert HoursBody.model_validate(hours).hours().weekly is not None
    assert GeofenceIn.model_validate(geofence).content().dwell_s == (300, 900)
    assert DryRunIn.model_validate(dry_run).days == 7
