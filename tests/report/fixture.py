#!/usr/bin/env python3
"""Reports that nobody measured, for tests of what shows them. Each says so where its processor stands.

    fixture.py efa | troubled | thousand | checks  > FILE
"""
import json
import math
import random
import sys

NOT_MEASURED = "fixture, not a measurement"
BYTES_PER_TOKEN = 65_536
# GB/s far from the ceiling of 12.5, and what they lose with small descriptors; nobody's figures.
RATES = {"efa": 10.4, "tcp": 4.1, "shm": 5.2, "builtin-tcp": 3.3, "builtin-vm": 3.7}
DESCRIPTOR_BYTES = {"kv-split": 8_192, "layer": 16_384, "block": 1_048_576}


LIBRARY = "/opt/amazon/efa/lib/libfabric.so.1 2.4"


def facts(transport, operation):
    """What the engine knows of the way."""
    told = {
        "waiting": "adaptive", "completion": "acknowledged by the target", "memory_path": "host", "provider": None, "fabric": None,
        "domain": None, "device": None, "library": None, "api": None, "depth": None, "operation_bytes": None, "pieces": None,
        "rx_cq_data": None, "refused_options": [], "rdma": None,
    }
    if transport.startswith("builtin"):
        return told
    told |= {
        "waiting": "spin-sread", "completion": "last-message", "provider": transport, "fabric": transport, "domain": f"{transport}-dom",
        "library": LIBRARY, "api": "2.4", "depth": 1_024, "operation_bytes": 1 << 20, "pieces": 4, "rx_cq_data": False,
    }
    if transport == "efa":
        told |= {
            "completion": "count-immediates", "domain": "rdmap0s6-rdm", "device": "rdmap0s6", "pieces": 1,
            "refused_options": ["FI_OPT_EFA_WRITE_IN_ORDER_ALIGNED_128_BYTES: Operation not supported"],
            "rdma": "emulated" if operation == "packed" else "hardware",
        }
    return told


def counters(transport, operation, moved):
    """How much the device's counters moved, where there is one."""
    if transport != "efa":
        return []
    side, name = {"read": ("initiator", "rdma_read_bytes"), "write": ("initiator", "rdma_write_bytes"), "packed": ("target", "rx_bytes")}[operation]
    return [{"side": side, "device": "rdmap0s6", "name": name, "moved": moved}]


def buckets(took):
    """Twenty for each tenfold."""
    counted = {}
    for us in took:
        upper = round(10 ** (math.ceil(math.log10(us) * 20) / 20), 1)
        counted[upper] = counted.get(upper, 0) + 1
    return [{"up_to_us": upper, "requests": counted[upper]} for upper in sorted(counted)]


def environment(**changes):
    return {
        "bootstrap_version": "0.1.0", "engine_version": "0.1.0", "loopback": False, "kernel": "6.8.0-fixture",
        "cpu_model": NOT_MEASURED, "cpus": 48, "last_level_cache_bytes": 33_554_432, "memory_bytes": 412_316_860_416,
        "load_before": 0.2, "load_after": 1.4, "model": "Qwen2.5-32B-Instruct", "tensor_parallel": 4, "block_tokens": 16,
        "seed": 1, "peers": [{"node": "Prefill0", "kernel": "6.8.0-fixture", "cpus": 48, "load_before": 0.1}],
    } | changes


