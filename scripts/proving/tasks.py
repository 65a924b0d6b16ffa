"""Each task from SavedModel to proved file, and borders that are no picture."""

from __future__ import annotations

from pathlib import Path

from benchmarks.figures import Part, Table

from proving.shop import DATA, Ended, Shop, share

PICTURES = ("--images", DATA / "casting" / "ok", "--range", "0..1", "--compare", 60)
CALIBRATED = (*PICTURES, "--min-agreement", "0.9")


def run(shop: Shop) -> Part:
    """Make a network for each task, convert it, see what it was taken for."""
    part = Part(
        "tasks",
        "Tasks",
        "A small network with random weights for each task, exported as a SavedModel and converted "
        "with `--mode auto`; told is only what stands there. The SSD ends in "
        "`TFLite_Detection_PostProcess`, as the Object Detection API exports it.",
    )
    folder = shop.fresh("tasks")
    shop.make("make_tasks.py", folder)
    table = Table("Tasks", ["network", "told", "task", "mode", "agreement", "mean difference"])
    for name, wanted, given in _cases(folder):
        ended = shop.convert(name, folder / name, *given)
        _check(part, table, name, wanted, ended)
    part.tables.append(table)
    return part


def _cases(folder: Path) -> list[tuple[str, str, tuple[object, ...]]]:
    """Network, task with activation or layout, what is told."""
    four = folder / "four.txt"
    four.write_text("dent\nscratch\nstain\nburr\n", encoding="utf-8")
    two = folder / "two.txt"
    two.write_text("cap\nbolt\n", encoding="utf-8")
    labelled = (*CALIBRATED, "--labels", four)
    boxes = (*CALIBRATED, "--labels", two)
    return [
        ("softmax", "classification none", labelled),
        ("logits", "classification softmax", labelled),
        ("sigmoid", "classification none", labelled),
        ("ssd", "detection ssd", boxes),
        ("yolo", "detection yolo", boxes),
        ("segmentation", "segmentation", CALIBRATED),
        ("anomaly", "anomaly", CALIBRATED),
        ("autoencoder", "autoencoder", CALIBRATED),
        ("raw", "raw", ("--samples", folder / "numbers.npz")),
        ("batch", "autoencoder", ("--samples", folder / "eight.npz")),
        ("teachable", "classification none", ("--images", DATA / "casting", "--range", "-1..1")),
    ]


def _check(part: Part, table: Table, name: str, wanted: str, ended: Ended) -> None:
    if ended.status:
        part.check(f"{name}: {wanted}", f"status {ended.status}: {ended.sentence}", holds=False)
        return
    task = ended.figures["task"]
    detail = task.get("layout") or (task["activation"] if task["kind"] == "classification" else "")
    found = f"{task['kind']} {detail}".strip()
    part.check(
        f"{name}: {wanted}",
        f"{found}, {ended.figures['mode']}, in {' and '.join(ended.runtimes)}",
        found == wanted,
    )
    entry = next(iter(ended.runtimes.values()))
    labels = ", ".join(task["labels"]) or "-"
    difference = f"{entry['mean_distance']:.2%}"
    mode = ended.figures["mode"]
    table.rows.append([name, labels, found, mode, share(entry["agreement"]), difference])
