"""The libfabric of ours: what its TCP is called here, and a stand-in whose devices move data by memcpy."""
import functools
import json
import os
import tempfile

from program import Failed, run

STUB = os.path.join(os.path.dirname(__file__), "../../standins/libfabric_stub/build.sh")
# Lives as long as this program.
FOLDER = tempfile.TemporaryDirectory(prefix="prefab-stub-")


def tcp_of(bootstrap):
    """`tcp`, or its name below the layer that libfabric before 1.18 needs."""
    try:
        probe = json.loads(run([os.path.join(os.path.dirname(bootstrap), "prefab-fabric"), "probe"], seconds=60))
    except (Failed, OSError, ValueError):
        return "tcp"
    usable = [entry["transport"] for entry in probe["transports"] if entry["unavailable"] is None]
    return next((name for name in ("tcp", "tcp;ofi_rxm") if name in usable), "tcp")


@functools.cache
def stub():
    """The path of the stand-in's library."""
    path = os.path.join(FOLDER.name, "libfabric.so.1")
    run([STUB, path], seconds=120)
    return path
