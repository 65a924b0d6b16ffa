"""What every answer says to browsers: load nothing foreign, be framed only by whom we know."""

from __future__ import annotations

from flask import Flask, Response, request

from edge_app.config import AppSettings
from edge_app.web.request_id import HEADER

ALLOWED_METHODS = "GET, POST, PUT, DELETE"
ALLOWED_HEADERS = (
    "Authorization, Content-Type, X-Deadline-Ms, X-Request-Id, Inference-Header-Content-Length"
)


def add_headers(app: Flask, settings: AppSettings) -> None:
    """Security headers and CORS on every answer of an app."""
    fixed = fixed_headers(settings)
    origins = frozenset(_words(settings.cors_origins))

    @app.after_request
    def add(response: Response) -> Response:
        headers = response.headers
        for name, value in fixed:
            headers.setdefault(name, value)
        origin = request.headers.get("Origin", "")
        if origin in origins:
            headers["Access-Control-Allow-Origin"] = origin
            headers["Access-Control-Allow-Methods"] = ALLOWED_METHODS
            headers["Access-Control-Allow-Headers"] = ALLOWED_HEADERS
            headers["Access-Control-Expose-Headers"] = HEADER
            headers["Access-Control-Max-Age"] = "600"
        if origins:
            headers.add("Vary", "Origin")
        return response


def fixed_headers(settings: AppSettings) -> list[tuple[str, str]]:
    """What every answer says, whoever asked."""
    framers = " ".join(["'self'", *_words(settings.frame_ancestors)])
    policy = (
        "default-src 'self'; img-src 'self' data: blob:; object-src 'none'; base-uri 'none'; "
        f"form-action 'self'; frame-ancestors {framers}"
    )
    return [
        ("Content-Security-Policy", policy),
        ("X-Content-Type-Options", "nosniff"),
        ("Referrer-Policy", "same-origin"),
        ("Cross-Origin-Opener-Policy", "same-origin"),
    ]


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]
