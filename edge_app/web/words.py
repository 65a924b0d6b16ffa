"""The page's languages: every text of templates and scripts stands in `static/words.json`."""

from __future__ import annotations

import json
from pathlib import Path

from flask import Request

LANGUAGES = ("en", "zh")
"""In the order of the texts beside each key."""

COOKIE_LANGUAGE = "lineside_language"
COOKIE_THEME = "lineside_theme"
THEMES = ("auto", "light", "dark")


class Words:
    """Texts by key in each language.

    Args:
        path: A JSON object of `key: [English, Chinese]`.
    """

    def __init__(self, path: Path) -> None:
        self._texts: dict[str, list[str]] = json.loads(path.read_text(encoding="utf-8"))

    def text(self, language: str, key: str) -> str:
        """The text of a key.

        Raises:
            KeyError: There is none: a fault of the template, found by its test.
        """
        return self._texts[key][LANGUAGES.index(language)]

    def under(self, language: str, prefix: str) -> dict[str, str]:
        """All texts whose keys begin with a prefix, by the rest of their keys."""
        place = LANGUAGES.index(language)
        return {
            key.removeprefix(prefix): texts[place]
            for key, texts in self._texts.items()
            if key.startswith(prefix)
        }


def language_of(request: Request) -> str:
    """The language a request asks for: by its cookie, else by the browser's order."""
    chosen = request.cookies.get(COOKIE_LANGUAGE, "")
    if chosen in LANGUAGES:
        return chosen
    return request.accept_languages.best_match(LANGUAGES) or "en"


def theme_of(request: Request) -> str:
    """The theme a request asks for; `auto` leaves it to the browser."""
    chosen = request.cookies.get(COOKIE_THEME, "")
    return chosen if chosen in THEMES else "auto"
