"""The bench's page: made of what was measured, and honest about what was not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

from benchmarks.figures import Part, Table, ms, percentile, spread_row, summary
from benchmarks.machine import Quiet
from benchmarks.page import PARTS, keep, warnings_of, write_page
from benchmarks.part_start import parse_importtime
from benchmarks.svg import shares_for, tail_plot

MACHINE = {
    "model": "",
    "processor": "A CPU",
    "cores": 2,
    "max_mhz": None,
    "memory_mb": 4000,
    "governor": "performance",
    "system": "Linux",
    "kernel": "6.1",
    "python": "3.11",
    "packages": {"numpy": "1.26"},
}
META: dict[str, Any] = {
    "at": "2026-01-01",
    "seconds": 3.0,
    "quick": False,
    "version": "abc",
    "machine": MACHINE,
    "warnings": [],
}


def _part() -> Part:
    part = Part("line", "The line", "How it was run.")
    part.series = {"bare": [1.0, 2.0, 3.0], "line, loaded": [2.0, 4.0]}
    part.tables.append(Table("Times", ["a", "b"], [["x|y", 1]], "A note."))
    part.plots.append(("Tail", ["bare", "line, loaded"]))
    part.check("quick enough", "2.00 times", holds=False)
    part.check("not told", "no sensor", holds=None)
    return part


def test_page_names_what_was_not_run(tmp_path: Path) -> None:
    """A part without results is listed as not run, and none of its figures are shown."""
    keep(tmp_path / "performance", _part(), META)
    page = tmp_path / "performance.md"

    write_page(tmp_path / "performance", page)

    text = page.read_text()
    assert f"**Not run yet:** {', '.join(p for p in PARTS if p != 'line')}." in text
    assert "| line | quick enough | 2.00 times | **no** |" in text
    assert "| line | not told | no sensor | not told |" in text
    assert "x\\|y" in text
    assert "A real Raspberry Pi" in text


def test_page_marks_quick_runs_and_noise(tmp_path: Path) -> None:
    """Figures of a cut-short run on a noisy machine say so above themselves."""
    meta = META | {"quick": True, "warnings": ["other programs used 50% of the processors"]}
    keep(tmp_path / "performance", _part(), meta)

    write_page(tmp_path / "performance", tmp_path / "page.md")

    text = (tmp_path / "page.md").read_text()
    assert "no figure here is a result" in text
    assert "The machine was not quiet:** other programs used 50%" in text


def test_samples_and_plots_lie_beside_the_json(tmp_path: Path) -> None:
    """Raw samples are kept as CSV, a row for each series, and plots that are gone go."""
    (tmp_path / "line-7.svg").write_text("old")

    keep(tmp_path, _part(), META)

    assert (tmp_path / "line.csv").read_text() == "bare,1,2,3\nline  loaded,2,4\n"
    assert json.loads((tmp_path / "line.json").read_text())["series"]["bare"]["n"] == 3
    assert sorted(path.name for path in tmp_path.glob("*.svg")) == ["line-1.svg"]


def test_part_survives_its_json(tmp_path: Path) -> None:
    """What the page is made of reads back as it was, but for the samples."""
    part = _part()
    keep(tmp_path, part, META)

    again = Part.from_json(json.loads((tmp_path / "line.json").read_text()))

    part.series = {}
    assert again == part


def test_percentiles_take_the_worse_neighbour() -> None:
    """A tail is never smoothed: with few samples p99.9 is the worst one."""
    samples = [1.0] * 98 + [50.0, 100.0]

    assert percentile(samples, 99.9) == 100.0
    assert percentile(samples, 99) == 100.0
    assert summary(samples)["p50"] == 1.0
    assert spread_row("x", samples, samples) == ["x", 100, "1.00", "100", "100", "1.00"]


def test_no_samples_are_no_figure() -> None:
    """Without samples a table shows a dash."""
    assert spread_row("x", [], [1.0]) == ["x", 0, "-", "-", "-", "-"]
    assert ms(float("nan")) == "-"


def test_plot_is_xml_whatever_the_names_are() -> None:
    """Names are escaped, and an empty series does no harm."""
    plot = tail_plot("a < b & c", {"<x>": [1.0, 5.0, 900.0], "empty": []})

    texts = [element.text for element in ET.fromstring(plot).iter() if element.text]  # noqa: S314 - ours
    assert "a < b & c" in texts
    assert "<x> (3)" in texts


def test_plot_shows_no_percentile_that_samples_cannot_tell() -> None:
    """p99.9 of a hundred samples is not drawn."""
    assert shares_for(100) == [50.0, 75.0, 90.0, 95.0, 99.0]
    assert shares_for(1000)[-1] == 99.9
    assert shares_for(1) == [50.0]


def test_noise_before_or_after_is_told_once() -> None:
    """A busy neighbour, a throttled processor and a drifting clock are each one sentence."""
    calm = Quiet(0.0, 0.0, 1.1, 1.0, 0.1, "")
    busy = Quiet(0.5, 0.0, 1.1, 1.3, 3.0, "under-voltage")

    assert warnings_of(calm, calm) == []
    said = warnings_of(busy, busy)
    assert len(said) == 2
    assert any("1.30 times as long" in words for words in warnings_of(calm, busy))


def test_import_times_are_read_as_python_writes_them() -> None:
    """Own microseconds become milliseconds; the headline and other words are passed over."""
    text = (
        "import time: self [us] | cumulative | imported package\n"
        "import time:       120 |        120 |   zipimport\n"
        "noise\n"
        "import time:      2500 |       9000 | numpy.core\n"
    )

    assert parse_importtime(text) == [("zipimport", 0.12), ("numpy.core", 2.5)]


def test_soak_stands_on_the_page_with_its_memory(tmp_path: Path) -> None:
    """The soak's memory is held against the tutorial service's after the same work."""
    folder = tmp_path / "performance"
    start = Part("start", "Start-up", "How.", facts={"resident_mb": {"tutorial service": 500.0}})
    keep(folder, start, META)
    life = {"seconds": 3600.0, "mb": [40.0, 50.0, 50.0], "files": [9, 9, 9], "cpu_s": 3.0}
    report = {
        "meta": {"minutes": 60.0, "at": "now", "version": "abc"},
        "invariants": {"x": {"says": "x", "broken": 0}},
        "answer_ms": {"n": 7},
        "lives": [{"name": "app", **life}, {"name": "cam1", **life}],
    }
    (folder / "soak.json").write_text(json.dumps(report))

    write_page(folder, tmp_path / "page.md")

    text = (tmp_path / "page.md").read_text()
    assert "no invariant broke in 7 answers" in text
    assert "100 MB together at their end: 0.20 of" in text
