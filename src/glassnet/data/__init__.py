"""Data: readers for IDX and CSV, the MNIST that glassnet carries, preprocessing, and sets of samples."""

from glassnet.data.csv import read_csv
from glassnet.data.dataset import DataSet, Samples, from_arrays
from glassnet.data.facts import describe
from glassnet.data.idx import read_idx, write_idx
from glassnet.data.preprocessing import Preprocessing
from glassnet.data.sources import load

__all__ = [
    "DataSet",
    "Preprocessing",
    "Samples",
    "describe",
    "from_arrays",
    "load",
    "read_csv",
    "read_idx",
    "write_idx",
]
