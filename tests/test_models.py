"""The model store: what is kept, what is active, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_app.inference.bundle import ModelBundle, ModelSpec, pack_bundle, write_bundle
from edge_app.inference.tasks import Task
from edge_app.models import ModelStore, ModelVersion, StoreError


def bundle(marker: str = "a", name: str = "caps") -> ModelBundle:
    """A whole model file around bytes that no runtime will ever see."""
    spec = ModelSpec(name, Task("raw"), (), (), None)
    return ModelBundle(b"TFL3" + marker.encode() * 100, spec)


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    """An empty store."""
    return ModelStore(tmp_path / "models")


def test_an_empty_store_knows_nothing(store: ModelStore) -> None:
    """A folder that does not exist yet is a store without models."""
    assert store.names() == []
    assert store.versions("caps") == []
    assert store.active("caps") is None


def test_a_file_comes_back_as_it_went_in(store: ModelStore, tmp_path: Path) -> None:
    """What is loaded is what was added."""
    write_bundle(tmp_path / "in.tflite", bundle())

    version = store.add(tmp_path / "in.tflite")

    assert store.load(version) == bundle()
    assert store.names() == ["caps"]
    assert version == ModelVersion("caps", 1, store.folder / "caps" / "1.tflite")


def test_the_same_content_is_the_same_version(store: ModelStore) -> None:
    """Adding a file twice changes nothing."""
    first = store.add_content(pack_bundle(bundle()))
    again = store.add_content(pack_bundle(bundle()))

    assert first == again
    assert store.versions("caps") == [first]


def test_no_version_number_is_given_twice(store: ModelStore) -> None:
    """A removed version's number stays used."""
    store.add_content(pack_bundle(bundle("a")))
    second = store.add_content(pack_bundle(bundle("b")))
    store.remove("caps", second.version)

    assert store.add_content(pack_bundle(bundle("c"))).version == 3


def test_nothing_is_active_until_it_is_activated(store: ModelStore) -> None:
    """Adding does not activate."""
    version = store.add_content(pack_bundle(bundle()))
    assert store.active("caps") is None

    store.activate("caps", version.version)

    assert store.active("caps") == version


def test_a_refused_version_leaves_the_old_one_active(tmp_path: Path) -> None:
    """The reason is in the sentence and nothing changed."""
    store = ModelStore(tmp_path, prove=lambda v: "it is tired" if v.version == 2 else "")
    first = store.add_content(pack_bundle(bundle("a")))
    store.add_content(pack_bundle(bundle("b")))
    store.activate("caps", 1)

    with pytest.raises(StoreError, match="version 2 was refused: it is tired"):
        store.activate("caps", 2)

    assert store.active("caps") == first


def test_rollback_goes_back_step_by_step(store: ModelStore) -> None:
    """Each rollback undoes one activation, and the first one has nothing before it."""
    for marker in "abc":
        store.activate("caps", store.add_content(pack_bundle(bundle(marker))).version)

    assert store.rollback("caps").version == 2
    assert store.rollback("caps").version == 1
    with pytest.raises(StoreError, match="no earlier active version"):
        store.rollback("caps")
    active = store.active("caps")
    assert active is not None
    assert active.version == 1


def test_rollback_skips_a_removed_version(store: ModelStore) -> None:
    """What is gone can't come back."""
    for marker in "abc":
        store.activate("caps", store.add_content(pack_bundle(bundle(marker))).version)
    store.remove("caps", 2)

    assert store.rollback("caps").version == 1


def test_the_active_version_can_not_be_removed(store: ModelStore) -> None:
    """What runs stays."""
    store.activate("caps", store.add_content(pack_bundle(bundle())).version)

    with pytest.raises(StoreError, match="is active"):
        store.remove("caps", 1)


def test_the_number_of_versions_is_bounded(tmp_path: Path) -> None:
    """The oldest idle ones go; the active one and the one to roll back to stay."""
    store = ModelStore(tmp_path, kept=3)
    for marker in "ab":
        store.activate("caps", store.add_content(pack_bundle(bundle(marker))).version)
    for marker in "cdefg":
        store.add_content(pack_bundle(bundle(marker)))

    assert [version.version for version in store.versions("caps")] == [1, 2, 7]


def test_a_damaged_file_is_refused(store: ModelStore, tmp_path: Path) -> None:
    """One flipped bit is enough."""
    content = bytearray(pack_bundle(bundle()))
    content[50] ^= 1
    (tmp_path / "in.tflite").write_bytes(content)

    with pytest.raises(StoreError, match="damaged"):
        store.add(tmp_path / "in.tflite")
    assert store.names() == []


def test_a_version_that_was_damaged_on_disk_is_not_loaded(store: ModelStore) -> None:
    """Loading verifies."""
    version = store.add_content(pack_bundle(bundle()))
    version.path.write_bytes(version.path.read_bytes()[:-10])

    with pytest.raises(StoreError, match="caps version 1"):
        store.load(version)
    with pytest.raises(StoreError, match="refused"):
        store.activate("caps", 1)


@pytest.mark.parametrize("name", ["", "..", "a/b", ".hidden", "x" * 65, "a b", "-x"])
def test_a_name_that_is_no_name_is_refused(store: ModelStore, name: str) -> None:
    """A name becomes a folder and a URL, so it is checked before either."""
    with pytest.raises(StoreError, match=r"name|no model"):
        store.add_content(pack_bundle(bundle(name=name)))
    with pytest.raises(StoreError, match="there is no model"):
        store.version(name, 1)


def test_an_unknown_version_is_named_with_those_there_are(store: ModelStore) -> None:
    """The sentence tells what to ask for instead."""
    store.add_content(pack_bundle(bundle()))

    with pytest.raises(StoreError, match="no version 7; it has: 1"):
        store.activate("caps", 7)
    with pytest.raises(StoreError, match="no model 'caps2'; there are: caps"):
        store.activate("caps2", 1)


def test_leftovers_of_a_dead_writer_are_swept(store: ModelStore) -> None:
    """A half file is never a version, and the next change removes it."""
    store.add_content(pack_bundle(bundle("a")))
    leftover = store.folder / "caps" / ".2.tflite.1234.partial"
    leftover.write_bytes(b"half")
    assert len(store.versions("caps")) == 1

    store.add_content(pack_bundle(bundle("b")))

    assert not leftover.exists()
