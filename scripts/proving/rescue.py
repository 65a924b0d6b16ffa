"""A model that int8 ruins: what `auto` does, and what every mode would have done."""

from __future__ import annotations

from benchmarks.figures import Part, Table

from proving.accuracy import CIFAR, CIFAR_IMAGES
from proving.shop import Shop, share

MODES = {"int8", "int8-mixed", "dynamic", "int16x8", "float16", "float32"}


def run(shop: Shop) -> Part:
    """Widen one layer of ResNet-8, convert it, look into the report."""
    part = Part(
        "rescue",
        "A model that int8 ruins",
        "CIFAR-10's ResNet-8 with every second channel of one layer 300 times larger and the "
        "next layer's weights smaller by as much. `--every-mode` shows what the others give.",
    )
    ruined = shop.folder / "ruined.keras"
    shop.make("make_ruined.py", CIFAR, ruined)
    report = shop.folder / "ruined.html"
    given = ("--images", CIFAR_IMAGES, "--report", report)
    _rescued(part, shop, *given, model=ruined)
    _every_mode(part, shop, *given, model=ruined)
    return part


def _rescued(part: Part, shop: Shop, *given: object, model: object) -> None:
    ended = shop.convert("ruined", model, *given)
    alone = next(iter(ended.figures["trials"][0]["runtimes"].values()))
    for runtime, entry in ended.runtimes.items():
        part.check(
            f"`auto` rescues it, in {runtime}",
            f"{ended.figures['mode']}: float {share(entry['float_accuracy'])}, here "
            f"{share(entry['accuracy'])}; int8 alone {share(alone['accuracy'])}",
            ended.figures["mode"] == "int8-mixed" and ended.status == 0,
        )
    page = (shop.folder / "ruined.html").read_text(encoding="utf-8")
    says = ["passed over", "Layers left in float", *ended.figures["trials"][0]["failures"]]
    part.check(
        "The report says why int8 was passed over and which layers stay in float",
        f"{len(ended.taken['left_in_float'])} layers named",
        all(sentence in page for sentence in says),
    )


def _every_mode(part: Part, shop: Shop, *given: object, model: object) -> None:
    ended = shop.convert("ruined", model, *given, "--every-mode", "--compare", 300)
    trials = ended.figures["trials"]
    part.check(
        "`--every-mode` tries all and takes the one that `auto` takes",
        f"{len({t['mode'] for t in trials})} modes, takes {ended.figures['mode']}",
        {t["mode"] for t in trials} == MODES and ended.figures["mode"] == "int8-mixed",
    )
    table = Table("Modes", ["mode", "KB", "runtime", "accuracy", "agreement", "outcome"])
    for trial in trials:
        for runtime, entry in trial["runtimes"].items() or [("-", None)]:
            figures = [share(entry[k]) for k in ("accuracy", "agreement")] if entry else ["-", "-"]
            size = f"{trial['bytes'] / 1024:.0f}" if trial["bytes"] else "-"
            own = [sentence for sentence in trial["failures"] if sentence.endswith(runtime)]
            outcome = "passes" if trial["passed"] else "; ".join(own or trial["failures"])
            table.rows.append([trial["mode"], size, runtime, *figures, outcome])
    part.tables.append(table)
