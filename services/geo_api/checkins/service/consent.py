"""Which check-ins of a group may be kept, judged before and again under the lock."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from services.geo_api.checkins.domain import CheckIn
from services.geo_api.checkins.service.outcome import Outcome
from services.geo_api.subjects.domain import (
    NotRecorded,
    SubjectState,
    Vouch,
    consent_for_visit,
    falls_under_erasure,
    falls_under_revocation,
)
from shared.identity import Identity


@dataclass(frozen=True, slots=True)
class Admission:
    """What the judgement under the lock gives.

    ``admitted`` may be kept; ``refused`` not, with the reason; ``forgotten`` are subjects
    whose rows this transaction made for nothing; ``told`` are identities not told of before.
    """

    admitted: list[Outcome]
    refused: list[tuple[CheckIn, NotRecorded]]
    forgotten: list[UUID]
    told: Mapping[UUID, Identity]


def speaks_for_itself(check_in: CheckIn) -> bool:
    """Whether its own word of consent is enough, unless a refusal turns up under the lock."""
    return isinstance(_judge(check_in, None), Vouch)


def without_consent(check_in: CheckIn, state: SubjectState | None) -> NotRecorded | None:
    """The reason why a check-in may not be kept, as far as it shows before the lock."""
    verdict = _judge(check_in, state)
    return verdict if isinstance(verdict, NotRecorded) else None


def admit(check_ins: Sequence[CheckIn], states: Mapping[UUID, SubjectState]) -> Admission:
    """Judge check-ins whose subjects are locked."""
    admitted: list[Outcome] = []
    refused: list[tuple[CheckIn, NotRecorded]] = []
    for check_in in check_ins:
        verdict = _judge(check_in, states[check_in.subject_id])
        if isinstance(verdict, NotRecorded):
            refused.append((check_in, verdict))
        else:
            admitted.append(Outcome(check_in, verdict))
    kept = {outcome.check_in.subject_id for outcome in admitted}
    forgotten = [s for s, state in states.items() if state.is_new and s not in kept]
    told = {
        o.check_in.subject_id: o.check_in.identity
        for o in admitted
        if o.check_in.identity and not states[o.check_in.subject_id].identity_told
    }
    return Admission(admitted, refused, forgotten, told)


def _judge(check_in: CheckIn, state: SubjectState | None) -> Vouch | NotRecorded:
    if state is not None and falls_under_erasure(
        state.erased_at, check_in.occurred_at, check_in.vouch
    ):
        return NotRecorded.ERASED
    if state is not None and falls_under_revocation(state, check_in.occurred_at):
        return NotRecorded.CONSENT_WITHDRAWN
    recorded = state.visit_history if state else None
    return consent_for_visit(recorded, check_in.vouch, check_in.received_at)
