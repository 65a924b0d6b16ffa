"""The table of what each route needs; a route without an entry is a fault that a test finds."""

from __future__ import annotations

from typing import Literal

Need = Literal["nothing", "read", "predict", "operate", "engineer", "admin"]

LEAST_ROLE: dict[Need, str] = {
    "read": "viewer",
    "predict": "operator",
    "operate": "operator",
    "engineer": "engineer",
    "admin": "admin",
}
"""The first role that may."""

OPEN: dict[str, tuple[Need, ...]] = {
    "none": (),
    "read": ("read",),
    "predict": ("read", "predict"),
    "operate": ("read", "predict", "operate"),
    "all": ("read", "predict", "operate", "engineer", "admin"),
}
"""What `app.open_access` gives to everybody."""

NEEDS: dict[str, Need] = {
    "health": "nothing",
    "static": "nothing",
    "session.look": "nothing",
    "session.log_in": "nothing",
    "session.log_out": "nothing",
    "session.set_up": "nothing",
    "session.form": "nothing",
    "session.sent_form": "nothing",
    "page.look": "nothing",
    "kserve.live": "nothing",
    "kserve.ready": "nothing",
    "kserve.server": "read",
    "kserve.metadata": "read",
    "kserve.model_ready": "read",
    "kserve.index": "read",
    "kserve.infer": "predict",
    "tfserving.status": "read",
    "tfserving.metadata": "read",
    "tfserving.predict": "predict",
    "deepstack.detection": "predict",
    "deepstack.scene": "predict",
    "predict.predict": "predict",
    "prometheus.text": "read",
    "native.app_status": "read",
    "native.counters": "read",
    "native.audit_log": "read",
    "native.recent_log": "engineer",
    "native.settings_in_force": "engineer",
    "inspections.page": "read",
    "inspections.one": "read",
    "inspections.image": "read",
    "inspections.reviews": "read",
    "inspections.create": "predict",
    "inspections.review": "operate",
    "export.as_csv": "read",
    "export.as_json_lines": "read",
    "cameras.cameras": "read",
    "cameras.camera": "read",
    "cameras.live": "read",
    "cameras.trigger": "operate",
    "cameras.switch_job": "operate",
    "cameras.reset_shift": "operate",
    "jobs.all_jobs": "read",
    "jobs.one": "read",
    "jobs.save": "engineer",
    "models.all_models": "read",
    "models.one": "read",
    "models.add": "engineer",
    "models.activate": "engineer",
    "models.tune": "engineer",
    "models.rollback": "engineer",
    "models.remove": "engineer",
    "people.all_people": "admin",
    "people.save": "admin",
    "people.remove": "admin",
    "people.all_tokens": "admin",
    "people.add_token": "admin",
    "people.remove_token": "admin",
    "openapi.document": "nothing",
    "openapi.reference": "nothing",
}
"""By endpoint: blueprint and function."""

PAGES = "page."
"""The page's own routes show what a viewer may see; what its buttons do is asked of the API."""


def need_of(endpoint: str) -> Need | None:
    """What a route needs; None where nobody has said."""
    if endpoint in NEEDS:
        return NEEDS[endpoint]
    return "read" if endpoint.startswith(PAGES) else None
