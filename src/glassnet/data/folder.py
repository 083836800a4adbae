"""A folder of IDX files: which file is what, under all the names they go by, and whether sums are right."""

from __future__ import annotations

import re
from itertools import islice
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from glassnet.data.files import one_sentence
from glassnet.data.idx import idx_sha256
from glassnet.errors import DataError, MissingFileError
from glassnet.files import read_up_to

ROLES = ("train-images", "train-labels", "t10k-images", "t10k-labels")
SUMS = "SHA256SUMS"

MOST_ENTRIES = 100_000
"""Files that are looked through in a folder."""

MOST_SUMS = 2**20
"""Bytes of a list of sums."""

_NAME = re.compile(
    r"(?P<prefix>(?:.*[-_.])?)(?P<split>train|t10k|test)[-_.]?(?P<kind>image|label)s?"
    r"(?:[-_.]idx\d*)?(?:[-_.](?:ubyte|byte|short|int|float|double))?(?: ?\(\d+\))?(?:\.(?:bin|idx|dat))?(?:\.gz)?",
    re.IGNORECASE,
)
_SUM_LINE = re.compile(r"(?P<digest>[0-9a-fA-F]{64}) [ *](?:\./)?(?P<name>.+)")


def find_idx_files(folder: Path) -> dict[str, Path]:
    """Find the four files of a data set in the manner of MNIST.

    Understood are ``train-images-idx3-ubyte``, with ``t10k`` or ``test`` for the test split, any of ``-``,
    ``_`` and ``.`` or nothing between the words, upper or lower case, with or without ``s``, ``-idx3`` and
    ``-ubyte``, a prefix such as ``emnist-digits-``, a count such as `` (1)`` that browsers add, ``.bin``,
    ``.idx`` or ``.dat``, with or without ``.gz``, and a folder of such a name around a file of such a name.
    Of several copies the file that is not compressed and lies directly in the folder is taken. A link is
    followed only to what lies in the folder, too.

    Parameters
    ----------
    folder : pathlib.Path
        The folder.

    Returns
    -------
    dict of str to pathlib.Path
        A path for each of ``ROLES``.

    Raises
    ------
    MissingFileError
        When the folder or one of the four is missing, with the names that were looked for.
    DataError
        When files of several data sets lie there, naming them, one is a link that leads out of the folder, or the
        folder cannot be listed or holds too many files.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as name:
    ...     for part in ("train_images", "train_labels", "TEST_images", "TEST_labels"):
    ...         pathlib.Path(name, f"{part}.idx.gz").touch()
    ...     {role: path.name for role, path in find_idx_files(pathlib.Path(name)).items()}["t10k-labels"]
    'TEST_labels.idx.gz'
    """
    found: dict[str, dict[str, list[Path]]] = {role: {} for role in ROLES}  # then by the word for the split
    prefixes: dict[str, Path] = {}
    for path in _files(folder):
        if match := _NAME.fullmatch(path.name):
            prefix, split, kind = (match[part].lower() for part in ("prefix", "split", "kind"))
            role = f"{'train' if split == 'train' else 't10k'}-{kind}s"
            found[role].setdefault(split, []).append(path)
            prefixes.setdefault(re.sub("[-_.]", "-", prefix), path)
    clashing = list(prefixes.values()) if len(prefixes) > 1 else []
    for files in found.values():
        clashing += [paths[0] for paths in files.values()] if len(files) > 1 else []
    if clashing:
        names = ", ".join(one_sentence(path.relative_to(folder).as_posix())[:80].rstrip(".") for path in clashing[:3])
        raise DataError(f"{folder} holds files of several data sets ({names}); give each a folder of its own.")
    missing = [role for role in ROLES if not found[role]]
    if missing:
        looked_for = ", ".join(f"{role}-idx{3 if role.endswith('images') else 1}-ubyte" for role in missing)
        raise MissingFileError(
            f"{folder} has no {' and no '.join(missing)}: looked for {looked_for}, with or without .gz, also "
            "with 'test' for 't10k' and other separators; put all four files there."
        )
    chosen = {role: min(next(iter(found[role].values())), key=_preference) for role in ROLES}
    for path in chosen.values():
        _check_inside(folder, path)
    return chosen


