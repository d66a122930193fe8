"""What was measured, so that only like is compared with like. Pure."""
import dataclasses


@dataclasses.dataclass(frozen=True)
class Setting:
    """Everything that must be equal at ours and a peer before a ratio of them means anything."""

    mode: str  # request: closed loop over whole requests; steady: requests completed inside a time
    q: int  # requests outstanding
    operation: str  # read or write
    direction: str  # one-way or both-ways
    semantics: str  # one-sided, receiver-assisted, or stream: bytes that nobody places
    descriptor_bytes: int
    descriptors: int  # of one request
    fragmentation: float  # 1: every block alone; 0: all in one run
    working_set_bytes: int  # of each end
    threads_initiator: int  # that move data
    threads_target: int
    memory: str = "host"


def differences(ours, peer):
    """The fields that differ, each with both values."""
    fields = (field.name for field in dataclasses.fields(Setting))
    return {name: (getattr(ours, name), getattr(peer, name)) for name in fields if getattr(ours, name) != getattr(peer, name)}


def objections(ours, peer, admitted=()):
    """Why no ratio may be made: every difference that the goal does not name, and every one that it names in vain."""
    found = differences(ours, peer)
    refused = [f"{name}: ours {mine}, the peer's {theirs}" for name, (mine, theirs) in found.items() if name not in admitted]
    idle = [f"{name}: equal, though the goal admits a difference" for name in admitted if name not in found]
    return refused + idle
