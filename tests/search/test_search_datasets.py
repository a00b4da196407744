"""Data sets: reading, refusal of damage, the procedural images, and data sets of the user."""

import hashlib
import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from qosnets.errors import InputError
from qosnets.library import cache_home
from qosnets_search.datasets.augmentation import Augmentation
from qosnets_search.datasets.catalogue import DATASETS, default_folder, load_dataset
from qosnets_search.datasets.cifar import CIFAR10, CIFAR100, CifarFiles, cifar_dataset
from qosnets_search.datasets.dataset import ImageDataset, channel_statistics
from qosnets_search.datasets.draws import Draws
from qosnets_search.datasets.figures import FIGURES
from qosnets_search.datasets.rendering import render
from qosnets_search.datasets.scenes import scenes_dataset
from qosnets_search.datasets.tiny_imagenet import TinyImageNetSizes, tiny_imagenet_dataset


@pytest.fixture(autouse=True)
def own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing cached by another run, nor found by chance."""
    for variable in ("XDG_CACHE_HOME", "XDG_DATA_HOME"):
        monkeypatch.setenv(variable, str(tmp_path / variable))


def refusal(function: Callable[..., object], *arguments: Any, **options: Any) -> str:
    with pytest.raises(InputError) as error:
        function(*arguments, **options)
    assert "\n" not in str(error.value)
    return str(error.value)


# -- ImageDataset -------------------------------------------------------------------------------


def small_dataset(**changes: Any) -> ImageDataset:
    fields: dict[str, Any] = {
        "name": "small",
        "train_images": torch.arange(36, dtype=torch.uint8).reshape(3, 2, 2, 3),
        "train_labels": torch.tensor([0, 1, 1]),
        "test_images": torch.zeros(1, 2, 2, 3, dtype=torch.uint8),
        "test_labels": torch.tensor([1]),
        "n_classes": 2,
        "mean": (1.0, 2.0),
        "std": (2.0, 4.0),
        "augmentation": None,
        "provenance": {},
    }
    return ImageDataset(**fields | changes)


def test_normalisation_is_per_channel_in_units_of_the_pixels() -> None:
    dataset = small_dataset()
    assert dataset.input_shape == (2, 2, 3)
    normalised = dataset.normalise(dataset.train_images)
    assert normalised.dtype == torch.float32
    expected = dataset.train_images.double()
    expected[:, 0] = (expected[:, 0] - 1) / 2
    expected[:, 1] = (expected[:, 1] - 2) / 4
    assert torch.equal(normalised, expected.float())


def test_statistics_are_those_of_numpy() -> None:
    images = torch.randint(256, (5000, 3, 4, 5), dtype=torch.uint8)
    for stored in (images, images.float() / 255):
        mean, std = channel_statistics(stored)
        array = stored.double().numpy()
        assert mean == pytest.approx(array.mean((0, 2, 3)), rel=1e-12)
        assert std == pytest.approx(array.std((0, 2, 3)), rel=1e-12)


SHAPE_RULE = "must be [image, channel, height, width] with at least one image"
SAME_RULE = "must be torch.uint8 [2, 2, 3] as those for training"


@pytest.mark.parametrize("value", [0.1, 1e6, -3.0])
def test_deviation_of_a_constant_channel_is_zero(value: float) -> None:
    images = torch.rand(700, 2, 3, 3)
    images[:, 1] = value
    _, std = channel_statistics(images)
    assert std[0] > 0.2
    assert std[1] == 0


NAN = torch.zeros(3, 2, 2, 3).index_fill_(0, torch.tensor([2]), float("nan"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"train_images": [1]}, "training images: must be a tensor, not list"),
        (
            {"train_images": torch.zeros(3, 2, 2)},
            f"training images: {SHAPE_RULE}, not [3, 2, 2]",
        ),
        (
            {"test_images": torch.zeros(0, 2, 2, 3)},
            f"test images: {SHAPE_RULE}, not [0, 2, 2, 3]",
        ),
        (
            {"train_images": torch.zeros(3, 2, 2, 3).double()},
            "training images: must be uint8 or float32, not torch.float64",
        ),
        (
            {"train_images": NAN},
            "training images: pixels must be finite, those of image 2 are not",
        ),
        (
            {"train_images": 1 / torch.zeros(3, 2, 2, 3)},
            "training images: pixels must be finite, those of image 0 are not",
        ),
        ({"test_labels": None}, "test labels: must be a tensor, not NoneType"),
        (
            {"train_labels": torch.tensor([0, 1])},
            "training labels: must be int64 [3], one for each image, not torch.int64 [2]",
        ),
        (
            {"test_labels": torch.tensor([0.0])},
            "test labels: must be int64 [1], one for each image, not torch.float32 [1]",
        ),
        (
            {"train_labels": torch.tensor([0, 2, 0])},
            "training labels: must be 0 .. 1, that of image 1 is 2",
        ),
        (
            {"test_labels": torch.tensor([-1])},
            "test labels: must be 0 .. 1, that of image 0 is -1",
        ),
        (
            {"test_images": torch.zeros(1, 2, 3, 3, dtype=torch.uint8)},
            f"test images: {SAME_RULE}, not torch.uint8 [2, 3, 3]",
        ),
        (
            {"test_images": torch.zeros(1, 2, 2, 3)},
            f"test images: {SAME_RULE}, not torch.float32 [2, 2, 3]",
        ),
        ({"mean": (1.0,)}, "mean: must be a finite number for each of 2 channels, not (1.0,)"),
        (
            {"std": (1.0, float("nan"))},
            "std: must be a finite number for each of 2 channels, not (1.0, nan)",
        ),
        (
            {"std": (1.0, 0.0)},
            "std: must be positive, that of a constant channel is not: (1.0, 0.0)",
        ),
        (
            {"provenance": {"at": Path("x")}},
            "provenance: must be JSON: Object of type PosixPath is not JSON serializable",
        ),
        (
            {"provenance": {"mean": float("nan")}},
            "provenance: must be JSON: Out of range float values are not JSON compliant",
        ),
    ],
)
def test_fields_that_do_not_fit(changes: dict[str, Any], message: str) -> None:
    assert refusal(small_dataset, **changes).startswith(f"small: {message}")


# -- Augmentation -------------------------------------------------------------------------------


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("padding", [0, 1, 3])
@pytest.mark.parametrize("flip", [False, True])
def test_every_displacement_and_flip_occurs_and_nothing_else(padding: int, flip: bool) -> None:
    image = torch.arange(1.0, 25.0).reshape(1, 2, 3, 4)
    possible = set()
    for mirrored in (image, image.flip(3)) if flip else (image,):
        padded = torch.nn.functional.pad(mirrored, (padding,) * 4)
        for y in range(2 * padding + 1):
            for x in range(2 * padding + 1):
                possible.add(tuple(padded[0, :, y : y + 3, x : x + 4].flatten().tolist()))
    batch = image.expand(4000, -1, -1, -1)
    result = Augmentation(padding, flip=flip).augment(batch, seeded())
    found = [tuple(item.flatten().tolist()) for item in result]
    assert set(found) == possible
    n_choices = (2 * padding + 1) ** 2 * (1 + flip)
    assert min(map(found.count, possible)) > 0.4 * len(found) / n_choices


def test_augmentation_is_that_of_the_generator_and_keeps_the_batch() -> None:
    images = torch.rand(50, 3, 8, 8)
    before = images.clone()
    augmentation = Augmentation(2)
    first, second, other = (augmentation.augment(images, seeded(seed)) for seed in (1, 1, 2))
    assert torch.equal(first, second)
    assert not torch.equal(first, other)
    assert torch.equal(images, before)
    assert first.shape == images.shape


# -- digits -------------------------------------------------------------------------------------


def test_digits_are_a_fixed_split() -> None:
    dataset = load_dataset("digits")
    assert (len(dataset.train_images), len(dataset.test_images)) == (1297, 500)
    assert dataset.input_shape == (1, 8, 8)
    assert dataset.augmentation is None
    assert dataset.test_labels[:12].tolist() == [4, 8, 8, 3, 9, 0, 6, 3, 9, 8, 4, 5]
    assert torch.bincount(dataset.test_labels).tolist() == [50, 51, 49, 51, 50, 51, 50, 50, 48, 50]
    normalised = dataset.normalise(dataset.train_images)
    assert normalised.mean().abs() < 1e-5
    assert (normalised.std() - 1).abs() < 1e-4


# -- CIFAR --------------------------------------------------------------------------------------

N = 20
"""Records of each file of the small folders."""


def shrink(files: CifarFiles) -> CifarFiles:
    return replace(
        files, train=tuple((name, N) for name, _ in files.train), test=(files.test[0], N)
    )


SMALL_CIFAR = {files.name: shrink(files) for files in (CIFAR10, CIFAR100)}


def write_cifar(folder: Path, files: CifarFiles) -> dict[str, np.ndarray]:
    """Write a folder of random images and return the records of each file."""
    rng = np.random.default_rng(0)
    records = {}
    for name, n in (*files.train, files.test):
        labels = rng.integers(files.n_classes, size=(n, files.n_labels))
        labels[:, :-1] = 255
        pixels = rng.integers(256, size=(n, 3072))
        records[name] = np.concatenate([labels, pixels], axis=1).astype(np.uint8)
        (folder / name).write_bytes(records[name].tobytes())
    return records


@pytest.mark.parametrize("name", SMALL_CIFAR)
def test_cifar(tmp_path: Path, name: str) -> None:
    files = SMALL_CIFAR[name]
    records = write_cifar(tmp_path, files)
    dataset = cifar_dataset(files, tmp_path)
    train = np.concatenate([records[file] for file, _ in files.train])
    test = records[files.test[0]]
    for images, labels, part in (
        (dataset.train_images, dataset.train_labels, train),
        (dataset.test_images, dataset.test_labels, test),
    ):
        assert images.dtype == torch.uint8
        assert labels.tolist() == part[:, files.n_labels - 1].tolist()
        expected = part[:, files.n_labels :].reshape(-1, 3, 32, 32)
        assert np.array_equal(images.numpy(), expected)
    assert dataset.n_classes == files.n_classes
    assert dataset.augmentation == Augmentation(4)
    hashes = {file: hashlib.sha256(data.tobytes()).hexdigest() for file, data in records.items()}
    assert json.loads(json.dumps(dataset.provenance)) == {
        "name": name,
        "n_train": len(train),
        "n_test": N,
        "sha256": hashes,
    }


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def lengthen(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"\0")


def wrong_label(path: Path) -> None:
    data = bytearray(path.read_bytes())
    record = len(data) // N
    data[7 * record + record - 3073] = 200
    path.write_bytes(data)


@pytest.mark.parametrize("name", SMALL_CIFAR)
@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (Path.unlink, "is missing; put the files of {title}'s binary version there"),
        (cut, "must have {size} bytes, 20 records of {record}, not {less}"),
        (lengthen, "must have {size} bytes, 20 records of {record}, not {more}"),
        (wrong_label, "labels must be 0 .. {last}, that of record 7 is 200"),
    ],
)
def test_damaged_cifar(
    tmp_path: Path, name: str, damage: Callable[[Path], None], message: str
) -> None:
    files = SMALL_CIFAR[name]
    record = files.n_labels + 3072
    facts = {
        "title": files.title,
        "size": N * record,
        "less": N * record - 1,
        "more": N * record + 1,
        "record": record,
        "last": files.n_classes - 1,
    }
    for file, _ in (*files.train, files.test):
        write_cifar(tmp_path, files)
        damage(tmp_path / file)
        expected = f"{name}: {tmp_path / file}: {message.format_map(facts)}"
        assert refusal(cifar_dataset, files, tmp_path) == expected


@pytest.mark.parametrize(
    ("name", "first"), [("cifar10", "data_batch_1.bin"), ("cifar100", "train.bin")]
)
def test_cifar_of_the_catalogue_has_its_true_size(tmp_path: Path, name: str, first: str) -> None:
    assert default_folder(name) == tmp_path / "XDG_DATA_HOME" / "qosnets-hw-datasets" / name
    missing = f"{name}: {default_folder(name) / first}: is missing; put the files of CIFAR-"
    assert refusal(load_dataset, name).startswith(missing)
    write_cifar(tmp_path, SMALL_CIFAR[name])
    n_records, size = {"cifar10": (10_000, 30_730_000), "cifar100": (50_000, 153_700_000)}[name]
    message = f"{name}: {tmp_path / first}: must have {size} bytes, {n_records} records of"
    assert refusal(load_dataset, name, folder=tmp_path).startswith(message)


# -- TinyImageNet -------------------------------------------------------------------------------

SIZES = TinyImageNetSizes(n_classes=2, n_train_per_class=3, n_test=2)
WNIDS = ("n02", "n01")


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    """A folder in the official form; images have one colour each, the last is grey."""
    folder = tmp_path / "tiny"
    (folder / "val" / "images").mkdir(parents=True)
    (folder / "wnids.txt").write_text("\n".join(WNIDS) + "\n")
    paths = []
    for wnid in WNIDS:
        (folder / "train" / wnid / "images").mkdir(parents=True)
        paths += [folder / "train" / wnid / "images" / f"{wnid}_{i}.JPEG" for i in range(3)]
    paths += [folder / "val" / "images" / f"val_{i}.JPEG" for i in range(2)]
    for index, path in enumerate(paths):
        grey = index == len(paths) - 1
        colour: Any = 77 if grey else (10 * index, 200 - 10 * index, 100 + index)
        Image.new("L" if grey else "RGB", (64, 64), colour).save(path, "JPEG", quality=100)
    lines = "val_0.JPEG\tn01\t0\t0\t62\t62\nval_1.JPEG\tn02\t5\t5\t9\t9\n"
    (folder / "val" / "val_annotations.txt").write_text(lines)
    return folder


def test_tiny_imagenet(tiny: Path) -> None:
    dataset = tiny_imagenet_dataset(tiny, SIZES)
    assert dataset.train_labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert dataset.test_labels.tolist() == [1, 0]
    assert dataset.input_shape == (3, 64, 64)
    assert dataset.train_images.dtype == torch.uint8
    centre = dataset.train_images[:, :, 30, 30].int()
    assert (
        centre - torch.tensor([[10 * i, 200 - 10 * i, 100 + i] for i in range(6)])
    ).abs().max() <= 2
    assert dataset.test_images[1].unique().tolist() == [77]
    assert dataset.augmentation == Augmentation(8)
    json.dumps(dataset.provenance)


def test_tiny_imagenet_is_decoded_once(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = tiny_imagenet_dataset(tiny, SIZES)
    [cached] = (cache_home() / "datasets").iterdir()
    with monkeypatch.context() as patch:
        patch.setattr(Image, "open", lambda _: pytest.fail("decoded again"))
        again = tiny_imagenet_dataset(tiny, SIZES)
    assert torch.equal(first.train_images, again.train_images)
    assert first.provenance == again.provenance

    cached.write_bytes(cached.read_bytes()[:-500])
    assert torch.equal(tiny_imagenet_dataset(tiny, SIZES).test_images, first.test_images)

    path = tiny / "val" / "images" / "val_0.JPEG"
    Image.new("RGB", (64, 64), "white").save(path, "JPEG")
    changed = tiny_imagenet_dataset(tiny, SIZES)
    assert changed.test_images[0].min() > 250
    assert changed.provenance["sha256"] != first.provenance["sha256"]


def image_of(mode: str, size: tuple[int, int]) -> Callable[[Path], None]:
    return lambda path: Image.new(mode, size).save(path, "JPEG")


def half(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def cut_pixels(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20])


def text(content: str) -> Callable[[Path], object]:
    return lambda path: path.write_text(content)


ADVICE = "is missing; put the content of tiny-imagenet-200 there"
LINE_RULE = "must start with the name of an image and a class of wnids.txt"


@pytest.mark.parametrize(
    ("file", "damage", "message"),
    [
        ("wnids.txt", Path.unlink, ADVICE),
        ("wnids.txt", text("n02\n"), "must name 2 classes, one on each line, not 1"),
        ("wnids.txt", text("n02\nn02\n"), "must name 2 classes, one on each line, not 1"),
        ("wnids.txt", lambda path: path.write_bytes(b"\xff"), "must be text"),
        ("train/n01/images/n01_2.JPEG", Path.unlink, "is missing"),
        ("val/images/val_1.JPEG", Path.unlink, "is missing"),
        ("val/val_annotations.txt", Path.unlink, ADVICE),
        ("val/val_annotations.txt", text("val_0.JPEG\tn01\n"), "must have 2 lines, not 1"),
        (
            "val/val_annotations.txt",
            text("val_0.JPEG\tn01\nval_1.JPEG\tn03\n"),
            f"line 2: {LINE_RULE}, not 'val_1.JPEG\\tn03'",
        ),
        (
            "val/val_annotations.txt",
            text("val_0.JPEG\tn01\n../val_1.JPEG\tn01\n"),
            f"line 2: {LINE_RULE}, not '../val_1.JPEG\\tn01'",
        ),
        ("train/n02/images/n02_1.JPEG", half, "cannot be decoded: "),
        ("val/images/val_1.JPEG", cut_pixels, "cannot be decoded: image file is truncated"),
        ("val/images/val_0.JPEG", text("no image"), "must be an image"),
        ("val/images/val_0.JPEG", text(""), "must be an image"),
        (
            "val/images/val_0.JPEG",
            image_of("RGB", (64, 32)),
            "must be 64x64 pixels, not 64x32",
        ),
    ],
)
def test_damaged_tiny_imagenet(
    tiny: Path, file: str, damage: Callable[[Path], object], message: str
) -> None:
    damage(tiny / file)
    expected = f"tinyimagenet: {tiny / file}: {message}"
    assert refusal(tiny_imagenet_dataset, tiny, SIZES).startswith(expected)


def test_tiny_imagenet_needs_no_cache(tiny: Path, tmp_path: Path) -> None:
    (tmp_path / "XDG_CACHE_HOME").write_text("not a folder")
    assert len(tiny_imagenet_dataset(tiny, SIZES).train_images) == 6


def test_tiny_imagenet_of_the_catalogue(tiny: Path) -> None:
    path = default_folder("tinyimagenet") / "wnids.txt"
    assert refusal(load_dataset, "tinyimagenet") == f"tinyimagenet: {path}: {ADVICE}"
    message = f"tinyimagenet: {tiny / 'wnids.txt'}: must name 200 classes, one on each line, not 2"
    assert refusal(load_dataset, "tinyimagenet", folder=tiny) == message


# -- scenes -------------------------------------------------------------------------------------


def test_scenes_of_a_seed_are_the_same_bytes_everywhere() -> None:
    """Whoever changes the images counts up VERSION."""
    dataset = scenes_dataset(7, n_train=600, n_test=60)
    digest = hashlib.sha256(dataset.train_images.numpy().tobytes()).hexdigest()
    assert digest == "7bbafd8a6f9921a1fa2373eca02f1b7f230a495a8f48b42344405a358f435f49"
    assert dataset.provenance["version"] == 1


def test_scenes_follow_from_the_seed_and_parts_differ() -> None:
    first, again, other = (scenes_dataset(seed, n_train=50, n_test=50) for seed in (0, 0, 1))
    assert torch.equal(first.train_images, again.train_images)
    assert torch.equal(first.test_labels, again.test_labels)
    assert first.provenance == again.provenance
    assert not torch.equal(first.train_images, other.train_images)
    assert not torch.equal(first.train_images, first.test_images)
    json.dumps(first.provenance)


@pytest.mark.parametrize(("n_train", "n_test"), [(600, 40), (37, 11)])
def test_scenes_are_balanced_in_random_order(n_train: int, n_test: int) -> None:
    dataset = scenes_dataset(3, n_train=n_train, n_test=n_test)
    for labels, n in ((dataset.train_labels, n_train), (dataset.test_labels, n_test)):
        counts = torch.bincount(labels, minlength=10)
        assert counts.sum() == n
        assert counts.max() - counts.min() <= 1
        assert labels.tolist() != sorted(labels.tolist())
    assert dataset.n_classes == len(FIGURES) == 10
    assert dataset.input_shape == (3, 32, 32)


def test_colours_say_nothing_about_the_class() -> None:
    """The same draws give the same colours, whatever the label."""
    n = 200
    means = [
        render(np.full(n, label), Draws(0, label)).mean((2, 3)) for label in range(len(FIGURES))
    ]
    centres = np.stack([mean.mean(0) for mean in means])
    spread = np.concatenate(means).std(0)
    assert (np.ptp(centres, axis=0) < 0.4 * spread).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"seed": -1}, "scenes: seed: must be at least 0, not -1"),
        ({"n_train": 0}, "scenes: n_train: must be at least 1, not 0"),
        ({"n_test": -3}, "scenes: n_test: must be at least 1, not -3"),
    ],
)
def test_scenes_that_cannot_be(options: dict[str, int], message: str) -> None:
    assert refusal(scenes_dataset, **options) == message


def test_draws() -> None:
    """Words that every machine must draw, and the moments of what is made of them."""
    draws = Draws(0, 1)
    assert draws.words(2).tolist() == [12492077108140196533, 4482314363672241088]
    for low, high in ((0.0, 1.0), (-3.0, 2.0)):
        values = draws.uniform(low, high, 100, 1000)
        assert values.dtype == np.float32
        assert low <= values.min() < values.max() <= high
        assert values.mean() == pytest.approx((low + high) / 2, abs=0.01 * (high - low))
        assert values.std() == pytest.approx((high - low) / 12**0.5, rel=0.02)
    values = draws.bell(100, 1000)
    assert values.mean() == pytest.approx(0, abs=0.02)
    assert values.std() == pytest.approx(1, rel=0.02)
    assert abs(values).max() <= 2 * 3**0.5
    assert np.bincount(draws.integers(7, 70_000)).min() > 9_000
    cosine, sine = draws.directions(100_000)
    assert np.allclose(cosine**2 + sine**2, 1, atol=1e-6)
    counts = np.histogram(np.arctan2(sine, cosine), bins=16, range=(-np.pi, np.pi))[0]
    assert counts.min() > 0.85 * len(cosine) / 16


# -- data sets of the user ----------------------------------------------------------------------

USER_MODULE = """
import torch
from torch.utils.data import Dataset, IterableDataset, TensorDataset
from qosnets_search.datasets.dataset import ImageDataset

