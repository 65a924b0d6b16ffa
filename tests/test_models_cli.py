"""`lineside models`, as a person types it, with real models and real proofs."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_app.cli import main

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"

pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason="the real test data is not here")


def test_a_model_s_whole_life(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Added, activated, replaced, rolled back, removed; and each step says what it did."""
    # One round of measuring is as good as three for what is looked at here.
    monkeypatch.setattr("edge_app.inference.tune.ROUNDS", 1)
    folder = ["--data", str(tmp_path)]
    labels = tmp_path / "labels.txt"
    labels.write_text("nobody\nsomebody\n")

    def lineside(*arguments: object) -> tuple[int, str]:
        status = main(["models", *map(str, arguments), *folder])
        printed = capsys.readouterr()
        return status, printed.out + printed.err

    assert lineside("list") == (0, f"no models in {tmp_path}/models\n")
    first = ("add", DATA / "models" / "vww_96_int8.tflite", "--name", "vww")
    told = ("--labels", labels, "--good", "nobody")
    status, printed = lineside(*first, *told, "--sha256", "0" * 64)
    assert status == 1
    assert "expected SHA-256 000" in printed
    status, printed = lineside(*first, *told)
    assert status == 0
    assert "vww version 1: classification, 2 labels: nobody, somebody" in printed
    assert "assumed: " in printed
    assert "version 1" in lineside(*first, *told)[1]

    status, printed = lineside("activate", "vww", 1)
    assert status == 0
    assert "vww version 1 runs from now on" in printed
    assert "XNNPACK" in printed

    status, printed = lineside(*first, "--activate")
    assert status == 0
    assert "version 2 runs from now on" in printed
    assert lineside("rollback", "vww") == (0, "vww went back to version 1\n")
    listed = lineside("list")[1].splitlines()
    assert listed[0].startswith("* vww")
    assert listed[1].startswith("  vww")

    status, printed = lineside("remove", "vww", 1)
    assert status == 1
    assert "is active" in printed
    assert lineside("remove", "vww", 2) == (0, "vww version 2 is deleted\n")
    status, printed = lineside("inspect", tmp_path / "models" / "vww" / "1.tflite")
    assert status == 0
    assert "labels        2 labels: nobody, somebody" in printed
    assert "operator      CONV_2D v3 x 14" in printed


@pytest.mark.parametrize("path", sorted((DATA / "models" / "refuse").glob("*.tflite")))
def test_a_file_that_can_not_run_is_refused_in_one_sentence(
    path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing of it stays."""
    status = main(["models", "add", str(path), "--data", str(tmp_path)])

    printed = capsys.readouterr()
    assert status == 1
    assert printed.out == ""
    assert printed.err.startswith(f"lineside: {path.name} was refused: ")
    assert printed.err.count("\n") == 1
    assert not list(tmp_path.rglob("*.tflite"))


@pytest.mark.parametrize(
    "arguments",
    [
        ("inspect", "nothing.tflite"),
        ("inspect", __file__),
        ("activate", "vww", "1"),
        ("rollback", "vww"),
        ("tune", "vww"),
        ("remove", "vww", "1"),
        ("add", "nothing.tflite"),
    ],
)
def test_what_is_not_there_is_a_sentence(
    arguments: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With status 1 and no traceback."""
    assert main(["models", *arguments, "--data", str(tmp_path)]) == 1
    assert capsys.readouterr().err.startswith("lineside: ")


def test_any_file_can_be_looked_into(capsys: pytest.CaptureFixture[str]) -> None:
    """Without a runtime, also those that none would take."""
    for path in sorted((DATA / "models").rglob("*.tflite")):
        assert main(["models", "inspect", str(path)]) == 0
        assert "operator" in capsys.readouterr().out
