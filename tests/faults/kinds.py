"""The faults a portal can have. Each has a name, a sentence, and what a night with it may come to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from connectors.demo import Fault
from tests.faults import bends
from tests.faults.portal import ALWAYS, Bend, edited, raw
from tests.faults.stage import Stage

LISTS = "crm.*.list"
HOUR = 3600.0


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of fault.

    `ends`: what the night comes to when only this is wrong: "ok", "failed" (with words for a person), or "" for either.
    `told`: codes of findings that say so, of which at least one must be in the report of a night that hit it.
    """

    name: str
    what: str
    begin: Callable[[Stage], None]
    ends: str = "ok"


def _fault(match: str, action: str, times: int = 1, most_after: int = 3, **more: object) -> Callable[[Stage], None]:
    """A scripted fault of the demo portal, after some calls that chance decides."""
    return lambda stage: stage.portal.fail(Fault(match, action, times, stage.rng.randrange(most_after + 1), **more))  # type: ignore[arg-type]


def _bend(send: Callable[[Stage], Callable[..., None]], times: int = 1, most_after: int = 2) -> Callable[[Stage], None]:
    """A bend of a batch's answers, after some that chance decides."""
    return lambda stage: stage.portal.bend(Bend("batch", send(stage), times, stage.rng.randrange(most_after + 1)))


def _edit(change: Callable[[Stage], Callable[..., None]], times: int = 1, most_after: int = 2) -> Callable[[Stage], None]:
    return _bend(lambda stage: edited(change(stage)), times, most_after)


def _raw(change: Callable[[bytes], bytes], times: int = 1, **headers: str) -> Callable[[Stage], None]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return _bend(lambda stage: raw(change, named), times)


def _while_paging(change: Callable[[Stage], None], n: int = 8) -> Callable[[Stage], None]:
    """`change` happens `n` times, each when one more page has been served."""

    def begin(stage: Stage) -> None:
        for _ in range(n):
            stage.portal.after(stage.rng.randrange(1, 14), lambda: change(stage), "pages")

    return begin


