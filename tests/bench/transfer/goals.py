"""The goals: which cell of ours, against whom, at least how many times as fast."""
import dataclasses

from peers import Allowance, BothWays, Ceiling, Cost, Fabtests, Iperf3, Nixl, Ours, StopGo

# What fi_rma_bw can do: windows of hot memory. Its operations lie in one run; ours of 8 KiB lie apart, so that none of them can
# be joined and each is an operation.
HOT = ("--working-set", "0", "--no-ceilings")
WINDOWS_8_KIB = ("sweep", "--local", "--sizes", "8KiB", "--window", "1024", "--fragmentation", "1", *HOT)
WINDOWS_256_KIB = ("sweep", "--local", "--sizes", "256KiB", "--window", "64", "--fragmentation", "0", *HOT)
# A steady flow keeps room for the window that is verified.
ROOM = ("working_set_bytes",)
APART = ("fragmentation", *ROOM)


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
    unit: str = "GB/s"


def goals(bootstrap, fabric_tcp, checks_stopgo=False):
    """Every goal, in the order of the report. `fabric_tcp` is the name that libfabric's TCP has here. With `checks_stopgo` what
    stands in for fi_rma_bw is held against it."""

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

    def windows_of_fi_rma_bw(shape):
        peers = fi_rma_bw("tcp")
        return (*peers, StopGo(bootstrap, (*shape, "--transport", fabric_tcp, "--op", "write"), peers))

    in_windows = windows("builtin-tcp", WINDOWS_8_KIB)
    rows.append(Goal(ours("builtin-tcp write 8 KiB, windows", *in_windows), windows_of_fi_rma_bw(WINDOWS_8_KIB), 3.0, APART))
    for name, shape, operation, at_least, admitted in (
        ("tcp write 256 KiB, windows", WINDOWS_256_KIB, "write", 0.95, ROOM),
        ("tcp write 8 KiB, windows", WINDOWS_8_KIB, "write", 2.0, APART),
        ("tcp packed 8 KiB, windows", WINDOWS_8_KIB, "packed", 2.5, ("semantics", "operation", *APART)),
    ):
        options = windows(fabric_tcp, shape, operation)
        rows.append(Goal(ours(name, *options), windows_of_fi_rma_bw(shape), at_least, admitted))
    if checks_stopgo:
        for shape, admitted in ((WINDOWS_8_KIB, ("fragmentation",)), (WINDOWS_256_KIB, ())):
            stopgo = StopGo(bootstrap, (*shape, "--transport", fabric_tcp, "--op", "write"))
            rows.append(Goal(Stands(stopgo, shape[3]), fi_rma_bw("tcp"), 0.95, admitted, informs=True))
    shm = windows("shm", WINDOWS_256_KIB)
    rows.append(Goal(BothWays(bootstrap, shm, "shm write 256 KiB, both ways"), fi_rma_bw("shm", both_ways=True), 0.95,
                     ROOM, informs=True))
    null = Cost(bootstrap, ("--transport", "null", *WINDOWS_8_KIB[2:]), "null, post and poll")
    rows.append(Goal(null, (Allowance(200),), 1.0, unit="M/s"))
    rows.append(Goal(ours("builtin-tcp write 256 KiB, windows", *windows("builtin-tcp", WINDOWS_256_KIB)), (Iperf3(),),
                     None, informs=True))
    return rows


class Stands:
    """The stand-in in the place of ours, to be held against what it stands in for."""

    def __init__(self, stopgo, size):
        self.stopgo, self.name = stopgo, f"stop-and-go {size}, the stand-in"

    def measure(self, seconds, _asked=None):
        figure = self.stopgo.ours.measure(seconds)
        return dataclasses.replace(figure, setting=dataclasses.replace(figure.setting, mode="steady"))
