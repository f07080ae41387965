"""Keys are never made anew for a database that was written under others."""

from collections.abc import Iterator

import pytest

from cli.database import parse
from cli.keys import remembers_keys
from cli.output import CommandFailed
from shared.keys import IRREPLACEABLE
from tests.cli.solomo import Solomo
from tests.clusters import open_folder, running_cluster

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def solomo() -> Iterator[Solomo]:
    """An installation on a server that is not its own."""
    with running_cluster() as cluster, open_folder() as folder:
        installed = Solomo(folder / "home", SOLOMO_DATABASE_URL=cluster.admin_url)
        try:
            first = installed("up")
            assert first.returncode == 0, first.stderr
            yield installed
        finally:
            installed("reset", "--yes")


@pytest.mark.parametrize("name", IRREPLACEABLE)
def test_a_lost_key_of_a_database_elsewhere_is_not_replaced(solomo: Solomo, name: str) -> None:
    path = solomo.home.keys / name
    kept = path.read_text()
    path.unlink()
    try:
        refused = solomo("up")
        assert refused.returncode == 1
        assert name in refused.stderr
        assert "Restore the keys folder" in refused.stderr
        assert not path.exists()
    finally:
        path.write_text(kept)


def test_a_database_remembers_the_keys_it_was_written_under(solomo: Solomo) -> None:
    written = parse(solomo.environment["SOLOMO_DATABASE_URL"])
    assert remembers_keys(written)
    assert not remembers_keys(written.named("template1"))
    assert not remembers_keys(written.named("not_made_yet"))


def test_without_an_answer_no_key_is_made() -> None:
    away = parse("postgresql://nobody:x@127.0.0.1:1/solomo")
    with pytest.raises(CommandFailed, match="No database server answers"):
        remembers_keys(away)