KINDS: tuple[Kind, ...] = (
    # --- refused for now -------------------------------------------------------------------------------------------------
    Kind("limit_503", "503 QUERY_LIMIT_EXCEEDED three times", _fault("batch", "limit", 3)),
    Kind("limit_503_in_batch", "commands of a batch refused as too many requests", _fault(LISTS, "limit", 4, 8)),
    Kind("operating_429", "429 OPERATION_TIME_LIMIT of whole requests", _fault("batch", "operating", 2)),
    Kind("operating_429_in_batch", "429 OPERATION_TIME_LIMIT of commands inside a batch", _fault(LISTS, "operating", 5, 8)),
    Kind("error_500", "500 INTERNAL_SERVER_ERROR three times", _fault("batch", "error500", 3)),
    Kind("error_in_batch", "one command of a batch fails, the others do not", _fault(LISTS, "error", 1, 10)),
    Kind("unexpected_in_batch", "ERROR_UNEXPECTED_ANSWER and 'General error' of commands", _fault(LISTS, "general", 3, 8)),
    Kind("limit_all_night", "500 for a whole night", _fault("batch", "error500", ALWAYS), "failed"),
    # --- no answer of the portal -----------------------------------------------------------------------------------------
    Kind("html_200", "a web page with status 200", _fault("batch", "html200", 2)),
    Kind("html_502", "a gateway's page with 502", _fault("batch", "html502", 3)),
    Kind("html_503", "a gateway's page with 503", _fault("batch", "html503", 2)),
    Kind("html_all_night", "a maintenance page for a whole night", _fault("*", "html200", ALWAYS), "failed"),
    Kind("truncated_json", "half of the JSON, with a matching length", _fault("batch", "truncated", 2)),
    Kind("deep_json", "100 000 opening brackets", _raw(lambda body: b"[" * 100_000, 2)),
    Kind("empty_body", "200 with nothing in it", _raw(lambda body: b"", 2)),
    Kind("reset_before_body", "connection closed before an answer", _fault("batch", "close", 2)),
    Kind("reset_in_body", "connection closed in the middle of the body", _fault("batch", "cut", 2)),
    Kind("slow_answer", "no answer within the time limit", _fault("batch", "slow", 1, value=0.6)),
    Kind("gzip_broken", "says gzip and is none", _raw(lambda body: b"\x1f\x8b\x08" + body[:99], 2, Content_Encoding="gzip")),
    Kind("wrong_charset", "Windows-1251 bytes that claim to be UTF-8", _bend(lambda stage: raw(bends.in_cp1251), 2)),
    # --- a person must act -----------------------------------------------------------------------------------------------
    Kind("redirect", "302 to another host, which must not be followed", _fault("batch", "redirect", ALWAYS), "failed"),
    Kind("webhook_expired", "401 INVALID_CREDENTIALS for good", _fault("*", "credentials", ALWAYS), "failed"),
    Kind("refused_401_for_a_while", "401 AUTHORIZATION_ERROR once", _fault("batch", "dismissed"), "failed"),
    Kind("refused_403_for_a_while", "403 with a known code once", _fault("batch", "deleted_portal"), "failed"),
    Kind("scope_lost", "insufficient_scope for lists of leads", _fault("crm.lead.list", "scope", ALWAYS, 4), ""),
    Kind("overload", "OVERLOAD_LIMIT: REST blocked by hand", _fault("*", "overload", ALWAYS, 2), "failed"),
    # --- lists that lie --------------------------------------------------------------------------------------------------
    Kind("filter_ignored", "lists ignore the filter", _fault(LISTS, "ignore_filter", ALWAYS, 4), ""),
    Kind("order_ignored", "lists ignore the order", _fault(LISTS, "ignore_order", ALWAYS, 4), ""),
    Kind("empty_page", "an empty page in the middle", _fault("crm.lead.list", "empty_page", 1, 3)),
    Kind("empty_pages_all_night", "every list of deals is empty", _fault("crm.deal.list", "empty_page", ALWAYS, 0)),
    Kind("duplicate_rows", "a page shows a row twice", _edit(lambda stage: bends.duplicated, 1), ""),
    Kind("same_page_again", "every page is the first page again", _edit(lambda stage: bends.Repeating(), ALWAYS, 0), ""),
    Kind("next_never_ends", "dictionaries always promise another page", _edit(lambda stage: bends.endless, ALWAYS, 0), ""),
    Kind("total_too_high", "counts say 7 more than there are", _edit(lambda stage: bends.totals(7), ALWAYS)),
    Kind("total_too_low", "counts say 7 less than there are", _edit(lambda stage: bends.totals(-7), ALWAYS)),
    Kind("total_zero", "counts say nothing is there", _edit(lambda stage: bends.totals(-(10**6)), ALWAYS)),
    Kind("total_absent", "counts are left out", _edit(lambda stage: bends.without_totals, ALWAYS)),
    # --- rows that are wrong ---------------------------------------------------------------------------------------------
    Kind("wrong_types", "lists and objects where single values belong", _edit(lambda stage: bends.Mistyped(stage.rng), 2)),
    Kind("unreadable_dates", "DATE_CREATE and MOVED_TIME are no dates", _edit(lambda stage: bends.undated(stage.rng), 2)),
    Kind("missing_fields", "some rows of a page lack columns", _edit(lambda stage: bends.Lacking(stage.rng), 2)),
    Kind("missing_ids", "a row without ID", _edit(lambda stage: bends.without_id, 1), ""),
    Kind("extra_fields", "columns that nobody asked for", _edit(lambda stage: bends.with_extras, ALWAYS)),
    Kind("result_missing", "answers of a batch lack commands", _edit(lambda stage: bends.dropped(stage.rng), 2)),
    Kind("result_null", "results of commands are null", _edit(lambda stage: bends.nulled(stage.rng), 2)),
    Kind("result_is_text", "a list's result is a text", _edit(lambda stage: bends.texted(stage.rng), 1), ""),
    Kind("result_of_batch_empty", "the batch answers with empty lists only", _edit(lambda stage: bends.emptied, 2)),
    # --- a portal that lives ---------------------------------------------------------------------------------------------
    Kind("rows_change_while_paging", "rows change between pages", _while_paging(lambda stage: stage.happen(), 12)),
    Kind("rows_inserted_while_paging", "rows appear between pages", _while_paging(bends.insert)),
    Kind("rows_deleted_while_paging", "rows vanish between pages", _while_paging(bends.delete)),
    Kind("deleted_and_restored", "rows come back from the recycle bin with an old date", bends.restore_old),
    Kind("id_gaps", "ids jump by thousands", bends.jump_ids),
    Kind("modified_ties", "120 rows changed in the same second, over page borders", bends.tie),
    Kind("dst_days", "rows created in the hours around both clock changes", bends.dst_rows),
    Kind("offset_moves", "the portal writes its times in another offset", _edit(lambda stage: bends.in_offset(-5), ALWAYS, 0)),
    # --- rights ----------------------------------------------------------------------------------------------------------
    Kind("rights_shrink", "a third of the rows hidden all night", _fault("crm.*", "hide", ALWAYS, 0, value=0.34)),
    Kind("rights_shrink_half_way", "the same from some page on", _fault("crm.*", "hide", ALWAYS, 14, value=0.34)),
    Kind("a_few_hidden", "four rows in a hundred hidden", _fault("crm.*", "hide", ALWAYS, 0, value=0.04)),
    # --- clocks ----------------------------------------------------------------------------------------------------------
    Kind("portal_clock_ahead", "the portal's clock is 50 hours ahead", lambda stage: stage.shift_portal_clock(50 * HOUR)),
    Kind("portal_clock_behind", "the portal's clock is 50 hours behind", lambda stage: stage.shift_portal_clock(-50 * HOUR)),
    Kind("our_clock_ahead", "our clock is 50 hours ahead", lambda stage: stage.shift_our_clock(50 * HOUR)),
    Kind("our_clock_behind", "our clock is 50 hours behind", lambda stage: stage.shift_our_clock(-50 * HOUR)),
)  # fmt: skip
BY_NAME = {kind.name: kind for kind in KINDS}
