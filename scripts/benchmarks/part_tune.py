"""`bench tune`: what the device chose for real models, against every other way to run them."""

from __future__ import annotations

import math
from pathlib import Path

from benchmarks.combination import measure
from benchmarks.figures import Part, Table, ms, percentile, ratio
from benchmarks.place import DEMO_MODEL, MODEL, Place
from edge_app.inference.guess import Told
from edge_app.inference.tune import Choice, combinations, tune
from edge_app.models import ModelStore, StoreError

DEFAULT = Choice("tflite-runtime", 1)
WITHIN, NOISE_MS = 1.05, 0.01
"""As good as the best is what is so many times slower at most, or by so much: runs of less than a
tenth of a millisecond differ by that from one process to the next."""


def models(place: Place) -> list[Path]:
    """Real models: those of `../shared/data` where it is, and the bench's and the demo's own."""
    own = [place.flatbuffer(), place.saved_model().parent / "model_float.tflite", DEMO_MODEL]
    real = sorted((place.shared / "models").glob("*.tflite"))
    real += sorted((place.shared / "cifar10").glob("*.tflite"))
    return [path for path in (*real, *own) if path.exists()]


def run(place: Place) -> Part:
    """Tune each model as the device does, then measure every combination independently."""
    part = Part(
        "tune",
        "Tuning: runtime and threads",
        "Each model is tuned as on activation. Then every runtime with every number of threads "
        "runs it in a bare child process, in rounds that take turns; a combination counts by the "
        "median of its quickest round. The default is tflite-runtime with one thread.",
    )
    table = Table(
        "Chosen against all others",
        ["model", "chosen", "ms", "best", "ms", "chosen / best", "default ms", "gain"],
    )
    found = models(place)
    found = found[:2] if place.quick else found
    store = ModelStore(place.fresh("tune") / "models")
    worst, ties = 1.0, 0
    for path in found:
        row, chosen_ms, best_ms = _one(store, path, 1 if place.quick else 3)
        table.rows.append(row)
        if math.isfinite(chosen_ms):
            worst = max(worst, chosen_ms / best_ms)
            ties += chosen_ms <= max(WITHIN * best_ms, best_ms + NOISE_MS)
    part.tables.append(table)
    part.facts["combinations"] = [f"{c.runtime} x{c.threads}" for c in combinations()]
    if len(found) < 8 and not place.quick:
        table.note = f"Only {len(found)} models were found; more are looked for in ../shared/data."
    part.check(
        "the choice is within 5 % of the best, or a hundredth of a millisecond",
        f"{ties} of {len(found)} models; at worst {worst:.2f} times the best",
        ties == len(found),
    )
    return part


def _one(store: ModelStore, path: Path, rounds: int) -> tuple[list[object], float, float]:
    """A row of the table, and what the choice and the best take; NaN where nothing ran."""
    nothing = float("nan"), float("nan")
    name = MODEL if path.name == "model_int8.tflite" else path.stem
    try:
        version = store.add(path, name[:60], Told())
        best_choice = tune(version.path, niceness=0).best()
    except StoreError as error:
        return [path.stem, str(error)[:80], *["-"] * 6], *nothing
    quickest: dict[Choice, float] = {}
    for _ in range(rounds):
        for choice in combinations():
            times = measure(version.path, choice.runtime, choice.threads, 0.4)
            if not isinstance(times, str):
                p50 = percentile(times, 50)
                quickest[choice] = min(p50, quickest.get(choice, p50))
    if best_choice is None or best_choice not in quickest:
        return [path.stem, "none can run it", *["-"] * 6], *nothing
    best = min(quickest, key=lambda choice: quickest[choice])
    default_ms = quickest.get(DEFAULT, float("nan"))
    row: list[object] = [
        path.stem,
        _said(best_choice),
        ms(quickest[best_choice]),
        _said(best),
        ms(quickest[best]),
        ratio(quickest[best_choice], quickest[best]),
        ms(default_ms),
        ratio(default_ms, quickest[best_choice]),
    ]
    return row, quickest[best_choice], quickest[best]


def _said(choice: Choice) -> str:
    return f"{choice.runtime} x{choice.threads}"
