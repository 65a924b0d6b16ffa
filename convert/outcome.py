"""What is made of an outcome: the model file, the figures as JSON, the summary."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convert import calibration, golden
from convert.choose import Trial
from convert.compare import alike, figure, scores_of
from convert.console import Console
from convert.conversion import Outcome
from convert.proof import Run
from convert.workbench import Workbench
from edge_app.inference.bundle import ModelBundle, ModelSpec
from edge_app.inference.metadata import read_facts

STEADY = 0.95
"""Runtimes that answer fewer of the samples alike are worth a warning."""


def bundle_of(outcome: Outcome, chosen: Trial, bench: Workbench) -> ModelBundle:
    """The model file's content, golden set and figures included."""
    assert chosen.made is not None  # noqa: S101 - a trial that passed has a model
    run = first_run(chosen)
    measure, shown = outcome.measure, outcome.shown
    scores = scores_of(measure.task, run) if measure.task.kind == "classification" else None
    places = golden.choose(
        shown.samples, shown.truth, scores, outcome.limits, steady(outcome, chosen)
    )
    contract = shown.samples.contract
    spec = ModelSpec(
        name=measure.name,
        task=measure.task,
        inputs=run.inputs,
        outputs=run.outputs,
        contract=contract,
        limits=outcome.limits,
        mode=chosen.mode,
        made=_provenance(outcome, chosen, bench),
        calibration=_calibration(outcome),
        comparison=_comparison(outcome, chosen, bench),
    )
    proof = golden.golden(shown.samples, measure.reference, run, places)
    return ModelBundle(chosen.made.flatbuffer, spec, proof)


def steady(outcome: Outcome, chosen: Trial) -> NDArray[np.bool_]:
    """Which samples all runtimes answer alike, by the rule that devices hold them to."""
    first, *others = chosen.runs.values()
    same = np.ones(len(outcome.shown.samples), dtype=np.bool_)
    for run in others:
        same &= alike(outcome.measure.task, first, run, outcome.shown.samples)
    return same


def first_run(trial: Trial) -> Run:
    """Its answers in the first runtime that takes it: the golden ones."""
    return next(iter(trial.runs.values()))


def _provenance(outcome: Outcome, chosen: Trial, bench: Workbench) -> dict[str, Any]:
    made: dict[str, Any] = {
        "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "converter": f"lineside {version('lineside')}",
        "source": outcome.intake.source.to_json(),
        "least_runtime": least_runtime(chosen),
    }
    if bench.tensorflow_version:
        made["tensorflow"] = bench.tensorflow_version
    if outcome.intake.adopted is not None:
        made["assumed"] = outcome.intake.adopted.spec.made.get("assumed", [])
    return made


def least_runtime(chosen: Trial) -> str:
    """The oldest runtime that takes the model, as the maker's note in it says."""
    assert chosen.made is not None  # noqa: S101 - a trial that passed has a model
    return read_facts(chosen.made.flatbuffer).least_runtime


def _calibration(outcome: Outcome) -> dict[str, Any]:
    if outcome.shown.calibrating is None or outcome.intake.adopted is not None:
        return {}
    return calibration.describe(outcome.shown.calibrating, outcome.shown.counts)


def _comparison(outcome: Outcome, chosen: Trial, bench: Workbench) -> dict[str, Any]:
    return {
        "reference": f"float32 in {outcome.measure.reference.runtime}",
        "gates": outcome.measure.gates.to_json(),
        "runtimes": {
            name: {"version": bench.runtimes[name]} | comparison.to_json()
            for name, comparison in chosen.comparisons.items()
        },
        "refused_by": dict(chosen.refusals),
        "passed_over": passed_over(outcome),
    }


def passed_over(outcome: Outcome) -> dict[str, str]:
    """Why each model that was tried and not taken was not."""
    return {
        _name(trial): "; ".join(trial.failures)
        for trial in outcome.trials
        if trial is not outcome.chosen and trial.failures
    }


def _name(trial: Trial) -> str:
    left = len(trial.made.recipe.float_nodes) if trial.made else 0
    return f"{trial.mode} ({left} layers in float)" if left else trial.mode


