//! `prefab capacity`: what is reserved, and which blocks may be bought. It buys nothing.

use clap::Args;
use serde_json::json;

use super::Streams;
use super::account::{AccountOptions, stopped};
use super::node_run::refuse;
use super::spec_file::SpecFile;
use super::table::{plain, text};
use super::terminal::Style;
use crate::deploy::apply::whose;
use crate::deploy::machines::{Offering, Reservation};
use crate::exit::Exit;
use crate::instance_types::{self, InstanceType};
use crate::spec::Spec;
use crate::spec::cluster::{Capacity as Planned, Role};

/// The most instances of one block, and of its length (EC2 user guide, "Capacity Blocks for ML").
const MOST_INSTANCES: u32 = 64;
const MOST_SINGLE_DAYS: u32 = 14;
const MOST_DAYS: u32 = 182;

/// List reservations, blocks and what may be bought, with prices and the command that buys; nothing is bought
#[derive(Debug, Args)]
pub(super) struct Capacity {
    #[command(flatten)]
    spec: SpecFile,
    #[command(flatten)]
    account: AccountOptions,
    /// The instance type [default: the spec's]
    #[arg(long, value_name = "TYPE")]
    instance_type: Option<String>,
    /// Instances [default: all nodes of the spec]
    #[arg(long, value_name = "N")]
    count: Option<u32>,
    /// Days: 1 to 14, or weeks up to 182
    #[arg(long, value_name = "N", default_value_t = 1)]
    days: u32,
    /// Print as JSON
    #[arg(long)]
    json: bool,
}

/// What is looked for.
struct Wanted {
    instance_type: String,
    count: u32,
    hours: u32,
}

impl Capacity {
    pub(super) fn run(&self, streams: &mut Streams<'_>) -> anyhow::Result<Exit> {
        let Some(opened) = self.account.open(&self.spec, streams)? else { return Ok(Exit::Failed) };
        let style = if self.json { Style::Json } else { Style::Person };
        let terminal = self.account.terminal(streams, style, false)?;
        let wanted = match self.wanted(&opened.spec) {
            Ok(wanted) => wanted,
            Err(findings) => return refuse(&terminal, &findings),
        };
        let session = opened.session(&terminal);
        let Wanted { instance_type, count, hours } = &wanted;
        let read = whose(session, &opened.spec, opened.lock.as_ref()).and_then(|_| {
            let reserved = session.call("listing reservations", |account| account.reservations())?;
            let offered = session
                .call("asking what may be bought", |account| account.offerings(instance_type, *count, *hours))?;
            Ok((reserved, offered))
        });
        let (mut reserved, mut offered) = match read {
            Ok(read) => read,
            Err(stop) => return stopped(&stop, &terminal),
        };
        reserved.sort_by(|a, b| (&a.starts, &a.id).cmp(&(&b.starts, &b.id)));
        offered.sort_by(|a, b| {
            (price(a), &a.starts, &a.id).partial_cmp(&(price(b), &b.starts, &b.id)).unwrap_or(std::cmp::Ordering::Equal)
        });
        let region = opened.spec.region.as_str();
        let mut shown = format!("{}\n{}", reservations(&opened.spec, &reserved), offerings(&wanted, region, &offered));
        match offered.first() {
            Some(first) => {
                shown += &format!(
                    "\nTo buy the first one, which cannot be undone:\n  {}\nNext: put its reservation's id into `cluster.capacity: {{ kind: block, id: cr-… }}`, its zone into `availability_zone`, then `prefab apply --wait-for-block`.",
                    purchase(region, first)
                );
            }
            None => {
                shown += "\nNext: another `--days`, `--count`, `--instance-type` or region; blocks appear and go within hours.";
            }
        }
        let json = json!({
            "kind": "capacity", "region": region, "instance_type": instance_type, "count": count, "hours": hours,
            "reservations": reserved.iter().map(|of| json!({
                "id": of.id, "state": of.state, "kind": of.kind, "instance_type": of.instance_type, "zone": of.zone,
                "zone_id": of.zone_id, "free": of.free, "total": of.total, "starts": of.starts, "ends": of.ends,
            })).collect::<Vec<_>>(),
            "offerings": offered.iter().map(|of| json!({
                "id": of.id, "instance_type": of.instance_type, "zone": of.zone, "count": of.instances,
                "starts": of.starts, "ends": of.ends, "hours": of.hours, "fee": of.fee, "currency": of.currency,
                "purchase_command": purchase(region, of),
            })).collect::<Vec<_>>(),
        });
        terminal.result(&shown, &json)?;
        Ok(Exit::Done)
    }

