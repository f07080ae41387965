"""Counting what geo_api answered to the check-ins of a file."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

SHOWN_EXAMPLES = 3
"""So many refused lines are shown in full for each reason."""


@dataclass(slots=True)
class Tally:
    """``sent`` counts check-ins, not attempts; ``resent`` those that went out more than once.

    ``matches`` counts (check-in, store) with the check-in inside, ``visits`` those that began
    one, over all accepted answers: a repeat answers as the first time.
    """

    skipped: int = 0
    sent: int = 0
    resent: int = 0
    new: int = 0
    repeats: int = 0
    matches: int = 0
    visits: int = 0
    coupons: int = 0
    invitations: int = 0
    not_recorded: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    examples: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    @property
    def answered(self) -> int:
        settled = self.not_recorded.total() + self.refused.total()
        return self.new + self.repeats + settled

    def take(self, answer: Mapping[str, Any], line: int) -> None:
        """Count one line of a batch's answer; ``line`` is the row's line in the file."""
        check_in = answer.get("check_in")
        if check_in is None:
            self._refuse(answer, line)
        elif check_in["status"] == "not_recorded":
            self.not_recorded[check_in["reason"]] += 1
        else:
            self._accept(answer)

    def document(self, elapsed_s: float) -> dict[str, Any]:
        rate = self.answered / elapsed_s if elapsed_s > 0 else 0.0
        return {
            "sent": self.sent,
            "new": self.new,
            "repeats": self.repeats,
            "not_recorded": dict(self.not_recorded),
            "refused": dict(self.refused),
            "refused_examples": self.examples,
            "matches": self.matches,
            "visits": self.visits,
            "coupons": self.coupons,
            "invitations": self.invitations,
            "skipped": self.skipped,
            "resent": self.resent,
            "seconds": round(elapsed_s, 3),
            "check_ins_per_s": round(rate, 1),
        }

    def _accept(self, answer: Mapping[str, Any]) -> None:
        if answer["http_status"] == 201:  # noqa: PLR2004 - Created: the first time
            self.new += 1
        else:
            self.repeats += 1
        matches = answer["matches"]
        if matches:
            self.matches += len({m["store_id"] for m in matches if m["inside"]})
            self.visits += len({m["store_id"] for m in matches if m["transition"] == "enter"})
        self.coupons += len(answer["coupons"])
        self.invitations += answer["invitation"] is not None

    def _refuse(self, problem: Mapping[str, Any], line: int) -> None:
        faults = problem.get("errors") or []
        slug = str(problem.get("type") or problem.get("title") or "refused").rpartition("/")[2]
        reason = " ".join([slug, *sorted({fault["pointer"] for fault in faults})])
        self.refused[reason] += 1
        shown = self.examples.setdefault(reason, [])
        if len(shown) < SHOWN_EXAMPLES:
            shown.append({"line": line, "detail": problem.get("detail") or problem.get("title")})


def summary(document: Mapping[str, Any]) -> str:
    """The counts as lines for people."""
    rate = f"{document['check_ins_per_s']:,.0f} check-ins a second"
    lines = [
        f"{document['sent']:>10,} sent in {document['seconds']:,.1f} s ({rate})",
        f"{document['new']:>10,} new",
        f"{document['repeats']:>10,} repeats, which changed nothing",
    ]
    if document["resent"]:
        lines.append(f"{document['resent']:>10,} sent again, for want of an answer")
    if document["skipped"]:
        lines.append(f"{document['skipped']:>10,} skipped, acknowledged in an earlier run")
    for reason, count in document["not_recorded"].items():
        lines.append(f"{count:>10,} not recorded: {reason}")
    lines += [
        f"{document['matches']:>10,} matches (a check-in inside a store)",
        f"{document['visits']:>10,} visits begun",
        f"{document['coupons']:>10,} coupons",
        f"{document['invitations']:>10,} invitations",
    ]
    for reason, count in document["refused"].items():
        lines.append(f"{count:>10,} refused: {reason}")
        shown = document["refused_examples"][reason]
        lines += [f"{'':>10}   line {one['line']}: {one['detail']}" for one in shown]
    return "\n".join(lines)