def figures(
    outcome: Outcome, bundle: ModelBundle | None, file_bytes: int, console: Console
) -> dict[str, Any]:
    """All figures, for `--json` and the report."""
    measure, shown = outcome.measure, outcome.shown
    settled = shown.settled
    return {
        "written": bundle is not None,
        "mode": outcome.chosen.mode if outcome.chosen else None,
        "name": bundle.spec.name if bundle else None,
        "file_bytes": file_bytes if bundle else None,
        "model_bytes": len(bundle.flatbuffer) if bundle else None,
        "model_sha256": bundle.sha256 if bundle else None,
        "made": dict(bundle.spec.made) if bundle else {"source": outcome.intake.source.to_json()},
        "task": measure.task.to_json(),
        "limits": outcome.limits.to_json(),
        "contract": shown.samples.contract.to_json() if shown.samples.contract else None,
        "contract_by": settled.how if settled else "",
        "preprocessing": [finding.to_json() for finding in settled.findings] if settled else [],
        "calibration": _calibration(outcome),
        "samples": len(shown.samples),
        "skipped": list(shown.skipped),
        "gates": measure.gates.to_json(),
        "float32": {
            "bytes": len(outcome.floating.flatbuffer),
            "seconds": round(outcome.floating.seconds, 2),
            "peak_mb": round(outcome.floating.peak_mb),
        },
        "trials": [trial.to_json() for trial in outcome.trials],
        "passed_over": passed_over(outcome),
        "ms": _rounded(outcome.speeds),
        "golden_samples": len(bundle.golden) if bundle and bundle.golden else 0,
        "steps": [{"name": name, "s": round(s, 2)} for name, s in console.steps],
        "warnings": list(console.warnings),
    }


def _rounded(speeds: Mapping[str, Mapping[str, Mapping[int, float]]]) -> dict[str, Any]:
    return {
        model: {
            runtime: {f"{threads} threads": figure(ms) for threads, ms in by_threads.items()}
            for runtime, by_threads in runtimes.items()
        }
        for model, runtimes in speeds.items()
    }


def warnings_of(outcome: Outcome, chosen: Trial) -> list[str]:
    """What a person should know of a model that passed."""
    found = [
        f"{runtime} does not take this model: {said}" for runtime, said in chosen.refusals.items()
    ]
    best = {
        model: min((min(by.values()) for by in runtimes.values()), default=float("nan"))
        for model, runtimes in outcome.speeds.items()
    }
    before, after = best.get("float32", float("nan")), best.get(chosen.mode, float("nan"))
    if chosen.mode != "float32" and after > 1.2 * before:
        found.append(f"here {chosen.mode} is slower than float32: {after:.2f} ms, {before:.2f} ms")
    share = float(steady(outcome, chosen).mean())
    if share < STEADY:
        found.append(
            f"the runtimes answer only {share:.1%} of the samples alike (scores within 0.1); "
            "the golden set is taken from those"
        )
    if chosen.made is not None:
        found += chosen.made.notes
    return found


def summary(document: dict[str, Any], output: str) -> str:
    """The outcome on one screen."""
    sizes = [document[key] / 1024 for key in ("file_bytes", "model_bytes")]
    sizes.append(document["float32"]["bytes"] / 1024)
    lines = [
        "{}: {}, {:.0f} KB (model {:.0f} KB, before {:.0f} KB), {} golden samples".format(
            output, document["mode"], *sizes, document["golden_samples"]
        )
    ]
    lines += [f"  {name} was passed over: {why}" for name, why in document["passed_over"].items()]
    taken = (t for t in document["trials"] if t["passed"] and t["mode"] == document["mode"])
    chosen = next(taken)
    for runtime, entry in chosen["runtimes"].items():
        lines.append(f"  {runtime:<16}" + _figures_line(entry))
        if len(entry["by_label"]) <= 6:
            lines += [
                f"    {label:<16} {f['count']:5} pictures, recall "
                f"{f['float_recall']:.1%} -> {f['recall']:.1%}"
                for label, f in entry["by_label"].items()
            ]
    return "\n".join(lines)


def _figures_line(entry: Mapping[str, Any]) -> str:
    parts = []
    if entry["accuracy"] is not None:
        parts.append(f"accuracy {entry['float_accuracy']:.1%} -> {entry['accuracy']:.1%}")
    if entry["agreement"] is not None:
        parts.append(f"agreement {entry['agreement']:.1%}")
    parts.append(f"mean difference {entry['mean_distance']:.2%}")
    parts.append(f"{entry['invoke_ms']:.2f} ms")
    return ", ".join(parts)
