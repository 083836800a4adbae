"""A training step explained: as a story of short parts, as a page, and as a script for another framework."""

from glassnet.explain.page import write_page
from glassnet.explain.scripts import script
from glassnet.explain.story import Bar, Line, Part, Picture, Story, tell

__all__ = ["Bar", "Line", "Part", "Picture", "Story", "script", "tell", "write_page"]
