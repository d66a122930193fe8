"""The goals: which cell of ours, against whom, at least how many times as fast."""
import dataclasses

from peers import BothWays, Ceiling, Fabtests, Iperf3, Nixl, Ours

# What fi_rma_bw can do: windows from one run of hot memory.
HOT = ("--fragmentation", "0", "--working-set", "0", "--no-ceilings")
WINDOWS_8_KIB = ("sweep", "--local", "--sizes", "8KiB", "--window", "1024", *HOT)
WINDOWS_256_KIB = ("sweep", "--local", "--sizes", "256KiB", "--window", "64", *HOT)


@dataclasses.dataclass(frozen=True)
class Goal:
    """One row of the table. `peers` are modes of one peer: the better one counts."""

    ours: object
    peers: tuple
    at_least: float | None
    # Differences of setting that are part of the goal.
    admitted: tuple = ()
    # A figure beside others, with no verdict.
    informs: bool = False


def goals(bootstrap):
    """Every goal, in the order of the report."""

    def ours(name, *options):
        return Ours(bootstrap, options, name)

    def fi_rma_bw(provider, both_ways=False):
        return tuple(Fabtests("fi_rma_bw", provider, completion, both_ways) for completion in ("spin", "sread"))

    def paged(transport, operation, *more):
        options = ("--local", "--transport", transport, "--op", operation, *more)
        return ours(f"{transport} {operation} 8 KiB, paged", *options)

    rows = []
    for operation in ("read", "write"):
        tcp, vm = (paged(name, operation, "--no-ceilings") for name in ("builtin-tcp", "builtin-vm"))
        tcp_and_loops, vm_and_loops = (paged(name, operation) for name in ("builtin-tcp", "builtin-vm"))
        rows += [
            Goal(tcp_and_loops, (Ceiling(tcp_and_loops),), 0.90),
            Goal(tcp, (Nixl("NIXL tcp", "tcp"),), 6.0),
            Goal(vm_and_loops, (Ceiling(vm_and_loops),), 0.95),
            Goal(vm, (Nixl("NIXL", "all"),), 1.7),
        ]

    def windows(transport, shape, operation="write"):
        return (*shape, "--transport", transport, "--op", operation, "--mode", "steady")

    in_windows = windows("builtin-tcp", WINDOWS_8_KIB)
    rows.append(Goal(ours("builtin-tcp write 8 KiB, windows", *in_windows), fi_rma_bw("tcp"), 3.0))
    for name, shape, operation, at_least, admitted in (
        ("tcp write 256 KiB, windows", WINDOWS_256_KIB, "write", 0.95, ()),
        ("tcp write 8 KiB, windows", WINDOWS_8_KIB, "write", 2.0, ()),
        ("tcp packed 8 KiB, windows", WINDOWS_8_KIB, "packed", 2.5, ("semantics", "operation")),
    ):
        options = windows("tcp", shape, operation)
        rows.append(Goal(ours(name, *options), fi_rma_bw("tcp"), at_least, admitted))
    shm = windows("shm", WINDOWS_256_KIB)
    rows.append(Goal(BothWays(bootstrap, shm, "shm write 256 KiB, both ways"), fi_rma_bw("shm", both_ways=True), 0.95,
                     informs=True))
    rows.append(Goal(ours("builtin-tcp write 256 KiB, windows", *windows("builtin-tcp", WINDOWS_256_KIB)), (Iperf3(),),
                     None, informs=True))
    return rows
