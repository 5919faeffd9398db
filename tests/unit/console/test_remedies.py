"""What people are told to type can be typed."""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from typer.core import TyperGroup
from typer.testing import CliRunner

from config.settings import Settings
from console import scaffold
from console.main import application

ROOT = Path(__file__).parents[3]
COMMAND = typer.main.get_command(application())
TOLD = re.compile(r"`throughline ([^`]+)`")
SOMETHING = "SOMETHING"
"""What a message fills in when it is said."""


def texts(tree: ast.AST) -> Iterator[str]:
    """Everything that may be said to people: docstrings are not."""
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            yield "".join(part.value if isinstance(part, ast.Constant) else SOMETHING for part in node.values)  # type: ignore[misc]  # text
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def docstrings(tree: ast.AST) -> set[str]:
    return {
        node.value.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        if isinstance(node.value.value, str)
    }


def remedies() -> set[str]:
    found: set[str] = set()
    for folder in ("config", "console", "pipeline", "tasks"):
        for file in (ROOT / folder).rglob("*.py"):
            tree = ast.parse(file.read_text(encoding="utf-8"))
            said = set(texts(tree)) - docstrings(tree)
            found |= {line for text in said for line in TOLD.findall(text)}
    return {line for line in found if not line.startswith(SOMETHING)}


def parse(line: str) -> None:
    """As the command line does it, up to where the command would begin. Raises: what typer says of wrong usage."""
    command, words = COMMAND, shlex.split(line)
    context = command.make_context("throughline", words)
    while isinstance(command, TyperGroup):
        named = [*context._protected_args, *context.args]
        name, found, words = command.resolve_command(context, named)
        assert found is not None
        command = found
        context = command.make_context(name, words, parent=context)


@pytest.mark.parametrize("line", sorted(remedies()))
def test_every_command_that_a_message_names_can_be_typed(line: str) -> None:
    """Whoever is told what to do at night must not be told how to do it by an error."""
    parse(line)


def test_a_line_that_lacks_something_would_be_noticed() -> None:
    """Else the test above would prove nothing."""
    with pytest.raises(typer.BadParameter, match="reason"):
        parse("kill off")


def test_a_new_strategy_is_found_once_what_new_says_was_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """First the folder, then the check: before, nobody knows the strategy."""
    monkeypatch.chdir(tmp_path)
    run, app = CliRunner(), application(["strategies"])
    told = run.invoke(app, ["strategies", "new", "mine"]).output
    first, _, _ = told.partition("`throughline strategies check mine`")
    lines = [line for line in first.splitlines() if line.startswith("  ")]
    (tmp_path / "throughline.yaml").write_text("\n".join(lines))
    assert run.invoke(app, ["strategies", "show", "mine"]).exit_code == 0


def test_a_folder_that_is_named_already_need_not_be_named_again() -> None:
    """Then the check is the next step."""
    settings = Settings.model_validate({"strategies": {"folder": "own"}})
    assert scaffold.next_steps("mine", Path("own"), settings).startswith(
        "next: `throughline strategies check"
    )
