"""Where data come from: the MNIST that glassnet carries, a download, a folder of IDX files, or a pair of CSV files."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from glassnet.data.cache import cached
from glassnet.data.catalogue import CATALOGUE, NAMES, Published
from glassnet.data.checks import MOST_CLASSES
from glassnet.data.csv import read_table
from glassnet.data.dataset import DataSet, from_arrays
from glassnet.data.files import PathLike
from glassnet.data.folder import SUMS, check_sum, find_idx_files, read_sums
from glassnet.data.idx import header_size, read_idx
from glassnet.data.preprocessing import Preprocessing
from glassnet.errors import ConfigError, DataError, MissingFileError

MNIST = Path(__file__).parent / "mnist"

Source: TypeAlias = PathLike | tuple[PathLike, PathLike] | list[PathLike]
_POSSIBLE = (
    "'mnist', a folder of IDX files, or two CSV files as 'train.csv,test.csv' ('glassnet data list' shows other names)"
)


@dataclass(frozen=True, eq=False)
class _Split:
    """Features and labels as they were read, and how to point at a label in its file."""

    features: NDArray[Any]
    labels: NDArray[Any]
    features_file: Path
    labels_file: Path
    place: Callable[[int], str]


def load(
    source: Source = "mnist",
    *,
    validation: int | None = None,
    classes: int = 10,
    invert: bool = False,
    center: bool = False,
) -> DataSet:
    """Load labelled samples: embedded MNIST, a data set known by name, a folder of IDX files, or two CSV files.

    "fashion-mnist", "kmnist" and "emnist-balanced", "-byclass", "-bymerge", "-digits", "-letters" or "-mnist" are
    looked for in the folder that the environment variable ``GLASSNET_DATA`` names, then in the user's cache folder,
    and downloaded where they are not there, unless ``GLASSNET_OFFLINE`` is set (see ``glassnet.data.fetch``, and
    ``glassnet data get``, which shows how far it is). The pictures of EMNIST, which lie on their sides in its files,
    are turned upright, and the classes of its letters, which begin at 1 there, at 0.

    A folder may spell the names of its four files in every usual way (see `glassnet.data.folder`); when it
    has a file ``SHA256SUMS``, as the embedded MNIST has, the files that it lists are checked against it. What was
    compressed is kept decoded in the user's cache folder (see `glassnet.data.cache`) until its files change. CSV
    files hold a label and the values of one sample on each line (see `read_csv`); 784 values become a picture
    of 28 x 28.

    Parameters
    ----------
    source : str, path, or pair of paths
        "mnist" or another of ``glassnet.data.NAMES``; the path of a folder (``"./mnist"`` for one of that name); or
        ``"train.csv,test.csv"``, or the two paths as a pair.
    validation : int, optional
        How many training samples, the last ones, validate. Default: a tenth, at most 5000.
    classes : int
        The number of classes C of a folder or of CSV files; labels are 0 to C-1. A data set that is downloaded by
        name has its own.
    invert : bool
        Whether to invert: for pictures of black on white.
    center : bool
        Whether to take each feature's mean over the training split (not validation, not test) away.

    Returns
    -------
    DataSet
        Raw features; uint8 features get the preprocessing scale 1/255, all others 1. The names of the classes
        are their numbers, or those that their authors gave them.

    Raises
    ------
    MissingFileError
        When a file or folder is not there, or a download can not be had.
    DataError
        When a file is damaged or its content does not fit the others', naming it and the place in it.
    ConfigError
        When an argument makes no sense.

    Examples
    --------
    >>> data = load("mnist")
    >>> len(data.train), len(data.validation), len(data.test)
    (55000, 5000, 10000)
    >>> data.input_shape, data.classes, data.train.targets[:5].tolist()
    ((28, 28), 10, [5, 0, 4, 1, 9])

    References
    ----------
    Y. LeCun, C. Cortes, C. J. C. Burges, "The MNIST database of handwritten digits". H. Xiao, K. Rasul, R. Vollgraf
    (2017), "Fashion-MNIST", arXiv:1708.07747. T. Clanuwat et al. (2018), "Deep learning for classical Japanese
    literature", arXiv:1812.01718 (KMNIST). G. Cohen, S. Afshar, J. Tapson, A. van Schaik (2017), "EMNIST: an extension
    of MNIST to handwritten letters", arXiv:1702.05373.
    """
    if isinstance(classes, bool) or not isinstance(classes, int) or not 2 <= classes <= MOST_CLASSES:
        raise ConfigError(f"classes is {classes!r}; give a whole number of 2 to {MOST_CLASSES}.")
    if not isinstance(center, bool):
        raise ConfigError(f"center is {center!r}; give True or False.")
    published = CATALOGUE.get(source) if isinstance(source, str) else None
    if published is None:
        name, train, test = _read(source)
        class_names: Sequence[str] = [str(label) for label in range(classes)]
    else:
        name, train, test = published.name, *_read_published(published)
        class_names = published.class_names
    for split in (train, test):
        _check_labels(split, len(class_names))
    if train.features.shape[1:] != test.features.shape[1:]:
        raise DataError(
            f"{train.features_file} holds samples of shape {train.features.shape[1:]} and "
            f"{test.features_file} of shape {test.features.shape[1:]}; give files of one data set."
        )
    if train.features.dtype != test.features.dtype:
        raise DataError(
            f"{train.features_file} holds numbers of type {train.features.dtype} and {test.features_file} of "
            f"{test.features.dtype}; write both in the same way."
        )
    data = from_arrays(
        train.features,
        train.labels,
        test=(test.features, test.labels),
        validation=validation,
        class_names=class_names,
        preprocessing=Preprocessing(1 / 255 if train.features.dtype == np.uint8 else 1.0, invert),
        name=name,
    )
    return _centered(data) if center else data


def _centered(data: DataSet) -> DataSet:
    """Set the mean of u over the training split; u is linear in raw, so it is u of raw's mean."""
    mean = data.train.features.mean(axis=0, keepdims=True, dtype=np.float64)  # (1, ...)
    u = data.preprocessing.apply(mean, dtype=np.float64)  # (1, ...)
    return replace(data, preprocessing=replace(data.preprocessing, mean=tuple(u.ravel().tolist())))


