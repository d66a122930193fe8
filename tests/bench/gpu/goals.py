"""Which programs run in a round, and what is made of their figures."""
import dataclasses
import typing

# The headline shape: 4096 tokens of Qwen2.5-32B-Instruct at TP 4 are 32768 blocks of 8 KiB, every one alone.
GPU = "--memory gpu --transport"
PROGRAMS = {
    "limits": ("limits", "--block-bytes 8192 --blocks 32768"),
    "host-tcp-read": ("bench", "--memory host --transport builtin-tcp --op read"),
    "gpu-tcp-read": ("bench", f"{GPU} builtin-tcp --op read"),
    "host-tcp-write": ("bench", "--memory host --transport builtin-tcp --op write"),
    "gpu-tcp-write": ("bench", f"{GPU} builtin-tcp --op write"),
    "gpu-vm-read": ("bench", f"{GPU} builtin-vm --op read"),
    "gpu-vm-write": ("bench", f"{GPU} builtin-vm --op write"),
    "gpu-vm-read-4": ("bench", f"{GPU} builtin-vm --op read --threads 4 --decode"),
    "gpu-vm-read-8": ("bench", f"{GPU} builtin-vm --op read --threads 8"),
    "gpu-peer-read": ("bench", f"{GPU} peer --op read"),
    "gpu-peer-write": ("bench", f"{GPU} peer --op write"),
    "nixl-tcp": ("nixl", "tcp,cuda_copy"),
    "nixl": ("nixl", "all"),
}


@dataclasses.dataclass(frozen=True)
class Row:
    """One line of the table."""

    what: str
    needs: tuple
    value: typing.Callable
    least: float | None = None
    is_required: bool = True


def cpu(case):
    return case["initiator_cpu_s_per_gb"] + case["target_cpu_s_per_gb"]


def rows(gpus):
    """The lines that a machine with so many GPUs can show."""
    def of(key, *path):
        return lambda figures: figures[key][path[0]]

    def limits(over, under):
        return lambda figures: figures["limits"][over] / figures["limits"][under]

    table = [
        Row("contiguous pinned copy to the host, GB/s", ("limits",), of("limits", "pinned_to_host_gb_per_s")),
        Row("contiguous pinned copy to the device, GB/s", ("limits",), of("limits", "pinned_to_device_gb_per_s")),
        Row("copy within the device, GB/s", ("limits",), of("limits", "device_copy_gb_per_s")),
        Row("kernels compiled and loaded, ms", ("limits",), of("limits", "kernel_load_ms")),
        Row("pack + copy of 8 KiB blocks / contiguous pinned copy", ("limits",), limits("pack_and_to_host_gb_per_s", "pinned_to_host_gb_per_s"), 0.95),
        Row("copy + unpack of 8 KiB blocks / contiguous pinned copy", ("limits",), limits("to_device_and_unpack_gb_per_s", "pinned_to_device_gb_per_s")),
        Row("pack + copy of 8 KiB blocks / one copy a block", ("limits",), limits("pack_and_to_host_gb_per_s", "one_copy_a_block_to_host_gb_per_s"), 50),
        Row("contiguous pinned copy / one copy a block: what the link allows", ("limits",), limits("pinned_to_host_gb_per_s", "one_copy_a_block_to_host_gb_per_s")),
        Row("pack kernel / copy within the device", ("limits",), limits("pack_kernel_gb_per_s", "device_copy_gb_per_s"), 0.9),
    ]
    for op in ("read", "write"):
        host, gpu = f"host-tcp-{op}", f"gpu-tcp-{op}"
        table += [
            Row(f"staged {op} over builtin-tcp, GB/s", (gpu,), of(gpu, "gb_per_s")),
            Row(f"staged {op} over builtin-tcp / host memory", (host, gpu), lambda f, host=host, gpu=gpu: f[gpu]["gb_per_s"] / f[host]["gb_per_s"], 0.95),
        ]
    for name in ("gpu-vm-read", "gpu-vm-write", "gpu-vm-read-4", "gpu-vm-read-8"):
        threads, op = (int(name[-1]) if name[-1].isdigit() else 1), name.split("-")[2]
        table += [
            Row(f"staged {op} over builtin-vm, {threads} threads, GB/s", (name,), of(name, "gb_per_s")),
            Row(f"staged {op} over builtin-vm, {threads} threads / slowest stage", (name,), of(name, "staged_ratio"), None if threads == 8 else 0.8),
        ]
    for op in ("read", "write"):
        name, apart = f"gpu-peer-{op}", gpus > 1
        where = "peer" if apart else "peer, both ends on one GPU"
        table += [
            Row(f"{op} over {where}, GB/s", (name,), of(name, "gb_per_s")),
            Row(f"{op} over {where} / one contiguous copy", (name,), of(name, "ceiling_ratio"), 0.9 if apart else None),
        ]
    table.append(Row("decoding on the sink's GPU meanwhile, times as long", ("gpu-vm-read-4",), of("gpu-vm-read-4", "decode_slowdown")))
    for name in ("gpu-tcp-read", "gpu-tcp-write", "gpu-vm-read", "gpu-vm-read-8", "gpu-peer-read"):
        table += [
            Row(f"{name}: processor seconds a GB", (name,), lambda f, name=name: cpu(f[name])),
            Row(f"{name}: share of time in kernels, source", (name,), of(name, "source_gpu_busy")),
            Row(f"{name}: share of time in kernels, sink", (name,), of(name, "sink_gpu_busy")),
        ]
    table += [
        Row("NIXL, UCX over tcp, read, GB/s", ("nixl-tcp",), of("nixl-tcp", "gb_per_s"), is_required=False),
        Row("staged read over builtin-tcp / NIXL over tcp", ("nixl-tcp", "gpu-tcp-read"), lambda f: f["gpu-tcp-read"]["gb_per_s"] / f["nixl-tcp"]["gb_per_s"], is_required=False),
        Row("NIXL, UCX as it chooses, read, GB/s", ("nixl",), of("nixl", "gb_per_s"), is_required=False),
        Row("read over peer / NIXL as it chooses", ("nixl", "gpu-peer-read"), lambda f: f["gpu-peer-read"]["gb_per_s"] / f["nixl"]["gb_per_s"], is_required=False),
    ]
    return table


NOTES = [
    "Every block of every request of ours was verified on the GPU. Loopback figures predict no EFA rate.",
    "The slowest stage is a contiguous copy over either link, or a plain loop of the transport from memory that lies in no",
    "cache; what a GPU has just written may, so that more than 1 is possible. With 8 threads the ends' 16 share the processors.",
    "50 times one copy a block is beyond a link on which one copy a block reaches more than a fiftieth; the row above",
    "pack kernel says what the link allows.",
]
