//! Quotas, reservations and blocks.

use std::collections::BTreeMap;

use super::{Job, Outcome, Row, nodes_by_type};
use crate::deploy::account::Problem;
use crate::deploy::machines::Reservation;
use crate::deploy::session::Session;
use crate::spec::Spec;
use crate::spec::cluster::{Capacity, Role};

/// Which types a quota counts, by how their names begin. Source: EC2 user guide, "On-Demand Instance quotas".
const QUOTAS: &[(&str, &str, &[&str])] = &[
    ("L-417A185B", "Running On-Demand P instances", &["p"]),
    ("L-DB2E81BA", "Running On-Demand G and VT instances", &["g", "vt"]),
];

pub(super) fn rows(session: Session<'_>, job: &Job<'_>) -> Vec<Row> {
    match &job.spec.cluster.capacity {
        Capacity::OnDemand => quotas(session, job),
        Capacity::Reservation { id } | Capacity::Block { id } => reservation(session, job.spec, id),
    }
}

fn quotas(session: Session<'_>, job: &Job<'_>) -> Vec<Row> {
    let mut needed: BTreeMap<&str, u32> = BTreeMap::new();
    for role in Role::ALL {
        let pool = job.spec.cluster.pool(role);
        let of = pool.instance_type;
        *needed.entry(of.quota_code_on_demand.as_str()).or_default() += pool.count.saturating_mul(of.vcpus);
    }
    let running = session.ask(|account| account.running());
    needed.into_iter().map(|(code, needed)| quota(session, job, code, needed, &running)).collect()
}

fn quota(
    session: Session<'_>,
    job: &Job<'_>,
    code: &str,
    needed: u32,
    running: &Result<Vec<crate::deploy::machines::Running>, Problem>,
) -> Row {
    const ID: &str = "quota.vcpus";
    let allowed = match session.ask(|account| account.quota(code)) {
        Ok(allowed) => allowed,
        Err(problem) => return Row::unknown(ID, &problem),
    };
    let (name, begins) =
        QUOTAS.iter().find(|(known, ..)| *known == code).map_or((code, &[][..]), |(_, name, begins)| (*name, *begins));
    // The nodes that are there already are part of what is needed.
    let own = format!("{}-cluster", job.spec.name);
    let counts = |of: &&crate::deploy::machines::Running| {
        let letters: String = of.instance_type.chars().take_while(char::is_ascii_alphabetic).collect();
        of.stack != own && begins.iter().any(|begin| letters.starts_with(begin))
    };
    let used = match running {
        Ok(running) => running.iter().filter(counts).map(|of| of.vcpus).fold(0, u32::saturating_add),
        Err(problem) => return Row::unknown(ID, problem),
    };
    let total = f64::from(needed) + f64::from(used);
    let found = format!("{name}: {allowed} allowed, {used} in use by others");
    let missing = total - allowed;
    let hint = format!(
        "ask for {missing} more: https://{region}.console.aws.amazon.com/servicequotas/home/services/ec2/quotas/{code}",
        region = job.spec.region.as_str()
    );
    Row::judged(ID, missing <= 0.0, found, format!("{needed} for this cluster"), &hint)
}

fn reservation(session: Session<'_>, spec: &Spec, id: &str) -> Vec<Row> {
    match session.ask(|account| account.reservation(id)) {
        Ok(found) => judge(spec, id, &found),
        Err(Problem::Absent(_)) => {
            let found = format!("no reservation {id} in {}", session.account.region());
            vec![Row::judged(
                "reservation",
                false,
                found,
                "one that this account may use",
                "correct `cluster.capacity.id`",
            )]
        }
        Err(problem) => vec![Row::unknown("reservation", &problem)],
    }
}

/// Everything that is wrong with it comes at once.
fn judge(spec: &Spec, id: &str, found: &Reservation) -> Vec<Row> {
    let block = matches!(spec.cluster.capacity, Capacity::Block { .. });
    let types = nodes_by_type(spec);
    let nodes: u32 = types.values().sum();
    let zone = spec.availability_zone.as_str();
    let mut rows = Vec::new();
    let names: Vec<&str> = types.keys().copied().collect();
    rows.push(Row::judged(
        "reservation.type",
        names == [found.instance_type.as_str()],
        format!("{id} is of {}", found.instance_type),
        names.join(", "),
        "a reservation is bound to one type: use that type, or another reservation",
    ));
    rows.push(Row::judged(
        "reservation.zone",
        found.zone == zone || found.zone_id == zone,
        format!("{id} is in {} ({})", found.zone, found.zone_id),
        zone,
        "set `availability_zone` to the reservation's",
    ));
    rows.push(Row::judged(
        "reservation.count",
        found.free >= nodes,
        format!("{} of {} instances of {id} are free", found.free, found.total),
        format!("{nodes} for this cluster"),
        "ask for fewer nodes; nodes of this cluster that run already hold theirs, and a block takes minutes to return what ended",
    ));
    let kind = if block { "capacity-block" } else { "default" };
    rows.push(Row::judged(
        "reservation.kind",
        found.kind.is_empty() || found.kind == kind,
        format!("{id} is of kind {}", found.kind),
        kind,
        "`capacity.kind: block` takes a block, `reservation` a plain reservation",
    ));
    let window = if found.ends.is_empty() {
        format!("from {}", found.starts)
    } else {
        format!("from {} to {}", found.starts, found.ends)
    };
    let state = format!("{id} is {}, {window}", found.state);
    rows.push(match found.state.as_str() {
        "active" => Row::new("reservation.state", Outcome::Pass, state, "active"),
        "scheduled" | "payment-pending" | "pending" => Row::new("reservation.state", Outcome::Warn, state, "active")
            .hint("apply the other stacks before the window (`--only artifacts`, `--only mlflow`), the cluster at its start"),
        _ => Row::judged("reservation.state", false, state, "active", "reserve again"),
    });
    rows
}
