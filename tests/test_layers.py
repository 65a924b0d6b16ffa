"""Who may import whom: the plan of the house, read from the source."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("convert", "edge_app", "camera")

ALLOWED = {
    "convert": ("convert", "edge_app.inference"),
    "camera": (
        "camera",
        "edge_app.collector",
        "edge_app.config",
        "edge_app.in_use",
        "edge_app.notify",
        "edge_app.secret",
        "edge_app.settings_file",
        "edge_app.inference",
        "edge_app.models",
        "edge_app.jobs",
        "edge_app.records",
        "edge_app.vitals",
    ),
    "edge_app.inference": ("edge_app.inference",),
    "edge_app": ("edge_app",),
}
"""A part of the house and what of ours it may import; the longest name that fits rules."""

RUNTIMES = ("tflite_runtime", "ai_edge_litert")
FILE_FORMAT = "ai_edge_litert.schema_py_generated"
"""Plain Python that reads and writes the model file's tables; it loads no runtime."""


def _sources() -> list[Path]:
    return [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]


def _module(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _imports(path: Path) -> Iterator[tuple[int, str]]:
    """Line and full name of all that is imported, wherever in the file it stands."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: a relative import"
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)


def _inside(name: str, package: str) -> bool:
    return name == package or name.startswith(f"{package}.")


def _part(module: str) -> str:
    return max((part for part in ALLOWED if _inside(module, part)), key=len)


@pytest.mark.parametrize("path", _sources(), ids=_module)
def test_imports_run_downward(path: Path) -> None:
    """No file imports from a part of the house that stands above or beside its own."""
    part = _part(_module(path))
    wrong = [
        f"{path.relative_to(ROOT)}:{line}: {part} imports {name}"
        for line, name in _imports(path)
        if name.split(".")[0] in PACKAGES
        and not any(_inside(name, allowed) for allowed in ALLOWED[part])
    ]

    assert wrong == []


@pytest.mark.parametrize("path", _sources(), ids=_module)
def test_runtimes_and_tensorflow_have_one_door_each(path: Path) -> None:
    """TensorFlow is the converter's alone, and a TFLite runtime interpreter.py's alone."""
    module = _module(path)
    names = [name for _, name in _imports(path)]

    if not _inside(module, "convert"):
        assert [n for n in names if _inside(n, "tensorflow") or _inside(n, "keras")] == []
    if module != "edge_app.inference.interpreter":
        runtimes = [n for n in names if n.split(".")[0] in RUNTIMES]
        assert [n for n in runtimes if not _inside(n, FILE_FORMAT)] == []


WHAT_IMPORTING_DOES = """
import importlib, os, socket, sys, threading

def refuse(event, arguments):
    if event in REFUSED or (event == "open" and isinstance(arguments[2], int)
                            and arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)):
        raise RuntimeError(f"{event}{arguments}")

REFUSED = {"socket.bind", "socket.connect", "subprocess.Popen", "os.system", "os.mkdir",
           "os.remove", "os.rename", "sqlite3.connect", "signal.pthread_kill"}
sys.dont_write_bytecode = True
import numpy, cv2, flask, waitress  # what others do when they are imported is not looked at
sys.addaudithook(refuse)
for name in sys.argv[1:]:
    importlib.import_module(name)
assert threading.active_count() == 1, threading.enumerate()
loaded = {"tensorflow", "keras", "tflite_runtime", "ai_edge_litert"} & sys.modules.keys()
assert not loaded, loaded
"""


def test_importing_does_no_work() -> None:
    """Importing any module of the device opens, starts, writes and loads nothing."""
    modules = [_module(p) for p in _sources() if not _inside(_module(p), "convert")]

    done = subprocess.run(
        [sys.executable, "-c", WHAT_IMPORTING_DOES, *modules],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr


NEEDLESS = {
    "camera": (
        *("flask", "werkzeug", "jinja2", "click", "waitress", "prometheus_client", "argon2"),
        *("edge_app.web", "edge_app.care", "edge_app.inference.adopt"),
    ),
    "edge_app": ("edge_app.care", "edge_app.inference.adopt", "edge_app.commission"),
}
"""What a program is rarely asked for, or never; it would cost memory and time at each start."""

FOR_OTHERS = ("asyncio", "concurrent", "multiprocessing", "numpy.testing", "pydoc", "unittest")


@pytest.mark.parametrize("program", NEEDLESS)
def test_programs_import_nothing_needless(program: str) -> None:
    """A line comes without the web's packages, and both without what they need rarely or never."""
    code = f"import sys, {program}.__main__; print(*sys.modules)"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    needless = (*NEEDLESS[program], *FOR_OTHERS)

    assert [n for n in done.stdout.split() if any(_inside(n, known) for known in needless)] == []
