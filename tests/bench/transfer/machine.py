"""How busy the machine is with other work, and what it is."""
import os
import time

# Above this share of all processors, figures are those of a busy machine.
BUSY = 0.15


def ticks():
    """Ticks of all processors so far: not idle, and all."""
    with open("/proc/stat", encoding="ascii") as file:
        fields = [int(field) for field in file.readline().split()[1:9]]
    idle = fields[3] + fields[4]
    return sum(fields) - idle, sum(fields)


def busy_share(seconds=0.3):
    """The share of processor time that others take while this program waits."""
    before = ticks()
    time.sleep(seconds)
    after = ticks()
    return share(before, after)


def share(before, after):
    """Of the ticks between two looks, the part that was not idle."""
    return (after[0] - before[0]) / max(after[1] - before[1], 1)


def describe():
    """One line: processor, how many, load."""
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        names = [line.split(":", 1)[1].strip() for line in file if line.startswith("model name")]
    return f"{names[0] if names else 'processor'}, {os.cpu_count()} CPUs, load {os.getloadavg()[0]:.2f}"
