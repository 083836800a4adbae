"""The data sets that are known by name: their files, where these can be had, and the sums that were published of them.

Sums are copied from the places that are named beside them, and none was computed by us. A mirror needs no trust: what
it sends is kept only if the sums are right.
"""

from __future__ import annotations

import string
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

Progress: TypeAlias = Callable[[str, int, int], None]
"""Called with the name of a file, how many of its bytes are there, and how many it has."""

ROLES = ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1")


@dataclass(frozen=True)
class RemoteFile:
    """A file that can be downloaded.

    Parameters
    ----------
    name : what it is called on the disk
    size : its bytes; None where they were not published, and `most` holds
    sha256 : 64 hexadecimal digits, as published
    md5 : 32 more, where they were published, too: the sum that authors give, against errors; SHA-256 is against forgery
    urls : the mirrors, in the order in which they are tried; http or https
    most : bytes that it has at most
    """

    name: str
    size: int | None
    sha256: str
    md5: str | None
    urls: tuple[str, ...]
    most: int = 2**30

    def has_size(self, path: Path) -> bool:
        """Return whether the file is at a path, by its size.

        Examples
        --------
        >>> CATALOGUE["kmnist"].files[0].has_size(Path("nowhere"))
        False
        """
        if not path.is_file():
            return False
        size = path.stat().st_size
        return size <= self.most if self.size is None else size == self.size

    def is_whole(self, path: Path) -> bool:
        """Return whether the file is at a path, by its size and sums.

        Examples
        --------
        >>> CATALOGUE["kmnist"].files[0].is_whole(Path("nowhere"))
        False
        """
        if not self.has_size(path):
            return False
        import hashlib  # not needed where data come from the cache

        with path.open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != self.sha256:
                return False
            file.seek(0)
            md5 = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
            return self.md5 in (None, md5)


@dataclass(frozen=True)
class Published:
    """A data set that is known by name.

    Parameters
    ----------
    name : as `load` takes it
    page : where its authors describe it and a browser finds its files
    samples : how many to train and how many to test
    class_names : in the order of the labels
    parts : names of the four IDX files, in the order of `ROLES`
    files : those to be downloaded, where each part is one
    archives : where the parts are members of an archive: the archives that have them, any of which will do
    transposed : whether the pictures lie on their sides, rows for columns
    first_label : label of the first class in the files
    """

    name: str
    page: str
    samples: tuple[int, int]
    class_names: tuple[str, ...]
    parts: tuple[str, ...]
    files: tuple[RemoteFile, ...] = ()
    archives: tuple[RemoteFile, ...] = ()
    transposed: bool = False
    first_label: int = 0

    @property
    def most_bytes(self) -> int:
        """Bytes that a part may take in memory: one for each pixel of 28 x 28.

        Examples
        --------
        >>> CATALOGUE["kmnist"].most_bytes
        47040000
        """
        return max(self.samples) * 28 * 28


_NAMES = tuple(f"{role}-ubyte.gz" for role in ROLES)


def _in_four_files(
    name: str, page: str, mirrors: list[str], sums: list[tuple[int, str, str]], class_names: list[str]
) -> Published:
    files = tuple(
        RemoteFile(file, size, sha256, md5, tuple(mirror + file for mirror in mirrors))
        for file, (size, sha256, md5) in zip(_NAMES, sums, strict=True)
    )
    return Published(name, page, (60_000, 10_000), tuple(class_names), _NAMES, files)


# MD5: the authors, github.com/zalandoresearch/fashion-mnist, README.md, "Get the Data".
# SHA-256 and sizes: github.com/tensorflow/datasets, tensorflow_datasets/url_checksums/fashion_mnist.txt.
_FASHION = _in_four_files(
    "fashion-mnist",
    "https://github.com/zalandoresearch/fashion-mnist",
    [
        "https://fashion-mnist.s3.eu-central-1.amazonaws.com/",
        "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        "https://storage.googleapis.com/tensorflow/tf-keras-datasets/",
    ],
    [
        (
            26_421_880,
            "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
            "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
        ),
        (
            29_515,
            "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
            "25c81989df183df01b3e8a0aad5dffbe",
        ),
        (
            4_422_102,
            "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
            "bef4ecab320f06d8554ea6380940ec79",
        ),
        (
            5_148,
            "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
            "bb300cfdad3c16e7a12a480ee83cd310",
        ),
    ],
    ["T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"],
)

