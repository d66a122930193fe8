"""The programs that ours is measured against: where they are, how they run, what they then measured.

A peer is asked with the setting of ours, takes over what it can, and answers with the setting that it really had.
"""
import concurrent.futures
import dataclasses
import json
import os
import re
import resource
import shutil
import socket
import statistics
import time

from program import Failed, finish, end, run, start
from setting import Setting


@dataclasses.dataclass(frozen=True)
class Figure:
    """One round of one program."""

    gb_per_s: float
    setting: Setting
    cpu_s_per_gb: float | None = None


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Ours:
    """`prefab-bootstrap bench`, one case."""

    def __init__(self, bootstrap, options, name):
        self.command, self.name, self.ceiling_gb_per_s = [bootstrap, "bench", *options], name, None

    def absent(self):
        return None

    def measure(self, seconds, _asked=None):
        # A steady window has at least five seconds.
        seconds = max(seconds, 5) if "steady" in self.command else seconds
        text = run([*self.command, "--duration", str(seconds), "--json", "-", "--progress", "none"])
        cases = json.loads(text)["cases"]
        if len(cases) != 1:
            raise Failed(f"found {len(cases)} cases, expected one: a verdict is about one cell")
        self.ceiling_gb_per_s = cases[0]["ceiling_gb_per_s"]
        return case_figure(cases[0])


def case_figure(case):
    """The figure of one case of a bench report."""
    if case["ended"] != "complete" or not case["verified"]:
        raise Failed(f"a case of ours is not complete and verified: {case['failure']}")
    cpu = [case["initiator_cpu_s_per_gb"], case["target_cpu_s_per_gb"]]
    found = Setting(
        case["mode"], case["q"], case["operation"], "one-way", case["semantics"], case["descriptor_bytes"],
        case["descriptors"], case["fragmentation"], case["working_set_bytes"], case["threads_initiator"],
        case["threads_target"], case["memory"])
    return Figure(case["gb_per_s"], found, None if None in cpu else sum(cpu))


class BothWays:
    """Two runs of ours at the same time, one each way; their figures add up."""

    def __init__(self, bootstrap, options, name):
        self.ends, self.name = [Ours(bootstrap, options, name) for _ in range(2)], name

    def absent(self):
        return None

    def measure(self, seconds, _asked=None):
        with concurrent.futures.ThreadPoolExecutor(2) as both:
            figures = list(both.map(lambda end: end.measure(seconds), self.ends))
        found = dataclasses.replace(figures[0].setting, direction="both-ways")
        return Figure(sum(figure.gb_per_s for figure in figures), found)


class StopGo:
    """A window, then a wait for all of it, on the libfabric that ours has: what stands in where fi_rma_bw is not."""

    name = "stop-and-go"

    def __init__(self, bootstrap, options, stands_in_for=()):
        self.ours, self.instead = Ours(bootstrap, (*options, "--mode", "request"), self.name), stands_in_for

    def absent(self):
        here = [peer.name for peer in self.instead if peer.absent() is None]
        return f"{here[0]} is here" if here else None

    def measure(self, seconds, asked):
        figure = self.ours.measure(seconds)
        # Its windows follow each other but for the checks between them, which are outside of its time.
        return dataclasses.replace(figure, setting=dataclasses.replace(figure.setting, mode=asked.mode))


class Cost:
    """What posting and polling one descriptor costs of the initiator's processor, as descriptors that a second of it pays."""

    def __init__(self, bootstrap, options, name):
        self.command, self.name = [bootstrap, "bench", "sweep", "--local", "--op", "write", *options], name

    def absent(self):
        return None

    def measure(self, seconds, _asked=None):
        text = run([*self.command, "--duration", str(seconds), "--json", "-", "--progress", "none"])
        case = json.loads(text)["cases"][0]
        cost_ns = case["initiator_cpu_ns_per_descriptor"]
        if case["ended"] != "complete" or not cost_ns:
            raise Failed(f"a case of ours has no cost of a descriptor: {case['failure']}")
        return Figure(1000 / cost_ns, Setting("cost", 1, "write", "one-way", "none", 0, 0, 0.0, 0, 1, 1))