def _read_published(published: Published) -> tuple[_Split, _Split]:
    """Read a data set that is known by name, its pictures upright and its labels from 0."""
    from glassnet.data.named import check_file, fetch  # not needed for other data

    folder = fetch(published.name)
    train, test = _read_folder(folder, lambda path: check_file(published, path), published.most_bytes)
    if published.transposed:
        train, test = (
            replace(split, features=np.ascontiguousarray(split.features.swapaxes(1, 2))) for split in (train, test)
        )
    if published.first_label:
        train, test = (
            replace(split, labels=split.labels.astype(np.int32) - published.first_label) for split in (train, test)
        )
    return train, test


def _read(source: Source) -> tuple[str, _Split, _Split]:
    """Tell the kinds of sources apart; read name, training and test split."""
    if isinstance(source, (tuple, list)):
        if len(source) != 2:
            raise ConfigError(f"source has {len(source)} parts; give two CSV files, to train and to test.")
        return _read_csv_pair(_as_path(source[0]), _as_path(source[1]))
    if source == "mnist":
        return "mnist", *_read_folder(MNIST)
    path = _as_path(source)
    try:
        is_folder, exists = path.is_dir(), path.exists()
    except OSError as error:
        raise DataError(f"{path} cannot be looked at ({error.strerror}); check the path and its permissions.") from None
    if is_folder:
        return path.resolve().name, *_read_folder(path)
    if exists:
        raise ConfigError(f"source {str(path)!r} is a single file; give {_POSSIBLE}.")
    if isinstance(source, str) and "," in source:
        return _read([part.strip() for part in source.split(",")])
    if isinstance(source, str) and path.name == source and not path.suffix:
        spelt = source.lower().replace("_", "-")
        similar = [spelt] if spelt in NAMES else [name for name in NAMES if spelt in name]
        meant = f"{', '.join(similar)} if that is meant, or " if similar else ""
        raise ConfigError(f"source {source!r} is not known and no folder has that name; give {meant}{_POSSIBLE}.")
    raise MissingFileError(f"{path} does not exist; give {_POSSIBLE}.")


