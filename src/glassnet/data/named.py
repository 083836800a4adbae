"""Data sets that are known by name: found on this machine, or downloaded to where they are found the next time.

Places, the first one first:

    $GLASSNET_DATA/NAME         if that variable names a folder; then downloads go there
    CACHE/data/NAME             CACHE is the user's cache folder, see `glassnet.data.cache`

A file is believed by its size when it is found, and by its sum whenever it is unpacked (see `glassnet.data.sources`).
"""

from __future__ import annotations

import os
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from glassnet.data.cache import VARIABLE as CACHE
from glassnet.data.cache import cache_folder
from glassnet.data.catalogue import CATALOGUE, EMNIST, Progress, Published, RemoteFile
from glassnet.data.folder import SUMS, read_sums
from glassnet.errors import ConfigError, DataError, MissingFileError
from glassnet.files import whole_file, write_text

if TYPE_CHECKING:
    from zipfile import ZipFile

FOLDER = "GLASSNET_DATA"
"""Environment variable that names the folder of the data sets."""

OFFLINE = "GLASSNET_OFFLINE"
"""Environment variable that forbids to download anything, unless it is empty or 0."""

MOST_PACKED = 2**29
"""Bytes that one member of an archive may have, which is compressed once more inside."""

_STEP = 2**20


@dataclass(frozen=True)
class Stock:
    """What there is of a data set.

    Attributes
    ----------
    published : the data set
    folder : where it is, None if it is not
    archive : the archive that it can be unpacked from, None if there is none
    come : bytes of the download that are here, fewer than all where it was interrupted
    download : bytes of the whole download
    """

    published: Published
    folder: Path | None
    archive: Path | None
    come: int
    download: int


def places() -> list[Path]:
    """Return the folders in which data sets are looked for, the one that downloads go to first.

    Examples
    --------
    >>> [place.name for place in places()][-1:]
    ['data']
    """
    named, cache = os.environ.get(FOLDER), cache_folder()
    folders = [Path(named).expanduser().absolute()] if named else []
    return folders + ([] if cache is None else [cache / "data"])


def find(published: Published) -> Path | None:
    """Return the folder that holds all files of a data set, or None.

    Parameters
    ----------
    published : the data set

    Examples
    --------
    >>> find(CATALOGUE["emnist-mnist"]) is None
    True
    """
    for place in places():
        folder = place / published.name
        if published.archives:
            there = all((folder / name).is_file() for name in (*published.parts, SUMS))
        else:
            there = all(file.has_size(folder / file.name) for file in published.files)
        if there:
            return folder
    return None


def fetch(name: str, *, progress: Progress | None = None, check: bool = False) -> Path:
    """Return the folder of a data set; what is not on this machine is downloaded.

    Parameters
    ----------
    name : one of ``glassnet.data.NAMES`` other than "mnist", which comes along
    progress : called with the name of a file, how many of its bytes are there, and how many it has
    check : compare the sums of all that is there, and get again what is damaged

    Raises
    ------
    ConfigError
        When there is no such data set.
    MissingFileError
        When it is not on this machine, and can or may not be downloaded.
    DataError
        When the folder can not be written to, or has no room.

    Examples
    --------
    >>> fetch("imagenet")
    Traceback (most recent call last):
    glassnet.errors.ConfigError: there is no data set 'imagenet' to download; choose from fashion-mnist, kmnist, ...
    """
    published = CATALOGUE.get(name)
    if published is None:
        raise ConfigError(
            f"there is no data set {name!r} to download; choose from {', '.join(CATALOGUE)} (mnist comes along)."
        )
    folder = find(published)
    if folder is not None and not (check and _is_damaged(published, folder)):
        return folder
    if not places():
        raise MissingFileError(
            f"{name} is not on this machine and there is no folder to keep it in, since {CACHE} is empty; name one "
            f"with {FOLDER}."
        )
    folder = places()[0] / name
    if published.archives:
        _unpack(_archive(published, progress), published, folder)
    else:
        missing = [file for file in published.files if not file.is_whole(folder / file.name)]
        for file in missing:
            _download([file], missing, folder, published, progress)
    return folder


def check_file(published: Published, path: Path) -> None:
    """Compare a file with the sums that were published of it.

    Parameters
    ----------
    published : its data set
    path : the file

    Raises
    ------
    DataError
        When they differ.

    Examples
    --------
    >>> check_file(CATALOGUE["emnist-mnist"], Path("emnist-mnist-train-labels-idx1-ubyte.gz"))  # of an archive
    """
    for file in published.files:
        if file.name == path.name and not file.is_whole(path):
            raise DataError(
                f"{path} does not have the published SHA-256 sum; 'glassnet data get {published.name}' replaces it."
            )