images = torch.arange(8 * 1 * 4 * 4).reshape(8, 1, 4, 4).float()
labels = torch.arange(8) % 3

def tensors():
    return (images[:6], labels[:6]), (images[6:], labels[6:])

def integer_images():
    return [(images[:6].byte(), labels[:6].int()), [images[6:].byte(), labels[6:].byte()]]

def datasets():
    return TensorDataset(images[:6], labels[:6]), TensorDataset(images[6:], labels[6:])

class OneByOne(Dataset):
    def __init__(self, start, stop, image=None, label=None):
        self.range, self.image, self.label = range(start, stop), image, label
    def __len__(self):
        return len(self.range)
    def __getitem__(self, index):
        if index == 1 and self.image is not None:
            return self.image, 0
        if index == 1 and self.label is not None:
            return images[0], self.label
        return images[self.range[index]].double(), int(labels[self.range[index]])

def one_by_one():
    return OneByOne(0, 6), OneByOne(6, 8)

def ready():
    (a, b), (c, d) = tensors()
    return ImageDataset("mine", a, b, c, d, 3, (1.0,), (2.0,), None, {"by": "hand"})

def other_labels():
    return (images[:6], labels[:6] * 2), (images[6:], labels[6:])

def no_pair():
    return tensors()[0] + (1,)