    /// What is looked for, or everything that is wrong with it.
    fn wanted(&self, spec: &Spec) -> Result<Wanted, Vec<String>> {
        let mut findings = Vec::new();
        let pools = Role::ALL.map(|role| spec.cluster.pool(role));
        let of_spec: Vec<&str> = spec.cluster.instance_types().into_iter().map(|of| of.name.as_str()).collect();
        let instance_type = match (&self.instance_type, of_spec.as_slice()) {
            (Some(named), _) => named.clone(),
            (None, [only]) => (*only).to_owned(),
            (None, several) => {
                findings.push(format!(
                    "found the types {} in the spec, expected one: a block has one; name it with --instance-type",
                    several.join(", ")
                ));
                String::new()
            }
        };
        let known: Option<&InstanceType> = instance_types::find(&instance_type).ok();
        if !instance_type.is_empty() && !known.is_some_and(|of| of.capacity_block) {
            let offered: Vec<&str> =
                instance_types::accepted().filter(|of| of.capacity_block).map(|of| of.name.as_str()).collect();
            findings.push(format!("found `{instance_type}`, expected a type that has blocks: {}", offered.join(", ")));
        }
        let of_type = pools.iter().filter(|pool| pool.instance_type.name == instance_type);
        let count = self.count.unwrap_or_else(|| of_type.map(|pool| pool.count).sum::<u32>().max(1));
        if !(1..=MOST_INSTANCES).contains(&count) {
            findings
                .push(format!("found {count} instances, expected 1 to {MOST_INSTANCES} in one block; give --count"));
        }
        let days = self.days;
        if !(1..=MOST_DAYS).contains(&days) || (days > MOST_SINGLE_DAYS && !days.is_multiple_of(7)) {
            findings.push(format!(
                "found `--days {days}`, expected 1 to {MOST_SINGLE_DAYS}, or whole weeks up to {MOST_DAYS}"
            ));
        }
        if findings.is_empty() { Ok(Wanted { instance_type, count, hours: days * 24 }) } else { Err(findings) }
    }
}

fn price(of: &Offering) -> f64 {
    of.fee.parse().unwrap_or(f64::INFINITY)
}

fn purchase(region: &str, of: &Offering) -> String {
    format!(
        "aws ec2 purchase-capacity-block --region {region} --capacity-block-offering-id {} --instance-platform Linux/UNIX",
        of.id
    )
}

fn reservations(spec: &Spec, reserved: &[Reservation]) -> String {
    if reserved.is_empty() {
        return format!("{}: nothing is reserved\n", spec.region.as_str());
    }
    let own = match &spec.cluster.capacity {
        Planned::OnDemand => None,
        Planned::Reservation { id } | Planned::Block { id } => Some(id),
    };
    let mut table = plain(&["reserved", "kind", "type", "zone", "state", "free", "from", "to", ""], &["free"]);
    for of in reserved {
        let free = format!("{}/{}", of.free, of.total);
        let zone = format!("{} {}", of.zone, of.zone_id);
        let mark = if own == Some(&of.id) { "the spec's" } else { "" };
        table.add_row([&of.id, &of.kind, &of.instance_type, zone.trim(), &of.state, &free, &of.starts, &of.ends, mark]);
    }
    text(&table)
}

fn offerings(wanted: &Wanted, region: &str, offered: &[Offering]) -> String {
    let Wanted { instance_type, count, hours } = wanted;
    if offered.is_empty() {
        return format!(
            "no block of {count} × {instance_type} for {} days may be bought in {region} now\n",
            hours / 24
        );
    }
    let mut table =
        plain(&["to buy", "type", "zone", "from", "to", "fee", "an instance-hour"], &["fee", "an instance-hour"]);
    for of in offered {
        let hours = f64::from(of.instances) * f64::from(of.hours);
        let each =
            if price(of).is_finite() && hours > 0.0 { format!("{:.2}", price(of) / hours) } else { String::new() };
        let (kind, fee) = (format!("{} × {}", of.instances, of.instance_type), format!("{} {}", of.fee, of.currency));
        table.add_row([&of.id, &kind, &of.zone, &of.starts, &of.ends, &fee, &each]);
    }
    text(&table)
}
