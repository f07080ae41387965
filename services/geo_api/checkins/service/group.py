"""Group commit: concurrent check-ins are decided and written together, in one transaction.

The steps, each over the whole group with a constant number of statements:

1. whoever brings no word of consent is judged by what is on record, and answered without writing
   where that is not enough;
2. lock the subjects, and their siblings, in the order of their ids: from here on nobody else
   decides anything about them; what stands of them is read in one trip;
3. repeats get the answer that their receipt holds;
4. judge consent and erasure, now under the lock;
5. advance the visits, weigh the trust, take the grants (offers lock last), invite;
6. write check-ins, visits, receipts, coupons and events by one statement, and leave the commit
   to the caller.

Pure decisions stand in ``domain`` modules; here they are only put in their order.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from services.geo_api.checkins import repository
from services.geo_api.checkins.domain import Answer, CheckIn, distinct
from services.geo_api.checkins.repository import Key, Receipt
from services.geo_api.checkins.service import answers, doubting, stays, tracks, writing
from services.geo_api.checkins.service.consent import admit, speaks_for_itself, without_consent
from services.geo_api.checkins.service.last_fix import last_fixes
from services.geo_api.checkins.service.outcome import Decided, Outcome, Tools
from services.geo_api.checkins.service.receipts import opened
from services.geo_api.invitations.service import ShownInvitation
from services.geo_api.offers.domain import Situation
from services.geo_api.offers.service import grants
from services.geo_api.presence.domain import Transition
from services.geo_api.presence.verdict import Verdict
from services.geo_api.subjects import repository as subjects
from services.geo_api.subjects import service as locking
from services.geo_api.subjects.domain import NotRecorded, SubjectState, falls_under_erasure
from services.geo_api.trust import repository as sightings
from shared.contracts.events import Lifecycle
from shared.direct import run_together
from shared.errors import Malformed, Refusal
from shared.idempotency import KeyReused
from shared.identity import Identity

Results = dict[Key, Answer | Refusal]

_FORGOTTEN = b""
"""Stands for the hash of a request whose answer was reduced: any body is taken for a repeat."""


@dataclass(frozen=True, slots=True)
class UnderLock:
    """What a group reads once its subjects, the keys of ``states``, are locked."""

    states: Mapping[UUID, SubjectState]
    known: tracks.Known
    copies: doubting.Copies


@dataclass(slots=True)
class Group:
    """The check-ins of one transaction and what becomes of them."""

    tools: Tools
    check_ins: Mapping[Key, CheckIn]
    verdicts: Mapping[Key, Verdict]
    results: Results = field(default_factory=dict)

    async def decide(self, connection: AsyncConnection) -> Results:
        """Decide all; nothing counts before the caller's commit."""
        await self._answer_doubtful(connection)
        hopeful = [c for key, c in self.check_ins.items() if key not in self.results]
        if hopeful:
            await self._decide_locked(connection, hopeful)
        return self.results

    async def _answer_doubtful(self, connection: AsyncConnection) -> None:
        """Answer, without writing anything, those that plainly may not be kept.

        Repeats get their answer even if a new check-in would be refused by now.
        """
        doubtful = [c for c in self.check_ins.values() if c.overdue or not speaks_for_itself(c)]
        if not doubtful:
            return
        known = await subjects.read(connection, [c.subject_id for c in doubtful])
        states = {state.subject_id: state for state in known}
        reasons = {
            c.key: c.overdue or without_consent(c, states.get(c.subject_id)) for c in doubtful
        }
        refused = {key: reason for key, reason in reasons.items() if reason is not None}
        if refused:
            await self._repeat(await repository.read_receipts(connection, list(refused)))
            await self._answer_refused(connection, refused, states)

    async def _answer_refused(
        self,
        connection: AsyncConnection,
        refused: Mapping[Key, NotRecorded | Malformed],
        states: Mapping[UUID, SubjectState],
    ) -> None:
        """Who has no row may have been erased, which is then the reason."""
        unknown = {subject for subject, _ in refused} - states.keys()
        erased = await locking.erasures(connection, self.tools.keys.identity, unknown)
        for key, reason in refused.items():
            check_in = self.check_ins[key]
            if key in self.results:
                continue
            if isinstance(reason, Malformed):
                self.results[key] = reason
                continue
            buried = falls_under_erasure(
                erased.get(check_in.subject_id), check_in.occurred_at, check_in.vouch
            )
            why = NotRecorded.ERASED if buried else reason
            self._forget(check_in, why, states.get(check_in.subject_id))

    async def _repeat(self, receipts: Mapping[Key, Receipt]) -> None:
        """Answer what was decided before as it was answered then.

        A receipt of the very moment at which this request was received is its own: the commit
        that seemed lost had counted, and this is the first answer.
        """
        for key, receipt in receipts.items():
            check_in = self.check_ins[key]
            if receipt.request_hash not in (_FORGOTTEN, check_in.request_hash):
                self.results[key] = key_reused(check_in)
                continue
            status = 201 if receipt.received_at == check_in.received_at else 200
            day_key = await self.tools.day_keys.find(receipt.received_at.date())
            self.results[key] = opened(*key, receipt, day_key, status)

    async def _decide_locked(self, connection: AsyncConnection, hopeful: Sequence[CheckIn]) -> None:
        now = max(check_in.received_at for check_in in hopeful)
        whose = {check_in.subject_id for check_in in hopeful}
        hashes = doubting.possible_copies(self.tools, hopeful, self.verdicts)
        states, (decided, seen, *rows) = await locking.lock_and_read(
            connection,
            self.tools.keys.identity,
            whose,
            now,
            [
                repository.asking_receipts([check_in.key for check_in in hopeful]),
                sightings.asking({*hashes.values()}),
                *tracks.asking_known(hopeful, [self.verdicts[c.key] for c in hopeful]),
            ],
        )
        await self._repeat(repository.receipts(decided))
        fresh = [check_in for check_in in hopeful if check_in.key not in self.results]
        admission = admit(fresh, states)
        for check_in, reason in admission.refused:
            self._forget(check_in, reason, states[check_in.subject_id])
        await subjects.forget(connection, admission.forgotten)
        if admission.admitted:
            under_lock = UnderLock(states, tracks.known(*rows), doubting.Copies(hashes, seen))
            await self._keep(connection, [*admission.admitted], under_lock, admission.told)

    async def _keep(
        self,
        connection: AsyncConnection,
        outcomes: list[Outcome],
        read: UnderLock,
        told: Mapping[UUID, Identity],
    ) -> None:
        states = read.states
        outcomes.sort(key=lambda o: (o.check_in.occurred_at, o.check_in.check_in_id))
        for outcome in outcomes:
            outcome.verdict = self.verdicts[outcome.check_in.key]
        lasts = await last_fixes(states.values(), self.tools.day_keys)
        advanced = await stays.advance(connection, self.tools, outcomes, states, read.known, lasts)
        doubting.weigh(self.tools, outcomes, states, lasts, read.copies)
        granted = await grants.grant(
            connection,
            self.tools.offers.current,
            [_situation(outcome, states) for outcome in outcomes],
            self.tools.grant_context(max(o.check_in.received_at for o in outcomes)),
            known={subject: [*track.visits.values()] for subject, track in advanced.items()},
        )
        for outcome, grant in zip(outcomes, granted.given, strict=True):
            outcome.coupons, outcome.decisions = grant.coupons, grant.decisions
            outcome.invitation = self._invite(outcome, states)
            outcome.answer = answers.accepted(outcome, self.tools.rule)
            self.results[outcome.check_in.key] = outcome.answer
        decided = Decided(outcomes, advanced, states, told)
        statements = await writing.statements(self.tools, decided)
        await run_together(connection, [*statements, *granted.writing])

    def _invite(
        self, outcome: Outcome, states: Mapping[UUID, SubjectState]
    ) -> ShownInvitation | None:
        """Invite whoever is not a member, said no no to marketing, and has just come in."""
        state = states[outcome.check_in.subject_id]
        arrived = Transition.ENTER in outcome.transitions.values()
        if not arrived or outcome.check_in.is_too_late or not _may_be_invited(state):
            return None
        return self.tools.inviter.invite(
            state.subject_id, outcome.verdict.deepest_store, outcome.check_in.received_at
        )

    def _forget(self, check_in: CheckIn, reason: NotRecorded, state: SubjectState | None) -> None:
        verdict = self.verdicts[check_in.key]
        invitation = None
        welcome = reason is not NotRecorded.ERASED and not check_in.is_too_late
        if verdict.arrives and welcome and _may_be_invited(state):
            invitation = self.tools.inviter.invite(
                check_in.subject_id, verdict.deepest_store, check_in.received_at
            )
        self.results[check_in.key] = answers.not_recorded(check_in, verdict, reason, invitation)