def no_part():
    return 5, 6

def empty():
    return OneByOne(0, 0), OneByOne(6, 8)

def stream():
    class Stream(IterableDataset):
        def __iter__(self):
            return iter([])
    return Stream(), Stream()

def picture():
    return OneByOne(0, 6, image="a picture"), OneByOne(6, 8)

def sizes():
    return OneByOne(0, 6, image=torch.zeros(1, 4, 5)), OneByOne(6, 8)

def class_name():
    return OneByOne(0, 6, label="cat"), OneByOne(6, 8)

def one_hot():
    return OneByOne(0, 6, label=[0, 1]), OneByOne(6, 8)

def soft():
    return (images[:6], labels[:6] / 2), (images[6:], labels[6:])

def flat():
    return (images[:6, 0], labels[:6]), (images[6:, 0], labels[6:])

def negative():
    return (images[:6], labels[:6] - 1), (images[6:], labels[6:])

def constant():
    return (images[:6] * 0 + 0.1, labels[:6]), (images[6:], labels[6:])

def not_finite():
    return (images[:6] / 0, labels[:6]), (images[6:], labels[6:])

def raises():
    raise OSError("disc is full")

def invalid():
    return ImageDataset("mine", images, labels, images, labels, 2, (1.0,), (2.0,), None, {})
