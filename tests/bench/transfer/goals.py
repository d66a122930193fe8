"""The goals: which cell of ours, against whom, at least how many times as fast."""
import dataclasses

from peers import BothWays, Ceiling, Fabtests, Iperf3, Nixl, Ours

# What fi_rma_bw can do: windows from one run of hot memory.
WINDOWS_8_KIB = ("sweep", "--local", "--op", "write", "--sizes", "8KiB", "--window", "1024")
WINDOWS_256_KIB = ("sweep", "--local", "--op", "write", "--sizes", "256KiB", "--window", "64")


@dataclasses.dataclass(frozen=True)
class Goal:
    """One row of the table. `peers` are modes of one peer: the better one counts."""

    ours: object
    peers: tuple
    at_least: float | None
    # Differences of setting that are part of the goal.
    admitted: tuple = ()
    # Ours with a window and a wait, in place of an absent peer.
    stand_in: object = None
    # A figure beside others, with no verdict.
    informs: bool = False


def goals(bootstrap):
    """Every goal, in the order of the report."""

    def ours(name, *options):
        return Ours(bootstrap, options, name)

    def stop_and_go(*options):
        return Ours(bootstrap, (*options, "--baseline", "stopgo"), "stop-and-go on the same libfabric")

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

    def windows(transport, shape, *more):
        return (*shape, "--transport", transport, "--mode", "steady", *more)

    in_windows = windows("builtin-tcp", WINDOWS_8_KIB)
    rows.append(Goal(ours("builtin-tcp write 8 KiB, windows", *in_windows), fi_rma_bw("tcp"), 3.0,
                     stand_in=stop_and_go(*windows("tcp", WINDOWS_8_KIB))))
    for name, shape, more, at_least, admitted in (
        ("tcp write 256 KiB, windows", WINDOWS_256_KIB, (), 0.95, ()),
        ("tcp write 8 KiB, windows", WINDOWS_8_KIB, (), 2.0, ()),
        ("tcp packed 8 KiB, windows", WINDOWS_8_KIB, ("--op", "packed"), 2.5, ("semantics",)),
    ):
        options = windows("tcp", shape, *more)
        rows.append(Goal(ours(name, *options), fi_rma_bw("tcp"), at_least, admitted,
                         stop_and_go(*windows("tcp", shape))))
    shm = windows("shm", WINDOWS_256_KIB)
    rows.append(Goal(BothWays(bootstrap, shm, "shm write 256 KiB, both ways"), fi_rma_bw("shm", both_ways=True), 0.95,
                     informs=True))
    rows.append(Goal(ours("builtin-tcp write 256 KiB, windows", *windows("builtin-tcp", WINDOWS_256_KIB)), (Iperf3(),),
                     None, informs=True))
    return rows
