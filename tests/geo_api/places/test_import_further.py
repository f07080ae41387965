"""Import of KML, of several geofences a store, and of what a file does not speak of."""

from typing import Any
from uuid import uuid4

import httpx
import pytest

from services.geo_api.places import files
from services.geo_api.places.hours_schemas import HOURS_EXAMPLE
from tests.geo_api.places.factories import make_circle, make_store
from tests.geo_api.places.test_import import counts, faults

pytestmark = pytest.mark.slow

KML_TYPE = "application/vnd.google-earth.kml+xml"
SQUARE = "-74,40.7,0 -73.99,40.7,0 -73.99,40.71,0 -74,40.71,0 -74,40.7,0"
HOLE = "-73.996,40.704 -73.996,40.706 -73.994,40.706 -73.994,40.704 -73.996,40.704"


def kml(*placemarks: str, namespace: str = ' xmlns="http://www.opengis.net/kml/2.2"') -> str:
    folder = f"<Folder><name>Folder</name>{''.join(placemarks)}</Folder>"
    style = "<Style id='s'><LineStyle><color>ff0000ff</color></LineStyle></Style>"
    return f"<?xml version='1.0'?><kml{namespace}><Document>{style}{folder}</Document></kml>"


def polygon(shell: str, *holes: str) -> str:
    ring = "<{0}><LinearRing><coordinates>\n {1}\n</coordinates></LinearRing></{0}>"
    rings = ring.format("outerBoundaryIs", shell)
    rings += "".join(ring.format("innerBoundaryIs", hole) for hole in holes)
    return f"<Polygon><extrude>1</extrude>{rings}</Polygon>"


def placemark(name: str, geometry: str, **data: str) -> str:
    values = "".join(f"<Data name='{k}'><value>{v}</value></Data>" for k, v in data.items())
    return (
        f"<Placemark id='{name}'><name>Store {name}</name><description>no</description>"
        f"<styleUrl>#s</styleUrl><ExtendedData>{values}</ExtendedData>{geometry}</Placemark>"
    )


def point(coordinates: str) -> str:
    return f"<Point><coordinates>{coordinates}</coordinates></Point>"


async def send(
    client: httpx.AsyncClient, content: str | bytes, kind: str = KML_TYPE
) -> httpx.Response:
    headers = {"Content-Type": kind, "Idempotency-Key": uuid4().hex}
    return await client.post("/v1/stores/import", content=content, headers=headers)


async def test_placemarks_become_stores_with_circles_and_outlines(
    client: httpx.AsyncClient,
) -> None:
    both = f"<MultiGeometry>{point('-73.992,40.702')}{polygon(SQUARE, HOLE)}</MultiGeometry>"
    two = (
        f"<MultiGeometry>{polygon(SQUARE)}{polygon('-73,40 -72,40 -72,41 -73,40')}</MultiGeometry>"
    )
    content = kml(
        placemark("a", point("-73.9893,40.7419,12"), tags="x;y", radius_m="55.5"),
        placemark("ignored", polygon(SQUARE, HOLE), id="b", brand="Tea &amp; Co"),
        placemark("c", both),
        placemark("d", two),
    )

    first = (await send(client, content)).json()
    again = (await send(client, content.encode("utf-16"))).json()

    assert counts(first) == (4, 0, 0, 0), first
    assert counts(again) == (0, 0, 4, 0)
    a = (await client.get("/v1/stores/a")).json()
    assert (a["name"], a["tags"], a["latitude"]) == ("Store a", ["x", "y"], 40.7419)
    assert (await client.get("/v1/geofences/a")).json()["geometry"]["radius_m"] == 55.5
    assert (await client.get("/v1/stores/b")).json()["brand"] == "Tea & Co"
    assert len((await client.get("/v1/geofences/b")).json()["geometry"]["coordinates"]) == 2
    c = (await client.get("/v1/stores/c")).json()
    assert (c["longitude"], c["latitude"]) == (-73.992, 40.702)
    assert (await client.get("/v1/geofences/d")).json()["geometry"]["type"] == "MultiPolygon"


async def test_schema_data_and_files_without_a_namespace_are_read_too(
    client: httpx.AsyncClient,
) -> None:
    data = (
        "<ExtendedData><SchemaData schemaUrl='#s'><SimpleData name='ref'>r1</SimpleData>"
        "<SimpleData name='Address'> 1 Main St </SimpleData></SchemaData></ExtendedData>"
    )
    mark = f"<Placemark><name>R</name>{data}{point(' -73.9893,40.7419 ')}</Placemark>"

    report = (await send(client, kml(mark, namespace=""))).json()

    assert counts(report) == (1, 0, 0, 0), report
    assert (await client.get("/v1/stores/r1")).json()["address"] == "1 Main St"


async def test_a_placemark_that_cannot_be_is_refused_by_its_number(
    client: httpx.AsyncClient,
) -> None:
    line = "<LineString><coordinates>0,10 1,11</coordinates></LineString>"
    content = kml(
        placemark("a", point("-73.9893,40.7419")),
        placemark("line", line),
        placemark("text", point("north,40")),
        placemark("empty", "<Point><coordinates> </coordinates></Point>"),
        placemark("open", polygon("-74,40.7 -73,40.7 -73,41 -74,41")),
        placemark("nothing", ""),
    )

    report = (await send(client, content)).json()

    assert counts(report) == (1, 0, 0, 5)
    assert faults(report) == {
        2: ["/geometry/type"],
        3: ["/longitude"],
        4: ["/geometry/coordinates"],
        5: ["/geometry/coordinates/0"],
        6: ["/latitude", "/longitude"],
    }


