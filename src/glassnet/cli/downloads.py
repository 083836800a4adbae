"""What a command shows of a download."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from glassnet.cli.output import Voice


def download(source: str, voice: Voice) -> None:
    """Get a data set that is known by name, if it is not here yet, with a bar; any other source is left alone."""
    from glassnet.data import NAMES, fetch

    if source in NAMES[1:]:
        with closing(Bars(voice)) as bars:
            fetch(source, progress=bars)


class Bars:
    """Draws how far a download is: a bar for each file, on a terminal only."""

    def __init__(self, voice: Voice) -> None:
        self._shows, self._name = voice.shows_progress, ""
        self._bar: Any = None

    def __call__(self, name: str, done: int, total: int) -> None:
        """Show that so many bytes of a file have come."""
        if not self._shows:
            return
        if self._bar is None or name != self._name:
            from tqdm import tqdm

            self.close()
            self._name = name
            self._bar = tqdm(total=total, desc=name, unit="B", unit_scale=True, dynamic_ncols=True)
            self._bar.initial = self._bar.n = self._bar.last_print_n = done  # the rate is of what comes from here on
        self._bar.update(done - self._bar.n)

    def close(self) -> None:
        """End the bar."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None
