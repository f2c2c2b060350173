"""The configuration as it is now, for what runs on for months: read anew when a file of it changed."""

import threading
from collections.abc import Callable

from pipeline.errors import PipelineError
from pipeline.logs import log
from pipeline.settings import Settings


class Current:
    """Called, it gives the settings as the files say; while those cannot be read, the last good ones. Any thread may ask."""

    def __init__(self, load: Callable[[], Settings]) -> None:
        """Raises ConfigError when there are no good ones to begin with."""
        self._load = load
        self._lock = threading.Lock()
        self._known = load()
        self._said = ""

    def __call__(self) -> Settings:
        with self._lock:
            if not self._known.is_current:
                try:
                    self._known = self._load()
                    self._said = ""
                except PipelineError as error:
                    if str(error) != self._said:
                        self._said = str(error)
                        log.warning("configuration_not_read", error=self._said, hint=error.hint, used="the last good one")
            return self._known
