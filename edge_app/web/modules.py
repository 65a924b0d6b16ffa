"""Which scripts a view's script needs: told to the browser at once, not found one by one."""

from __future__ import annotations

import re
from pathlib import Path

IMPORT = re.compile(r"""^import .*? from "\./([\w.-]+\.js)";$""", re.MULTILINE | re.DOTALL)


class Modules:
    """The page's scripts and what they import.

    Args:
        folder: Where the scripts are.
    """

    def __init__(self, folder: Path) -> None:
        self._imports = {
            path.name: IMPORT.findall(path.read_text(encoding="utf-8"))
            for path in folder.glob("*.js")
        }

    def needed_by(self, name: str) -> list[str]:
        """All scripts below one, each once.

        Raises:
            KeyError: There is no such script: a fault of the template, found by its test.
        """
        found: list[str] = []
        waiting = [name]
        while waiting:
            for needed in self._imports[waiting.pop()]:
                if needed not in found:
                    found.append(needed)
                    waiting.append(needed)
        return found
