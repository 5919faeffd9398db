"""Makes every password, key and certificate of a deployment, and sorts them by the host that needs them.

    python docker/make_secrets.py                                  one host
    python docker/make_secrets.py --data-host data.example.org     several: that name leads to the data host

    docker/secrets/keys      what all others are made of; stays with whoever runs this, and on no host
    docker/secrets/data      for the data host
    docker/secrets/trading   for each trading host
    docker/.env              made once: this host's name, and what is started

What stands in `keys` is kept, so it may be run again: delete a file there and it is made anew, or write your own into
it (the exchange's key and secret). Needs Throughline in the Python that runs it, and the `openssl` command.
"""

from __future__ import annotations

import argparse
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
REDIS_USERS = ("market", "orders", "schedule", "watch", "flower", "operator")
RANDOM = (
    *(f"redis/{user}" for user in REDIS_USERS),
    *("postgres_owner", "postgres_application", "postgres_reader"),
    *("message_key", "permit_key", "flower_password", "grafana_password", "metrics_password"),
    *("exchange_api_key", "exchange_api_secret"),
)
EMPTY = ("alerts_urls",)
TRADING = (
    "message_key",
    "permit_key",
    "flower_password",
    "exchange_api_key",
    "exchange_api_secret",
    "alerts_urls",
)
DATA = ("postgres_owner", "postgres_application", "postgres_reader", "grafana_password", "metrics_password")
ROLE = 10001
"""The user of every role, as the image has it."""
OWNERS = {
    **dict.fromkeys(("redis_cert", "redis_key", "redis_acl"), 999),
    **dict.fromkeys(("postgres_owner", "postgres_application", "postgres_reader"), 999),
    **dict.fromkeys(("postgres_cert", "postgres_key"), 999),
    "grafana_password": 472,
    "scrape_password": 65534,
}
"""The users of the servers' images; everything else is a role's."""
DAYS = "3650"


class Secrets:
    """The folder of secrets, and the hosts' parts in it."""

    def __init__(self, folder: Path) -> None:
        self.keys, self.data, self.trading = (folder / name for name in ("keys", "data", "trading"))
        for each in (folder, self.keys, self.keys / "redis", self.data, self.trading):
            each.mkdir(mode=0o700, parents=True, exist_ok=True)

    def key(self, name: str) -> str:
        return (self.keys / name).read_text(encoding="utf-8").strip()

    def make(self) -> None:
        """What is missing among the keys."""
        for name in (*RANDOM, *EMPTY):
            if not (self.keys / name).exists():
                _write(self.keys / name, secrets.token_hex(32) if name in RANDOM else "", 0o600)

    def sort(self, redis: str, postgres: str) -> None:
        """Each host's part, made of the keys. `redis`, `postgres`: the names under which trading hosts find them."""
        for folder, names in ((self.data, DATA), (self.trading, TRADING)):
            for name in names:
                _hand(folder / name, self.key(name))
        _hand(self.data / "scrape_password", self.key("metrics_password"))
        _hand(self.data / "redis_acl", self._acl())
        _hand(self.data / "redis_url_watch", self._redis_url("watch", "redis"))
        for user in REDIS_USERS:
            _hand(self.trading / f"redis_url_{user}", self._redis_url(user, redis))
        _hand(self.data / "ledger_url_owner", self._ledger_url("throughline_owner", "owner", "postgres"))
        _hand(self.data / "ledger_url_reader", self._ledger_url("throughline_reader", "reader", "postgres"))
        _hand(self.trading / "ledger_url", self._ledger_url("throughline", "application", postgres))

    def _acl(self) -> str:
        """Each user's rights, which the program knows, and the hash of its password."""
        command = [sys.executable, "-m", "console", "redis-acl", "--passwords", str(self.keys / "redis")]
        return _said(command, "`throughline redis-acl`")

    def _redis_url(self, user: str, host: str) -> str:
        return f"rediss://{user}:{self.key(f'redis/{user}')}@{host}:6379/0"

    def _ledger_url(self, user: str, key: str, host: str) -> str:
        trust = "sslmode=verify-full&sslrootcert=/run/secrets/ca"
        return f"postgresql+psycopg://{user}:{self.key(f'postgres_{key}')}@{host}:5432/throughline?{trust}"

    # -- certificates -----------------------------------------------------------------------------------------

    def certify(self, names: list[str]) -> None:
        """An authority of this deployment's own, and the servers' certificates for these names."""
        authority = self.keys / "ca"
        if not authority.exists():
            _openssl(
                *("req", "-x509", "-nodes", "-days", DAYS, "-subj", "/CN=throughline"),
                *("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"),
                *("-addext", "keyUsage=critical,keyCertSign,cRLSign"),
                *("-keyout", self.keys / "ca.key", "-out", authority),
            )
        for folder in (self.data, self.trading):
            _hand(folder / "ca", authority.read_text(encoding="utf-8"))
        told = ",".join(f"{'IP' if _is_address(name) else 'DNS'}:{name}" for name in names)
        for server in ("redis", "postgres"):
            self._certify(server, told)

    def _certify(self, server: str, names: str) -> None:
        cert, key = (self.data / f"{server}_{kind}" for kind in ("cert", "key"))
        known = self.keys / f"{server}_names"
        if cert.exists() and known.exists() and known.read_text(encoding="utf-8").strip() == names:
            return
        with tempfile.TemporaryDirectory() as folder:
            request, extensions = Path(folder) / "request", Path(folder) / "extensions"
            extensions.write_text(
                f"subjectAltName={names}\nbasicConstraints=critical,CA:FALSE\nextendedKeyUsage=serverAuth\n"
                "keyUsage=critical,digitalSignature\nsubjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n",
                encoding="utf-8",
            )
            _openssl(
                *("req", "-nodes", "-subj", f"/CN={server}", "-newkey", "ec"),
                *(
                    "-pkeyopt",
                    "ec_paramgen_curve:prime256v1",
                    "-keyout",
                    Path(folder) / "key",
                    "-out",
                    request,
                ),
            )
            _openssl(
                *("x509", "-req", "-days", DAYS, "-in", request, "-extfile", extensions),
                *("-CA", self.keys / "ca", "-CAkey", self.keys / "ca.key"),
                *("-set_serial", str(secrets.randbits(128)), "-out", Path(folder) / "cert"),
            )
            _hand(cert, (Path(folder) / "cert").read_text(encoding="utf-8"))
            _hand(key, (Path(folder) / "key").read_text(encoding="utf-8"))
        _write(known, names, 0o600)