def case(transport, operation, tokens, layout="block", rounds=40, slower=1.0, seed=1, **changes):
    random_of = random.Random(f"{seed} {transport} {operation} {tokens} {layout}")
    payload = tokens * BYTES_PER_TOKEN
    descriptor = DESCRIPTOR_BYTES[layout]
    share = descriptor / (descriptor + 12_000)
    rate = RATES[transport] * share * {"read": 1.0, "write": 0.93, "packed": 1.08}[operation] / slower
    prefill_ms = changes.get("prefill_ms") or 0
    median_us = 120 + payload / rate / 1e3
    exposed = median_us * {"layerwise": 0.06, "chunked": 0.14}.get(changes.get("schedule"), 1.0)
    took = [prefill_ms * 1e3 + (exposed if prefill_ms else median_us) * random_of.lognormvariate(0, 0.03) for _ in range(rounds)]
    ordered = sorted(took)
    median = ordered[len(ordered) // 2] if took else None
    told = lambda q, least: ordered[int(q * (len(ordered) - 1))] if len(ordered) >= least else None
    return {
        "transport": transport, "provider": None if transport.startswith("builtin") else transport, "path": transport,
        "path_evidence": "the device's counters moved by the payload" if transport == "efa" else "the provider that was opened",
        "waiting": facts(transport, operation)["waiting"], "facts": facts(transport, operation),
        "counters": counters(transport, operation, payload * rounds),
        "semantics": "receiver-assisted" if operation == "packed" else "one-sided", "mode": "request", "q": 1,
        "memory": "host", "layout": layout, "operation": operation, "prompt_tokens": tokens, "hit_tokens": 0,
        "fragmentation": 1.0, "payload_bytes": payload, "descriptor_bytes": descriptor,
        "descriptors": payload // descriptor, "runs_per_request": payload / descriptor,
        "working_set_bytes": max(1 << 30, payload), "threads_initiator": 1, "threads_target": 1, "rounds": rounds,
        "gb_per_s": payload / median / 1e3 if took else None,
        "descriptors_per_s": payload / descriptor / median * 1e6 if took else None,
        "p50_us": told(0.5, 20), "p90_us": told(0.9, 100), "p99_us": told(0.99, 1_000), "p999_us": None,
        "max_us": max(took, default=None), "latencies": buckets(took), "requests": rounds, "window_s": None,
        "start_ms": 2.1, "load_ms": 0.0 if transport.startswith("builtin") else 38.5, "post_us_p50": 21.5, "prep_us": 1_830.0,
        "exposed_us": median - prefill_ms * 1e3 if prefill_ms else None,
        "first_transfer_ms": (median or 0) / 1e3 * 1.7, "registration_ms": 310.0, "connect_ms": 4.2,
        "initiator_cpu_s_per_gb": 0.09 if transport == "efa" else 0.31,
        "target_cpu_s_per_gb": 0.02 if transport == "efa" and operation != "packed" else 0.24,
        "ceiling_gb_per_s": rate * 1.06, "ceiling_kind": "spinning x 1", "ceiling_ratio": 0.94, "link_gb_per_s": 12.5, "link_share": rate / 12.5,
        "blocks_verified": payload // descriptor * (rounds + 1), "verified": True, "ended": "complete", "failure": None,
        "rounds_us": [round(us, 3) for us in took],
    } | changes


def report(cases, **changes):
    return {"schema_version": 1, "environment": environment(**changes), "cases": cases}


def steady(transport, operation, tokens, **more):
    """A flow of requests, whose report has no rounds."""
    it = case(transport, operation, tokens, rounds=1_200, **more)
    return it | {"mode": "steady", "q": 4, "rounds": 0, "window_s": 5.0, "rounds_us": []}


def efa(slower=1.0, seed=1):
    cases = [
        case(transport, operation, tokens, slower=slower if transport == "efa" else 1.0, seed=seed)
        for transport in ("efa", "tcp")
        for operation in ("read", "write", "packed")
        for tokens in (4_096, 32_768)
    ]
    cases += [
        case(transport, "write", 4_096, schedule=schedule, prefill_ms=400, seed=seed)
        for transport in ("efa", "tcp")
        for schedule in ("whole", "chunked", "layerwise")
    ]
    cases += [steady(transport, "read", 4_096, seed=seed) for transport in ("efa", "tcp")]
    for transport, path, costs in (("efa", "gpudirect by dma-buf", 1.02), ("tcp", "staged through host", 1.6)):
        gpu = case(transport, "read", 4_096, memory="gpu", slower=costs, seed=seed)
        gpu["facts"]["memory_path"] = path
        cases.append(gpu)
    return report(cases)


HOSTILE = "</script><script>injected=1</script><img src=x onerror=injected=1>\u2028\u001b[31m`|*_"


def troubled():
    """Everything that can be wrong with a run, and names that want to be markup."""
    cut = {"side": "target", "stage": "transfer", "cause": f"killed by signal 9 {HOSTILE}", "unavailable": False}
    absent = {"side": "initiator", "stage": "load", "cause": "found no EFA device", "unavailable": True}
    nothing = {name: None for name in ("max_us", "first_transfer_ms", "registration_ms", "connect_ms", "post_us_p50",
                                       "waiting", "facts", "start_ms", "load_ms", "ceiling_kind", "initiator_cpu_s_per_gb", "target_cpu_s_per_gb", "ceiling_gb_per_s", "ceiling_ratio")}
    cases = [
        case("builtin-tcp", "read", 4_096, layout="kv-split"),
        case("builtin-vm", "read", 4_096, layout="kv-split", ceiling_ratio=1.2),
        case("builtin-tcp", "write", 4_096, layout="kv-split", rounds=3, ended="partial", verified=False, failure=cut),
        case("tcp", "read", 4_096, layout="kv-split", path="inconclusive", rounds=12),
        case("builtin-vm", "write", 4_096, layout="kv-split", verified=False),
        case("efa", "read", 4_096, layout="kv-split", rounds=0, ended="partial", verified=False, failure=absent, counters=[], **nothing),
    ]
    for it in cases:
        it["link_gb_per_s"] = it["link_share"] = None
    return report(cases, loopback=True, peers=[], load_before=6.2, model=HOSTILE, kernel=None, memory_bytes=None,
                  remarks=[f"a choice {HOSTILE}"])


def thousand():
    """As many cases as anybody measures at once."""
    shapes = [
        (transport, operation, tokens, layout, {"fragmentation": fragmentation, "q": q})
        for layout in ("kv-split", "layer", "block")
        for fragmentation in (0.0, 0.5, 1.0)
        for q in (1, 4)
        for transport in ("efa", "tcp", "builtin-tcp")
        for operation in ("read", "write", "packed")
        for tokens in (1_024, 4_096, 8_192, 16_384, 32_768, 65_536, 100_000)
    ]
    return report([case(*shape[:4], rounds=20, **shape[4]) for shape in shapes[:1_000]])


def checks():
    row = lambda name, outcome, found, expected=None, hint=None: {
        "id": name, "group": name.split(".")[0], "outcome": outcome, "found": found, "expected": expected, "hint": hint,
        "milliseconds": 1,
    }
    return {"schema_version": 1, "checks": [
        row("efa.devices", "pass", "1 device, rdmap0s6"),
        row("efa.memlock", "fail", "65,536 bytes", "unlimited", "raise `memlock` in /etc/security/limits.conf"),
        row("gpu.persistence", "warn", "persistence is off", "on", "run `nvidia-smi -pm 1`"),
        row("gpu.fabric-manager", "skip", "this type has no NVSwitch"),
    ]}


KINDS = {"efa": efa, "troubled": troubled, "thousand": thousand, "checks": checks,
         "slower": lambda: efa(slower=1.2, seed=2), "again": lambda: efa(seed=3)}

if __name__ == "__main__":
    json.dump(KINDS[sys.argv[1]](), sys.stdout)
