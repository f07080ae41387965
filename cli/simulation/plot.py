"""The scores of a run as a picture: an SVG of small panels, a row for each measure."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from html import escape

from cli.simulation.scoring import Score
from cli.simulation.sources import SOURCES, Source
from cli.simulation.town import RADII_M
from cli.simulation.trial import Trial

_PANEL_W, _PANEL_H = 180.0, 110.0
_LEFT, _TOP = 82.0, 92.0
_ACROSS, _DOWN = 28.0, 34.0
_BOTTOM = 16.0

_COLOURS = {"tried": "#009e73", "default": "#0072b2", "first": "#e69f00", "plain": "#d55e00"}
"""Told apart by those who see colours otherwise. Source: M. Okabe and K. Ito, 2008."""

_MARKS = {"tried": 6.4, "default": 5.0, "first": 3.4, "plain": 2.0}
_WIDTHS = {"tried": 6.0, "default": 4.0, "first": 2.4, "plain": 1.2}
"""They are drawn from the widest on, so that lines which coincide still show."""

_STYLE = (
    "text{font:11px system-ui,sans-serif;fill:#333}.title{font-size:15px;font-weight:600}"
    ".head{font-weight:600;text-anchor:middle}.tick{fill:#777;font-size:10px}"
    ".grid{stroke:#e4e4e4}.frame{fill:none;stroke:#bbb}.line{fill:none}"
)


@dataclass(frozen=True, slots=True)
class _Measure:
    name: str
    of: Callable[[Score], float | None]
    ticks: Sequence[float]

    @property
    def most(self) -> float:
        return self.ticks[-1]


_MEASURES = (
    _Measure("recall", lambda score: score.recall, (0, 0.25, 0.5, 0.75, 1)),
    _Measure("precision", lambda score: score.precision, (0, 0.25, 0.5, 0.75, 1)),
    _Measure("flaps per 1,000 fixes", lambda score: score.flaps_per_1000, (0, 100, 200, 300, 400)),
)


def plot(trial: Trial) -> str:
    """An SVG document that needs nothing else to be seen."""
    width = _LEFT + len(SOURCES) * (_PANEL_W + _ACROSS)
    height = _TOP + len(_MEASURES) * (_PANEL_H + _DOWN) + _BOTTOM
    scale = trial.scale
    told = (
        f"seed {scale.seed}, {scale.walkers} walkers for {scale.hours:g} h, "
        f"{trial.check_ins:,} check-ins; flaps of people who stand at the edge for an hour"
    )
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" role="img">',
        f"<title>Rules of arrival by source and radius</title><style>{_STYLE}</style>",
        f'<rect width="{width:g}" height="{height:g}" fill="#fff"/>',
        _text(_LEFT, 26, "Rules of arrival, by source of position and radius of the geofence", "title"),
        _text(_LEFT, 46, told, "tick"),
        *_legend(trial.rules),
        *(part for row in range(len(_MEASURES)) for part in _row(trial, row)),
        _text(_LEFT + (width - _LEFT - _ACROSS) / 2, height - 14, "radius of the geofence, m", "head"),
        "</svg>",
    ]  # fmt: skip
    return "\n".join(parts) + "\n"


def _legend(rules: Iterable[str]) -> Iterator[str]:
    for place, rule in enumerate(rules):
        x, colour = _LEFT + 90 * place, _COLOURS[rule]
        yield f'<path class="line" {_stroke(rule)} d="M{x:g} 62h18"/>'
        yield f'<circle cx="{x + 9:g}" cy="62" r="{_MARKS[rule]:g}" fill="{colour}"/>'
        yield _text(x + 24, 66, rule)


def _row(trial: Trial, row: int) -> Iterator[str]:
    top = _TOP + row * (_PANEL_H + _DOWN)
    measure = _MEASURES[row]
    middle = top + _PANEL_H / 2
    yield (
        f'<text class="head" transform="translate({_LEFT - 52:g} {middle:g}) rotate(-90)">'
        f"{escape(measure.name)}</text>"
    )
    for column, source in enumerate(SOURCES):
        left = _LEFT + column * (_PANEL_W + _ACROSS)
        if row == 0:
            name = f"{source.name.replace('_', ' ')}, {source.accuracy_m:g} m"
            yield _text(left + _PANEL_W / 2, top - 8, name, "head")
        yield from _panel(trial, source, measure, left, top)


def _panel(
    trial: Trial, source: Source, measure: _Measure, left: float, top: float
) -> Iterator[str]:
    for tick in measure.ticks:
        y = _y(top, tick / measure.most)
        yield f'<path class="grid" d="M{left:g} {y:g}h{_PANEL_W:g}"/>'
        if source is SOURCES[0]:
            yield _text(left - 6, y + 3.5, f"{tick:g}", "tick", "end")
    for place, radius_m in enumerate(RADII_M):
        yield _text(_x(left, place), top + _PANEL_H + 14, f"{radius_m}", "tick", "middle")
    yield (
        f'<rect class="frame" x="{left:g}" y="{top:g}" width="{_PANEL_W:g}" height="{_PANEL_H:g}"/>'
    )
    for rule in trial.rules:
        values = [measure.of(trial.scores[rule, source.name, f"sim-{r}"]) for r in RADII_M]
        yield from _line(rule, values, measure, left, top)


def _line(
    rule: str, values: Sequence[float | None], measure: _Measure, left: float, top: float
) -> Iterator[str]:
    points = [
        (_x(left, place), _y(top, min(1.0, value / measure.most)), value)
        for place, value in enumerate(values)
        if value is not None
    ]
    if not points:
        return
    way = "L".join(f"{x:.1f} {y:.1f}" for x, y, _ in points)
    yield f'<path class="line" {_stroke(rule)} d="M{way}"/>'
    for x, y, value in points:
        yield (
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{_MARKS[rule]:g}" fill="{_COLOURS[rule]}">'
            f"<title>{rule}: {value:.3g}</title></circle>"
        )


def _stroke(rule: str) -> str:
    return f'stroke="{_COLOURS[rule]}" stroke-width="{_WIDTHS[rule]:g}"'


def _x(left: float, place: int) -> float:
    return left + _PANEL_W * (place + 0.5) / len(RADII_M)


def _y(top: float, share: float) -> float:
    return top + _PANEL_H * (1 - share)


def _text(x: float, y: float, said: str, kind: str = "", anchor: str = "") -> str:
    of_kind = f' class="{kind}"' if kind else ""
    anchored = f' text-anchor="{anchor}"' if anchor else ""
    return f'<text x="{x:.1f}" y="{y:.1f}"{of_kind}{anchored}>{escape(said)}</text>'