"""


@pytest.fixture
def user_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "user_data.py").write_text(USER_MODULE)


@pytest.mark.parametrize(
    ("factory", "dtype"),
    [
        ("tensors", torch.float32),
        ("integer_images", torch.uint8),
        ("datasets", torch.float32),
        ("one_by_one", torch.float32),
    ],
)
def test_data_set_of_the_user(user_data: None, factory: str, dtype: torch.dtype) -> None:
    dataset = load_dataset(f"user_data:{factory}")
    assert dataset.train_images.dtype == dataset.test_images.dtype == dtype
    assert dataset.train_images.flatten().tolist() == list(range(96))
    assert dataset.test_images.flatten().tolist() == list(range(96, 128))
    assert dataset.train_labels.tolist() == [0, 1, 2, 0, 1, 2]
    assert dataset.test_labels.tolist() == [0, 1]
    assert dataset.n_classes == 3
    assert dataset.mean == (47.5,)
    assert dataset.augmentation is None
    assert dataset.provenance["name"] == f"user_data:{factory}"


def test_ready_made_data_set_of_the_user_gets_a_hash_only(user_data: None) -> None:
    dataset = load_dataset("user_data:ready")
    assert (dataset.name, dataset.mean, dataset.std) == ("mine", (1.0,), (2.0,))
    sha256 = load_dataset("user_data:tensors").provenance["sha256"]
    assert dataset.provenance == {"by": "hand", "sha256": sha256}
    other = load_dataset("user_data:other_labels").provenance["sha256"]
    assert other != sha256


PAIR = "an ImageDataset or a pair of a training and a test part"
PART_RULE = "must be a non-empty Dataset with a length, or tensors of images and labels"
SIZE_RULE = "image must be [1, 4, 4] like the first"
LABEL_RULE = "labels must be integers, one for each image"


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        (
            "imagenet",
            f"must be one of {', '.join(DATASETS)} or package.module:factory, not 'imagenet'",
        ),
        ("no_such:f", "no_such:f: module no_such must be installed or lie in "),
        ("user_data:raises", "user_data:raises: factory failed: OSError: disc is full"),
        (
            "user_data:invalid",
            "user_data:invalid: mine: training labels: must be 0 .. 1, that of image 2 is 2",
        ),
        (
            "user_data:no_pair",
            f"user_data:no_pair: must return {PAIR}, not tuple",
        ),
        (
            "user_data:no_part",
            f"user_data:no_part: training part: {PART_RULE}, not int",
        ),
        (
            "user_data:empty",
            f"user_data:empty: training part: {PART_RULE}, not OneByOne",
        ),
        (
            "user_data:stream",
            f"user_data:stream: training part: {PART_RULE}, not Stream",
        ),
        (
            "user_data:picture",
            "user_data:picture: training part: item 1: image must be a tensor, not str",
        ),
        (
            "user_data:sizes",
            f"user_data:sizes: training part: item 1: {SIZE_RULE}, not [1, 4, 5]",
        ),
        (
            "user_data:class_name",
            "user_data:class_name: training part: item 1 is no image with a label: ",
        ),
        (
            "user_data:one_hot",
            "user_data:one_hot: training part: item 1: label must be a number, not [2]",
        ),
        (
            "user_data:soft",
            f"user_data:soft: training part: {LABEL_RULE}, not torch.float32 [6]",
        ),
        (
            "user_data:flat",
            "user_data:flat: training part: images must be [image, channel, height, width] with",
        ),
        (
            "user_data:negative",
            "user_data:negative: training labels: must be 0 .. 1, that of image 0 is -1",
        ),
        (
            "user_data:constant",
            "user_data:constant: std: must be positive, that of a constant channel is not: (0.0,)",
        ),
        (
            "user_data:not_finite",
            "user_data:not_finite: training images: pixels must be finite, those of image 0",
        ),
    ],
)
def test_what_is_refused(user_data: None, reference: str, message: str) -> None:
    assert refusal(load_dataset, reference).startswith(f"--data: {message}")


@pytest.mark.parametrize("name", ["digits", "scenes", "user_data:tensors"])
def test_a_folder_is_refused_where_nothing_is_read(name: str, tmp_path: Path) -> None:
    message = f"--data: {name}: reads no folder, not {tmp_path}"
    assert refusal(load_dataset, name, folder=tmp_path) == message
