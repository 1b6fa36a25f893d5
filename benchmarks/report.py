"""What a comparison prints: a row for each workload, in words or as Markdown, and what rows share.

A row maps libraries to their figures, the base first; a table maps workloads to rows.
"""

import statistics

TITLES = {"torch": "PyTorch", "cresset": "Cresset", "jax": "JAX"}
# The figures of a start, with what they are kept under: until a step was done, in seconds.
STARTS = ("cold", "warm")


def module_of(library):
    """The module of a library, however it is used."""
    return library.partition(":")[0]


def title(library):
    """What a column calls a library."""
    module, _, mode = library.partition(":")
    return f"{TITLES.get(module, module)}{' compiled' * bool(mode)}"


# --- figures --------------------------------------------------------------------------------------


def speed_ups(row):
    """Library -> how many times as fast as the first one; empty where the first one failed."""
    base = next(iter(row.values())).get("seconds")
    if base is None:
        return {}
    return {name: base / own["seconds"] for name, own in row.items() if "seconds" in own}


def against_best(row, library):
    """How many times as fast a library is as the fastest use of the others; None where unknown."""
    others = [figures["seconds"] for other, figures in row.items()
              if "seconds" in figures and module_of(other) != module_of(library)]
    own = row[library].get("seconds")
    return min(others) / own if others and own else None


def started(figures, kind):
    """The seconds of a cold or a warm start; None where it was not measured."""
    return figures.get(kind, {}).get(kind)


# --- rows in words --------------------------------------------------------------------------------


def cell(library, figures, ratio):
    """What a row says of one library."""
    if "seconds" not in figures:
        return f"{library}: {figures.get('failed', 'none')}"
    words = [library, f"{figures['seconds'] * 1e6:.1f} us"]
    if ratio is not None:
        words.append(f"x{ratio:.2f}")
    if "limit" in figures:
        words.append(f"{figures['limit']:.0%} of the limit")
    words.append(f"first {figures['first']:.2f} s {figures['peak_mib']:.0f} MiB")
    if figures["result"] is not None:
        words.append(f"result {figures['result']:.6g}")
    for kind in STARTS:
        if (seconds := started(figures, kind)) is not None:
            words.append(f"{kind} {seconds:.2f} s")
            if kind == "cold" and figures["cold"]["compiled"]:
                words.append("{} kernels in {:.0f} ms".format(*figures["cold"]["compiled"]))
    return " ".join(words)


def print_row(name, row):
    """One line: the workload, and what every library made of it."""
    ratios = speed_ups(row)
    cells = [cell(library, figures, ratios.get(library)) for library, figures in row.items()]
    print(f"{name:28} {' | '.join(cells)}", flush=True)


# --- rows of Markdown -----------------------------------------------------------------------------


def print_heading(libraries, workloads, kinds):
    """The head of a table in Markdown; `kinds` are the starts that are measured."""
    print_cells(name for name, _ in columns(libraries, workloads, kinds))
    print_cells("---" for _ in columns(libraries, workloads, kinds))


def print_markdown(name, row, workloads, kinds):
    """One row of a table in Markdown."""
    print_cells([name, *(show(row) for _, show in columns(list(row), workloads, kinds)[1:])])


def print_cells(cells):
    print("|", " | ".join(cells), "|", flush=True)


def columns(libraries, workloads, kinds):
    """The columns of a table: the heading, and the function that shows what a row has there."""
    found = [("workload", None)]
    for library in libraries:
        found.append((f"{title(library)}, us", lambda row, name=library: microseconds(row[name])))
        if library != libraries[0]:
            found.append(("times as fast", lambda row, name=library: number(
                speed_ups(row).get(name), ".2f")))
    last = libraries[-1]
    if len({module_of(library) for library in libraries}) > 2:
        found.append(("as the best other", lambda row: number(against_best(row, last), ".2f")))
    if any(workload.bytes or workload.flops for workload in workloads):
        found.append(("of the limit", lambda row: number(row[last].get("limit"), ".0%", " %")))
    names = ", ".join(map(title, libraries))
    if any(workload.group == "models" for workload in workloads):
        found.append((f"MiB: {names}", lambda row: ", ".join(
            number(row[library].get("peak_mib"), ".0f") for library in libraries)))
    for kind in kinds:
        found.append((f"{kind}, s: {names}", lambda row, kind=kind: ", ".join(
            number(started(row[library], kind), ".2f") for library in libraries)))
    return found


def number(value, form, unit=""):
    """A number as a cell shows it; a dash for what is not there."""
    if value is None:
        return "-"
    return format(value, form).removesuffix("%") + unit


def microseconds(figures):
    """The time of a step, in three digits or more."""
    seconds = figures.get("seconds")
    return number(seconds and seconds * 1e6, ".0f" if seconds and seconds > 1e-4 else ".1f")


# --- what rows share ------------------------------------------------------------------------------


def print_means(table, libraries):
    """For every library but the first: the geometric mean of its ratios, and the least of them.

    For the last one also those beside the best of the others, where these are several, and the
    slowest of its starts.
    """
    for library in libraries[1:]:
        print_mean(library, {name: speed_ups(row).get(library) for name, row in table.items()})
    if len({module_of(library) for library in libraries}) > 2:
        best = {name: against_best(row, libraries[-1]) for name, row in table.items()}
        print_mean(f"{libraries[-1]} beside the best other library", best)
    for kind in STARTS:
        print_starts(table, libraries[-1], kind)


def print_mean(what, ratios):
    """The geometric mean of the ratios that are known, and the least."""
    known = {name: ratio for name, ratio in ratios.items() if ratio}
    if known:
        least = min(known, key=known.get)
        print(
            f"geometric mean {what}: x{statistics.geometric_mean(known.values()):.2f} over "
            f"{len(known)} of {len(ratios)}; least x{known[least]:.2f} ({least})"
        )


def print_starts(table, library, kind):
    """The longest start of a library, and the least factor by which each other takes longer."""
    found = {
        name: seconds for name, row in table.items() if (seconds := started(row[library], kind))
    }
    if not found:
        return
    most = max(found, key=found.get)
    words = [f"{kind} {library}: at most {found[most]:.2f} s ({most})"]
    for other in next(iter(table.values())):
        factors = [
            seconds / found[name] for name, row in table.items()
            if name in found and (seconds := started(row[other], kind))
        ]
        if factors and module_of(other) != module_of(library):
            words.append(f"{other} takes x{min(factors):.1f} or more")
    print("; ".join(words))