BOMB = """<?xml version="1.0"?><!DOCTYPE kml [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;">]>
<kml><Placemark><name>&b;</name></Placemark></kml>"""
OUTSIDE = """<?xml version="1.0"?><!DOCTYPE kml [<!ENTITY x SYSTEM "file:///etc/passwd">]>
<kml><Placemark><name>&x;</name></Placemark></kml>"""


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (BOMB, "DTD"),
        (OUTSIDE, "DTD"),
        ("<kml><Placemark><name>&undefined;</name></Placemark></kml>", "undefined entity"),
        ("<kml>" + "<Folder>" * 100_000, "nested too deeply"),
        ("<html/>", "is no KML"),
        ("<kml><Placemark></kml>", "mismatched tag"),
        ("", "no element found"),
        ("not xml", "is not XML"),
        ("<kml/>", "no Placemark"),
    ],
)
async def test_a_file_that_is_no_kml_or_a_trap_is_refused_as_a_whole(
    client: httpx.AsyncClient, content: str, says: str
) -> None:
    answer = await send(client, content)

    assert answer.status_code == 422
    assert says in answer.json()["errors"][0]["detail"]


async def test_too_many_placemarks_are_refused(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "MAX_ROWS", 2)

    marks = [placemark(name, point("-73.9893,40.7419")) for name in "abc"]

    assert (await send(client, kml(*marks))).status_code == 413


async def test_a_store_may_stand_in_a_row_for_each_of_its_geofences(
    client: httpx.AsyncClient,
) -> None:
    content = (
        "id,name,lat,lon,radius_m,geofence_id,center_latitude,center_longitude,dwell_s\n"
        "s1,One,40.7,-74.0,50,door,40.701,-74.001,60;300\n"
        "s1,One,40.7,-74.0,200,,,,\n"
        "s2,Two,40.7,-74.0,none,,,,\n"
        "s3,Three,40.7,-74.0,50,same,,,\n"
        "s3,Three,40.7,-74.0,60,same,,,\n"
        "s4,Four,40.7,-74.0,50,x,,,\n"
        "s4,Other,40.7,-74.0,50,y,,,\n"
        "s5,Five,40.7,-74.0,50,not an id,,,\n"
        "s6,Six,40.7,-74.0,50,s6b,,,300;60\n"
    )

    report = (await send(client, content, "text/csv")).json()

    assert counts(report) == (2, 1, 0, 6), report
    assert faults(report) == {
        5: ["/id"],
        6: ["/id"],
        7: ["/id"],
        8: ["/id"],
        9: ["/geofence_id"],
        10: ["/dwell_s"],
    }
    door = (await client.get("/v1/geofences/door")).json()
    assert (door["store_id"], door["dwell_s"]) == ("s1", [60, 300])
    assert door["geometry"]["coordinates"] == [-74.001, 40.701]
    assert (await client.get("/v1/geofences/s1")).json()["geometry"]["radius_m"] == 200
    assert (await client.get("/v1/stores/s2")).status_code == 200
    assert (await client.get("/v1/geofences/s2")).status_code == 404


async def test_a_list_without_hours_schedules_or_dwell_times_leaves_them(
    client: httpx.AsyncClient,
) -> None:
    await make_store(client, "s1", hours=HOURS_EXAMPLE)
    schedule = {"weekly": {"sunday": ["08:00-14:00"]}}
    await make_circle(client, "s1", "s1", dwell_s=[60], schedule=schedule)

    without = "id,name,lat,lon,radius_m\ns1,New name,40.7,-74.0,50\n"
    emptied = (
        "id,name,lat,lon,radius_m,solomo_hours,solomo_schedule,dwell_s\n"
        "s1,New name,40.7,-74.0,50,,,\n"
    )
    assert counts((await send(client, without, "text/csv")).json()) == (0, 1, 0, 0)
    store = (await client.get("/v1/stores/s1")).json()
    fence = (await client.get("/v1/geofences/s1")).json()
    assert store["hours"]["holidays"]["country"] == "US"
    assert (store["name"], fence["dwell_s"]) == ("New name", [60])
    assert fence["schedule"]["weekly"]["sunday"] == ["08:00-14:00"]

    assert counts((await send(client, emptied, "text/csv")).json()) == (0, 1, 0, 0)
    assert (await client.get("/v1/stores/s1")).json()["hours"] is None
    fence = (await client.get("/v1/geofences/s1")).json()
    assert (fence["dwell_s"], fence["schedule"]) == ([], None)


@pytest.mark.parametrize(
    ("column", "value", "pointer"),
    [
        ("solomo_hours", "Mo-Fr 9-17", "/hours"),
        ("solomo_hours", '"{""weekly"": {""monday"": [""9-17""]}}"', "/hours/weekly/monday/0"),
        ("solomo_schedule", "[]", "/schedule"),
        ("dwell_s", "soon", "/dwell_s/0"),
        ("wkt", "POLYGON here", "/outline"),
        ("wkt", "POINT (1 2)", "/geometry/type"),
        ("tags", '"[""a"", 1]"', "/tags/1"),
        ("tags", "[a", "/tags"),
    ],
)
async def test_cells_that_cannot_be_read_are_named(
    client: httpx.AsyncClient, column: str, value: Any, pointer: str
) -> None:
    content = f"id,name,lat,lon,{column}\ns1,One,40.7,-74.0,{value}\n"

    report = (await send(client, content, "text/csv")).json()

    assert faults(report) == {2: [pointer]}, report
