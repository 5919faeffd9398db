"""`doctor --security`: what stands open is found, what could not be seen is not called closed."""

from __future__ import annotations

from collections.abc import Iterable
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest

from config.home import ensure_home, local_key
from config.loading import read
from config.settings import Settings
from console.securing import files, keys, pages
from console.securing.answers import Told
from pipeline.exchange.key_rights import KeyRights
from pipeline.watch.checks import Status

STRONG, OTHER = "0123456789abcdef" * 4, "fedcba9876543210" * 4


def settings(**sections: object) -> Settings:
    return Settings.model_validate(sections)


def found(told: Iterable[Told]) -> set[str]:
    return {each.about for each in told if each.status is Status.FINDING}


@pytest.mark.parametrize(
    ("message", "permit", "url", "expected"),
    [
        ("", "", "", set[str]()),
        (STRONG, OTHER, "redis://host", set[str]()),
        ("", OTHER, "redis://host", {"keys: message key"}),
        ("short", OTHER, "redis://host", {"keys: message key"}),
        (STRONG, "a" * 64, "", {"keys: permit key"}),
        (STRONG, STRONG, "", {"keys"}),
    ],
)
def test_keys_that_could_be_guessed_or_are_shared_are_found(
    message: str, permit: str, url: str, expected: set[str]
) -> None:
    """Whoever publishes messages must not be able to permit orders."""
    told = settings(redis={"message_key": message, "url": url}, governor={"permit_key": permit})
    assert found(keys.look(told, "")) == expected


@pytest.mark.parametrize("role", keys.NEEDED)
def test_a_role_with_secrets_that_it_does_not_need_is_found(role: str) -> None:
    """One host that fell gives away all that it holds."""
    told = settings(
        redis={"message_key": STRONG},
        governor={"permit_key": OTHER},
        exchange={"api_key": "k", "api_secret": "s"},
    )
    assert found(keys.look(told, role)) == (set() if role == "orders" else {"keys: places"})
    assert found(keys.look(Settings(), role)) == set()


@pytest.mark.parametrize(
    ("rights", "expected"),
    [
        (KeyRights(True, True, ""), Status.FINDING),  # noqa: FBT003 - as the exchange tells it
        (KeyRights(False, False, ""), Status.FINDING),  # noqa: FBT003 - the same
        (KeyRights(False, True, ""), Status.OK),  # noqa: FBT003 - the same
        (KeyRights(None, None, "silence"), Status.UNKNOWN),
    ],
)
def test_what_the_key_may_do_is_judged_where_money_is_at_stake(rights: KeyRights, expected: Status) -> None:
    """Unknown is not fine."""
    assert [each.status for each in keys.judge_rights(settings(mode="live"), rights)] == [expected]
    assert [each.status for each in keys.judge_rights(Settings(), rights)] == [Status.SKIPPED]


def test_files_that_others_can_read_are_found(tmp_path: Path) -> None:
    """A secret in a file is worth what the file's mode is."""
    home, secret = tmp_path / "home", tmp_path / "secret"
    ensure_home(home)
    local_key(home, "permit_key")
    (tmp_path / "throughline.yaml").write_text("governor: {permit_key: hush-hush}\n")
    secret.write_text("hush")
    env = {"THROUGHLINE_HOME": str(home), "THROUGHLINE_EXCHANGE_API_KEY_FILE": str(secret)}
    for path, mode in ((tmp_path / "throughline.yaml", 0o600), (secret, 0o600)):
        path.chmod(mode)
    loaded = read(env, tmp_path)
    assert found(files.look(loaded, env)) == set()

    for path in (tmp_path / "throughline.yaml", secret, home / "secrets" / "permit_key"):
        path.chmod(0o644)
    assert found(files.look(loaded, env)) == {"files: home", "files: secrets", "files: configuration"}


class Page(BaseHTTPRequestHandler):
    """Answers everybody."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
        pass


def test_a_flower_that_lets_everybody_in_is_found() -> None:
    """Somebody has started it by hand, with a configuration of its own."""
    server = HTTPServer(("127.0.0.1", 0), Page)
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        assert found(pages.look(settings(flower={"port": server.server_port}), {})) == {"pages: flower"}
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_pages_and_switches_that_are_open_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """A login over a wire without TLS is nobody's secret; a switch that is on is forgotten."""
    monkeypatch.setattr(pages, "_status", lambda url: None)
    away = {
        "flower": {"host": "192.0.2.7", "port": 1},
        "metrics": {"host": "::2", "port": 1, "password": "p"},
    }
    assert found(pages.look(settings(**away), {})) == {"pages: flower", "pages: exporter"}
    assert found(pages.look(Settings(), {"THROUGHLINE_ALLOW_LIVE": "yes"})) == {"mode"}
    assert found(pages.look(settings(mode="live", governor={"state_at_start": "ACTIVE"}), {})) == {"mode"}
    assert found([pages.messages(["json", "pickle"]), pages.messages(["json"])]) == {"messages"}
