"""``./solomo replay FILE``: send the check-ins of a file; sent again, it changes nothing."""

import argparse
import asyncio
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

import httpx
import orjson

from cli.acknowledged import Acknowledged, fingerprint
from cli.arguments import between, metres
from cli.check_in_rows import USUAL_NAMES, CheckInMaker, Defaults, as_moment
from cli.client import add_connection_arguments, bearer, geo_url
from cli.lanes import Entry, Lanes, Pace
from cli.output import CommandFailed, Output
from cli.progress import Report, file_progress
from cli.rows import RowFile, as_text, is_where, open_rows, pairs, require_columns
from cli.tally import Tally, summary
from shared.datum import Datum
from shared.identity import WITHOUT_ISSUER, Namespace

MAX_BATCH = 10_000
_REPORT_EVERY_S = 0.25
_INTERRUPTED = 130


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("file", type=Path, metavar="FILE", help="CSV, or one JSON object a line; gzipped or not")
    add("--namespace", choices=[n.value for n in Namespace], default="app_user",
        help="what the subject column holds (default: app_user)")  # fmt: skip
    add("--issuer", default="", help="who gave the subjects their ids, such as your app's name")
    add("--accuracy-m", type=metres, metavar="M", help="for rows without an accuracy, in metres")
    add("--datum", choices=[d.value for d in Datum], default="wgs84", help="for rows without one")
    add("--kind", default="background", help="for rows without one (default: background)")
    add("--consent", metavar="VERSION",
        help="vouch that you hold every subject's consent of this version to keep visits")  # fmt: skip
    add("--consent-given-at", metavar="TIME",
        help="when it was given; default: the time of each row, the same in every run")  # fmt: skip
    add("--map", action="append", default=[], metavar="FIELD=COLUMN",
        help=f"where a field stands; fields: {', '.join(USUAL_NAMES)}")  # fmt: skip
    add("--where", action="append", default=[], metavar="COLUMN=VALUE",
        help="only rows in which this holds; may be repeated")  # fmt: skip
    add("--batch-size", type=between(1, MAX_BATCH), default=500, metavar="N")
    add("--concurrency", type=between(1, 256), default=8, metavar="N", help="batches in flight")
    add("--patience", type=float, default=600.0, metavar="S",
        help="go on for so many seconds while the service does not answer (default: 600)")  # fmt: skip
    add(
        "--state",
        type=Path,
        metavar="FILE",
        help="remember what was answered, and skip it next time",
    )
    add_connection_arguments(parser)


def run(arguments: argparse.Namespace, output: Output) -> int:
    where = pairs("--where", arguments.where)
    maker = _maker(arguments)
    with open_rows(arguments.file) as file:
        require_columns(file, [column for column, _ in where], "--where")
        require_columns(file, [column for column in maker.mapping.values() if column], "--map")
        maker.require(file.columns)
        acknowledged = _acknowledged(arguments, maker, where)
        replay = _Replay(arguments, file, acknowledged, output)
        return replay.run(_entries(file, maker, where))


def _maker(arguments: argparse.Namespace) -> CheckInMaker:
    if arguments.namespace not in WITHOUT_ISSUER and not arguments.issuer:
        hint = "Add --issuer NAME: the app, account or system that gave the ids out."
        raise CommandFailed(f"An {arguments.namespace} needs an issuer.", hint)
    mapping = dict(pairs("--map", arguments.map))
    unknown = [name for name in mapping if name not in USUAL_NAMES]
    if unknown:
        raise CommandFailed(f"--map: there is no field {unknown[0]}.",
                            f"There are: {', '.join(USUAL_NAMES)}")  # fmt: skip
    given_at = arguments.consent_given_at
    defaults = Defaults(
        namespace=arguments.namespace,
        issuer=arguments.issuer,
        accuracy_m=arguments.accuracy_m,
        datum=arguments.datum,
        kind=arguments.kind,
        consent_version=arguments.consent,
        consent_given_at=None if given_at is None else as_moment(given_at),
    )
    return CheckInMaker(defaults, mapping)


