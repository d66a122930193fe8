"""The table that a person reads. Pure."""
import statistics

HEAD = ("ours", "rate", "peer", "rate", "ratio", "bound", "goal", "verdict")
NUMBERS = (1, 3, 4, 5, 6)


def render(rows, machine, rounds, seconds):
    lines = aligned([HEAD, *(cells(row) for row in rows)])
    for number, row in enumerate(rows, start=1):
        lines += [f"{row.ours}: {remark}" for remark in row.remarks]
        if row.failure:
            lines.append(f"{row.ours}: no figure of all rounds: {row.failure}")
    loaded = sum(row.was_busy for row in rows)
    lines += [
        "",
        f"{rounds} interleaved rounds of {seconds} s; ratio: median of the paired ratios; bound: the lower 95 % bound of it.",
        f"{machine}; before each round others had {busy_text(rows)} of the processors.",
    ]
    if loaded:
        lines.append(f"{loaded} of {len(rows)} rows were measured on a busy machine: measure again when it is quiet.")
    return "\n".join(lines) + "\n"


def cells(row):
    found = row.verdict
    return (
        row.ours,
        median(row.gb_per_s.get("ours"), row.unit),
        row.peer,
        median(row.gb_per_s.get(row.peer), row.unit),
        f"{found.median:.2f}" if found else "-",
        f"{found.lower_bound:.2f}" if found else "-",
        f"{row.at_least:.2f}" if row.at_least else "-",
        outcome(row),
    )


def outcome(row):
    if row.failure:
        return "failed"
    if row.verdict is None:
        return "no verdict"
    words = "for information" if row.informs else "met" if row.verdict.is_met else "missed"
    return words + (", busy" if row.was_busy else "")


def median(figures, unit):
    return f"{statistics.median(figures):.2f} {unit}" if figures else "-"


def busy_text(rows):
    shares = [share for row in rows for share in row.busy]
    return f"{statistics.median(shares):.0%} (at most {max(shares):.0%})" if shares else "an unknown share"


def aligned(rows):
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEAD))]

    def line(row):
        padded = (cell.rjust(width) if column in NUMBERS else cell.ljust(width)
                  for column, (cell, width) in enumerate(zip(row, widths)))
        return "  ".join(padded).rstrip()

    return [line(row) for row in rows]
