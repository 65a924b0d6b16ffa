"""`/api/v1/inspections`: uploads, pages of records, one record, its picture, its reviews."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from flask import Blueprint, Response, jsonify, request
from flask.typing import ResponseReturnValue

from edge_app.config import AppSettings
from edge_app.records.database import Database
from edge_app.records.inspection import Inspection
from edge_app.records.review import Review
from edge_app.records.whole import is_whole
from edge_app.sniff import media_type
from edge_app.uploads import Uploads
from edge_app.web.drawing import drawn
from edge_app.web.errors import ApiError
from edge_app.web.person import person
from edge_app.web.predict import image_answer
from edge_app.web.reading import MAX_ID, asked_page, asked_query, records, whole
from edge_app.web.request import any_image, deadline_in, part_of, read_json

REVIEWS = ("OK", "NG")
MAX_NOTE_CHARS = 1000
KEEP_PICTURE_S = 3600


def inspections_blueprint(uploads: Uploads, data_dir: Path, settings: AppSettings) -> Blueprint:
    """Routes of the records."""
    blueprint = Blueprint("inspections", __name__, url_prefix="/api/v1/inspections")
    database_path = data_dir / "records.db"

    blueprint.before_request(partial(_written_first, uploads))

    @blueprint.get("")
    def page() -> ResponseReturnValue:
        query = asked_query("limit", "before_id")
        limit, before_id = asked_page()
        with records(database_path) as database:
            try:
                found = database.inspections(limit=limit, before_id=before_id, query=query)
            except KeyError:
                raise ApiError(404, "unknown_inspection", "there is no such before_id") from None
            shown = with_reviews(database, found)
        more = found[-1].id if len(found) == limit else None
        return jsonify({"inspections": shown, "next_before_id": more})

    @blueprint.post("")
    def create() -> ResponseReturnValue:
        deadline = deadline_in(request.environ, settings.deadline_ms, settings.deadline_max_ms)
        model = request.args.get("model", "")
        uploads.look(deadline, model)
        judged = uploads.judge_image(
            any_image(request), deadline, model=model, part=part_of(request)
        )
        return jsonify(shown_inspection(judged.inspection, ()) | image_answer(judged)), 201

    @blueprint.get("/<int:inspection_id>")
    def one(inspection_id: int) -> ResponseReturnValue:
        with records(database_path) as database:
            inspection = known(database, inspection_id)
            (shown,) = with_reviews(database, [inspection])
        return jsonify(shown | inspection.whole_json())

    @blueprint.get("/<int:inspection_id>/image")
    def image(inspection_id: int) -> ResponseReturnValue:
        with records(database_path) as database:
            inspection = known(database, inspection_id)
        picture = kept_picture(data_dir, inspection)
        if whole("boxes", 0, 0, 1):
            picture.set_data(drawn(picture.get_data(), inspection.findings))
            picture.content_type = "image/jpeg"
        return picture

    @blueprint.get("/<int:inspection_id>/reviews")
    def reviews(inspection_id: int) -> ResponseReturnValue:
        with records(database_path) as database:
            known(database, inspection_id)
            found = database.reviews([inspection_id]).get(inspection_id, [])
        return jsonify({"reviews": [review.to_json() for review in found]})

    @blueprint.post("/<int:inspection_id>/reviews")
    def review(inspection_id: int) -> ResponseReturnValue:
        verdict, note = _asked_review()
        with records(database_path) as database:
            known(database, inspection_id)
            added = database.add_review(inspection_id, verdict, person().name, note)
        return jsonify(added.to_json()), 201

    return blueprint


def _written_first(uploads: Uploads) -> None:
    """Who has his answer may ask for its record at once."""
    if request.path != "/api/v1/inspections" or request.method != "POST":
        uploads.recorder.hurry()


def known(database: Database, inspection_id: int) -> Inspection:
    """One inspection.

    Raises:
        ApiError: There is none of that id.
    """
    found = database.inspection(min(inspection_id, MAX_ID))
    if found is None:
        raise ApiError(404, "unknown_inspection", f"there is no inspection {inspection_id}")
    return found


def kept_picture(data_dir: Path, inspection: Inspection) -> Response:
    """The picture that was kept of an inspection, of the kind that its bytes say.

    Raises:
        ApiError: None was kept, it had to make room for newer ones, or a power cut tore it.
    """
    try:
        if not inspection.image:
            raise FileNotFoundError
        content = (data_dir / "images" / inspection.image).read_bytes()
        if not is_whole(content):
            raise FileNotFoundError
    except OSError:
        raise ApiError(
            404, "no_picture", f"no picture of inspection {inspection.id} is kept"
        ) from None
    response = Response(content, content_type=media_type(content))
    response.headers["Cache-Control"] = f"private, max-age={KEEP_PICTURE_S}"
    return response


def with_reviews(database: Database, inspections: Iterable[Inspection]) -> list[dict[str, Any]]:
    """What the API shows of inspections."""
    found = list(inspections)
    reviews = database.reviews(inspection.id for inspection in found)
    return [shown_inspection(entry, reviews.get(entry.id, ())) for entry in found]


def shown_inspection(inspection: Inspection, reviews: Sequence[Review]) -> dict[str, Any]:
    """What the API shows of one inspection."""
    url = f"/api/v1/inspections/{inspection.id}/image" if inspection.image else None
    return inspection.to_json() | {
        "image_url": url,
        "reviews": [review.to_json() for review in reviews],
    }


def _asked_review() -> tuple[str, str]:
    document = read_json(request)
    verdict, note = document.get("verdict"), document.get("note", "")
    if verdict not in REVIEWS:
        raise ApiError(400, "bad_review", f"verdict: expected one of {', '.join(REVIEWS)}")
    if not isinstance(note, str) or len(note) > MAX_NOTE_CHARS:
        raise ApiError(400, "bad_review", f"note: expected at most {MAX_NOTE_CHARS} characters")
    return verdict, note
