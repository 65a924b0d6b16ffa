"""The factory's case: a small network of one's own, and what its training did to the pictures."""

from __future__ import annotations

import time
from pathlib import Path

import cv2
import numpy as np
from benchmarks.figures import Part

from proving.shop import DATA, Shop, share

WARM = np.array([0.5, 0.8, 1.0])
"""Blue, green, red under warm light: colour that a network can learn to rely on."""

POINT = 0.01
ROUNDING = 1e-6
AGAINST = "the labels speak against the preprocessing given"


def run(shop: Shop) -> Part:
    """Two networks: castings as they are, 0..1; castings under warm light, ImageNet's scale."""
    part = Part(
        "castings",
        "Castings",
        "Two small CNNs are trained on two thirds of the castings and exported as SavedModels; all "
        "figures are of the third that they never saw. The castings are grey, so that RGB and BGR "
        "can't be told apart on them (the converter says so); the second network was trained on "
        "the same pictures under warm light.",
    )
    grey, warm = _thirds(shop, "grey"), _thirds(shop, "warm", WARM)
    model = _trained(part, shop, grey, "0..1")
    _found(part, shop, model, grey, "RGB 0..1")
    _warned(part, shop, model, grey, "0..255 for 0..1", "--range", "0..255")
    model = _trained(part, shop, warm, "imagenet")
    _found(part, shop, model, warm, "RGB ImageNet")
    bgr = ("--color", "BGR", "--range", "imagenet")
    _warned(part, shop, model, warm, "BGR for RGB", *bgr)
    swapped = ("--mean", "58.395,57.12,57.375", "--std", "123.675,116.28,103.53")
    _warned(part, shop, model, warm, "mean and std swapped", *swapped)
    return part


def _thirds(shop: Shop, name: str, light: np.ndarray | None = None) -> Path:
    """The castings in `seen/` (two of three) and `held/`, with one light on all of them."""
    folder = shop.fresh(name)
    for label in ("defective", "ok"):
        for number, path in enumerate(sorted((DATA / "casting" / label).iterdir())):
            place = folder / ("held" if number % 3 == 2 else "seen") / label
            place.mkdir(parents=True, exist_ok=True)
            if light is None:
                (place / path.name).symlink_to(path)
            else:
                lit = (cv2.imread(str(path)) * light).astype(np.uint8)
                cv2.imwrite(str(place / f"{path.stem}.png"), lit)
    return folder


def _trained(part: Part, shop: Shop, pictures: Path, contract: str) -> Path:
    model = shop.folder / f"{pictures.name}-model"
    begun = time.monotonic()
    shop.make("train_castings.py", pictures / "seen", model, contract)
    part.facts[f"{pictures.name} trained in s"] = round(time.monotonic() - begun)
    return model


def _found(part: Part, shop: Shop, model: Path, pictures: Path, contract: str) -> None:
    """`auto` finds the contract, and no defect is lost to int8."""
    given = ("--images", pictures / "held", "--good", "ok", "--preprocess", "auto")
    report = shop.folder / f"{pictures.name}.html"
    ended = shop.convert(pictures.name, model, *given, "--report", report)
    best = ended.figures["preprocessing"][0]
    part.check(
        f"{pictures.name} castings: `--preprocess auto` finds {contract}",
        f"{best['name']}, with which {share(best['accuracy'])} are right",
        best["name"].startswith(contract) and ended.status == 0,
    )
    for runtime, entry in ended.runtimes.items():
        figures = entry["by_label"]["defective"]
        before, after = figures["float_recall"], figures["recall"]
        part.check(
            f"{pictures.name} castings in {runtime}: recall of `defective` within 1 point of float",
            f"{ended.figures['mode']}: float {share(before)}, here {share(after)} of "
            f"{figures['count']} unseen ones",
            before - after <= POINT + ROUNDING and before > 0.8,
        )


def _warned(
    part: Part, shop: Shop, model: Path, pictures: Path, wrong: str, *contract: str
) -> None:
    given = ("--images", pictures / "held", "--good", "ok", "--mode", "float32", *contract)
    ended = shop.convert("wrong", model, *given)
    said = next((line for line in ended.said.splitlines() if AGAINST in line), "no warning")
    part.check(f"Warned about {wrong}", said.removeprefix("warning: "), AGAINST in said)
