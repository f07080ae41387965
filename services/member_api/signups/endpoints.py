"""HTTP of joining: the sign-up, and the page that a shown invitation leads to."""

from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Request, Response
from fastapi.responses import HTMLResponse
from pydantic import BaseModel
from sqlalchemy.ext.asyncio import AsyncConnection

from services.member_api.answers import Asked, answer_once
from services.member_api.consents.endpoints import given_of, given_out
from services.member_api.consents.service import Consents
from services.member_api.context import Context, InContext
from services.member_api.membership.domain import (
    InvitationExpired,
    InvitationForAnother,
    InvitationUsed,
    Invited,
)
from services.member_api.membership.invitations import read_invitation
from services.member_api.people import service as people
from services.member_api.people.domain import Erased
from services.member_api.people.service import SealedIdentity
from services.member_api.signups import service
from services.member_api.signups.domain import Applicant, InvitationErased, applicant_subject
from services.member_api.signups.schemas import AttachedOut, SignedUpOut, SignUpIn
from shared.access import PRINCIPAL, public
from shared.auth import Principal, Role
from shared.contracts.events import Lifecycle
from shared.errors import Forbidden, Unauthenticated
from shared.idempotency import IdempotencyKey
from shared.problems import documented

router = APIRouter(tags=["membership"])

_PAGE = Path(__file__).with_name("join.html").read_text(encoding="utf-8")
_PAGE_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline';"
    " connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


async def _caller_if_any(
    request: Request,
    authorization: Annotated[str | None, Header(include_in_schema=False)] = None,
) -> Principal | None:
    """Whoever sends a token is held to it; nobody needs one. Raises Unauthenticated, Forbidden."""
    if authorization is None:
        return None
    scheme, _, token = authorization.partition(" ")
    if scheme.lower() != "bearer":
        raise Unauthenticated("The header must read Authorization: Bearer <token>.")
    principal: Principal = request.app.state.verifier.verify(token.strip())
    request.scope[PRINCIPAL] = principal
    if principal.role not in {Role.SERVER, Role.MEMBER}:
        raise Forbidden("Sign up with an invitation, a member's token or a server key.")
    kind = "subject" if principal.role is Role.MEMBER else "key"
    request.app.state.limiter.take(kind, principal.name)
    return principal


@router.post(
    "/v1/sign-ups",
    status_code=201,
    response_model=SignedUpOut,
    dependencies=[public()],
    openapi_extra={"security": [{"bearer": []}, {}]},
    responses=documented(
        Unauthenticated,
        Forbidden,
        InvitationUsed,
        InvitationForAnother,
        Erased,
        InvitationExpired,
        InvitationErased,
    ),
)
async def sign_up(
    request: Request,
    body: SignUpIn,
    key: IdempotencyKey,
    caller: Annotated[Principal | None, Depends(_caller_if_any)],
    context: InContext,
) -> Response:
    """Become a member: by an invitation, with a member's own token, or vouched for by a server.

    Identities are verified only if a server key sends them; others are kept as claims, and the
    answer never tells whether somebody is known by them.
    """
    invited = _invited(request, body, caller, context)
    identities = _sealed(body, context)
    applicant = _applicant(body, caller, invited, identities)

    async def act(connection: AsyncConnection) -> tuple[int, BaseModel]:
        now = context.clock()
        joined, is_new, attached = await service.sign_up(
            connection, context, applicant, identities, now
        )
        consents = Consents(context.keys, context.announcer)
        subject, actor = applicant.subject_id, applicant.actor
        given = [given_of(terms, subject, actor, context) for terms in body.consents]
        records = await service.consent(connection, consents, given, now)
        states = await people.with_siblings(connection, [subject])
        return 201 if is_new else 200, SignedUpOut(
            person_id=states[subject].person_id,
            member_since=joined.joined_at,
            lifecycle=Lifecycle.MEMBER,
            already_member=not is_new,
            identities=[AttachedOut.model_validate(one) for one in attached],
            consents=[await given_out(connection, consents, record) for record in records],
        )

    return await answer_once(context, Asked(request, applicant.actor, key, body), act)


@router.get("/join", response_class=HTMLResponse, dependencies=[public()])
async def show_join_page(
    accept_language: Annotated[str, Header()] = "",
) -> HTMLResponse:
    """The page to join on; it reads the invitation from the fragment of its own address."""
    language = "zh-CN" if accept_language.lower().lstrip().startswith("zh") else "en"
    headers = {
        "Content-Security-Policy": _PAGE_POLICY,
        "Content-Language": language,
        "Vary": "Accept-Language",
    }
    return HTMLResponse(_PAGE.replace("{{language}}", language), headers=headers)


def _invited(
    request: Request, body: SignUpIn, caller: Principal | None, context: Context
) -> Invited | None:
    """The invitation of the body, if any; it counts against the rate of its subject."""
    if body.invitation is None:
        if caller is None:
            raise Unauthenticated("Send an invitation, or a token in the header Authorization.")
        return None
    invited = read_invitation(body.invitation, context.keys.public)
    if caller is None:
        request.app.state.limiter.take("subject", str(invited.subject_id))
    return invited


def _sealed(body: SignUpIn, context: Context) -> list[SealedIdentity]:
    """The identities ready to be kept, each once."""
    sealed = [
        people.seal(context.keys, identity.identity(f"/identities/{index}"))
        for index, identity in enumerate(body.identities)
    ]
    return list({identity.subject_id: identity for identity in sealed}.values())


def _applicant(
    body: SignUpIn,
    caller: Principal | None,
    invited: Invited | None,
    identities: list[SealedIdentity],
) -> Applicant:
    own = None if caller is None else caller.subject_id
    if own is not None and invited is not None and invited.subject_id != own:
        raise InvitationForAnother("The invitation is bound to another subject than the token.")
    is_vouched = caller is not None and caller.role is Role.SERVER
    vouched = [identity.subject_id for identity in identities] if is_vouched else []
    subject = applicant_subject(own, invited, vouched)
    jti = "" if invited is None else invited.jti
    actor = f"invitation:{jti}" if caller is None else caller.scope
    return Applicant(subject, actor, is_vouched, invited, body.profile)
