"""Clusters of a test's own, for what concerns a whole server: roles, crashes, deployment."""

import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cli import processes
from cli.cluster import DURABLE, THROW_AWAY, Cluster, owner_of
from cli.output import Output


@contextmanager
def open_folder() -> Iterator[Path]:
    """A folder that every user may pass through, as pytest's own folders are not."""
    folder = Path(tempfile.mkdtemp(prefix="solomo-cli-"))
    folder.chmod(0o711)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def new_cluster(folder: Path, *, durable: bool = False) -> Cluster:
    directory = folder / "postgres"
    return Cluster(
        directory=directory,
        log=folder / "postgres.log",
        port=processes.unused_port(),
        password=secrets.token_hex(8),
        owner=owner_of(directory),
        promise=DURABLE if durable else THROW_AWAY,
    )


@contextmanager
def running_cluster(*, durable: bool = False) -> Iterator[Cluster]:
    with open_folder() as folder:
        cluster = new_cluster(folder, durable=durable)
        try:
            cluster.start(Output(as_json=True))
            yield cluster
        finally:
            cluster.delete()
