"""Answers of one turn are written in a row, and none is forgotten or written twice."""

from typing import TYPE_CHECKING

import pytest

from afterglow_collector.collect.together import Together

if TYPE_CHECKING:
    from collections.abc import Callable


class Client:
    """A connection that notes when it was let speak."""

    def __init__(self, name: str, said: list[str]) -> None:
        self.name = name
        self.said = said

    def send_answers(self) -> None:
        self.said.append(self.name)


def test_what_is_answered_in_a_turn_is_sent_at_its_end() -> None:
    later: list[Callable[[], None]] = []
    said: list[str] = []
    together = Together(later.append)
    for name in ("a", "b"):
        together.send(Client(name, said))
    assert [] == said

    (end_of_turn,) = later
    end_of_turn()
    together.send(Client("c", said))
    later[1]()

    assert ["a", "b", "c"] == said


def test_answers_of_one_piece_of_work_are_sent_with_it() -> None:
    later: list[Callable[[], None]] = []
    said: list[str] = []
    together = Together(later.append)

    def work() -> None:
        together.send(Client("a", said))
        together.send(Client("b", said))
        said.append("worked")

    together.run(work)
    assert ["worked", "a", "b"] == said

    later[0]()
    assert ["worked", "a", "b"] == said, "the end of the turn has nothing left to send"


def test_work_that_breaks_does_not_keep_the_answers_before_it() -> None:
    said: list[str] = []
    together = Together(lambda _: None)

    def work() -> None:
        together.send(Client("a", said))
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        together.run(work)

    assert ["a"] == said
