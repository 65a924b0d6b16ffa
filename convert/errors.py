"""What may go wrong, each kind with the exit status that scripts can rely on."""

from __future__ import annotations

OK, USAGE, REFUSED, GATE_FAILED, CANNOT_CONVERT, INTERRUPTED = 0, 2, 3, 4, 5, 130
"""Exit statuses. 2 is argparse's own, 130 the shell's for Ctrl-C."""


class ConvertError(Exception):
    """Nothing was written; the message is one sentence for the person at the terminal."""

    status = CANNOT_CONVERT


class Refused(ConvertError):  # noqa: N818 - a sentence where it is raised
    """What was given can't be used: model, pictures, labels or settings."""

    status = REFUSED


class GateFailed(ConvertError):  # noqa: N818 - a sentence where it is raised
    """A model was made and is not good enough."""

    status = GATE_FAILED


class CannotConvert(ConvertError):  # noqa: N818 - a sentence where it is raised
    """The converter or a runtime gave up, perhaps by crashing."""

    status = CANNOT_CONVERT


KINDS = {kind.__name__: kind for kind in (Refused, GateFailed, CannotConvert)}
"""By name, to carry an error out of a child process."""


def one_line(error: BaseException, limit: int = 300) -> str:
    """An error's first sentence or so, without line breaks."""
    text = " ".join(str(error).split())
    return (text[: limit - 1] + "…") if len(text) > limit else text or type(error).__name__
