"""The database an installation lives in, as the addresses that its users connect with."""

from dataclasses import dataclass, field
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from cli.output import CommandFailed

DEFAULT_DATABASE = "solomo"
_SCHEMES = ("postgres", "postgresql", "postgresql+asyncpg")
_DEFAULT_PORT = 5432


@dataclass(frozen=True, slots=True)
class Database:
    """A PostgreSQL database and one user of it."""

    host: str
    port: int
    name: str
    user: str
    password: str = field(repr=False)
    options: tuple[tuple[str, str], ...] = ()

    @property
    def url(self) -> str:
        """For asyncpg."""
        return f"postgresql://{self._rest()}"

    @property
    def sqlalchemy_url(self) -> str:
        """For SQLAlchemy, which calls libpq's ``sslmode`` ``ssl``."""
        renamed = tuple(
            ("ssl" if name == "sslmode" else name, value) for name, value in self.options
        )
        return f"postgresql+asyncpg://{self._rest(renamed)}"

    @property
    def place(self) -> str:
        """Where it is, without who may enter."""
        return f"{self.host}:{self.port}/{self.name}"

    def as_user(self, user: str, password: str) -> "Database":
        return Database(self.host, self.port, self.name, user, password, self.options)

    def named(self, name: str) -> "Database":
        return Database(self.host, self.port, name, self.user, self.password, self.options)

    def _rest(self, options: tuple[tuple[str, str], ...] | None = None) -> str:
        chosen = self.options if options is None else options
        query = f"?{urlencode(chosen)}" if chosen else ""
        host = f"[{self.host}]" if ":" in self.host else self.host
        who = f"{quote(self.user, safe='')}:{quote(self.password, safe='')}"
        return f"{who}@{host}:{self.port}/{quote(self.name, safe='')}{query}"


def parse(url: str) -> Database:
    """Read an administrator's URL; without a database of its own it means ``solomo``.

    Raises CommandFailed, without repeating the URL, which holds a password.
    """
    try:
        parts = urlsplit(url)
        port = parts.port or _DEFAULT_PORT
    except ValueError as error:
        raise CommandFailed("SOLOMO_DATABASE_URL is not a URL.", _EXAMPLE) from error
    if parts.scheme not in _SCHEMES or not parts.hostname or not parts.username:
        raise CommandFailed("SOLOMO_DATABASE_URL does not name a user and a host.", _EXAMPLE)
    name = unquote(parts.path.lstrip("/"))
    return Database(
        host=parts.hostname,
        port=port,
        name=DEFAULT_DATABASE if name in ("", "postgres") else name,
        user=unquote(parts.username),
        password=unquote(parts.password or ""),
        options=tuple(parse_qsl(parts.query)),
    )


_EXAMPLE = "It looks like postgresql://admin:password@host:5432/solomo"
