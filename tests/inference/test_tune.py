"""Measuring runtimes and threads."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edge_app.inference.adopt import adopt
from edge_app.inference.bundle import write_bundle
from edge_app.inference.interpreter import installed_runtimes
from edge_app.inference.tune import Choice, Row, Tuning, combinations, fingerprint, tune


def tuning(*rows: Row) -> Tuning:
    """A table as it was measured."""
    return Tuning(fingerprint(), "0" * 64, 1.0, rows)


def row(runtime: str, threads: int, p90_ms: float, problem: str = "") -> Row:
    """One combination."""
    return Row(runtime, threads, p90_ms * 0.9, p90_ms, 60, problem=problem)


@pytest.mark.parametrize(
    ("rows", "best"),
    [
        ([("litert", 1, 10.0), ("tflite-runtime", 1, 70.0)], Choice("litert", 1)),
        ([("litert", 1, 70.0), ("tflite-runtime", 1, 10.0)], Choice("tflite-runtime", 1)),
        ([("litert", 1, 10.0), ("litert", 4, 4.0)], Choice("litert", 4)),
        ([("litert", 1, 10.1), ("litert", 4, 10.0)], Choice("litert", 1)),
        ([("tflite-runtime", 1, 10.0), ("litert", 1, 10.1)], Choice("litert", 1)),
        ([("tflite-runtime", 1, 10.0), ("litert", 2, 10.0)], Choice("tflite-runtime", 1)),
    ],
)
def test_the_fastest_wins_and_ties_go_to_fewer_threads_then_the_default(
    rows: list[tuple[str, int, float]], best: Choice
) -> None:
    """Within the noise, what disturbs others less is the better choice."""
    assert tuning(*(row(*entry) for entry in rows)).best() == best


def test_a_pin_is_obeyed() -> None:
    """A setting chooses among what can run, and nothing fits a pin that can't."""
    table = tuning(row("litert", 1, 10), row("litert", 4, 5), row("tflite-runtime", 1, 7, "broken"))

    assert table.best() == Choice("litert", 4)
    assert table.best(threads=1) == Choice("litert", 1)
    assert table.best(runtime="tflite-runtime") is None
    assert table.best(threads=8) is None


def test_a_combination_with_a_problem_is_never_chosen() -> None:
    """It stays in the table, last, so that a person sees why."""
    table = tuning(row("litert", 1, 10), row("litert", 4, 5))

    changed = table.without(Choice("litert", 4), "it answers differently")

    assert changed.best() == Choice("litert", 1)
    assert [entry.problem for entry in changed.rows] == ["", "it answers differently"]
    assert tuning(row("litert", 1, 1, "broken")).best() is None


def test_a_table_survives_json() -> None:
    """And one that was tampered with is refused."""
    table = tuning(row("litert", 1, 10), row("tflite-runtime", 2, 5, "missing operator"))
    document = json.loads(json.dumps(table.to_json()))

    assert Tuning.from_json(document) == table
    for wrong in ({"rows": [{"runtime": "abacus", "threads": 1}]}, {"rows": 7}, {"sha256": 1}):
        broken = document | wrong
        if "sha256" in wrong:
            del broken["sha256"]
        with pytest.raises(ValueError, match=r"not a table|not known"):
            Tuning.from_json(broken)


def test_every_runtime_is_measured_with_one_thread_and_more() -> None:
    """Up to the processors there are."""
    choices = combinations()

    assert {choice.runtime for choice in choices} == set(installed_runtimes())
    assert all(Choice(runtime, 1) in choices for runtime in installed_runtimes())
    assert len(set(choices)) == len(choices)


def test_a_real_model_is_measured(data: Path, tmp_path: Path) -> None:
    """In both runtimes, each in a process of its own; the table says who used XNNPACK."""
    path = tmp_path / "vww.tflite"
    write_bundle(path, adopt((data / "models" / "vww_96_int8.tflite").read_bytes(), "vww"))
    told: list[str] = []
    choices = [Choice(runtime, 1) for runtime in installed_runtimes()]

    table = tune(path, choices, niceness=0, watch=told.append)

    assert {entry.choice for entry in table.rows} == set(choices)
    assert all(entry.problem == "" and entry.runs > 0 for entry in table.rows)
    assert all(0 < entry.p50_ms <= entry.p90_ms for entry in table.rows)
    assert table.best() in choices
    assert len(told) >= len(choices)
    used = {entry.runtime: entry.accelerated for entry in table.rows}
    assert used["litert"]
    # The older one leaves quantized models to its plain kernels unless it is asked not to.
    assert not used.get("tflite-runtime", False)


def test_what_can_not_run_stands_in_the_table(data: Path, tmp_path: Path) -> None:
    """A missing runtime or operator is told, not hidden."""
    path = tmp_path / "broken.tflite"
    content = (data / "models" / "vww_96_int8.tflite").read_bytes()
    bundle = adopt(content, "vww")
    write_bundle(path, type(bundle)(b"TFL3" * 10, bundle.spec))

    table = tune(path, [Choice("litert", 1)])

    assert table.best() is None
    assert "refuses the model" in table.rows[0].problem