def _check_inside(folder: Path, path: Path) -> None:
    """Refuse a file that is a link, or lies in one, which leads out of the folder."""
    try:
        inside = path.resolve().is_relative_to(folder.resolve())
    except (OSError, RuntimeError):  # a link to itself
        inside = False
    if not inside:
        raise DataError(f"{path} is a link that leads out of its folder; copy there what it leads to.")


def _files(folder: Path) -> list[Path]:
    """List the folder's files, and those of the same name within folders that are named like one."""
    files = []
    try:
        for path in _entries(folder):
            if _NAME.fullmatch(path.name) and path.is_dir():
                files += [child for child in _entries(path) if _NAME.fullmatch(child.name)]
            else:
                files.append(path)
    except (FileNotFoundError, NotADirectoryError):
        raise MissingFileError(f"{folder} is no folder; give the folder with the IDX files.") from None
    except OSError as error:
        raise DataError(f"{folder} cannot be listed ({error.strerror}); check its permissions.") from None
    return [path for path in files if not path.name.startswith(".")]  # macOS leaves ._name beside name


def _entries(folder: Path) -> list[Path]:
    found = list(islice(folder.iterdir(), MOST_ENTRIES + 1))
    if len(found) > MOST_ENTRIES:
        raise DataError(f"{folder} holds more than {MOST_ENTRIES} files; give the IDX files a folder of their own.")
    return sorted(found)


def _preference(path: Path) -> tuple[bool, int, str]:
    return path.suffix.lower() == ".gz", len(path.parts), path.name


def read_sums(folder: Path) -> dict[str, str]:
    r"""Read the folder's SHA256SUMS as ``sha256sum`` writes it: 64 hexadecimal digits, two blanks, a name.

    Parameters
    ----------
    folder : pathlib.Path
        The folder.

    Returns
    -------
    dict of str to str
        Name to sum; empty when there is no such file.

    Raises
    ------
    DataError
        When the file is no text, is a link that leads out of the folder or too large, or a line is not such a line.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as name:
    ...     _ = pathlib.Path(name, "SHA256SUMS").write_text("0" * 64 + "  train-images-idx3-ubyte\n")
    ...     list(read_sums(pathlib.Path(name)))
    ['train-images-idx3-ubyte']
    """
    path, sums = folder / SUMS, {}
    try:
        content = read_up_to(path, MOST_SUMS + 1)
        lines = content.decode("utf-8").splitlines()
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error}); make it with sha256sum.") from None
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is no text in UTF-8, from byte {error.start} on; make it with sha256sum.") from None
    _check_inside(folder, path)
    if len(content) > MOST_SUMS:
        raise DataError(f"{path} has more than {MOST_SUMS} bytes; list the four IDX files alone.")
    for row, line in enumerate(lines, 1):
        if line:
            match = _SUM_LINE.fullmatch(line)
            if match is None:
                raise DataError(f"{path} is not a list of sums in row {row}; make it with sha256sum.")
            sums[match["name"]] = match["digest"].lower()
    return sums


def check_sum(folder: Path, path: Path, array: NDArray[Any], sums: dict[str, str]) -> None:
    """Compare an IDX file that was read with its listed sum, of the file itself or of its uncompressed bytes.

    Parameters
    ----------
    folder : pathlib.Path
        The folder of the sums.
    path : pathlib.Path
        The file, somewhere in the folder.
    array : numpy.ndarray
        What `read_idx` made of it.
    sums : dict of str to str
        What `read_sums` gave. A file that is listed neither under its name nor without ``.gz`` passes.

    Raises
    ------
    DataError
        When the sums differ.

    Examples
    --------
    >>> import numpy as np
    >>> check_sum(Path("a"), Path("a/b.gz"), np.zeros(3, np.uint8), {"b": "0" * 64})
    Traceback (most recent call last):
    glassnet.errors.DataError: a/b.gz does not have the SHA-256 sum that SHA256SUMS lists; get the file again.
    """
    import hashlib  # not needed where data come from the cache

    name = path.relative_to(folder).as_posix()
    listed = {sums[known] for known in (name, name.removesuffix(".gz")) if known in sums}
    if not listed or idx_sha256(array) in listed:
        return
    try:
        with path.open("rb") as file:
            same = hashlib.file_digest(file, "sha256").hexdigest() in listed
    except OSError:
        same = False
    if not same:
        raise DataError(f"{path} does not have the SHA-256 sum that {SUMS} lists; get the file again.")
