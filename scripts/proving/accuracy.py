"""Int8 against float on the models of mlcommons/tiny, and against their authors' own int8."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from benchmarks.figures import Part, Table

from proving.shop import DATA, Ended, Shop, share

HALF_A_POINT = 0.005
ROUNDING = 1e-6
DEFAULT_KERNEL = "area"
CROPS = 100
"""Of each photograph: people, animals and food, near and far."""

CIFAR, CIFAR_IMAGES = DATA / "cifar10" / "pretrainedResnet.h5", DATA / "cifar10" / "images"
PERSON = DATA / "saved_models" / "vww_96.h5"


def run(shop: Shop) -> Part:
    """CIFAR-10, person presence, dynamic range."""
    part = Part(
        "accuracy",
        "Accuracy",
        "CIFAR-10: ResNet-8 and 1000 test pictures, `--mode auto`. Person presence: the `.h5` "
        "of its authors converted by us, against their own float and int8 `.tflite`, on all "
        f"pictures of the test data and {CROPS} crops of each photograph; agreement needs no "
        "labels. The line is held with pictures scaled as is the default.",
    )
    _cifar(part, shop)
    pictures = _all_pictures(shop)
    header = ["scaled with", "runtime", "ours agrees", "theirs", "ours differs by", "theirs"]
    table = Table("Person presence", header)
    for kernel in (DEFAULT_KERNEL, "linear"):
        _person(part, table, shop, pictures, kernel)
    part.tables.append(table)
    _dynamic(part, shop)
    return part


def _cifar(part: Part, shop: Shop) -> None:
    report = shop.folder / "cifar.html"
    ended = shop.convert("cifar", CIFAR, "--images", CIFAR_IMAGES, "--report", report)
    mode = ended.figures.get("mode")
    part.check("CIFAR-10: `auto` gives int8", f"{mode}, status {ended.status}", mode == "int8")
    for runtime, entry in ended.runtimes.items():
        before, after = entry["float_accuracy"], entry["accuracy"]
        part.check(
            f"CIFAR-10 in {runtime}: within 0.5 points of float",
            f"float {share(before)}, int8 {share(after)}, agreement {share(entry['agreement'])}",
            abs(before - after) <= HALF_A_POINT + ROUNDING,
        )
    ours = ended.figures["model_bytes"]
    theirs = (DATA / "cifar10" / "authors_int8.tflite").stat().st_size
    part.check(
        "CIFAR-10: model within 10 % of the authors' int8",
        f"{ours:,} bytes, theirs {theirs:,}; with the golden set {ended.figures['file_bytes']:,}",
        ours <= 1.1 * theirs,
    )


def _person(part: Part, table: Table, shop: Shop, pictures: Path, kernel: str) -> None:
    # What its training did.
    contract = ("--images", pictures, "--range", "0..1", "--preprocess", "trust")
    contract += ("--kernel", kernel, "--compare", 2000, "--min-agreement", 0)
    ours = shop.convert("person", PERSON, "--mode", "int8", *contract)
    floating, theirs_int8 = (DATA / "models" / f"vww_96_{x}.tflite" for x in ("float", "int8"))
    theirs = shop.convert("person-theirs", theirs_int8, "--reference", floating, *contract)
    for runtime, entry in ours.runtimes.items():
        other = theirs.runtimes[runtime]
        figures = [f"{e[k]:.2%}" for k in ("agreement", "mean_distance") for e in (entry, other)]
        table.rows.append([kernel, runtime, *figures])
        if kernel == DEFAULT_KERNEL:
            part.check(
                f"Person presence in {runtime}: ours agrees as often as theirs or more",
                f"ours {figures[0]}, theirs {figures[1]} of {entry['samples']}",
                entry["agreement"] >= other["agreement"],
            )


def _all_pictures(shop: Shop) -> Path:
    """Links to every picture of the test data and many crops of its photographs, unlabelled."""
    folder = shop.fresh("pictures")
    for name in ("casting", "cifar10/images"):
        for path in sorted((DATA / name).rglob("*.jp*g")):
            (folder / "-".join(path.relative_to(DATA).parts)).symlink_to(path)
    random = np.random.default_rng(7)
    for path in sorted(path for path in (DATA / "photos").iterdir() if path.is_file()):
        image = cv2.imread(str(path))
        for number in range(CROPS):
            cv2.imwrite(str(folder / f"{path.stem}-{number}.png"), _crop(image, random))
    return folder


def _crop(image: np.ndarray, random: np.random.Generator) -> np.ndarray:
    side = int(min(image.shape[:2]) * random.uniform(0.3, 1.0))
    top, left = (int(random.integers(0, size - side + 1)) for size in image.shape[:2])
    return image[top : top + side, left : left + side]


def _dynamic(part: Part, shop: Shop) -> None:
    for name, model in (("CIFAR-10", CIFAR), ("person presence", PERSON)):
        images = ("--images", CIFAR_IMAGES, "--compare", 200)
        if model == PERSON:
            images = ("--images", shop.folder / "pictures", "--compare", 200, "--range", "0..1")
        ended = shop.convert("dynamic", model, "--mode", "dynamic", *images)
        part.check(
            f"Dynamic range, {name}: loads and runs in tflite-runtime 2.14", *_dynamic_found(ended)
        )


def _dynamic_found(ended: Ended) -> tuple[str, bool]:
    if not ended.figures:
        return ended.sentence, False
    entry = ended.runtimes.get("tflite-runtime")
    least = ended.figures["made"].get("least_runtime", "not said")
    if entry is None:
        return f"refused: {ended.taken['refused_by']}", False
    found = f"agreement {share(entry['agreement'])}, least runtime {least}"
    return found, ended.status == 0
