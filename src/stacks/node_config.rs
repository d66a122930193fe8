//! What the spec tells its nodes.

use std::collections::BTreeMap;

use prefab_contract::node_config::{
    AtApply, Benchmark, Expected, Node, NodeConfig, Readiness, SCHEMA_VERSION, TaskReference, Workload,
};

use super::cluster::node_ids;
use super::interfaces;
use crate::spec::cluster::Role;
use crate::spec::{Profile, Ready, Spec};

/// How long before CloudFormation's timeout a node stops waiting for its peers, so that a FAILURE with the missing
/// peer's name always comes first.
const PEER_MARGIN_SECONDS: u32 = 300;

/// The configuration of every node of the spec's cluster.
pub fn of(spec: &Spec) -> NodeConfig<AtApply> {
    NodeConfig {
        schema_version: SCHEMA_VERSION,
        name: spec.name.clone(),
        nodes: nodes(spec),
        expected: expected(spec),
        engine: AtApply::Digest,
        tasks: spec
            .bootstrap
            .tasks
            .iter()
            .map(|name| TaskReference { name: name.clone(), sha256: AtApply::Digest })
            .collect(),
        profile: match spec.bootstrap.profile {
            Profile::Base => "base".to_owned(),
            Profile::Serving => "serving".to_owned(),
        },
        ready: match spec.bootstrap.ready {
            Ready::Own => Readiness::Own,
            Ready::Peers => Readiness::Peers,
        },
        peer_deadline_seconds: spec.bootstrap.timeout_minutes * 60 - PEER_MARGIN_SECONDS,
        ports: BTreeMap::from(
            [
                ("vllm", spec.ports.vllm),
                ("proxy", spec.ports.proxy),
                ("decode", spec.ports.decode),
                ("side_channel", spec.ports.side_channel),
            ]
            .map(|(name, port)| (name.to_owned(), port)),
        ),
        secrets: spec.secrets.iter().map(|(name, arn)| (name.clone(), arn.as_str().to_owned())).collect(),
        workload: spec.workload.as_ref().map(|workload| Workload {
            model: workload.model.name.to_string(),
            prefill_tensor_parallel: workload.prefill_tp,
            decode_tensor_parallel: workload.decode_tp,
            prompt_tokens: workload.prompt_tokens.clone(),
        }),
        benchmark: Benchmark {
            transports: spec.benchmark.transports.clone(),
            memory: spec.benchmark.memory.clone(),
            operations: spec.benchmark.operations.clone(),
        },
    }
}

fn nodes(spec: &Spec) -> BTreeMap<String, Node> {
    let of_role = |role: Role| {
        let instance_type = &spec.cluster.pool(role).instance_type.name;
        node_ids(spec, role).map(move |id| {
            (id.as_str().to_owned(), Node { role: role.key().to_owned(), instance_type: instance_type.clone() })
        })
    };
    Role::ALL.into_iter().flat_map(of_role).collect()
}

fn expected(spec: &Spec) -> BTreeMap<String, Expected> {
    let of_type = |of: &crate::instance_types::InstanceType| {
        let interfaces = interfaces::layout(&of.cards, spec.cluster.efa, spec.network.access);
        let efa_interfaces = interfaces.iter().map(|of| u32::from(of.carries_efa())).sum();
        Expected {
            gpus: of.gpu.count,
            gpu_name: of.gpu.name.clone(),
            gpu_memory_mib_each: of.gpu.memory_mib_each,
            efa_interfaces,
            efa_gbps: of.efa_gbps,
            rdma_read: of.rdma_read,
            rdma_write: of.rdma_write,
            gpudirect: of.gpudirect,
        }
    };
    spec.cluster.instance_types().into_iter().map(|of| (of.name.clone(), of_type(of))).collect()
}