def _is_address(name: str) -> bool:
    return ":" in name or name.replace(".", "").isdigit()


def _openssl(*arguments: object) -> None:
    _said(["openssl", *map(str, arguments)], f"openssl {arguments[0]}")


def _said(command: list[str], what: str) -> str:
    told = subprocess.run(command, cwd=HERE.parent, capture_output=True, text=True, check=False)  # noqa: S603  our own words
    if told.returncode != 0:
        sys.exit(f"make_secrets: {what} failed:\n{told.stderr.strip()}")
    return told.stdout


def _hand(path: Path, text: str) -> None:
    """A file for a container, which reads it as a user of its own: his alone, if we may give it to him.

    Only root may. Else it is readable by all, in a folder that only its owner may enter.
    """
    _write(path, text, 0o444)
    if os.geteuid() == 0 and path.name != "ca":
        os.chown(path, OWNERS.get(path.name, ROLE), -1)
        path.chmod(0o400)


def _write(path: Path, text: str, mode: int) -> None:
    """In one step, and never readable by more than `mode` says."""
    partial = path.with_name(f".{path.name}")
    partial.unlink(missing_ok=True)
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(f"{text.strip()}\n" if text else "")
    partial.chmod(mode)
    partial.replace(path)


def _write_env(path: Path, host: str, address: str) -> None:
    if path.exists():
        return
    lines = [
        "# Read by `docker compose`. THROUGHLINE_HOST must be another on each host.",
        f"THROUGHLINE_HOST={host}",
        "# paper: with the simulated exchange; flower: with Flower. Both: paper,flower",
        "COMPOSE_PROFILES=paper",
        "# Where Redis and PostgreSQL answer; loopback when empty.",
        f"THROUGHLINE_DATA_ADDRESS={address}",
    ]
    _write(path, "\n".join(lines), 0o600)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="Makes the secrets of a deployment.")
    parser.add_argument("--data-host", default="", help="name of the data host; empty: everything is on one")
    parser.add_argument(
        "--data-address", default="", help="address of it that Redis and PostgreSQL answer at"
    )
    parser.add_argument("--into", type=Path, default=HERE, help="folder for `secrets` and `.env`")
    told = parser.parse_args()
    if shutil.which("openssl") is None:
        sys.exit("make_secrets: there is no `openssl` command; install it and try again")
    made = Secrets(told.into / "secrets")
    made.make()
    made.sort(told.data_host or "redis", told.data_host or "postgres")
    also = [name for name in (told.data_host, told.data_address) if name]
    made.certify(["redis", "postgres", "localhost", "127.0.0.1", *also])
    _write_env(told.into / ".env", socket.gethostname().partition(".")[0], told.data_address)
    print(f"secrets are in {told.into / 'secrets'}: data for the data host, trading for each trading host")  # noqa: T201


if __name__ == "__main__":
    main()
