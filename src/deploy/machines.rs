//! What a preflight asks of an account: types, routes, reservations, quotas, and whether EC2 would launch.

use super::account::Problem;

/// What EC2 says of an instance type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TypeFacts {
    /// Virtual processors.
    pub vcpus: u32,
    /// Network cards.
    pub cards: u32,
    /// EFA interfaces; 0 when it has no EFA.
    pub efa_interfaces: u32,
    /// GPUs.
    pub gpus: u32,
    /// Memory of one GPU, MiB.
    pub gpu_memory_mib_each: u64,
}

/// Where a subnet's packets to the world go, such as `igw-…` or `nat-…`; `None` when they go nowhere.
pub type DefaultRoute = Option<String>;

/// A capacity reservation or block.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reservation {
    /// `cr-…`
    pub id: String,
    /// Such as `active` or `scheduled`.
    pub state: String,
    /// `default`, or `capacity-block`.
    pub kind: String,
    /// Its type.
    pub instance_type: String,
    /// Zone by name.
    pub zone: String,
    /// Zone by id.
    pub zone_id: String,
    /// Instances that are free.
    pub free: u32,
    /// All instances.
    pub total: u32,
    /// Its window, RFC 3339; empty when it has no end.
    pub starts: String,
    /// Its end; empty when it has none.
    pub ends: String,
}

/// A block that may be bought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offering {
    /// `cb-…`
    pub id: String,
    /// Its type.
    pub instance_type: String,
    /// Zone by name.
    pub zone: String,
    /// Instances.
    pub instances: u32,
    /// Its window, RFC 3339.
    pub starts: String,
    /// Its end.
    pub ends: String,
    /// Its length, hours.
    pub hours: u32,
    /// What it costs, paid at once, as EC2 writes it.
    pub fee: String,
    /// In which currency.
    pub currency: String,
}

/// A running instance that counts against a quota.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Running {
    /// Its type.
    pub instance_type: String,
    /// Virtual processors.
    pub vcpus: u32,
    /// The stack that it belongs to; empty when none.
    pub stack: String,
}

/// A rule of a group that names a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupRule {
    /// Out rather than in.
    pub egress: bool,
    /// `-1` for all.
    pub protocol: String,
    /// The group that it names; empty when it names none.
    pub group: String,
}

/// What a preflight asks.
pub trait Machines {
    /// Facts of a type.
    ///
    /// # Errors
    /// [`Problem::Absent`] when the region has no such type.
    fn type_facts(&self, instance_type: &str) -> Result<TypeFacts, Problem>;
    /// The way out of a subnet.
    ///
    /// # Errors
    /// The call fails.
    fn default_route(&self, vpc: &str, subnet: &str) -> Result<DefaultRoute, Problem>;
    /// Services that the VPC has endpoints of, such as `com.amazonaws.us-east-1.s3`.
    ///
    /// # Errors
    /// The call fails.
    fn endpoints(&self, vpc: &str) -> Result<Vec<String>, Problem>;
    /// A reservation or block.
    ///
    /// # Errors
    /// [`Problem::Absent`] when there is none.
    fn reservation(&self, id: &str) -> Result<Reservation, Problem>;
    /// Every reservation and block that is not over.
    ///
    /// # Errors
    /// The call fails.
    fn reservations(&self) -> Result<Vec<Reservation>, Problem>;
    /// Blocks of so many instances for so long that may be bought.
    ///
    /// # Errors
    /// The call fails.
    fn offerings(&self, instance_type: &str, instances: u32, hours: u32) -> Result<Vec<Offering>, Problem>;
    /// The value of a quota of EC2.
    ///
    /// # Errors
    /// The call fails.
    fn quota(&self, code: &str) -> Result<f64, Problem>;
    /// Every instance that runs.
    ///
    /// # Errors
    /// The call fails.
    fn running(&self) -> Result<Vec<Running>, Problem>;
    /// The rules of a group.
    ///
    /// # Errors
    /// The call fails.
    fn group_rules(&self, group: &str) -> Result<Vec<GroupRule>, Problem>;
    /// Whether a shutdown from inside ends an instance for good, or stops it.
    ///
    /// # Errors
    /// The call fails.
    fn set_terminates_on_shutdown(&self, instance: &str, terminates: bool) -> Result<(), Problem>;
    /// Asks EC2 whether it would launch this, by the parameters of `RunInstances`.
    ///
    /// # Errors
    /// EC2 would not.
    fn would_launch(&self, parameters: &[(String, String)]) -> Result<(), Problem>;
}