class Allowance:
    """So many nanoseconds of a processor for a descriptor."""

    is_read_off_ours = True

    def __init__(self, cost_ns):
        self.name, self.cost_ns = f"{cost_ns} ns a descriptor", cost_ns

    def absent(self):
        return None

    def measure(self, _seconds, asked):
        return Figure(1000 / self.cost_ns, asked)


class Ceiling:
    """The plain loops that ours ran between its own rounds: the same shape, the same run."""

    name = "its own plain loops"
    is_read_off_ours = True

    def __init__(self, ours):
        self.ours = ours

    def absent(self):
        return None

    def measure(self, _seconds, asked):
        return Figure(self.ours.ceiling_gb_per_s, asked)


class Nixl:
    """Two agents of NIXL's wheel with UCX, on the tables of ours."""

    def __init__(self, name, tls):
        self.name, self.tls = name, tls
        self.python = os.environ.get("PREFAB_NIXL_PYTHON")

    def absent(self):
        if not self.python:
            return "PREFAB_NIXL_PYTHON names no Python with NIXL's wheel (`make bench NIXL=1` makes one)"
        try:
            run([self.python, "-c", "import sys; sys.path.insert(0, sys.argv[1]); import nixl_pair; nixl_pair.nixl()",
                 os.path.dirname(__file__)], seconds=60)
        except (Failed, OSError) as error:
            return f"{self.python} has no NIXL: {error}"
        return None

    def measure(self, seconds, asked):
        plan = {
            "descriptor_bytes": asked.descriptor_bytes, "descriptors": asked.descriptors, "operation": asked.operation,
            "pool_blocks": asked.working_set_bytes // asked.descriptor_bytes, "seconds": seconds, "seed": 1,
        }
        script = os.path.join(os.path.dirname(__file__), "nixl_pair.py")
        text = run([self.python, script], json.dumps(plan), env={**os.environ, "UCX_TLS": self.tls, "UCX_LOG_LEVEL": "error"})
        # The wheel writes its log lines to standard output as well.
        return self.figure(plan, json.loads(text.strip().splitlines()[-1]))

    @staticmethod
    def figure(plan, out):
        payload = plan["descriptor_bytes"] * plan["descriptors"]
        if out["verified"] != out["requests"] * plan["descriptors"] or not out["request_s"]:
            raise Failed(f"NIXL moved {out['verified']} right blocks in {out['requests']} requests of {plan['descriptors']}")
        moved_gb = payload * len(out["request_s"]) / 1e9
        found = Setting(
            "request", 1, plan["operation"], "one-way", "one-sided", plan["descriptor_bytes"], plan["descriptors"], 1.0,
            plan["pool_blocks"] * plan["descriptor_bytes"], 1, 1)
        cpu = (out["initiator_cpu_s"] + out["target_cpu_s"]) / moved_gb
        return Figure(payload / statistics.median(out["request_s"]) / 1e9, found, cpu)


