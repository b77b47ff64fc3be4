"""The terminal: the table as it grows. In: Tables. Out: rich, on stdout."""

from rich.console import Console
from rich.live import Live
from rich.table import Table as RichTable

from bench.section import Section, Table, verdict


class Screen:
    """Shows one measurement while it runs; on a pipe, only what came of it."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live: Live | None = None

    def begin(self, name: str, title: str) -> None:
        """Say what comes."""
        self._console.print(f"\n[bold]{name}[/bold]: {title}")
        if self._console.is_terminal:
            self._live = Live(console=self._console, transient=True, auto_refresh=False)
            self._live.start()

    def show(self, table: Table) -> None:
        """Show how far it is."""
        if self._live is not None:
            self._live.update(drawn(table), refresh=True)

    def pause(self) -> None:
        """Take the unfinished table away."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    def end(self, section: Section) -> None:
        """Show what came of it."""
        self.pause()
        for table in section.tables:
            self._console.print(drawn(table))
        for budget in section.budgets:
            self._console.print("  " + verdict(budget).replace("**", ""), markup=False)
        for note in section.notes:
            self._console.print(f"  {note}", style="dim", markup=False)


def drawn(table: Table) -> RichTable:
    """Return the table for the terminal."""
    made = RichTable(title=table.caption or None, title_justify="left", title_style="")
    for number, name in enumerate(table.head):
        made.add_column(name, justify="right" if number else "left")
    for row in table.rows:
        made.add_row(*row)
    return made
