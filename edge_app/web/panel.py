"""The bare view for HMI browsers, as the server draws it: for those without any script."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

SIGNS = {
    "OK": "\N{CHECK MARK}",
    "NG": "\N{MULTIPLICATION X}",
    "REVIEW": "?",
    "NONE": "\N{EN DASH}",
    "WAITING": "\N{MIDDLE DOT}",
    "DOWN": "!",
}
"""A sign for each verdict, so that it is told by more than colour and word."""


@dataclass(frozen=True, slots=True)
class PanelView:
    """What the panel shows at the moment it is drawn."""

    verdict: str
    why: str = ""
    facts: str = ""

    @property
    def sign(self) -> str:
        """The verdict's sign."""
        return SIGNS[self.verdict]


def panel_view(document: dict[str, Any] | None, text: Callable[[str], str]) -> PanelView:
    """Read a feed's document; a line that is silent or closed never shows a verdict.

    Args:
        document: As `Feed.to_json` gives it; None without any camera.
        text: Words of the reader's language by key.
    """
    if document is None:
        return PanelView("WAITING")
    line = document["line"]
    if not line["up"]:
        return PanelView("DOWN", _ago(text, line["down_s"] or 0.0))
    status = line["status"]
    if status.get("closed"):
        return PanelView("NONE", text(f"code.{status['closed']['code']}"))
    last = status.get("last")
    if not last:
        return PanelView("WAITING")
    verdict = last["verdict"] if last["verdict"] in SIGNS else "NONE"
    age_s = last["age_s"] + line["age_s"]
    facts = [last["part"], str(last["id"]), f"{last['ms'] or 0:.0f} ms", _ago(text, age_s)]
    return PanelView(verdict, _why(text, last), " · ".join(fact for fact in facts if fact))


def _why(text: Callable[[str], str], last: dict[str, Any]) -> str:
    """What decided, without a sentence that would have to be translated."""
    if last["code"]:
        return text(f"code.{last['code']}")
    if not last["label"]:
        return str(last["reason"])
    return f"{last['label'].replace('_', ' ')} {last['score']:.1%}"


def _ago(text: Callable[[str], str], seconds: float) -> str:
    return text("ago.plain").format(n=round(seconds))
