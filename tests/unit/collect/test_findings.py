"""Findings of one place become one summary, whatever their order."""

import json

from hypothesis import given
from hypothesis import strategies as st
from tests.unit.collect.samples import AT_MS, finding

from afterglow_collector.collect.findings import CHANGES, Findings, Site, fingerprint

changes = st.lists(st.sampled_from(CHANGES), max_size=3).map(tuple)


def told(findings: Findings) -> list[dict[str, object]]:
    return [json.loads(line) for _, line in findings.take_changed()]


@given(st.lists(changes, min_size=1, max_size=8), st.randoms(use_true_random=False))
def test_counts_add_up_in_any_order(all_changes: list[tuple[str, ...]], random: "object") -> None:
    one, other = Findings(), Findings()
    records = [finding(AT_MS + index, changes) for index, changes in enumerate(all_changes)]
    for record in records:
        one.add("checkout", record, AT_MS)
    random.shuffle(records)  # type: ignore[attr-defined]
    for record in records:
        other.add("checkout", record, AT_MS)

    assert list(one.summaries()) == list(other.summaries())
    (summary,) = one.summaries()
    assert {name: sum(some.count(name) for some in all_changes) for name in CHANGES} == summary["counts"]
    assert (AT_MS, AT_MS + len(records) - 1) == (summary["first_seen_ms"], summary["last_seen_ms"])


def test_a_summary_tells_what_is_new_and_what_there_is_in_all() -> None:
    findings = Findings()
    findings.add("checkout", finding(request_id="r-1"), AT_MS)
    first = told(findings)
    findings.add("checkout", finding(AT_MS + 5, ("lingering", "lost"), request_id="r-2"), AT_MS)
    (second,) = told(findings)

    assert {"lingering": 1, "resumed": 0, "lost": 0, "ended": 0} == first[0]["new"] == first[0]["counts"]
    assert {"lingering": 1, "resumed": 0, "lost": 1, "ended": 0} == second["new"]
    assert {"lingering": 2, "resumed": 0, "lost": 1, "ended": 0} == second["counts"]
    assert "r-2" == second["example"]["request_id"]  # type: ignore[index]
    assert [] == told(findings)


def test_the_function_the_kind_and_the_call_site_make_the_fingerprint() -> None:
    site = Site("checkout", "lingering", "thread", "/var/task/app.py", 3, "handler")
    others = [site._replace(**{name: "other"}) for name in Site._fields]

    assert len({fingerprint(one) for one in (site, *others)}) == 7
    assert fingerprint(site) == "8f910fdcfeacbe04"  # on any machine, for ever: it stands in people's dashboards


def test_an_older_telling_does_not_take_the_examples_place() -> None:
    findings = Findings()
    findings.add("checkout", finding(AT_MS, request_id="young"), AT_MS)
    findings.add("checkout", finding(AT_MS - 1, request_id="old"), AT_MS)
    (summary,) = findings.summaries()

    assert ("young", AT_MS - 1) == (summary["example"]["request_id"], summary["first_seen_ms"])


def test_sites_beyond_the_limit_are_counted_and_known_ones_go_on() -> None:
    findings = Findings(max_sites=2)
    for line in (1, 2, 3, 1):
        findings.add("checkout", finding(line=line), AT_MS)

    assert (2, 1) == (len(findings), findings.dropped)
    assert [1, 2] == [summary["line"] for summary in findings.summaries()]


def test_silent_sites_are_forgotten_when_all_is_told() -> None:
    findings = Findings()
    findings.add("checkout", finding(line=1), now_ms=1_000)
    findings.add("checkout", finding(line=2), now_ms=2_000)
    findings.forget_silent(before_ms=1_500)
    assert len(findings) == 2

    findings.take_changed()
    findings.forget_silent(before_ms=1_500)
    assert [2] == [summary["line"] for summary in findings.summaries()]


def test_findings_go_on_from_what_they_told() -> None:
    one, other = Findings(), Findings()
    one.add("checkout", finding(), AT_MS)
    other.restore(json.loads(json.dumps(one.to_plain())))
    for findings in (one, other):
        findings.add("checkout", finding(AT_MS + 1, ("resumed",)), AT_MS)

    assert one.take_changed() == other.take_changed()
