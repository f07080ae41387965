"""What ``./solomo status`` reads from the metrics of a service."""

from cli.commands.status import _failing, _feeds

METRICS = """\
# TYPE solomo_feed_waiting gauge
solomo_feed_waiting{lane="0"} 3.0
solomo_feed_waiting{lane="1"} 5.0
solomo_feed_parked 0.0
solomo_maintenance_failures{job="retention"} 2.0
solomo_maintenance_failures{job="cells"} 0.0
"""


def test_a_feed_is_as_late_as_its_latest_process() -> None:
    assert _feeds(METRICS) == {"waiting": 5.0, "parked": 0.0}


def test_jobs_that_fail_are_named_with_how_often() -> None:
    assert _failing(METRICS) == {"retention": 2}
    assert _failing("") == {}
