"""The documents lead to each other and to the code, and nowhere else."""

import re
from fnmatch import fnmatch
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DECISIONS = sorted((ROOT / "docs" / "decisions").glob("0*.md"))
PAGES = [
    *sorted(ROOT.glob("*.md")),
    *sorted(ROOT.glob("docs/**/*.md")),
    *sorted(ROOT.glob("examples/**/*.md")),
    ROOT / "bench" / "RESULTS.md",
]
PACKAGES = (
    "extension/afterglow",
    "extension/hooks/python/afterglow_hook",
    "collector/afterglow_collector",
    "layer/afterglow_layer",
)


def named(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def links(page: Path) -> list[str]:
    """Return where a page leads within this repository, code blocks left out."""
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    return [link for link in re.findall(r"\]\(([^)\s]+)\)", text) if "://" not in link]


def anchors(page: Path) -> set[str]:
    """Return the anchors that GitHub gives a page's headings."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def modules() -> list[Path]:
    found = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]
    return [path for path in found if not path.name.startswith("__") and "opt" not in path.parts]


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_links_lead_somewhere(page: Path) -> None:
    broken = []
    for link in links(page):
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)

    assert [] == broken


def test_every_page_of_the_documents_is_linked_from_another() -> None:
    linked = {
        (page.parent / link.partition("#")[0]).resolve() for page in PAGES for link in links(page) if link[0] != "#"
    }

    assert [] == [named(page) for page in PAGES if named(page).startswith("docs/") and page not in linked]


def test_decisions_are_numbered_apart_and_say_their_number() -> None:
    numbers = [page.name[:4] for page in DECISIONS]

    assert sorted(set(numbers)) == numbers
    assert numbers == [page.read_text()[2:6] for page in DECISIONS]


def test_the_index_of_decisions_has_them_all_by_their_titles() -> None:
    index = (ROOT / "docs" / "decisions" / "README.md").read_text().splitlines()
    wanted = [f"- [{page.name[:4]}]({page.name}) {page.read_text().splitlines()[0][8:]}" for page in DECISIONS]

    assert wanted == sorted(line for line in index if line.startswith("- ["))


def test_what_the_sources_cite_is_there() -> None:
    folders = ("extension", "collector", "layer", "bench", "tests")
    sources = [
        path
        for folder in folders
        for path in sorted((ROOT / folder).rglob("*"))
        if path.suffix in {".py", ".c", ".h", ".sh"}
    ]
    cited = [(path, page) for path in sources for page in re.findall(r"docs/[\w/-]+\.md", path.read_text())]

    assert cited
    assert [] == [f"{named(path)} cites {page}" for path, page in cited if not (ROOT / page).exists()]


def test_the_map_has_every_module() -> None:
    """By its name, or a pattern such as `phase_*`; add a new one to the row of its step in ARCHITECTURE.md."""
    words = set(re.findall(r"`([\w*]+)`", (ROOT / "ARCHITECTURE.md").read_text()))

    assert [] == [named(path) for path in modules() if not any(fnmatch(path.stem, word) for word in words)]