# SHA-256 and sizes: github.com/tensorflow/datasets, tensorflow_datasets/url_checksums/kmnist.txt.
# MD5: github.com/pytorch/vision, torchvision/datasets/mnist.py, class KMNIST.
_KMNIST = _in_four_files(
    "kmnist",
    "https://github.com/rois-codh/kmnist",
    [
        "https://codh.rois.ac.jp/kmnist/dataset/kmnist/",
        "http://codh.rois.ac.jp/kmnist/dataset/kmnist/",
        "https://github.com/namanlab/CVCNN_Paper/raw/0f30b9c852904dc63a7902c1d2a2f5c61d0547e4/data/KMNIST/raw/",
    ],
    [
        (
            18_165_135,
            "51467d22d8cc72929e2a028a0428f2086b092bb31cfb79c69cc0a90ce135fde4",
            "bdb82020997e1d708af4cf47b453dcf7",
        ),
        (
            29_497,
            "e38f9ebcd0f3ebcdec7fc8eabdcdaef93bb0df8ea12bee65224341c8183d8e17",
            "e144d726b3acfaa3e44228e80efcd344",
        ),
        (
            3_041_136,
            "edd7a857845ad6bb1d0ba43fe7e794d164fe2dce499a1694695a792adfac43c5",
            "5c965bf0a639b31b8f53240b1b52f4d7",
        ),
        (
            5_120,
            "20bb9a0ef54c7db3efc55a92eef5582c109615df22683c380526788f98e42a1c",
            "7320c461ea6c1c855c0b718fb2a4b134",
        ),
    ],
    ["o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"],
)

EMNIST = "emnist"
"""The folder of the archive, which all parts of EMNIST share."""

_ARCHIVES = (
    # SHA-256 and size: github.com/tensorflow/datasets, tensorflow_datasets/url_checksums/emnist.txt.
    # MD5: github.com/pytorch/vision, torchvision/datasets/mnist.py, class EMNIST.
    RemoteFile(
        "gzip.zip",
        561_753_746,
        "fb9bb67e33772a9cc0b895e4ecf36d2cf35be8b709693c3564cea2a019fcda8e",
        "58c8d27c78d21e728a6bc7b3cc06412e",
        (
            "https://biometrics.nist.gov/cs_links/EMNIST/gzip.zip",
            "https://www.itl.nist.gov/iaui/vip/cs_links/EMNIST/gzip.zip",
        ),
    ),
    # The authors' university packed the same files once more.
    # SHA-256: github.com/pytorch/vision, torchvision/prototype/datasets/_builtin/mnist.py, class EMNIST.
    RemoteFile(
        "emnist-gzip.zip",
        None,
        "909a2a39c5e86bdd7662425e9b9c4a49bb582bf8d0edad427f3c3a9d0c6f7259",
        None,
        ("https://rds.westernsydney.edu.au/Institutes/MARCS/BENS/EMNIST/emnist-gzip.zip",),
        most=600_000_000,
    ),
)
_DIGITS, _CAPITALS = string.digits, string.ascii_uppercase
_MERGED = _DIGITS + _CAPITALS + "abdefghnqrt"  # small letters that do not look like their capitals


def _of_emnist(part: str, samples: tuple[int, int], class_names: str, first_label: int = 0) -> Published:
    name = f"emnist-{part}"
    return Published(
        name,
        "https://www.nist.gov/itl/products-and-services/emnist-dataset",
        samples,
        tuple(class_names),
        tuple(f"{name}-{role.replace('t10k', 'test')}-ubyte.gz" for role in ROLES),
        archives=_ARCHIVES,
        transposed=True,
        first_label=first_label,
    )


CATALOGUE = {
    published.name: published
    for published in (
        _FASHION,
        _KMNIST,
        _of_emnist("balanced", (112_800, 18_800), _MERGED),
        _of_emnist("byclass", (697_932, 116_323), _DIGITS + _CAPITALS + string.ascii_lowercase),
        _of_emnist("bymerge", (697_932, 116_323), _MERGED),
        _of_emnist("digits", (240_000, 40_000), _DIGITS),
        _of_emnist("letters", (124_800, 20_800), _CAPITALS, first_label=1),
        _of_emnist("mnist", (60_000, 10_000), _DIGITS),
    )
}
"""All of them by name, but for MNIST, which comes along."""

NAMES = ("mnist", *CATALOGUE)
"""What `load` takes for a name, not for a path."""
