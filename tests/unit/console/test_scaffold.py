"""A new strategy's files."""

from __future__ import annotations

from pathlib import Path

import pytest

from console import scaffold
from pipeline.domain.errors import ConfigError


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    """A typing error in --folder is no bug of ours, so it brings no stack trace."""
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(ConfigError, match="cannot be written there: Not a directory") as caught:
        scaffold.write("mine", file / "strategies", {})
    assert caught.value.where == str(file / "strategies")
    assert "--folder" in caught.value.remedy
