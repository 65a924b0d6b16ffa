"""`/api/v1/jobs`: read and save what is inspected how."""

from __future__ import annotations

import contextlib
from typing import Any

from flask import Blueprint, jsonify, request
from flask.typing import ResponseReturnValue

from edge_app.audit import Audit
from edge_app.inference.judge import Limits
from edge_app.jobs import MAX_NUMBER, Job, JobError, JobStore
from edge_app.lines import LineDown, Lines
from edge_app.models import ModelStore, StoreError
from edge_app.web.errors import ApiError
from edge_app.web.person import person
from edge_app.web.request import read_json


def jobs_blueprint(jobs: JobStore, store: ModelStore, lines: Lines, audit: Audit) -> Blueprint:
    """Routes of the jobs."""
    blueprint = Blueprint("jobs", __name__, url_prefix="/api/v1/jobs")

    @blueprint.get("")
    def all_jobs() -> ResponseReturnValue:
        return jsonify({"jobs": [_shown(jobs, number) for number in jobs.numbers()]})

    @blueprint.get("/<int:number>")
    def one(number: int) -> ResponseReturnValue:
        _known(jobs, number)
        return jsonify(_shown(jobs, number))

    @blueprint.put("/<int:number>")
    def save(number: int) -> ResponseReturnValue:
        if not 1 <= number <= MAX_NUMBER:
            raise ApiError(400, "bad_job", f"number: expected 1 to {MAX_NUMBER}, got {number}")
        new = _asked(number, store)
        exists = number in jobs.numbers()
        old = _shown(jobs, number) if exists else None
        audit.write(person().name, "job.save", f"job/{number}", old, new.to_document())
        jobs.save(new)
        reload_lines(lines, job=number)
        return jsonify(_shown(jobs, number)), 200 if exists else 201

    return blueprint


def reload_lines(lines: Lines, *, job: int = 0, model: str = "") -> None:
    """Have the lines that use a job or a model take up its change, inspecting all the while.

    A line that is down reads it when it starts.
    """
    for name in lines.names:
        status = lines.state(name).status
        uses_model = str(status.get("model", "")).split("/")[0] == model
        if (job and status.get("job") == job) or (model and uses_model):
            with contextlib.suppress(LineDown):
                lines.ask(name, "POST", "/reload")


def _known(jobs: JobStore, number: int) -> None:
    if number not in jobs.numbers():
        known = ", ".join(map(str, jobs.numbers())) or "none"
        raise ApiError(404, "unknown_job", f"there is no job {number}; there are: {known}")


def _shown(jobs: JobStore, number: int) -> dict[str, Any]:
    """A job as it is on disk; one that can't be read is told with its fault."""
    try:
        return jobs.load(number).to_document()
    except JobError as error:
        return {"number": number, "name": "", "model": "", "fault": str(error)}


def _asked(number: int, store: ModelStore) -> Job:
    document = {key: value for key, value in read_json(request).items() if key != "number"}
    try:
        job = Job.from_document(number, document)
        active = store.active(job.model)
        if active is None:
            raise JobError(f"no active model {job.model!r}; there are: {', '.join(store.names())}")
        _check_labels(job.limits, store.load(active).spec.task.labels)
    except (JobError, StoreError) as error:
        raise ApiError(400, "bad_job", str(error)) from error
    return job


def _check_labels(limits: Limits | None, labels: tuple[str, ...]) -> None:
    if limits is None:
        return
    counted = [rule.label for rule in limits.counts]
    named = [*limits.good, *limits.classes, *limits.areas, *counted]
    if unknown := [label for label in named if label not in labels]:
        raise JobError(f"the model has no label {unknown[0]!r}; it has: {', '.join(labels)}")
