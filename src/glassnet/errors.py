"""The errors that glassnet raises: one sentence each, saying what was wrong, where, and what to do."""

from __future__ import annotations


class GlassnetError(Exception):
    """Base of every error the library raises on purpose."""


class ConfigError(GlassnetError, ValueError):
    """An argument, option or combination of them makes no sense."""


class DataError(GlassnetError, ValueError):
    """A data file, or an array handed in as data, is not what it should be."""


class ModelFileError(GlassnetError, ValueError):
    """A model file is damaged, or was not written by glassnet."""


class CheckpointError(GlassnetError, ValueError):
    """A checkpoint is damaged, or of another run."""


class MissingFileError(GlassnetError, FileNotFoundError):
    """A file or folder that was asked for does not exist."""


class OutputExistsError(GlassnetError, FileExistsError):
    """Writing there would overwrite what somebody may want to keep."""


class DivergedError(GlassnetError, ArithmeticError):
    """Training met a NaN or an infinity."""


class WorkerDiedError(GlassnetError, RuntimeError):
    """A process that trained along with this one is gone."""
