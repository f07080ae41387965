"""A server for the tests that change roles, which belong to a whole server."""

from collections.abc import Iterator

import pytest

from cli.cluster import Cluster
from tests.clusters import running_cluster


@pytest.fixture(scope="module")
def own_cluster() -> Iterator[Cluster]:
    with running_cluster() as cluster:
        yield cluster
