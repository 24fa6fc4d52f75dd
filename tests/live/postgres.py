"""A PostgreSQL of the Debian package, on a free port, with a private socket; gone after the tests."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest

from tests.live.servers import free_port, until
from triagebook.incidents.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterator

PASSWORD = "not-a-secret"
_WITHIN_S = 60


def programs() -> Path | None:
    """Return the folder of `postgres` and `initdb`: Debian keeps them out of the PATH."""
    newest_first = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    found = shutil.which("postgres")
    places = [*newest_first, *([Path(found).parent] if found else [])]
    return next((place for place in places if (place / "initdb").exists()), None)


class Postgres:
    """A server with its files in a folder of its own; `stop` and `start` as often as wanted."""

    def __init__(self) -> None:
        bin_ = programs()
        if bin_ is None:
            pytest.skip("not installed: apt-get install postgresql")
        self._bin = bin_
        # Unix sockets have short paths, and the server's user must get there.
        self.folder = Path(tempfile.mkdtemp(prefix="tb-pg-", dir="/tmp"))
        self.port = free_port()
        self._databases = 0
        self._template: str | None = None
        self._process: subprocess.Popen[bytes] | None = None
        # It refuses to run as root.
        self._user = None
        if os.geteuid() == 0:
            self._user = "postgres" if _exists("postgres") else "nobody"
            shutil.chown(self.folder, self._user)
        self._run(
            str(self._bin / "initdb"),
            f"--pgdata={self.folder / 'data'}",
            "--username=postgres",
            "--auth-local=trust",
            "--auth-host=scram-sha-256",
            "--encoding=UTF8",
            "--locale=C",
            "--no-sync",
        )
        self.start()
        with self.admin() as connection:
            connection.execute(f"CREATE ROLE triagebook LOGIN PASSWORD '{PASSWORD}'")

    def start(self) -> None:
        """Start it, and wait until it answers."""
        settings = {
            "port": self.port,
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": self.folder,
            "unix_socket_permissions": "0700" if self._user is None else "0777",
            "fsync": "off",
            "shared_buffers": "16MB",
            "max_connections": 100,
        }
        command = [str(self._bin / "postgres"), "-D", str(self.folder / "data")]
        for name, value in settings.items():
            command += ["-c", f"{name}={value}"]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                command, stdout=log, stderr=log, user=self._user, cwd=self.folder
            )
        until("it answers", self._answers, _WITHIN_S, self.log)

    def _answers(self) -> bool:
        if self._process is None or self._process.poll() is not None:
            pytest.fail(f"postgres ended: {self.log()}")
        try:
            self.admin().close()
        except psycopg.OperationalError:
            return False
        return True

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Stop it; whoever is connected is thrown out."""
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(_WITHIN_S)
            self._process = None

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Let none of its processes do anything while the block lasts; connections stay."""
        assert self._process is not None
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children")
        frozen = [self._process.pid]
        try:
            # The parent first: it makes no further ones then.
            os.kill(self._process.pid, signal.SIGSTOP)
            for pid in map(int, children.read_text().split()):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGSTOP)
                    frozen.append(pid)
            yield
        finally:
            for pid in reversed(frozen):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)

    def close(self) -> None:
        """Stop it and remove its files."""
        try:
            self.stop(signal.SIGQUIT)  # its files go anyway
        finally:
            if self._process is not None:
                self._process.kill()
                self._process.wait()
            shutil.rmtree(self.folder, ignore_errors=True)

    def admin(self, database: str = "postgres") -> psycopg.Connection:
        """Return a connection as the superuser, through the private socket."""
        return psycopg.connect(
            host=str(self.folder),
            port=self.port,
            user="postgres",
            dbname=database,
            autocommit=True,
            connect_timeout=5,
        )

    def database(self) -> str:
        """Make a database that the role `triagebook`, which may nothing else, owns; return its URL."""
        self._databases += 1
        name = f"db{self._databases}"
        with self.admin() as connection:
            connection.execute(f"CREATE DATABASE {name} OWNER triagebook")
        return self.url(name)

    def store(self) -> str:
        """Make a database with an empty incident store, by copying one; return its URL for Store."""
        if self._template is None:
            self._template = self.database()
            with Store(_for_store(self._template)):
                pass
        self._databases += 1
        name = f"db{self._databases}"
        model = self._template.rpartition("/")[2]
        with self.admin() as connection:
            connection.execute(f"CREATE DATABASE {name} OWNER triagebook TEMPLATE {model}")
        return _for_store(self.url(name))

    def url(self, database: str, port: int | None = None) -> str:
        return f"postgresql://triagebook:{PASSWORD}@127.0.0.1:{port or self.port}/{database}"

    def log(self) -> str:
        return (self.folder / "log").read_text(errors="replace")[-3000:]

    def _run(self, *command: str) -> None:
        done = subprocess.run(
            command, capture_output=True, text=True, user=self._user, cwd=self.folder, check=False
        )
        assert done.returncode == 0, done.stderr


class Wire:
    """A way to a port of this machine that can be cut: nothing is refused, nothing comes through."""

    def __init__(self, port: int) -> None:
        self._to = port
        self._cut = threading.Event()
        self._over = threading.Event()
        self._ends: list[socket.socket] = []
        self._listening = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = int(self._listening.getsockname()[1])
        self._accepting = threading.Thread(target=self._accept, daemon=True)
        self._accepting.start()

    def cut(self) -> None:
        self._cut.set()

    def mend(self) -> None:
        """Let new connections through; those that were cut end, as their time-outs would have it."""
        self._hang_up()
        self._cut.clear()

    def close(self) -> None:
        self._over.set()
        with suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._accepting.join()
        self._listening.close()
        self._hang_up()

    def _hang_up(self) -> None:
        while self._ends:
            end = self._ends.pop()
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while not self._over.is_set():
                here, _ = self._listening.accept()
                self._ends.append(here)
                there = socket.create_connection(("127.0.0.1", self._to))
                self._ends.append(there)
                dead = threading.Event()
                for source, target in ((here, there), (there, here)):
                    threading.Thread(
                        target=self._carry, args=(source, target, dead), daemon=True
                    ).start()

    def _carry(self, source: socket.socket, target: socket.socket, dead: threading.Event) -> None:
        with suppress(OSError):
            while data := source.recv(65_536):
                if self._cut.is_set():
                    dead.set()
                if not dead.is_set():
                    target.sendall(data)
            if not (dead.is_set() or self._cut.is_set()):
                target.shutdown(socket.SHUT_WR)


@contextmanager
def wire(port: int) -> Iterator[Wire]:
    made = Wire(port)
    try:
        yield made
    finally:
        made.close()


def _for_store(url: str) -> str:
    return url.replace("postgresql://", "postgresql+psycopg://")


def _exists(user: str) -> bool:
    try:
        pwd.getpwnam(user)
    except KeyError:
        return False
    return True