async def decide(
    connection: AsyncConnection,
    tools: Tools,
    check_ins: Sequence[CheckIn],
    verdict_of: Callable[[Sequence[CheckIn]], list[Verdict]],
) -> list[Answer | Refusal]:
    """Decide ``check_ins`` in the transaction of ``connection``; an answer each, in order.

    The same (subject, id) may stand in the group several times: it is decided once.
    """
    first = distinct(check_ins)
    verdicts = dict(zip(first, verdict_of([*first.values()]), strict=True))
    results = await Group(tools, first, verdicts).decide(connection)
    given: list[Answer | Refusal] = []
    for check_in in check_ins:
        original = first[check_in.key]
        result = results[check_in.key]
        if check_in is original or isinstance(result, Refusal):
            given.append(result)
        elif check_in.request_hash != original.request_hash:
            given.append(key_reused(check_in))
        else:
            given.append(Answer(200, result.body, result.explanation))
    return given


def key_reused(check_in: CheckIn) -> KeyReused:
    return KeyReused(
        f"Check-in {check_in.check_in_id} was sent before with another body. "
        "Give a new check-in a new id; repeat an old one unchanged.",
        reason="key_reused",
    )


def _may_be_invited(state: SubjectState | None) -> bool:
    return state is None or (
        state.lifecycle is not Lifecycle.MEMBER and not state.refuses_marketing
    )


def _situation(outcome: Outcome, states: Mapping[UUID, SubjectState]) -> Situation:
    check_in, state = outcome.check_in, states[outcome.check_in.subject_id]
    return Situation(
        subject_id=state.subject_id,
        siblings=state.siblings,
        lifecycle=state.lifecycle,
        marketing_refused=state.refuses_marketing,
        check_in_id=check_in.check_in_id,
        kind=check_in.kind,
        occurred_at=check_in.occurred_at,
        received_at=check_in.received_at,
        presences=outcome.presences,
        trust=outcome.trust.score,
    )