def stock() -> list[Stock]:
    """Return what there is of every data set, in the order of the catalogue.

    Examples
    --------
    >>> [found.published.name for found in stock()][:2]
    ['fashion-mnist', 'kmnist']
    """
    found = []
    for published in CATALOGUE.values():
        files, name = published.files or published.archives, published.name if published.files else EMNIST
        paths = [(file, place / name / file.name) for place in places() for file in files]
        partial = [path.with_name(f".{path.name}.part") for _, path in paths]
        whole = [path for file, path in paths if file.has_size(path)]
        come = sum(path.stat().st_size for path in [*whole, *partial] if path.is_file())
        archive = whole[0] if whole and published.archives else None
        size = sum(file.size or file.most for file in (published.files or published.archives[:1]))
        found.append(Stock(published, find(published), archive, come, size))
    return found


def _is_damaged(published: Published, folder: Path) -> bool:
    if not published.archives:
        return not all(file.is_whole(folder / file.name) for file in published.files)
    from hashlib import file_digest

    sums = read_sums(folder)
    for name in published.parts:
        with (folder / name).open("rb") as content:
            if file_digest(content, "sha256").hexdigest() != sums.get(name):
                return True
    return False


def _archive(published: Published, progress: Progress | None) -> Path:
    """Return an archive with the files of a data set, whose sums are right; download it if there is none."""
    for place in places():
        for file in published.archives:
            if file.is_whole(place / EMNIST / file.name):
                return place / EMNIST / file.name
    return _download(published.archives, published.archives[:1], places()[0] / EMNIST, published, progress)


def _download(
    files: list[RemoteFile] | tuple[RemoteFile, ...],
    missing: list[RemoteFile] | tuple[RemoteFile, ...],
    folder: Path,
    published: Published,
    progress: Progress | None,
) -> Path:
    """Download one of the files, any of which will do; say what to do by hand where that fails."""
    from glassnet.data.download import UnreachableError, download  # not needed for what is there

    by_hand = (
        f"get {', '.join(file.name for file in missing)} from {published.page} with a browser and put "
        f"{'them' if len(missing) > 1 else 'it'} into {folder}"
    )
    if os.environ.get(OFFLINE, "0") not in ("", "0"):
        raise MissingFileError(
            f"{published.name} is not on this machine, and {OFFLINE} forbids to download it; unset that, or {by_hand}."
        )
    hosts: dict[str, list[str]] = {}
    for file in files:
        try:
            return download(file, folder, progress)
        except UnreachableError as error:
            for host, reason in error.reasons:
                hosts.setdefault(reason, []).append(host)
    reasons = "; ".join(f"{', '.join(dict.fromkeys(names))}: {reason}" for reason, names in hosts.items())
    raise MissingFileError(
        f"{published.name} is not on this machine and could not be downloaded ({reasons}); look at the "
        f"connection and try again, which goes on where it stopped, or {by_hand}."
    )


def _unpack(archive: Path, published: Published, folder: Path) -> None:
    """Take the files of one data set, and no others, out of an archive; keep their sums beside them.

    No name in the archive decides where anything is written.
    """
    from zipfile import BadZipFile, ZipFile

    try:
        folder.mkdir(parents=True, exist_ok=True)
        with ZipFile(archive) as opened:
            sums = [f"{_take(opened, name, folder / name)}  {name}\n" for name in published.parts]
        write_text(folder / SUMS, "".join(sums))
    except (BadZipFile, EOFError, zlib.error) as error:
        raise DataError(f"{archive} is damaged ({error}); remove it and get it again.") from None
    except OSError as error:
        raise DataError(
            f"{folder} cannot be written to ({error.strerror or error}); look at its permissions and the room on the "
            f"disk, or name another folder with {FOLDER}."
        ) from None


def _take(opened: ZipFile, name: str, path: Path) -> str:
    """Write one member of an archive, and return its SHA-256."""
    from hashlib import sha256

    found = [member for member in opened.infolist() if member.filename.rpartition("/")[2] == name]
    if len(found) != 1 or found[0].file_size > MOST_PACKED:
        raise DataError(
            f"{opened.filename} has {len(found)} files {name}, and one of at most {MOST_PACKED:,} bytes is needed; "
            "remove it and get it again."
        )
    digest = sha256()
    with opened.open(found[0]) as packed, whole_file(path) as temporary, temporary.open("xb") as file:
        while data := packed.read(_STEP):
            digest.update(data)
            file.write(data)
    return digest.hexdigest()
