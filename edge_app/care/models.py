"""Checks of jobs and models: is there what the cameras need, proved and quick enough?"""

from __future__ import annotations

from collections.abc import Iterator

from edge_app.care.device import Device
from edge_app.care.finding import Finding, fault, ok, warning
from edge_app.inference.acceptance import prove
from edge_app.inference.tune import Choice
from edge_app.jobs import JobError
from edge_app.models import ModelStore, ModelVersion, StoreError

SHARE = 0.5
"""Of the budget; the rest is for the picture, the record and a bad moment."""


def jobs(device: Device) -> Iterator[Finding]:
    """Can every job be read, and is there the one that each camera starts with?"""
    numbers, wrong = device.jobs.numbers(), 0
    for number in numbers:
        try:
            device.jobs.load(number)
        except JobError as error:
            wrong += 1
            yield fault(f"job {number}", str(error), "mend or delete its file, or save it anew")
    for name, camera in device.settings.cameras.items():
        if camera.job not in numbers:
            text = f"camera {name} starts with it, and there is no such job"
            yield fault(f"job {camera.job}", text, f"save it, or set cameras.{name}.job")
    if numbers and not wrong:
        yield ok("jobs", f"{len(numbers)} can be read")


def models(device: Device) -> Iterator[Finding]:
    """Is every model that is needed active, whole, proved here and within the budget?"""
    store = ModelStore.of_device(device.settings.data_dir, device.settings.inference)
    budgets = _budgets_ms(device)
    if not budgets:
        todo = "lineside models add FILE --activate, and a job that names it"
        yield warning("models", "no job and no setting needs any", todo)
    for name, budget_ms in sorted(budgets.items()):
        yield _model(store, name, budget_ms)


def _budgets_ms(device: Device) -> dict[str, float]:
    """The models that are needed, each with the shortest deadline that it must meet."""
    settings = device.settings
    budgets: dict[str, float] = {}
    if settings.inference.model:
        budgets[settings.inference.model] = settings.app.deadline_ms
    for camera in settings.cameras.values():
        for job in device.jobs_of(camera):
            had = budgets.get(job.model, camera.deadline_ms)
            budgets[job.model] = min(had, camera.deadline_ms / job.shots)
    return budgets


def _model(store: ModelStore, name: str, budget_ms: float) -> Finding:
    about, active = f"model {name}", store.active(name)
    if active is None:
        versions = ", ".join(str(version.version) for version in store.versions(name)) or "none"
        todo = f"lineside models activate {name} VERSION"
        return fault(about, f"no version is active; there are: {versions}", todo)
    try:
        store.load(active)
        choice = store.choice(active)
    except StoreError as error:
        return fault(about, str(error), f"lineside models rollback {name}")
    proof = prove(active.path, runtime=choice.runtime, threads=choice.threads, quick=True)
    if proof.refusal:
        text = f"version {active.version} failed its proof: {proof.refusal}"
        return fault(about, text, f"lineside models rollback {name}")
    took_ms = _measured_ms(store, active, choice) or proof.invoke_ms
    how = f"{proof.runtime}, {choice.threads} thread{'s' if choice.threads > 1 else ''}"
    text = (
        f"version {active.version} proved itself: {took_ms:.3g} ms of {budget_ms:g} ms for one "
        f"run ({how})"
    )
    if took_ms > budget_ms * SHARE:
        todo = f"lineside models tune {name}; else a smaller model or a longer deadline_ms"
        grade = fault if took_ms > budget_ms else warning
        return grade(about, text, todo)
    return ok(about, text)


def _measured_ms(store: ModelStore, version: ModelVersion, choice: Choice) -> float | None:
    """What nine of ten runs stay below, as it was measured when the model was activated."""
    tuning = store.tuning(version)
    rows = tuning.rows if tuning else ()
    return next((row.p90_ms for row in rows if row.choice == choice), None)
