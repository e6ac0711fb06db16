"""
What came of commands, as people read it.  Nothing here waits or prints.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timezone
from typing import Any

_PART_HEAD = (
    *("ID", "BOT", "PSID", "KIND", "NO.", "STATE", "ATTEMPT", "TURN"),
    *("NEXT IN", "WHY"),
)

# So many IDs are named in a sentence.
_NAMED = 10

# They join what is written together, and show nothing by themselves.
_JOINERS = "\u200c\u200d"


def printable(text: str) -> str:
    """
    Make text harmless for a terminal: what people wrote may hold what moves the
    cursor, or hides itself.
    """
    return "".join(
        char
        if char.isprintable() or char in _JOINERS
        else char.encode("unicode_escape").decode("ascii")
        for char in text
    )


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    """
    Align rows below their heads, a line each.
    """
    cells = [
        [printable("-" if cell is None else str(cell)) for cell in row] for row in rows
    ]
    widths = [
        max(len(line[column]) for line in [list(head), *cells])
        for column in range(len(head))
    ]
    return [
        "  ".join(
            cell.ljust(width) for cell, width in zip(line, widths, strict=True)
        ).rstrip()
        for line in [list(head), *cells]
    ]


def when(at: int | None) -> str:
    """
    Write a time in UTC, from milliseconds.
    """
    if not at:
        return "-"
    return datetime.fromtimestamp(at / 1000.0, timezone.utc).strftime(
        "%Y-%m-%d %H:%M:%SZ"
    )


def span(seconds: float | None) -> str:
    """
    Write how long something takes, in the two units that tell most.
    """
    if seconds is None:
        return "-"
    left, said = int(seconds), []
    for name, size in (("d", 86400), ("h", 3600), ("min", 60), ("s", 1)):
        count, left = divmod(left, size)
        if count:
            said.append(f"{count} {name}")
    return " ".join(said[:2]) or "0 s"


def size(count: int | None) -> str:
    """
    Write a number of bytes.
    """
    if count is None:
        return "-"
    value = float(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if value < 1024.0:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1024.0
    return f"{value:.1f} TiB"


def status_lines(said: Mapping[str, Any]) -> list[str]:
    """
    Tell how the daemon is.
    """
    queue, store, certificate = said["queue"], said["store"], said["certificate"]
    ends = "none here" if certificate is None else certificate["ends"]
    if certificate is not None:
        ends += f" (in {certificate['days']:.0f} days)"
    waiting = f"{queue['waiting']} waiting, {queue['in_turn']} being answered"
    oldest = queue["oldest_unanswered"]
    bots = table(
        ("BOT", "PAGE", "SUBSCRIBED", "SENDING", "TOKENS TODAY", "OF"),
        (
            (
                bot["name"],
                bot["page"] or "not known yet",
                {True: "yes", False: "no"}.get(bot["subscribed"], "not known yet"),
                bot["sending"],
                bot["tokens_today"],
                bot["tokens_per_day"] or "no limit",
            )
            for bot in said["bots"]
        ),
    )
    troubles = []
    for bot in said["bots"]:
        if bot["sending"] != "open":
            rest = bot["paused_for"]
            until = f"for {span(rest)}" if rest else "until a message gets through"
            why = printable(str(bot["why"]))
            troubles.append(f"{bot['name']}: nothing is sent {until}: {why}")
        troubles += [
            f"{bot['name']}: {it['host']} is not asked for {it['model']} for"
            f" {span(it['left_alone_for'])}, as it failed"
            for it in bot["endpoints"]
            if it["left_alone_for"] is not None
        ]
    troubles += [
        printable(f"{'' if it['bot'] is None else it['bot'] + ': '}{it['means']}")
        + (f"; {printable(it['todo'])}" if it["todo"] else "")
        for it in said["checks"]
        if it["status"] in ("warning", "failed")
    ]
    facts = (
        ("version", f"{said['version']}, pid {said['pid']}, up {span(said['uptime'])}"),
        ("messages", waiting),
        (
            "answers",
            f"{queue['turns']} open turns; parts: {queue['unsent']} unsent,"
            f" {queue['sending']} being sent, {queue['in_doubt']} in doubt",
        ),
        ("oldest", "nobody waits" if oldest is None else f"waits for {span(oldest)}"),
        ("certificate", ends),
        (
            "store",
            f"{store['path']}: {size(store['bytes'])}, log {size(store['log_bytes'])},"
            f" free {size(store['free_bytes'])}",
        ),
    )
    lines = [f"{name:<12} {printable(value)}" for name, value in facts]
    return [*lines, "", *bots, *(["", *troubles] if troubles else [])]


def queue_lines(said: Mapping[str, Any]) -> list[str]:
    """
    List what waits, what is in doubt and what was given up.
    """
    blocks = [
        _block(
            "messages that wait",
            ("ID", "BOT", "PSID", "KIND", "STATE", "TURN", "RECEIVED"),
            _event_rows(said["events"]),
        ),
        _block(
            "answers that are made or sent",
            ("ID", "BOT", "PSID", "STATE", "TRIES", "BEGAN", "NEXT IN", "WHY"),
            _turn_rows(said["turns"]),
        ),
        _block(
            "parts that are not sent, or in doubt (unknown)",
            _PART_HEAD,
            _part_rows(said["parts"]),
        ),
        _block(
            "given up",
            ("ID", "BOT", "PSID", "KIND", "FROM", "RECEIVED", "REASON"),
            [
                (
                    it["id"],
                    it["bot"],
                    it["psid"],
                    it["kind"],
                    it["source"],
                    when(it["received"]),
                    it["reason"],
                )
                for it in said["dead"]
            ],
        ),
        _block(
            "not delivered, and given up", _PART_HEAD, _part_rows(said["undelivered"])
        ),
    ]
    lines = [line for block in blocks if block for line in [*block, ""]]
    if said["more"]:
        lines.append(f"there are more of: {', '.join(said['more'])}; see --limit")
    return lines or ["nothing waits, nothing is in doubt, nothing was given up"]


def _block(
    title: str, head: Sequence[str], rows: Sequence[Sequence[object]]
) -> list[str]:
    return [f"{title}:", *table(head, rows)] if rows else []


def _event_rows(events: Iterable[Mapping[str, Any]]) -> list[Sequence[object]]:
    return [
        (
            it["id"],
            it["bot"],
            it["psid"],
            it["kind"],
            it["state"],
            it["turn"],
            when(it["received"]),
        )
        for it in events
    ]


def _turn_rows(turns: Iterable[Mapping[str, Any]]) -> list[Sequence[object]]:
    return [
        (
            it["id"],
            it["bot"],
            it["psid"],
            it["state"],
            it["tries"],
            when(it["began"]),
            _next(it),
            it["waits"] or it["reason"],
        )
        for it in turns
    ]


def _part_rows(parts: Iterable[Mapping[str, Any]]) -> list[Sequence[object]]:
    return [
        (
            it["id"],
            it["bot"],
            it["psid"],
            it["kind"],
            it["number"],
            it["state"],
            it["attempt"],
            it["turn"],
            _next(it),
            it["waits"] or it["reason"],
        )
        for it in parts
    ]


def _next(row: Mapping[str, Any]) -> str:
    return "-" if row["next"] is None else span(row["next"])


def thing_lines(said: Mapping[str, Any]) -> list[str]:
    """
    Show one thing of the queue, with what belongs to it.
    """
    row = said[said["what"]]
    times = ("at", "received", "began")
    lines = [
        f"{name:<10} {when(value) if name in times else printable(str(value))}"
        for name, value in row.items()
        if value is not None
    ]
    for title, head, rows in (
        (
            "messages of this turn",
            ("ID", "BOT", "PSID", "KIND", "STATE", "TURN", "RECEIVED"),
            _event_rows(said["events"]),
        ),
        (
            "parts of this turn",
            _PART_HEAD,
            _part_rows(said["parts"]),
        ),
    ):
        if rows:
            lines += ["", *_block(title, head, rows)]
    return lines


def conversation_lines(said: Mapping[str, Any]) -> list[str]:
    """
    Show a conversation.
    """
    lines = [
        f"bot {said['bot']}, Page {said['page']}, person {said['psid']}",
        f"last heard of {when(said['heard'])}; the bot is {quiet(said)}",
        "",
    ]
    lines += [
        f"{when(it['at'])}  {it['role']:<8} {printable(it['text'])}"
        for it in said["history"]
    ]
    lines += [
        f"{when(it['at'])}  {it['id']:<8} {printable(it['text'] or '')}  (unanswered)"
        for it in said["unanswered"]
    ]
    lines += [
        f"{it['id']}  {it['kind']}, {it['state']}: {printable(it['text'])}"
        for it in said["unsent"]
    ]
    if said["undelivered"]:
        lines += ["", "not delivered:"]
    lines += [
        f"{it['id']}  {it['kind']}, {it['state']} ({it['reason']}):"
        f" {printable(it['text'])}"
        for it in said["undelivered"]
    ]
    return lines


def unanswered(said: Mapping[str, Any]) -> str:
    """
    Say which messages nobody answers, and what has the bot do so.
    """
    ids, more = said["unanswered_ids"][:_NAMED], said["unanswered"] - _NAMED
    names = ", ".join(ids) + (f" and {more} more" if more > 0 else "")
    return (
        f"left to you, and unanswered: {names}; `micamessenger queue retry {ids[0]}`"
        " has the bot answer"
    )


def quiet(said: Mapping[str, Any]) -> str:
    """
    Say until when the bot is quiet.
    """
    if not said.get("paused", True):
        return "awake"
    if said["forever"]:
        return "quiet until `micamessenger conversation resume`"
    return f"quiet until {when(said['quiet_until'])}"