def _as_path(source: object) -> Path:
    if not source or not isinstance(source, (str, os.PathLike)):
        raise ConfigError(f"source {source!r} is no path; give {_POSSIBLE}.")
    return Path(source)


def _read_folder(
    folder: Path, check: Callable[[Path], None] = lambda path: None, most_bytes: int | None = None
) -> tuple[_Split, _Split]:
    """Read four IDX files; `check` may refuse one before it is unpacked."""
    files = find_idx_files(folder)

    def decode() -> dict[str, NDArray[Any]]:
        sums, arrays = read_sums(folder), {}
        for role, path in files.items():
            check(path)
            arrays[role] = read_idx(path, max_bytes=most_bytes)
            check_sum(folder, path, arrays[role], sums)
        return arrays

    packed = any(path.suffix.lower() == ".gz" for path in files.values())  # plain files are as quick as the cache
    listed = [folder / SUMS] if (folder / SUMS).exists() else []
    arrays = cached([*files.values(), *listed], decode) if packed else decode()
    train, test = (
        _idx_split(files[images], arrays[images], files[labels], arrays[labels])
        for images, labels in (("train-images", "train-labels"), ("t10k-images", "t10k-labels"))
    )
    return train, test


def _idx_split(images_file: Path, images: NDArray[Any], labels_file: Path, labels: NDArray[Any]) -> _Split:
    if images.ndim < 3 or 0 in images.shape:
        raise DataError(
            f"{images_file} holds an array of shape {images.shape}, which are no images; "
            "give a file of shape (N, height, width), none of them 0."
        )
    if labels.ndim != 1 or labels.dtype.kind == "f":
        raise DataError(
            f"{labels_file} holds an array of shape {labels.shape} and {labels.dtype}, which are no labels; "
            "give a file with one whole number for each image."
        )
    if len(images) != len(labels):
        raise DataError(
            f"{images_file} holds {len(images)} images and {labels_file} {len(labels)} labels; "
            "give files of one data set."
        )

    def place(array: NDArray[Any], index: int) -> str:
        return f"item {index} (from 0), byte {header_size(array.ndim) + index * array[0].nbytes} uncompressed"

    if images.dtype.kind == "f":
        finite = np.isfinite(images).all(axis=tuple(range(1, images.ndim)))  # (N,)
        if not finite.all():
            raise DataError(
                f"{images_file} holds NaN or infinity in the image that begins at "
                f"{place(images, int(np.argmin(finite)))}; write finite numbers."
            )
    return _Split(images, labels, images_file, labels_file, lambda index: place(labels, index))


def _read_csv_pair(train: Path, test: Path) -> tuple[str, _Split, _Split]:
    splits = [_csv_split(train), _csv_split(test)]
    columns = [1 + math.prod(split.features.shape[1:]) for split in splits]
    kinds = {split.features.dtype for split in splits}
    if len(kinds) == 2:  # the values of one happened to be whole numbers of 0 to 255
        splits = [replace(split, features=split.features.astype(np.float32)) for split in splits]
    if columns[0] != columns[1]:
        raise DataError(
            f"{train} has {columns[0]} columns and {test} {columns[1]}; give files of one data set, both with labels."
        )
    return f"{train.name},{test.name}", splits[0], splits[1]


def _csv_split(path: Path) -> _Split:
    labels, values, first_row = read_table(path)
    if values.shape[1] == 784:
        values = values.reshape(-1, 28, 28)
    return _Split(values, labels, path, path, lambda index: f"row {first_row + index}")


def _check_labels(split: _Split, classes: int) -> None:
    wrong = (split.labels < 0) | (split.labels >= classes)
    if wrong.any():
        index = int(np.argmax(wrong))
        raise DataError(
            f"{split.labels_file} holds the label {split.labels[index]} in {split.place(index)}, and "
            f"classes={classes} allows 0 to {classes - 1}; correct the label, or allow more with classes= (--classes)."
        )
