"""Whose code a file is. In: the function's folder, frames, paths. Out: the frame to name; the anatomy of Init.

The folder is known when the hook has introduced itself; before that nothing is the function's own.
"""

from typing import TYPE_CHECKING

from afterglow.callsite import CallSite, choose, is_dependency, read_dependencies

if TYPE_CHECKING:
    from afterglow.anatomy import Anatomy


class OwnCode:
    """Tells the function's own code from its dependencies."""

    def __init__(self) -> None:
        self.task_root = ""
        self._dependencies: frozenset[str] | None = None
        self._anatomy: Anatomy | None = None

    def choose(self, frames: list[list[object]]) -> CallSite | None:
        """Return the frame that a person would want to be shown."""
        return choose(frames, self._known_dependencies(), self.task_root)

    def is_own(self, file: str) -> bool:
        """Return whether the file is the function's own code."""
        root = self.task_root
        return bool(root) and file.startswith(root + "/") and not is_dependency(file, self._known_dependencies(), root)

    def anatomy(self) -> "Anatomy":
        """Return what is known of imports and packages."""
        if self._anatomy is None:
            from afterglow.anatomy import Anatomy  # noqa: PLC0415 - nothing of it is needed before the first answer

            self._anatomy = Anatomy(self.is_own)
        return self._anatomy

    def _known_dependencies(self) -> frozenset[str]:
        if self._dependencies is None:
            self._dependencies = read_dependencies(self.task_root) if self.task_root else frozenset()
        return self._dependencies
