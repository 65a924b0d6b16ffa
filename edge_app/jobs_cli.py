"""`lineside jobs`: list the jobs, show one, switch a line to one."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from edge_app.jobs import JobError, JobStore
from edge_app.lines import Lines
from edge_app.settings_file import load_settings


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Mount `jobs` on the `lineside` command; its parsers set `run`."""
    jobs = commands.add_parser("jobs", help="list, show and load jobs (recipes)")
    actions = jobs.add_subparsers(required=True, metavar="ACTION")
    listing = actions.add_parser("list", help="all jobs")
    listing.set_defaults(run=_list)
    show = actions.add_parser("show", help="one job, as its file says it")
    show.add_argument("number", type=int)
    show.set_defaults(run=_show)
    load = actions.add_parser("load", help="switch a running line to a job")
    load.add_argument("camera")
    load.add_argument("number", type=int)
    load.set_defaults(run=_load)
    for parser in (listing, show, load):
        parser.add_argument("--config", type=Path, help="the settings file (TOML)")
        parser.add_argument("--data", type=Path, help="the data folder, in place of the settings'")


def _store(arguments: argparse.Namespace) -> JobStore:
    data_dir = arguments.data or load_settings(arguments.config).data_dir
    return JobStore(data_dir / "jobs")


def _list(arguments: argparse.Namespace) -> int:
    store = _store(arguments)
    numbers = store.numbers()
    for number in numbers:
        try:
            job = store.load(number)
            sys.stdout.write(f"{number:3d}  {job.name}  (model {job.model})\n")
        except JobError as error:
            sys.stdout.write(f"{number:3d}  can't be used: {error}\n")
    if not numbers:
        sys.stdout.write(f"no jobs in {store.folder}\n")
    return 0


def _show(arguments: argparse.Namespace) -> int:
    sys.stdout.write(_store(arguments).load(arguments.number).to_toml())
    return 0


def _load(arguments: argparse.Namespace) -> int:
    settings = load_settings(arguments.config)
    socket_dir = arguments.data / "run" if arguments.data else settings.socket_dir
    lines = Lines(socket_dir, [arguments.camera])
    reply = lines.ask(arguments.camera, "POST", "/job", {"number": str(arguments.number)})
    if reply.status != 202:
        raise JobError(reply.json().get("error", {}).get("message", "the line refused"))
    sys.stdout.write(f"{arguments.camera} loads job {arguments.number}\n")
    return 0
