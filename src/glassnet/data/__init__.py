"""Data: readers for IDX and CSV, the MNIST that glassnet carries, downloads, preprocessing, and sets of samples."""

from glassnet.data.catalogue import NAMES
from glassnet.data.csv import read_csv
from glassnet.data.dataset import DataSet, Samples, from_arrays
from glassnet.data.facts import describe
from glassnet.data.idx import read_idx, write_idx
from glassnet.data.named import fetch
from glassnet.data.preprocessing import Preprocessing
from glassnet.data.sources import load

__all__ = [
    "NAMES",
    "DataSet",
    "Preprocessing",
    "Samples",
    "describe",
    "fetch",
    "from_arrays",
    "load",
    "read_csv",
    "read_idx",
    "write_idx",
]
