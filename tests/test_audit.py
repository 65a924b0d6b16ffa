"""The audit log: whatever is done to it afterwards shows."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from edge_app.audit import FILE, HEAD, Audit, AuditError
from edge_app.cli import main


@pytest.fixture
def audit(tmp_path: Path) -> Audit:
    """A log with five entries."""
    audit = Audit(tmp_path)
    for number in range(1, 6):
        audit.write("eva", "job.save", f"job/{number}", {"accept": 0.8}, {"accept": 0.9})
    return audit


def change(folder: Path, edit: Callable[[list[bytes]], list[bytes]]) -> None:
    """Rewrite the log's lines."""
    path = folder / FILE
    path.write_bytes(b"".join(edit(path.read_bytes().splitlines(keepends=True))))


def test_a_log_as_it_was_written_is_whole(audit: Audit) -> None:
    """All entries follow one from the other."""
    assert audit.verify() == 5


def test_a_log_that_does_not_exist_yet_is_whole(tmp_path: Path) -> None:
    """Nothing was changed, nothing was written."""
    assert Audit(tmp_path).verify() == 0


def test_it_says_who_changed_what(audit: Audit) -> None:
    """Newest first, by target if asked."""
    (entry,) = audit.latest("job/3")

    assert (entry["who"], entry["action"]) == ("eva", "job.save")
    assert (entry["old"], entry["new"]) == ({"accept": 0.8}, {"accept": 0.9})
    assert [entry["target"] for entry in audit.latest(limit=2)] == ["job/5", "job/4"]


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (lambda lines: [lines[0].replace(b"eva", b"bob"), *lines[1:]], "line 1 was changed"),
        (lambda lines: [*lines[:2], *lines[3:]], "line 3 does not follow"),
        (lambda lines: [lines[0], lines[2], lines[1], *lines[3:]], "line 2 does not follow"),
        (lambda lines: lines[:-1], "there are 4 entries; 5 were written"),
        (lambda lines: lines[1:], "line 1 does not follow"),
        (lambda lines: [*lines, lines[-1]], "line 6 does not follow"),
        (lambda lines: [*lines[:4], b"hello\n"], "line 5 is no entry"),
        (lambda _lines: [], "there are 0 entries; 5 were written"),
    ],
)
def test_whatever_is_done_to_it_shows(
    audit: Audit, tmp_path: Path, edit: Callable[[list[bytes]], list[bytes]], said: str
) -> None:
    """Edited, dropped, moved, cut off, added: the place is named."""
    change(tmp_path, edit)

    with pytest.raises(AuditError, match=said):
        audit.verify()


def test_a_power_cut_between_entry_and_head_is_no_fraud(audit: Audit, tmp_path: Path) -> None:
    """The log may be one entry ahead of its head, and goes on from there."""
    head = (tmp_path / HEAD).read_bytes()
    audit.write("eva", "job.save", "job/6")
    (tmp_path / HEAD).write_bytes(head)

    assert audit.verify() == 6
    audit.write("eva", "job.save", "job/7")
    assert audit.verify() == 7


def test_two_programs_may_write(tmp_path: Path) -> None:
    """Their entries form one chain."""
    code = (
        "import sys; from pathlib import Path; from edge_app.audit import Audit\n"
        "for n in range(20): Audit(Path(sys.argv[1])).write(sys.argv[2], 'test', f'x/{n}')"
    )
    writers = [subprocess.Popen([sys.executable, "-c", code, str(tmp_path), name]) for name in "ab"]

    assert [writer.wait(60) for writer in writers] == [0, 0]
    assert Audit(tmp_path).verify() == 40


def test_an_entry_is_one_line(audit: Audit, tmp_path: Path) -> None:
    """Whatever a name holds, it can't forge a second entry."""
    audit.write('x"}\n{"n": 7', "job.save", "job/1")

    assert audit.verify() == 6
    assert len((tmp_path / FILE).read_text().splitlines()) == 6
    assert json.loads((tmp_path / FILE).read_text().splitlines()[-1])["who"] == 'x"}\n{"n": 7'


def test_the_command_says_whether_it_is_whole(
    audit: Audit, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`lineside audit verify` ends with 0 or 1, and names the place."""
    assert main(["audit", "verify", "--data", str(tmp_path)]) == 0
    assert "5 entries" in capsys.readouterr().out
    assert main(["audit", "show", "--data", str(tmp_path), "--limit", "1"]) == 0
    assert "eva  job.save job/5" in capsys.readouterr().out
    change(tmp_path, lambda lines: lines[:2])

    assert main(["audit", "verify", "--data", str(tmp_path)]) == 1
    assert "2 entries; 5 were written" in capsys.readouterr().out
    assert audit.latest("job/2")
