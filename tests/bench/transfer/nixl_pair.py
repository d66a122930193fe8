"""Two NIXL agents in two processes move the tables of our benchmark; runs in a Python that has the `nixl` wheel.

Reads one JSON document from standard input: descriptor_bytes, descriptors, pool_blocks, operation, seconds, seed.
Writes one: the duration of each request, processor seconds of both ends, and what was verified. Requests follow each
other one at a time; each has a table and data of its own. Making the request, writing, poisoning and checking lie outside
its clock. The progress thread is on at both ends: a passive target does nothing without it.
"""
import gc
import importlib
import json
import multiprocessing
import os
import sys
import time

import numpy

POISON = numpy.uint64(0xDEAD_BEEF_DEAD_BEEF)
# No request takes longer than this, or the pair ends with an error.
MOST_SECONDS = 60.0


def nixl():
    """The wheel's module goes by the CUDA version that it was built for."""
    for name in ("nixl_cu12._api", "nixl_cu13._api", "nixl._api"):
        try:
            return importlib.import_module(name)
        except ImportError:
            continue
    raise SystemExit("found no nixl wheel in this Python; install nixl-cu12 and numpy into it")


class Pool:
    """A pool of blocks, every page written, registered with an agent of its own."""

    def __init__(self, name, plan):
        self.words = numpy.full((plan["pool_blocks"], plan["descriptor_bytes"] // 8), POISON, dtype=numpy.uint64)
        self.bytes = plan["descriptor_bytes"]
        self.module = nixl()
        self.agent = self.module.nixl_agent(name, self.module.nixl_agent_config(True, backends=["UCX"]))
        address = self.words.ctypes.data
        self.agent.register_memory(self.agent.get_reg_descs([(address, self.words.nbytes, 0, "")], "DRAM"))

    def rows(self, blocks, base=None):
        """Descriptors of blocks, as NIXL takes them: address, length, device."""
        table = numpy.zeros((len(blocks), 3), dtype=numpy.uint64)
        table[:, 0] = (base or self.words.ctypes.data) + blocks.astype(numpy.uint64) * numpy.uint64(self.bytes)
        table[:, 1] = self.bytes
        return self.agent.get_xfer_descs(table, "DRAM")

    def fill(self, blocks, number):
        """A word tells its block and its round; blocks that are swapped are found."""
        first = blocks.astype(numpy.uint64) << numpy.uint64(20)
        self.words[blocks] = (first + numpy.uint64(number + 1))[:, None] * numpy.uint64(0x9E37_79B9_7F4A_7C15)

    def poison(self, blocks):
        self.words[blocks] = POISON

    def verified(self, destinations, sources, number):
        expected = ((sources.astype(numpy.uint64) << numpy.uint64(20)) + numpy.uint64(number + 1)) * numpy.uint64(0x9E37_79B9_7F4A_7C15)
        return int((self.words[destinations] == expected[:, None]).all(axis=1).sum())


def tables(plan, number):
    """The blocks of one request at both ends, every one alone."""
    random = numpy.random.default_rng([plan["seed"], number])
    return tuple(random.permutation(plan["pool_blocks"])[: plan["descriptors"]] for _ in range(2))


def target(pipe, plan):
    """Serves the other process: makes data ready, checks it, tells its processor time."""
    pool = Pool("target", plan)
    pipe.send((pool.agent.get_agent_metadata(), pool.words.ctypes.data))
    holds_source = plan["operation"] == "read"
    while True:
        what, number = pipe.recv()
        sources, destinations = tables(plan, number)
        if what == "ready":
            pool.fill(sources, number) if holds_source else pool.poison(destinations)
            pipe.send(time.process_time())
        elif what == "check":
            # The processor time ends before the check begins.
            used = time.process_time()
            pool.agent.get_new_notifs()
            pipe.send((used, 0 if holds_source else pool.verified(destinations, sources, number)))
        else:
            return


def move(pool, handle):
    """From the call that posts until the last byte is placed, as NIXL tells its user."""
    state = pool.agent.transfer(handle)
    posted = time.perf_counter()
    while state == "PROC":
        state = pool.agent.check_xfer_state(handle)
        if time.perf_counter() - posted > MOST_SECONDS:
            raise SystemExit(f"a NIXL request was not complete after {MOST_SECONDS:.0f} s")
    if state != "DONE":
        raise SystemExit(f"a NIXL request ended in state {state}")
    return posted


def initiator(pipe, plan):
    pool = Pool("initiator", plan)
    metadata, base = pipe.recv()
    remote = pool.agent.add_remote_agent(metadata)
    reads = plan["operation"] == "read"
    out = {"request_s": [], "post_s": [], "initiator_cpu_s": 0.0, "target_cpu_s": 0.0, "verified": 0, "requests": 0}
    began, number = None, 0
    # The cold first request counts in no figure; a median needs three.
    while number < 4 or time.perf_counter() - began < plan["seconds"]:
        sources, destinations = tables(plan, number)
        pipe.send(("ready", number))
        pool.poison(destinations) if reads else pool.fill(sources, number)
        local, there = (destinations, sources) if reads else (sources, destinations)
        handle = pool.agent.initialize_xfer(
            "READ" if reads else "WRITE", pool.rows(local), pool.rows(there, base), remote, b"placed")
        target_before = pipe.recv()
        cpu_before, start = time.process_time(), time.perf_counter()
        posted = move(pool, handle)
        end, cpu = time.perf_counter(), time.process_time()
        pipe.send(("check", number))
        target_cpu, there_verified = pipe.recv()
        out["verified"] += there_verified + (pool.verified(destinations, sources, number) if reads else 0)
        out["requests"] += 1
        if number > 0:
            out["request_s"].append(end - start)
            out["post_s"].append(posted - start)
            out["initiator_cpu_s"] += cpu - cpu_before
            out["target_cpu_s"] += target_cpu - target_before
        else:
            began = time.perf_counter()
        pool.agent.release_xfer_handle(handle)
        number += 1
    pipe.send(("end", 0))
    return out


def main():
    plan = json.load(sys.stdin)
    gc.disable()
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    other = context.Process(target=target, args=(theirs, plan), daemon=True)
    other.start()
    theirs.close()
    out = initiator(ours, plan)
    other.join(10)
    print(json.dumps(out), flush=True)
    # The wheel sometimes crashes while it is taken down; the figures are out by then.
    os._exit(0)


if __name__ == "__main__":
    main()