class Fabtests:
    """`fi_rma_bw` or `fi_efa_rma_bw`: a window of operations from one buffer, then a wait for all of them.

    Its window is our request: all of its operations are posted, and the next window begins when all are complete. It
    measures steadily, over all windows; its buffers are one window long, lie in one run and stay hot.
    """

    # A first run that tells how many iterations a round of the asked length takes.
    FIRST_ITERATIONS = 2_000

    def __init__(self, program, provider, completion, both_ways=False):
        self.program, self.provider, self.completion, self.both_ways = program, provider, completion, both_ways
        self.name = f"{program} {provider} {completion}"
        self.iterations = None

    def path(self):
        folder = os.environ.get("PREFAB_FABTESTS")
        return shutil.which(self.program, path=os.path.join(folder, "bin") + os.pathsep + folder if folder else None)

    def absent(self):
        where = "PREFAB_FABTESTS" if os.environ.get("PREFAB_FABTESTS") else "PATH"
        return None if self.path() else f"{where} has no {self.program}"

    def measure(self, seconds, asked):
        # Of the writes only writedata is one-way; read and write run both ways, and the table gives one of them.
        operation = "read" if asked.operation == "read" else "write" if self.both_ways else "writedata"
        ways = 1 if operation == "writedata" else 2
        if self.iterations is None:
            trial, _ = self.round(operation, asked, self.FIRST_ITERATIONS)
            an_iteration = asked.descriptor_bytes / 1e9 / trial
            # A tenth more, so that no round is shorter than asked.
            self.iterations = max(int(1.1 * seconds / an_iteration), self.FIRST_ITERATIONS)
        rate, cpu_s = self.round(operation, asked, self.iterations)
        moved_gb = ways * asked.descriptor_bytes * self.iterations / 1e9
        found = Setting(
            "steady", 1, "read" if asked.operation == "read" else "write", "one-way" if ways == 1 else "both-ways", "one-sided", asked.descriptor_bytes, asked.descriptors, 0.0,
            asked.descriptor_bytes * asked.descriptors, 1, 1)
        return Figure(ways * rate, found, cpu_s / moved_gb)

    def round(self, operation, asked, iterations):
        port = str(free_port())
        command = [
            self.path(), "-p", self.provider, "-e", "rdm", "-o", operation, "-S", str(asked.descriptor_bytes), "-I",
            str(iterations), "-w", "10", "-W", str(asked.descriptors), "-c", self.completion, f"-b{port}", f"-E{port}"]
        environment = {**os.environ, "FI_TCP_IFACE": "lo"} if self.provider == "tcp" else None
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        server = start(command, env=environment)
        try:
            text = self.client([*command, "127.0.0.1"], environment)
            finish(server, seconds=30)
        finally:
            end(server)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        return fabtests_rate(text), cpu_s


    @staticmethod
    def client(command, environment):
        # The server may not listen yet, and the client tries once; ten tries are two seconds.
        for _ in range(9):
            try:
                return finish(start(command, env=environment))
            except Failed as error:
                if "refused" not in str(error):
                    raise
                time.sleep(0.2)
        return finish(start(command, env=environment))


def fabtests_rate(text):
    """GB/s of fabtests' table: the column MB/sec, of a million bytes."""
    lines = [line.split() for line in text.splitlines() if line.strip()]
    for head, row in zip(lines, lines[1:]):
        if "MB/sec" in head:
            return float(row[head.index("MB/sec")]) / 1000
    raise Failed(f"found no column MB/sec in the output of fabtests: {text.strip()[-200:]!r}")


class Iperf3:
    """One TCP stream of 256 KiB writes: what the kernel moves when nobody has to place anything."""

    name = "iperf3, 1 stream"

    def absent(self):
        return None if shutil.which("iperf3") else "PATH has no iperf3"

    def measure(self, seconds, _asked=None):
        port = str(free_port())
        server = start(["iperf3", "--server", "--one-off", "--bind", "127.0.0.1", "--port", port])
        try:
            text = self.client(port, seconds)
        finally:
            end(server)
        return iperf3_figure(json.loads(text))

    @staticmethod
    def client(port, seconds):
        command = ["iperf3", "--client", "127.0.0.1", "--port", port, "--time", str(seconds), "--length", "256K", "--json"]
        # The server may not listen yet; ten tries are two seconds.
        for _ in range(9):
            try:
                return run(command, seconds=seconds + 30)
            except Failed as error:
                if not re.search("refused|unable to connect", str(error)):
                    raise
                time.sleep(0.2)
        return run(command, seconds=seconds + 30)


def iperf3_figure(report):
    end_of = report["end"]
    rate = end_of["sum_received"]["bits_per_second"] / 8e9
    moved_gb = end_of["sum_received"]["bytes"] / 1e9
    share = end_of["cpu_utilization_percent"]
    cpu_s = (share["host_total"] + share["remote_total"]) / 100 * end_of["sum_received"]["seconds"]
    found = Setting("steady", 1, "write", "one-way", "stream", 256 << 10, 1, 0.0, 256 << 10, 1, 1)
    return Figure(rate, found, cpu_s / moved_gb)
