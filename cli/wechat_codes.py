"""``./solomo wechat codes``: codes for many stores at once, as pictures to print."""

import argparse
import csv
import hashlib
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx

from cli.arguments import between
from cli.client import bearer, geo_url, refused, unreachable
from cli.output import CommandFailed, Output

_TIMEOUT = httpx.Timeout(60.0, connect=5.0)
_LONGEST = {"mini_program": 32, "service": 64}
_USUAL_SCENE = "s={store}"
_PATIENCE = 6
_WAIT_S = 5.0
_TOO_MANY, _AWAY = 429, 503
LIST = "codes.csv"


@dataclass(frozen=True, slots=True)
class Code:
    """A code to make; ``file`` is where its picture goes, named after the scene."""

    scene: str
    store_id: str
    name: str
    campaign: str | None
    kol: str | None
    file: str


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--all-stores", action="store_true", help="a code for each open store")
    which.add_argument("--store", action="append", metavar="STORE_ID", help="may be repeated")
    add("--out", type=Path, required=True, metavar="DIR",
        help="where pictures go; what is there already is not made again")  # fmt: skip
    add("--campaign", metavar="NAME", help="whom the scans are owed to")
    add("--kol", metavar="NAME", help="the same")
    add("--page", metavar="PATH", help="of a mini-program, such as pages/home/index")
    add("--scene", metavar="TEMPLATE",
        help="of {store}, {hash} (10 characters that stand for the store), {campaign}, {kol}; "
        "default: s={store}, then &c={campaign} and &k={kol} where given")  # fmt: skip
    add("--svg", action="store_true", help="SVG instead of PNG, of service accounts")
    add("--width", type=between(280, 1280), default=430, metavar="PX")
    add("--per-minute", type=between(1, 5_000), default=600, metavar="N",
        help="codes made in a minute at most (default: 600)")  # fmt: skip


def run(arguments: argparse.Namespace, output: Output) -> int:
    url = geo_url(arguments)
    headers = bearer(arguments, "server")
    try:
        with httpx.Client(base_url=url, headers=headers, timeout=_TIMEOUT, trust_env=False) as geo:
            return _run(arguments, output, geo)
    except httpx.TransportError as error:
        hint = "Run the same command again: what is made is kept."
        raise CommandFailed(unreachable(url, error).message, hint) from error


def _run(arguments: argparse.Namespace, output: Output, geo: httpx.Client) -> int:
    kind = _ask(geo, "GET", f"/v1/wechat/accounts/{quote(arguments.account, safe='')}").json()[
        "kind"
    ]
    codes = [_code(arguments, store) for store in _stores(arguments, geo)]
    _check(codes, _LONGEST.get(kind, 0))
    arguments.out.mkdir(parents=True, exist_ok=True)
    missing = [code for code in codes if not (arguments.out / code.file).exists()]
    with output.progress() as progress:
        task = progress.add_task("codes", total=len(codes), completed=len(codes) - len(missing))
        for code in _paced(missing, arguments.per_minute):
            _make(arguments, geo, code)
            progress.advance(task)
    _write_list(arguments.out / LIST, codes)
    made = {"codes": len(codes), "made": len(missing), "out": str(arguments.out)}
    output.result(made, f"{len(missing)} made, {len(codes)} in {arguments.out}, see {LIST}.")
    return 0


def _stores(arguments: argparse.Namespace, geo: httpx.Client) -> Iterator[dict[str, Any]]:
    if arguments.store:
        for store_id in arguments.store:
            yield _ask(geo, "GET", f"/v1/stores/{quote(store_id, safe='')}").json()
        return
    cursor: str | None = None
    while True:
        params = {"limit": "500"} | ({"cursor": cursor} if cursor else {})
        page = _ask(geo, "GET", "/v1/stores", params=params).json()
        yield from page["items"]
        cursor = page["next_cursor"]
        if cursor is None:
            return


def _code(arguments: argparse.Namespace, store: dict[str, Any]) -> Code:
    """Raises CommandFailed for a template that names what there is not."""
    store_id, campaign, kol = store["store_id"], arguments.campaign, arguments.kol
    known = {"store": store_id, "hash": hashlib.sha256(store_id.encode()).hexdigest()[:10]}
    known |= {name: said for name, said in (("campaign", campaign), ("kol", kol)) if said}
    more = "".join(f"&{name[0]}={{{name}}}" for name in ("campaign", "kol") if name in known)
    template = arguments.scene or _USUAL_SCENE + more
    try:
        scene = template.format_map(known)
    except (KeyError, ValueError, IndexError, AttributeError) as error:
        hint = f"Known are {', '.join(f'{{{name}}}' for name in known)}."
        raise CommandFailed(f"--scene {template} cannot be filled in.", hint) from error
    file = quote(scene, safe="=&") + (".svg" if arguments.svg else ".png")
    return Code(scene, store_id, store["name"], campaign, kol, file)


def _check(codes: list[Code], longest: int) -> None:
    """Before anything is made: all scenes fit, and each store has its own."""
    if not longest:
        raise CommandFailed("Codes with scenes are for service accounts and mini-programs.")
    too_long = [code.scene for code in codes if len(code.scene) > longest]
    if too_long:
        hint = "A shorter one: --scene 's={hash}'"
        said = f"{len(too_long)} scenes are longer than {longest} characters, as {too_long[0]}."
        raise CommandFailed(said, hint)
    if len({code.scene for code in codes}) < len({code.store_id for code in codes}):
        raise CommandFailed("Several stores would share a scene.", "Name {store} or {hash} in it.")


def _make(arguments: argparse.Namespace, geo: httpx.Client, code: Code) -> None:
    """The scene, then its picture, whole or not at all."""
    path = f"/v1/wechat/{quote(arguments.account, safe='')}/scenes/{quote(code.scene, safe='')}"
    body = {"store_id": code.store_id, "campaign": code.campaign, "kol": code.kol}
    _ask(geo, "PUT", path, json=body | ({"page": arguments.page} if arguments.page else {}))
    accept = {"Accept": "image/svg+xml" if arguments.svg else "image/png"}
    params = {"width_px": str(arguments.width)}
    picture = _ask(geo, "GET", f"{path}/image", headers=accept, params=params)
    part = arguments.out / f"{code.file}.part"
    part.write_bytes(picture.content)
    part.rename(arguments.out / code.file)


def _paced(codes: list[Code], per_minute: int) -> Iterator[Code]:
    """No more of them in a minute than allowed, evenly."""
    due = time.monotonic()
    for code in codes:
        time.sleep(max(0.0, due - time.monotonic()))
        due = max(due, time.monotonic()) + 60 / per_minute
        yield code


def _ask(geo: httpx.Client, method: str, path: str, **sent: Any) -> httpx.Response:
    """Patient with whoever is busy. Raises CommandFailed."""
    for _ in range(_PATIENCE):
        answer = geo.request(method, path, **sent)
        if answer.status_code not in {_TOO_MANY, _AWAY}:
            break
        time.sleep(float(answer.headers.get("retry-after", _WAIT_S)))
    if answer.is_success:
        return answer
    failure = refused(answer.status_code, answer.content)
    hint = failure.hint or "What is made is kept: run the same command again."
    raise CommandFailed(failure.message, hint)


def _write_list(path: Path, codes: list[Code]) -> None:
    """Which picture is of which store, for whoever prints them."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(asdict(codes[0])) if codes else ["scene"])
        writer.writeheader()
        writer.writerows(asdict(code) for code in codes)
