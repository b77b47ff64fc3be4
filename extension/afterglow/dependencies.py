"""Which files of a function's package are dependencies. In: its folder. Out: an answer per file.

``pip install -t`` puts a function's dependencies beside its own files, and leaves a list of what it has installed:
``RECORD`` in each ``*.dist-info`` (PEP 376, PEP 627). What is on no list is the function's own, also in a folder that
it shares with a dependency (a namespace package), and so is what was installed from a folder. Where there is no list,
the modules count that ``top_level.txt`` names, else those of the distribution's own name. Read once, when there is
something to tell; kept as hashes.
"""

import os
from array import array
from bisect import bisect_left
from collections.abc import Iterator

_MOST_DISTRIBUTIONS = 500
_MOST_FOLDERS = 200
_MOST_NOTE_BYTES = 100_000
_LISTS = ("RECORD", "installed-files.txt")
_INSTALLED = ("/site-packages/", "/dist-packages/")
_OUTSIDE = ("/opt/", "/var/runtime/", "/var/lang/", "/lib/python3.", "/lib64/python3.", "/awslambdaric/")
_OUR_OWN = ("/afterglow_hook/", "/afterglow/hooks/")


def is_installed(file: str, root: str) -> bool:
    """Return whether the file's path alone tells that it belongs to a layer, an installation or Python itself."""
    if root and file.startswith(root + "/"):
        file = file[len(root) :]
        return any(part in file for part in _INSTALLED)
    return any(part in file for part in (*_INSTALLED, *_OUTSIDE, *_OUR_OWN))


class Dependencies:
    """What the distributions in one folder, and in the folders right below it, have installed."""

    def __init__(self, root: str = "") -> None:
        self.modules: set[str] = set()  # whole ones, by their paths from the root
        self.files = array("q")
        if root:
            self._read_folder(root, "")
            for name in _listed(root)[:_MOST_FOLDERS]:
                if "." not in name and name not in self.modules:
                    self._read_folder(root, name + "/")
            self.files = array("q", sorted(self.files))

    def __contains__(self, path: str) -> bool:
        """Return whether one of them has installed this file; ``path`` is relative to the root."""
        wanted = hash(path)
        place = bisect_left(self.files, wanted)
        if place < len(self.files) and self.files[place] == wanted:
            return True
        parts = path.removesuffix(".py").split("/")
        return any("/".join(parts[:depth]) in self.modules for depth in (1, 2))

    def _read_folder(self, root: str, folder: str) -> None:
        notes = [name for name in _listed(root + "/" + folder) if name.endswith((".dist-info", ".egg-info"))]
        for name in notes[:_MOST_DISTRIBUTIONS]:
            note = f"{root}/{folder}{name}"
            if '"dir_info"' in _read(f"{note}/direct_url.json"):
                continue  # installed from a folder (PEP 610): the function itself, or what was written for it
            known = len(self.files)
            self.files.extend(hash(folder + file) for file in _files_of(note))
            if known == len(self.files) and not _has_list(note):
                self.modules.update(folder + module for module in _modules_of(note, _listed(root + "/" + folder)))


def _files_of(note: str) -> Iterator[str]:
    """Yield the Python files that a distribution's list names."""
    within = "" if note.endswith(".dist-info") else note.rpartition("/")[2] + "/"
    try:
        with open(f"{note}/{_LISTS[bool(within)]}", encoding="utf-8", errors="replace") as lines:  # noqa: PTH123 - no pathlib in the sandbox
            for line in lines:  # one by one: lists can be long, and memory is the function's
                file = line.partition(",")[0].rstrip() if line[:1] != '"' else line[1:].partition('"')[0]
                if file.endswith(".py"):
                    yield os.path.normpath(within + file) if "./" in file else within + file
    except OSError:
        return


def _has_list(note: str) -> bool:
    return any(os.path.exists(f"{note}/{name}") for name in _LISTS)  # noqa: PTH110 - no pathlib in the sandbox


def _modules_of(note: str, beside: list[str]) -> list[str]:
    """Return the modules of a distribution without a list: those that it names, else those that are called like it."""
    named = _read(f"{note}/top_level.txt").split()
    if named:
        return named
    name = note.rpartition("/")[2].partition("-")[0].lower()
    return [file.removesuffix(".py") for file in beside if file.removesuffix(".py").lower() == name]


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:  # noqa: PTH123 - no pathlib in the sandbox
            return file.read(_MOST_NOTE_BYTES)
    except OSError:
        return ""


def _listed(folder: str) -> list[str]:
    try:
        return sorted(os.listdir(folder))  # noqa: PTH208 - as above
    except OSError:
        return []
