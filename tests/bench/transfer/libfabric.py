"""What libfabric's TCP is called in the libfabric of ours."""
import json
import os

from program import Failed, run


def tcp_of(bootstrap):
    """`tcp`, or its name below the layer that libfabric before 1.18 needs."""
    try:
        probe = json.loads(run([os.path.join(os.path.dirname(bootstrap), "prefab-fabric"), "probe"], seconds=60))
    except (Failed, OSError, ValueError):
        return "tcp"
    usable = [entry["transport"] for entry in probe["transports"] if entry["unavailable"] is None]
    return next((name for name in ("tcp", "tcp;ofi_rxm") if name in usable), "tcp")
