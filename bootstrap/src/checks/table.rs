//! Every check, in the order of the report.

use super::options::Profile::{Base, Serving};
use super::{
    Check, disk, efa_devices, efa_driver, efa_engine, efa_installer, efa_libraries, efa_limits, efa_provider,
    efa_traffic, environment, gpu_driver, gpu_kernel_log, gpu_links, gpu_peer_memory, gpu_state, kernel_modules,
    mlflow, nccl_log, nccl_plugin, nccl_programs, nccl_table, network, nixl, nixl_libraries, peer_reports, plan_check,
    serving, time_skew, time_sync, torch, vllm,
};

#[rustfmt::skip] // One row a check.
pub(super) const CHECKS: &[Check] = &[
    Check { id: "efa.devices", profile: Base, title: "as many EFA devices as planned", run: efa_devices::count },
    Check { id: "efa.device-nodes", profile: Base, title: "a visible uverbs node for each device", run: efa_devices::device_nodes },
    Check { id: "efa.modules", profile: Base, title: "kernel modules for RDMA", run: kernel_modules::rdma },
    Check { id: "efa.driver", profile: Base, title: "the installer's driver, new enough for device and GPU", run: efa_driver::driver },
    Check { id: "efa.ports", profile: Base, title: "active ports", run: efa_devices::ports },
    Check { id: "efa.rdma", profile: Base, title: "RDMA read and write as planned", run: efa_driver::rdma },
    Check { id: "efa.gpu-direct", profile: Base, title: "a peer-to-peer provider at each device", run: efa_driver::gpu_direct },
    Check { id: "efa.memlock", profile: Base, title: "unlimited locked memory", run: efa_limits::memlock },
    Check { id: "efa.hugepages", profile: Base, title: "free huge pages", run: efa_limits::hugepages },
    Check { id: "efa.installer", profile: Base, title: "a new enough EFA installer", run: efa_installer::installer },
    Check { id: "efa.libfabric", profile: Base, title: "one libfabric, the installer's", run: efa_libraries::libfabric },
    Check { id: "efa.verbs-provider", profile: Base, title: "libibverbs and its EFA provider fit together", run: efa_libraries::verbs_provider },
    Check { id: "efa.cudart", profile: Base, title: "the CUDA runtime that libfabric loads", run: efa_libraries::cudart },
    Check { id: "efa.provider", profile: Base, title: "libfabric offers every device", run: efa_provider::provider },
    Check { id: "efa.gpu-memory", profile: Base, title: "libfabric registers GPU memory", run: efa_provider::gpu_memory },
    Check { id: "efa.engine", profile: Base, title: "the engine starts here", run: efa_engine::engine },
    Check { id: "efa.engine-domains", profile: Base, title: "the engine sees every device", run: efa_engine::domains },
    Check { id: "efa.traffic", profile: Base, title: "every device carried the last transfer", run: efa_traffic::traffic },

    Check { id: "gpu.count", profile: Base, title: "as many GPUs as planned", run: gpu_state::count },
    Check { id: "gpu.model", profile: Base, title: "the planned GPU", run: gpu_state::model },
    Check { id: "gpu.memory", profile: Base, title: "the planned GPU memory", run: gpu_state::memory },
    Check { id: "gpu.health", profile: Base, title: "no wedged card", run: gpu_state::health },
    Check { id: "gpu.driver", profile: Base, title: "driver branch and flavour", run: gpu_driver::driver },
    Check { id: "gpu.ecc", profile: Base, title: "no uncorrected memory error", run: gpu_state::ecc },
    Check { id: "gpu.xid", profile: Base, title: "no Xid in the kernel's log", run: gpu_kernel_log::xids },
    Check { id: "gpu.persistence", profile: Base, title: "the driver stays loaded", run: gpu_state::persistence },
    Check { id: "gpu.topology", profile: Base, title: "links between GPUs", run: gpu_links::topology },
    Check { id: "gpu.p2p", profile: Base, title: "GPUs read each other", run: gpu_links::peers },
    Check { id: "gpu.peer-memory", profile: Base, title: "dma-buf or a peer-memory module", run: gpu_peer_memory::peer_memory },
    Check { id: "gpu.fabric-manager", profile: Base, title: "the Fabric Manager of NVSwitch types", run: gpu_driver::fabric_manager },

    Check { id: "vllm.package", profile: Serving, title: "vLLM is installed", run: vllm::package },
    Check { id: "vllm.torch", profile: Serving, title: "torch is built for a CUDA that the driver has", run: torch::torch },
    Check { id: "vllm.kv-transfer", profile: Serving, title: "serving processes use LIBFABRIC", run: serving::kv_transfer },
    Check { id: "vllm.memlock", profile: Serving, title: "serving processes may lock memory", run: serving::memlock },
    Check { id: "vllm.mooncake", profile: Serving, title: "Mooncake, where it serves, is built with EFA", run: serving::mooncake },
    Check { id: "vllm.peer-versions", profile: Serving, title: "one vLLM and one NIXL on all nodes", run: peer_reports::versions },
    Check { id: "vllm.side-channel", profile: Serving, title: "the side channel is this node's own address", run: vllm::side_channel },

    Check { id: "nixl.package", profile: Serving, title: "NIXL is installed, in a version that works", run: nixl::package },
    Check { id: "nixl.cuda", profile: Serving, title: "NIXL's CUDA is torch's", run: nixl::cuda },
    Check { id: "nixl.libraries", profile: Serving, title: "NIXL's modules find their libraries", run: nixl_libraries::libraries },
    Check { id: "nixl.plugins", profile: Serving, title: "NIXL's plugins can be loaded", run: nixl_libraries::plugins },
    Check { id: "nixl.libfabric", profile: Serving, title: "libfabric is new enough for NIXL", run: nixl::libfabric },
    Check { id: "nixl.ucx", profile: Serving, title: "the wheel's UCX can load its EFA module", run: nixl_libraries::ucx },
    Check { id: "nixl.verbs-provider", profile: Serving, title: "the wheel's own libibverbs finds EFA", run: nixl_libraries::verbs_provider },
    Check { id: "nixl.path", profile: Serving, title: "NIXL's log shows EFA", run: nixl::path },

    Check { id: "nccl.plugin", profile: Serving, title: "NCCL's OFI plugin can be loaded", run: nccl_plugin::plugin },
    Check { id: "nccl.plugin-version", profile: Serving, title: "the plugin is new enough for this type", run: nccl_plugin::version },
    Check { id: "nccl.programs", profile: Serving, title: "nccl-tests are built", run: nccl_programs::programs },
    Check { id: "nccl.network", profile: Serving, title: "NCCL's log shows EFA", run: nccl_log::network },
    Check { id: "nccl.results", profile: Serving, title: "results of nccl-tests are right", run: nccl_table::results },

    Check { id: "mlflow.tracking", profile: Base, title: "MLflow answers a read-only request", run: mlflow::tracking },

    Check { id: "network.address", profile: Base, title: "this node has the address that its peers use", run: network::address },
    Check { id: "network.names", profile: Base, title: "a name server", run: network::names },
    Check { id: "network.endpoints", profile: Base, title: "the services that this node needs", run: network::endpoints },
    Check { id: "network.peers", profile: Base, title: "every peer over TCP", run: network::tcp },
    Check { id: "network.efa-peers", profile: Base, title: "every peer over EFA", run: network::efa },
    Check { id: "network.peer-errors", profile: Base, title: "no peer went away", run: peer_reports::peer_errors },

    Check { id: "time.sync", profile: Base, title: "chrony keeps the clock", run: time_sync::sync },
    Check { id: "time.skew", profile: Base, title: "the clock against a server's", run: time_skew::skew },

    Check { id: "disk.nvme", profile: Base, title: "instance store in use", run: disk::nvme },
    Check { id: "disk.space", profile: Base, title: "free space", run: disk::space },

    Check { id: "environment.plan", profile: Base, title: "this machine is a planned type", run: plan_check::plan },
    Check { id: "environment.libfabric", profile: Base, title: "no harmful FI_*", run: environment::libfabric },
    Check { id: "environment.verbs", profile: Base, title: "no RDMAV_*, no IBV_FORK_SAFE", run: environment::verbs },
    Check { id: "environment.nccl", profile: Base, title: "no harmful NCCL_*", run: environment::nccl },
    Check { id: "environment.nixl", profile: Base, title: "no harmful NIXL_*, UCX_*, VLLM_*", run: environment::nixl },
    Check { id: "environment.preload", profile: Base, title: "nothing is preloaded everywhere", run: environment::preload },
    Check { id: "environment.oom", profile: Base, title: "no process was killed for memory", run: gpu_kernel_log::out_of_memory },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_unique_and_groups_stay_together() {
        let mut groups = Vec::new();
        for (place, check) in CHECKS.iter().enumerate() {
            assert!(CHECKS[..place].iter().all(|other| other.id != check.id), "{} twice", check.id);
            let group = check.group();
            if groups.last() != Some(&group) {
                assert!(!groups.contains(&group), "{group} is torn apart");
                groups.push(group);
            }
        }
        let expected = ["efa", "gpu", "vllm", "nixl", "nccl", "mlflow", "network", "time", "disk", "environment"];
        assert_eq!(groups, expected);
    }
}
