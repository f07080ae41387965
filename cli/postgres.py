"""PostgreSQL with PostGIS on this machine: finding the programs, or installing them."""

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from cli.output import CommandFailed, Output

OLDEST = 15
"""The oldest major version of PostgreSQL that is tested."""

_CREATECLUSTER = Path("/etc/postgresql-common/createcluster.d/solomo.conf")
_PACKAGE = re.compile(r"^postgresql-(\d+)-postgis-3 ", re.MULTILINE)


@dataclass(frozen=True, slots=True, order=True)
class Programs:
    """A PostgreSQL installation that has PostGIS."""

    major: int
    bin: Path


def find_programs(major: int | None = None) -> Programs | None:
    """The newest PostgreSQL with PostGIS here, or the one of version ``major``."""
    found = filter(None, map(_programs, _candidates()))
    fitting = [
        one for one in found if one.major == major or (major is None and one.major >= OLDEST)
    ]
    return max(fitting, default=None)


def require_programs(output: Output, major: int | None = None) -> Programs:
    """Find the programs; as root on Debian and Ubuntu, install them when there are none.

    ``major`` is the version that an existing data folder needs.
    Raises CommandFailed with the one command to run.
    """
    found = find_programs(major)
    if found is not None:
        return found
    if os.geteuid() == 0 and shutil.which("apt-get"):
        _install(output, major)
        found = find_programs(major)
        if found is not None:
            return found
    wanted = f"PostgreSQL {major}" if major else f"PostgreSQL {OLDEST} or later"
    raise CommandFailed(f"{wanted} with PostGIS was not found on this machine.", _how(major))


def _how(major: int | None) -> str:
    elsewhere = (
        "Or start everything in containers: docker compose up\n"
        "Or use a server of your own: SOLOMO_DATABASE_URL=postgresql://... ./solomo up"
    )
    if not shutil.which("apt-get"):
        return f"Install PostgreSQL and PostGIS with your package manager.\n{elsewhere}"
    package = f"postgresql-{major}-postgis-3" if major else "postgresql-postgis"
    server = f"postgresql-{major}" if major else "postgresql"
    return f"Run: sudo apt-get install -y {server} {package}\n{elsewhere}"


def _install(output: Output, major: int | None) -> None:
    """Install the distribution's packages, without the cluster they would make and start."""
    output.step("PostgreSQL with PostGIS is missing: installing the distribution's packages ...")
    made_here = not _CREATECLUSTER.exists()
    if made_here:
        _CREATECLUSTER.parent.mkdir(parents=True, exist_ok=True)
        _CREATECLUSTER.write_text("create_main_cluster = false\n")
    try:
        _apt(output, "update", "-qq")
        version = major or _available_major()
        packages = (f"postgresql-{version}", f"postgresql-{version}-postgis-3")
        _apt(output, "install", "-y", "-qq", "--no-install-recommends", *packages)
    finally:
        if made_here:
            _CREATECLUSTER.unlink(missing_ok=True)


def _available_major() -> int:
    """The newest version whose PostGIS the distribution has."""
    search = ["apt-cache", "search", "--names-only", "^postgresql-[0-9]+-postgis-3$"]
    listed = subprocess.run(search, capture_output=True, text=True, check=False).stdout
    versions = [int(number) for number in _PACKAGE.findall(listed)]
    if not versions:
        raise CommandFailed("This distribution has no package of PostGIS.", _how(None))
    return max(versions)


def _apt(output: Output, *words: str) -> None:
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    done = subprocess.run(
        ["apt-get", *words],
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        output.step(done.stderr.strip())
        raise CommandFailed(f"apt-get {words[0]} failed.", f"Run: apt-get {' '.join(words)}")


def _candidates() -> list[Path]:
    folders = list(Path("/usr/lib/postgresql").glob("*/bin"))
    for program in ("postgres", "pg_config"):
        path = shutil.which(program)
        if path:
            folders.append(_bindir(Path(path)))
    return folders


def _bindir(program: Path) -> Path:
    if program.name != "pg_config":
        return program.resolve().parent
    answer = subprocess.run([program, "--bindir"], capture_output=True, text=True, check=False)
    return Path(answer.stdout.strip() or program.parent)


def _programs(folder: Path) -> Programs | None:
    if not all((folder / name).exists() for name in ("postgres", "initdb", "pg_ctl")):
        return None
    if not any((share / "extension/postgis.control").exists() for share in _shares(folder)):
        return None
    answer = subprocess.run(
        [folder / "postgres", "--version"], capture_output=True, text=True, check=False
    )
    number = re.search(r"(\d+)(\.|devel|beta|rc)", answer.stdout)
    return Programs(int(number[1]), folder) if number else None


def _shares(folder: Path) -> list[Path]:
    """Where extensions of the programs in ``folder`` may lie (Debian's layout first)."""
    root = folder.parent
    debian = Path("/usr/share/postgresql") / root.name
    return [debian, root / "share" / "postgresql", root / "share"]