def _acknowledged(
    arguments: argparse.Namespace, maker: CheckInMaker, where: Sequence[tuple[str, str]]
) -> Acknowledged:
    if arguments.state is None:
        return Acknowledged(None, "")
    options = [asdict(maker.defaults), dict(maker.mapping), where]
    return Acknowledged.load(arguments.state, fingerprint(arguments.file, options))


def _entries(
    file: RowFile, maker: CheckInMaker, where: Sequence[tuple[str, str]]
) -> Iterator[Entry]:
    ordinal = 0
    for line, row in file.rows:
        if isinstance(row, str):
            yield Entry(ordinal, line, row.encode(), "")
        elif is_where(row, where):
            body = maker.make(row)
            yield Entry(ordinal, line, orjson.dumps(body), as_text(body["subject"]))
        else:
            continue
        ordinal += 1


class _Replay:
    """One run: the file, how far earlier runs got, and what this one counts."""

    def __init__(
        self,
        arguments: argparse.Namespace,
        file: RowFile,
        acknowledged: Acknowledged,
        output: Output,
    ) -> None:
        self._arguments = arguments
        self._file = file
        self._acknowledged = acknowledged
        self._output = output
        self._tally = Tally()
        self._started_s = time.monotonic()

    def run(self, entries: Iterator[Entry]) -> int:
        """Send ``entries``; the summary is given however the run ends.

        1 says that it could not go on, or that every check-in was refused.
        """
        failure: CommandFailed | None = None
        interrupted = False
        try:
            asyncio.run(self._send(entries))
        except KeyboardInterrupt:
            interrupted = True
        except CommandFailed as error:
            failure = error
        self._acknowledged.save()
        document = self._tally.document(time.monotonic() - self._started_s)
        if failure is not None:
            document["error"] = {"message": failure.message, "hint": failure.hint}
        self._output.result(
            document, summary(document) if self._tally.sent or not failure else None
        )
        self._say_how_to_keep()
        if failure is not None:
            return self._complain(failure.message, failure.hint, 1)
        if interrupted:
            hint = "Run the same command again to go on: nothing is recorded twice."
            return self._complain("Interrupted.", hint, _INTERRUPTED)
        return 1 if self._tally.refused.total() == self._tally.answered > 0 else 0

    def _say_how_to_keep(self) -> None:
        if self._tally.not_recorded["no_consent"] and self._arguments.consent is None:
            self._output.step(
                "Without consent nothing is kept. If you hold these people's consent, say its "
                "version: --consent VERSION"
            )

    def _complain(self, message: str, hint: str | None, code: int) -> int:
        self._output.step(f"solomo: {message}" + (f"\n{hint}" if hint else ""))
        return code

    async def _send(self, entries: Iterator[Entry]) -> None:
        arguments = self._arguments
        pace = Pace(arguments.batch_size, arguments.concurrency, arguments.patience)
        limits = httpx.Limits(max_connections=pace.concurrency)
        async with httpx.AsyncClient(
            base_url=geo_url(arguments),
            headers=bearer(arguments, "server"),
            limits=limits,
            trust_env=False,
        ) as client:
            lanes = Lanes(client, pace, self._tally)
            with file_progress(self._output, "Replaying", self._file.size) as report:
                watching = asyncio.create_task(self._watch(lanes, report))
                try:
                    await lanes.send(self._unacknowledged(entries))
                finally:
                    watching.cancel()
                    self._acknowledged.count = max(self._acknowledged.count, lanes.settled)
                    report(self._file.position, self._said())

    def _unacknowledged(self, entries: Iterator[Entry]) -> Iterator[Entry]:
        known = self._acknowledged.count
        for entry in entries:
            if entry.ordinal < known:
                self._tally.skipped += 1
            else:
                yield entry

    async def _watch(self, lanes: Lanes, report: Report) -> None:
        while True:
            await asyncio.sleep(_REPORT_EVERY_S)
            report(self._file.position, self._said())
            settled = max(self._acknowledged.count, lanes.settled)
            self._acknowledged.note(settled, time.monotonic())

    def _said(self) -> str:
        tally, elapsed_s = self._tally, time.monotonic() - self._started_s
        refused = f", {tally.refused.total():,} refused" if tally.refused else ""
        return f"{tally.answered:,} check-ins, {tally.answered / elapsed_s:,.0f}/s{refused}"
