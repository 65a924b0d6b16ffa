"""With whose rights the work is done: a data directory's owner's, never root's."""

from __future__ import annotations

import contextlib
import os
import pwd
import sys
from collections.abc import Callable
from pathlib import Path


def as_owner(folder: Path, work: Callable[[], int]) -> int:
    """Do the work with the rights of a folder's owner; its exit status.

    Root does it in a child process that gives up root for good: what it writes is the
    programs' own, and what they wrote can't lead root astray.
    """
    owner = _other_owner(folder)
    if owner is None:
        return work()
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        os._exit(_in_child(owner, work))
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _other_owner(folder: Path) -> pwd.struct_passwd | None:
    """Who owns the folder, if we are root and it is somebody else's."""
    if os.geteuid() != 0:
        return None
    with contextlib.suppress(OSError, KeyError):
        owner = pwd.getpwuid(folder.stat().st_uid)
        return owner if owner.pw_uid != 0 else None
    return None


def _in_child(owner: pwd.struct_passwd, work: Callable[[], int]) -> int:
    status = 1
    try:
        os.initgroups(owner.pw_name, owner.pw_gid)
        os.setgid(owner.pw_gid)
        os.setuid(owner.pw_uid)
        os.environ["HOME"] = owner.pw_dir
        status = work()
    # The child's edge: it must not run on into its parent's code.
    except BaseException as error:  # noqa: BLE001 - said, and the status tells
        sys.stderr.write(f"lineside: {str(error) or type(error).__name__}\n")
    with contextlib.suppress(OSError):
        sys.stdout.flush()
        sys.stderr.flush()
    return status
