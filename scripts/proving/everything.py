"""Every model of the test data: converted, packaged, or refused with one sentence."""

from __future__ import annotations

from pathlib import Path

from benchmarks.figures import Part, Table

from proving.shop import DATA, Ended, Shop

SAVED, MODELS, REFUSE = DATA / "saved_models", DATA / "models", DATA / "models" / "refuse"
PHOTOS = ("--images", "photos", "--compare", 60)
"""`photos` stands for a folder of links to the photographs, which has no sub-folders."""

CASTINGS = ("--images", DATA / "casting" / "ok", "--compare", 60)
IMAGENET = ("--labels", MODELS / "imagenet_labels.txt")

CASES: tuple[tuple[Path, int, tuple[object, ...]], ...] = (
    (SAVED / "saved_model_half_plus_two_tf2_cpu", 0, ()),
    (SAVED / "saved_model_half_plus_two_tf2_cpu", 3, ("--signature", "regress_x_to_y")),
    (SAVED / "saved_model_half_plus_two_cpu", 0, ()),
    (SAVED / "saved_model_with_redundant_inputs", 0, ()),
    (SAVED / "vww_96.h5", 0, (*CASTINGS, "--range", "0..1")),
    (MODELS / "ad01_int8.tflite", 0, ()),
    (MODELS / "vww_96_int8.tflite", 0, CASTINGS),
    (MODELS / "vww_96_float.tflite", 0, CASTINGS),
    (MODELS / "mobilenet_v1_0.25_224_1_metadata_1.tflite", 0, PHOTOS),
    (MODELS / "mobilenet_v1_0.25_224_quant.tflite", 0, (*PHOTOS, *IMAGENET)),
    (MODELS / "mobilenet_v2_1.0_224_quant.tflite", 0, (*PHOTOS, *IMAGENET)),
    (
        MODELS / "coco_ssd_mobilenet_v1_1.0_quant_2018_06_29.tflite",
        0,
        (*PHOTOS, "--labels", MODELS / "coco_labelmap.txt"),
    ),
    *((REFUSE / f"{name}.tflite", 3, PHOTOS) for name in (
        "coral_model_invoking_error",
        "flex_delegate_whitespace_tokenizer",
        "mobilenet_v1_0.25_128_quant_edgetpu",
        "nl_classifier_string_input_customop",
        "person_detect",
    )),
)  # fmt: skip
"""Model, status that is right, and what is said of it."""


def run(shop: Shop) -> Part:
    """Convert or package each of them."""
    part = Part(
        "everything",
        "Every model of the test data",
        "Status 0: written and proved in each runtime. 3: refused, nothing is written.",
    )
    table = Table("Models", ["model", "status", "what came of it"])
    wrong = []
    photos = shop.fresh("photos")
    for path in (path for path in (DATA / "photos").iterdir() if path.is_file()):
        (photos / path.name).symlink_to(path)
    for path, status, given in CASES:
        ended = shop.convert("one", path, *(photos if part == "photos" else part for part in given))
        extra = " ".join(map(str, given)) if given[:1] == ("--signature",) else ""
        table.rows.append([f"`{path.name}` {extra}".strip(), ended.status, _told(ended)])
        if not _right(ended, status):
            wrong.append(path.name)
    missed = _files() - {path for path, *_ in CASES}
    part.check(
        "Converted, packaged or refused with one sentence and the right status; no traceback",
        f"{len(CASES)} cases" + (f"; wrong: {', '.join(wrong)}" if wrong else ", all so"),
        not wrong,
    )
    part.check("No model of the test data was left out", str(len(missed)) + " left", not missed)
    part.tables.append(table)
    return part


def _files() -> set[Path]:
    return {*SAVED.iterdir(), *MODELS.glob("*.tflite"), *REFUSE.iterdir()}


def _right(ended: Ended, status: int) -> bool:
    lines = [x for x in ended.said.splitlines() if not x.startswith("warning: ")]
    sentences = 0 if status == 0 else 1
    return (
        ended.status == status
        and len(lines) == sentences
        and "Traceback" not in ended.said
        and ended.output.exists() == (status == 0)
    )


def _told(ended: Ended) -> str:
    if ended.status:
        return ended.sentence
    figures = ended.figures
    said = f"{figures['mode']}, {figures['task']['kind']}, {figures['model_bytes'] / 1024:.0f} KB"
    return f"{said}, in {' and '.join(ended.runtimes)}"
