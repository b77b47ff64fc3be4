"""Whose code a file is. In: the function's folder, frames, paths. Out: the frame to name; the anatomy of Init.

The folder is known when the hook has introduced itself; before that nothing is the function's own.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from afterglow.callsite import CallSite, Stack, choose, parsed, stack_of

if TYPE_CHECKING:
    from afterglow.anatomy import Anatomy
    from afterglow.dependencies import Dependencies

_MOST_KNOWN = 4096


class OwnCode:
    """Tells the function's own code from its dependencies."""

    def __init__(self) -> None:
        self.task_root = ""
        self._dependencies: Dependencies | None = None
        self._known: dict[str, bool] = {}
        self._anatomy: Anatomy | None = None

    def choose(self, frames: list[list[object]]) -> CallSite | None:
        """Return the frame that a person would want to be shown."""
        return choose(frames, self.is_own, self.is_near)

    def stack(self, frames: Sequence[Sequence[object]]) -> Stack:
        """Return what is worth telling of a stack, the innermost frame first."""
        return stack_of(parsed(frames), self.is_own, self.is_near)

    def is_own(self, file: str) -> bool:
        """Return whether the file is the function's own Python code."""
        if not self.task_root:
            return False
        if file not in self._known:
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            self._known[file] = self._find_out(file)
        return self._known[file]

    def package_of(self, file: str) -> str:
        """Return the package that a library's file belongs to, as far as its path tells."""
        inside = file.rpartition("/site-packages/")[2] if "/site-packages/" in file else file
        for folder in (self.task_root + "/", "/opt/python/", "/var/runtime/"):
            inside = inside.removeprefix(folder)
        return inside.lstrip("/").partition("/")[0].removesuffix(".py")

    def is_near(self, file: str) -> bool:
        """Return whether it is Python code outside the function's folder that nobody is known to have installed."""
        from afterglow.dependencies import is_installed  # noqa: PLC0415 - as in _find_out

        root = self.task_root
        inside = bool(root) and file.startswith(root + "/")
        return file.startswith("/") and file.endswith(".py") and not inside and not is_installed(file, root)

    def _find_out(self, file: str) -> bool:
        root = self.task_root
        if not file.startswith(root + "/") or not file.endswith(".py"):
            return False
        from afterglow.dependencies import Dependencies, is_installed  # noqa: PLC0415 - only when there is something to tell

        if is_installed(file, root):
            return False
        if self._dependencies is None:
            self._dependencies = Dependencies(root)
        return file[len(root) + 1 :] not in self._dependencies

    def anatomy(self) -> "Anatomy":
        """Return what is known of imports and packages."""
        if self._anatomy is None:
            from afterglow.anatomy import Anatomy  # noqa: PLC0415 - nothing of it is needed before the first answer

            self._anatomy = Anatomy(self.is_own)
        return self._anatomy
