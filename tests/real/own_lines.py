"""Whether an invocation that went wrong is put to the function's own line.

In: a run, and the line that is true. Out: a verdict on `error_origin`, and on the place that heads the report's block.
"""

import re
from pathlib import Path
from typing import Any

from tests.real.cases import OwnLine
from tests.real.playing import Played
from tests.real.verdict import Verdict


def headline(document: dict[str, Any], report: str, number: int) -> str | None:
    """Return the place that heads the block about an invocation that went wrong."""
    for entry in document.get("endings") or []:
        where = entry.get("where")
        if entry.get("invocation") == number and where and where.get("file"):
            return f"{Path(where['file']).name}:{where['line']}"
    for block in re.split(r"(?m)^(?=✗)", report)[1:]:
        title, _, rest = block.partition("\n    ")
        if re.search(rf"#{number}\b", title):
            found = re.match(r"(\S+:\d+)\b", rest)
            return found and Path(found[1]).name
    return None


def judge_own_line(played: Played, wanted: OwnLine) -> list[Verdict]:
    """Judge where an invocation that went wrong is said to have done so."""
    invocation = next(each for each in played.document["invocations"] if each["invocation"] == wanted.invocation)
    if wanted.kind == "timeout":
        said = {"the block's head": headline(played.document, played.report, wanted.invocation)}
    else:
        origin = re.match(r"(.*?:\d+)\b", invocation.get("error_origin") or "")
        said = {"error_origin": origin and Path(origin[1]).name}
        said["the block's head"] = headline(played.document, played.report, wanted.invocation) or said["error_origin"]
    return [
        Verdict(
            "own line",
            wanted.kind,
            place in wanted.where,
            f"#{wanted.invocation}: {name} is {place}; true: {', '.join(wanted.where)}",
        )
        for name, place in said.items()
    ]
