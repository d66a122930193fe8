"""Two NIXL agents in two processes read blocks between GPU pools; runs in a Python with NIXL's wheel and PyTorch.

Reads one JSON document from standard input: descriptor_bytes, descriptors, pool_blocks, requests, seed. Writes one: the
duration of each request but the cold first, and what was verified. Each request has a table and data of its own; making the
request, writing, poisoning and checking lie outside its clock. With two GPUs each end has one.
"""
import importlib
import json
import multiprocessing
import os
import sys
import time

import numpy
import torch

MOST_SECONDS = 100.0


def nixl():
    for name in ("nixl_cu13._api", "nixl_cu12._api", "nixl._api"):
        try:
            return importlib.import_module(name)
        except ImportError:
            continue
    raise SystemExit("found no nixl wheel in this Python")


class Pool:
    def __init__(self, name, device, plan):
        self.device = device
        torch.cuda.set_device(device)
        self.words = torch.full((plan["pool_blocks"], plan["descriptor_bytes"] // 8), -1, dtype=torch.int64, device=device)
        torch.cuda.synchronize()
        self.bytes = plan["descriptor_bytes"]
        module = nixl()
        self.agent = module.nixl_agent(name, module.nixl_agent_config(True, backends=["UCX"]))
        address, length = self.words.data_ptr(), self.words.numel() * 8
        self.agent.register_memory(self.agent.get_reg_descs([(address, length, device, "")], "VRAM"))

    def rows(self, blocks, base, device):
        table = numpy.zeros((len(blocks), 3), dtype=numpy.uint64)
        table[:, 0] = numpy.uint64(base) + blocks.astype(numpy.uint64) * numpy.uint64(self.bytes)
        table[:, 1] = self.bytes
        table[:, 2] = device
        return self.agent.get_xfer_descs(table, "VRAM")

    def data(self, blocks, number):
        first = torch.tensor(blocks, dtype=torch.int64, device=self.device) * 1048576 + number + 1
        return first[:, None] + torch.arange(self.words.shape[1], device=self.device)[None, :]

    def fill(self, blocks, number):
        self.words[torch.tensor(blocks, device=self.device)] = self.data(blocks, number)
        torch.cuda.synchronize()

    def verified(self, destinations, sources, number):
        found = self.words[torch.tensor(destinations, device=self.device)]
        return int((found == self.data(sources, number)).all(dim=1).sum())


def tables(plan, number):
    random = numpy.random.default_rng([plan["seed"], number])
    return tuple(random.permutation(plan["pool_blocks"])[: plan["descriptors"]] for _ in range(2))


def target(pipe, plan):
    device = torch.cuda.device_count() - 1
    pool = Pool("target", device, plan)
    pipe.send((pool.agent.get_agent_metadata(), pool.words.data_ptr(), device))
    while True:
        what, number = pipe.recv()
        if what == "end":
            return
        pool.fill(tables(plan, number)[0], number)
        pipe.send("ready")


def main():
    plan = json.load(sys.stdin)
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    other = context.Process(target=target, args=(theirs, plan), daemon=True)
    other.start()
    pool = Pool("initiator", 0, plan)
    metadata, base, device = ours.recv()
    remote = pool.agent.add_remote_agent(metadata)
    out = {"request_s": [], "verified": 0, "requests": 0}
    began = time.perf_counter()
    for number in range(plan["requests"] + 1):
        sources, destinations = tables(plan, number)
        ours.send(("ready", number))
        pool.words[torch.tensor(destinations, device=0)] = -1
        torch.cuda.synchronize()
        handle = pool.agent.initialize_xfer("READ", pool.rows(destinations, pool.words.data_ptr(), 0),
                                            pool.rows(sources, base, device), remote, b"")
        ours.recv()
        start = time.perf_counter()
        state = pool.agent.transfer(handle)
        while state == "PROC":
            state = pool.agent.check_xfer_state(handle)
            if time.perf_counter() - began > MOST_SECONDS:
                raise SystemExit(f"NIXL had {number} requests complete after {MOST_SECONDS:.0f} s")
        end = time.perf_counter()
        if state != "DONE":
            raise SystemExit(f"a NIXL request ended in state {state}")
        out["verified"] += pool.verified(destinations, sources, number)
        out["requests"] += 1
        if number > 0:
            out["request_s"].append(end - start)
        pool.agent.release_xfer_handle(handle)
    print(json.dumps(out), flush=True)
    ours.send(("end", 0))
    other.join(10)
    # The wheel sometimes crashes while it is taken down; the figures are out by then.
    os._exit(0)


if __name__ == "__main__":
    main()
