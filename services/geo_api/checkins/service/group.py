"""Group commit: concurrent check-ins are decided and written together, in one transaction.

The steps, each over the whole group with a constant number of statements:

1. read what is known of the subjects; those without consent are answered without writing, the
   repeats among them as they were before;
2. claim the receipts; whoever loses gets the winner's answer;
3. lock the subjects, and their siblings, in the order of their ids;
4. judge consent and erasure again, now under the lock;
5. advance the visits, take the grants (offers lock last), invite;
6. write check-ins, visits, answers and events, and leave the commit to the caller.

Pure decisions stand in ``domain`` modules; here they are only put in their order.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from services.geo_api.checkins import repository
from services.geo_api.checkins.domain import Answer, CheckIn, Verdict, distinct
from services.geo_api.checkins.repository import Key, Receipt
from services.geo_api.checkins.service import answers, stays, writing
from services.geo_api.checkins.service.consent import admit, without_consent
from services.geo_api.checkins.service.outcome import Decided, Outcome, Tools
from services.geo_api.invitations.service import ShownInvitation
from services.geo_api.offers.domain import Situation
from services.geo_api.offers.service import grants
from services.geo_api.presence.domain import Transition
from services.geo_api.subjects import repository as subjects
from services.geo_api.subjects import service as locking
from services.geo_api.subjects.domain import NotRecorded, SubjectState, falls_under_erasure
from shared.contracts.events import Lifecycle
from shared.errors import Malformed, Refusal
from shared.idempotency import KeyReused

Results = dict[Key, Answer | Refusal]

_FORGOTTEN = b""
"""Stands for the hash of a request whose answer was reduced: any body is taken for a repeat."""


@dataclass(slots=True)
class Group:
    """The check-ins of one transaction and what becomes of them."""

    tools: Tools
    check_ins: Mapping[Key, CheckIn]
    verdicts: Mapping[Key, Verdict]
    results: Results = field(default_factory=dict)

    async def decide(self, connection: AsyncConnection) -> Results:
        """Decide all; nothing counts before the caller's commit."""
        known = await subjects.read(connection, [subject for subject, _ in self.check_ins])
        refused = self._refuse({state.subject_id: state for state in known})
        if refused:
            await self._answer_refused(connection, refused, known)
        candidates = {key: c for key, c in self.check_ins.items() if key not in refused}
        won = await self._claim(connection, candidates)
        if won:
            await self._decide_won(connection, won, known)
        return self.results

    def _refuse(self, known: Mapping[UUID, SubjectState]) -> dict[Key, NotRecorded | Malformed]:
        """Those that plainly may not be kept, and why: nothing is written for them."""
        reasons = {
            key: check_in.overdue or without_consent(check_in, known.get(check_in.subject_id))
            for key, check_in in self.check_ins.items()
        }
        return {key: reason for key, reason in reasons.items() if reason is not None}

    async def _answer_refused(
        self,
        connection: AsyncConnection,
        refused: Mapping[Key, NotRecorded | Malformed],
        known: Sequence[SubjectState],
    ) -> None:
        """Repeats get their answer even if a new check-in would be refused by now.

        Who has no row may have been erased, which is then the reason.
        """
        self._repeat(await repository.read_answers(connection, list(refused)))
        states = {state.subject_id: state for state in known}
        unknown = {subject for subject, _ in refused} - states.keys()
        erased = await locking.erasures(connection, self.tools.keys.identity, unknown)
        for key, reason in refused.items():
            if key in self.results:
                continue
            if isinstance(reason, Malformed):
                self.results[key] = reason
                continue
            check_in = self.check_ins[key]
            buried = falls_under_erasure(
                erased.get(check_in.subject_id), check_in.occurred_at, check_in.vouch
            )
            why = NotRecorded.ERASED if buried else reason
            self._forget(check_in, why, states.get(check_in.subject_id))

    def _repeat(self, receipts: Mapping[Key, Receipt]) -> None:
        """Answer what was decided before as it was answered then."""
        for key, receipt in receipts.items():
            if receipt.request_hash not in (_FORGOTTEN, self.check_ins[key].request_hash):
                self.results[key] = key_reused(self.check_ins[key])
            else:
                body, why = receipt.answer.encode(), (receipt.decisions or "[]").encode()
                self.results[key] = Answer(200, body, why)

    async def _claim(
        self, connection: AsyncConnection, candidates: Mapping[Key, CheckIn]
    ) -> list[CheckIn]:
        if not candidates:
            return []
        rows = [
            (c.subject_id, c.check_in_id, c.request_hash, c.received_at)
            for c in candidates.values()
        ]
        won = await repository.claim(connection, rows)
        lost = [key for key in candidates if key not in won]
        self._repeat(await repository.read_answers(connection, lost))
        return [check_in for key, check_in in candidates.items() if key in won]

    async def _decide_won(
        self,
        connection: AsyncConnection,
        won: Sequence[CheckIn],
        known: Sequence[SubjectState],
    ) -> None:
        siblings = {sibling for state in known for sibling in state.siblings}
        states = await self._lock(connection, won, siblings)
        admission = admit(self.tools, won, states)
        for check_in, reason in admission.refused:
            self._forget(check_in, reason, states[check_in.subject_id])
        await repository.unclaim(connection, [c.key for c, _ in admission.refused])
        await subjects.forget(connection, admission.forgotten)
        if admission.admitted:
            await self._keep(connection, [*admission.admitted], states, admission.told)

    async def _lock(
        self, connection: AsyncConnection, won: Sequence[CheckIn], siblings: set[UUID]
    ) -> dict[UUID, SubjectState]:
        """Lock whose check-ins these are, with all siblings: also those learnt of by the lock."""
        now = max(check_in.received_at for check_in in won)
        whose = {check_in.subject_id for check_in in won}
        states: dict[UUID, SubjectState] = {}
        wanted = whose | siblings
        while wanted:
            key = self.tools.keys.identity
            states |= await locking.lock(connection, key, wanted, now)
            wanted = {sibling for s in whose for sibling in states[s].siblings} - states.keys()
        return states

    async def _keep(
        self,
        connection: AsyncConnection,
        outcomes: list[Outcome],
        states: Mapping[UUID, SubjectState],
        told: Mapping[UUID, bytes],
    ) -> None:
        outcomes.sort(key=lambda o: (o.check_in.occurred_at, o.check_in.check_in_id))
        for outcome in outcomes:
            outcome.verdict = self.verdicts[outcome.check_in.key]
        tracks = await stays.advance(connection, self.tools, outcomes, states)
        granted = await grants.grant(
            connection,
            self.tools.offers.current,
            [_situation(outcome, states) for outcome in outcomes],
            self.tools.grant_context(max(o.check_in.received_at for o in outcomes)),
        )
        for outcome, grant in zip(outcomes, granted, strict=True):
            outcome.coupons, outcome.decisions = grant.coupons, grant.decisions
            outcome.invitation = self._invite(outcome, states)
            outcome.answer = answers.accepted(outcome)
            self.results[outcome.check_in.key] = outcome.answer
        decided = Decided(outcomes, tracks, states, told)
        await writing.write(connection, self.tools, decided)

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
        if verdict.inside and welcome and _may_be_invited(state):
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
            given.append(Answer(200, result.body, result.decisions))
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
    )
