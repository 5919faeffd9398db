"""`throughline redis-acl`: users of Redis, one for each role, with exactly the rights that the role needs."""

from __future__ import annotations

import secrets
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

from config.home import FOLDER_MODE, write_private
from console.commands.options import AsJson
from console.output import console, print_json, print_table, table
from pipeline.domain.errors import ConfigError

SHORTEST = 16
"""Characters. Redis answers a million guesses a second."""


def redis_acl(
    *,
    passwords: Annotated[
        Path | None, typer.Option(help="Folder with one file for each role, named like it: its password.")
    ] = None,
    make: Annotated[bool, typer.Option("--make", help="Make the missing passwords in that folder.")] = False,
    output: Annotated[Path | None, typer.Option(help="Write the ACL file here instead of to stdout.")] = None,
    db: Annotated[int, typer.Option(min=0, max=15, help="The database in redis.url.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Without --passwords: the table of who may do what. With it: the ACL file for `redis-server --aclfile`.

    Passwords are read from files and never from arguments; in the ACL file stand their hashes.
    """
    if passwords is None:
        if make or output or db:
            raise typer.BadParameter(
                "--make, --output and --db are for the ACL file: name --passwords FOLDER"
            )
        _show(as_json=as_json)
        return
    if as_json:
        raise typer.BadParameter("--json is for the table; with --passwords the ACL file itself is written")
    from tasks.access import ACCESS, acl_file  # noqa: PLC0415  with it comes Celery, which takes a while

    if make:
        _make(passwords, ACCESS)
    told = {role: read for role in ACCESS if (read := _read(passwords / role))}
    if not told:
        raise ConfigError(
            f"there is no password in it; expected files named {', '.join(ACCESS)}.",
            where=str(passwords),
            remedy="`throughline redis-acl --passwords FOLDER --make` makes them.",
        )
    text = acl_file(told, db)
    if output is None:
        sys.stdout.write(text)
    else:
        write_private(output, text.encode())
    without = [role for role in ACCESS if role not in told]
    if without:
        console(sys.stderr).print(f"no password, so no user: {', '.join(without)}")


def _show(*, as_json: bool) -> None:
    from tasks.access import described  # noqa: PLC0415  see above

    columns = ("role", "keys", "channels", "commands")
    if as_json:
        print_json([dict(zip(columns, row, strict=True)) for row in described()])
    else:
        print_table(table(columns, described(), gives=columns[1:]))


def _make(folder: Path, roles: Iterable[str]) -> None:
    folder.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
    for role in roles:
        if not (folder / role).exists():
            write_private(folder / role, secrets.token_hex(32).encode())


def _read(path: Path) -> str:
    """A role's password; empty when it has none. Raises: ConfigError when it is too short, or cannot be read."""
    try:
        found = path.read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"the password cannot be read: {error}.", where=str(path)) from error
    if len(found) < SHORTEST or any(each.isspace() for each in found):
        raise ConfigError(
            f"this is no password: fewer than {SHORTEST} characters, or blanks among them.",
            where=str(path),
            remedy="Delete the file and use --make, or write 64 random hex characters into it.",
        )
    return found
