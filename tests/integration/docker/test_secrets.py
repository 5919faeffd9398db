"""`docker/make_secrets.py`, which needs the openssl command."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from tasks.access import ACCESS
from tests.support.compose import DOCKER, composed
from tests.support.deployment import made_secrets


def test_the_script_makes_each_secret_and_keeps_it(tmp_path: Path) -> None:
    """Only a new one is made: another message key on one host, and its messages are dropped everywhere else."""
    folder = made_secrets(tmp_path)
    files = [
        tmp_path / each["file"]
        for each in composed(DOCKER / "compose.yaml", {"THROUGHLINE_HOST": "alpha"})["secrets"].values()
    ]
    assert [str(file) for file in files if not file.is_file()] == []
    assert [oct(each.stat().st_mode & 0o777) for each in (folder, folder / "keys")] == ["0o700", "0o700"]
    before = {file: file.read_text() for file in folder.rglob("*") if file.is_file()}
    made_secrets(tmp_path)
    assert {file: file.read_text() for file in folder.rglob("*") if file.is_file()} == before
    told = {(folder / each).stat().st_mode & 0o777 for each in ("data/redis_key", "trading/permit_key")}
    assert told == {0o400 if os.geteuid() == 0 else 0o444}
    acl = (folder / "data/redis_acl").read_text()
    assert {line.split()[1] for line in acl.splitlines()} == {"default", *ACCESS}
    passwords = {file.read_text().strip() for file in (folder / "keys/redis").iterdir()}
    assert not [each for each in passwords if each in acl]


def test_the_certificates_are_what_a_strict_client_wants(tmp_path: Path) -> None:
    """Python 3.13 refuses authorities that older ones let pass."""
    data = made_secrets(tmp_path) / "data"
    for server in ("redis", "postgres"):
        command = ["openssl", "verify", "-x509_strict", "-purpose", "sslserver"]
        told = [*command, "-verify_hostname", server, "-CAfile", data / "ca", data / f"{server}_cert"]
        subprocess.run(told, check=True, capture_output=True)
