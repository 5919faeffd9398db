"""Configuration files: YAML with line numbers, so that a mistake can be found."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import yaml

from config.keys import Key, by_name, keys, nearest
from config.layers import LOADER, Layer, Said
from config.problems import Problems, shown
from pipeline.domain.errors import ConfigError


def read_yaml(path: Path, problems: Problems) -> Layer:
    """What the file says. Unknown keys, keys said twice and sections that are none go to `problems`.

    Raises: ConfigError when it cannot be read or is not YAML.
    """
    root = _parse(path)
    layer: Layer = {}
    if root is None:
        return layer
    if not isinstance(root, yaml.MappingNode):
        raise ConfigError("the file must hold keys and values (`mode: paper`)", where=_at(path, root))
    for key, node, line in _leaves(path, root, (), problems):
        layer[key.name] = Said(_value(path, key, node), f"{path}, line {line}")
    return layer


def _parse(path: Path) -> yaml.Node | None:
    try:
        text = path.read_text(encoding="utf-8")
        return yaml.compose(text, Loader=LOADER)
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror}", where=str(path)) from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"is not UTF-8 text (byte {error.start})", where=str(path)) from error
    except yaml.YAMLError as error:
        raise ConfigError(_broken(error), where=str(path), remedy="Mend the YAML and start again.") from error


def _broken(error: yaml.YAMLError) -> str:
    """The parser's complaint with its line, without quoting the file: a secret may stand there."""
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        mark = error.problem_mark
        return f"broken YAML at line {mark.line + 1}, column {mark.column + 1}: {error.problem}."
    return "broken YAML: it contains characters that YAML does not allow."


def _at(path: Path, node: yaml.Node) -> str:
    return f"{path}, line {node.start_mark.line + 1}"


def _leaves(
    path: Path, mapping: yaml.MappingNode, above: tuple[str, ...], problems: Problems
) -> Iterator[tuple[Key, yaml.Node, int]]:
    seen: set[str] = set()
    for name_node, node in mapping.value:
        name, where = str(name_node.value), _at(path, name_node)
        full = ".".join((*above, name))
        if name in seen:
            problems.add(where, f"{full} is said twice")
        seen.add(name)
        key = by_name().get(full)
        if key is not None:
            yield key, node, name_node.start_mark.line + 1
        elif full not in _sections():
            problems.add(where, _unknown(full))
        elif isinstance(node, yaml.MappingNode):
            yield from _leaves(path, node, (*above, name), problems)
        elif not (isinstance(node, yaml.ScalarNode) and node.tag.endswith(":null")):
            problems.add(where, f"{full} is {shown(_plain(path, node))}", "a section with keys of its own")


def _sections() -> set[str]:
    return {".".join(key.path[:depth]) for key in keys() for depth in range(1, len(key.path))}


def _unknown(full: str) -> str:
    hint = nearest(full, [*by_name(), *_sections()]) or _same_leaf(full.rpartition(".")[2])
    return f"unknown key {full}" + (f"; {hint}" if hint else "")


def _same_leaf(leaf: str) -> str:
    """A right name in the wrong section."""
    return next((f"did you mean {key.name}?" for key in keys() if key.path[-1] == leaf), "")


def _value(path: Path, key: Key, node: yaml.Node) -> object:
    """The node as a plain value. A decimal number keeps the digits that were written."""
    number = isinstance(node, yaml.ScalarNode) and node.tag.endswith((":float", ":int"))
    if key.kind is Decimal and number:
        return str(node.value).replace("_", "")
    return _plain(path, node)


def _plain(path: Path, node: yaml.Node) -> object:
    loader = LOADER("")
    try:
        return loader.construct_object(node, deep=True)
    except (yaml.YAMLError, ValueError) as error:
        raise ConfigError(f"this value cannot be understood ({error}).", where=_at(path, node)) from error
    finally:
        loader.dispose()
