//! Identity, parameters and EC2's facts.

use super::Aws;
use super::problem::{garbled, of};
use super::stacks::text;
use crate::deploy::account::{Facts, Identity, Image, Instance, Leftover, Problem, Subnet, SubnetsOf};

impl Facts for Aws {
    fn identity(&self) -> Result<Identity, Problem> {
        let client = self.clients.borrow().sts.clone();
        let reply = self.wait(client.get_caller_identity().send()).map_err(of)?;
        let account = reply.account().ok_or_else(|| garbled("an account"))?.to_owned();
        Ok(Identity { account, arn: text(reply.arn()) })
    }

    fn region(&self) -> String {
        self.region.clone()
    }

    fn renew(&self) {
        self.renew_clients();
    }

    fn parameter(&self, name: &str) -> Result<String, Problem> {
        let client = self.clients.borrow().ssm.clone();
        let reply = self.wait(client.get_parameter().name(name).send()).map_err(of)?;
        let value = reply.parameter().and_then(|parameter| parameter.value());
        value.map(str::to_owned).ok_or_else(|| garbled("a parameter's value"))
    }

    fn default_vpcs(&self) -> Result<Vec<String>, Problem> {
        self.default_vpc_ids()
    }

    fn subnets(&self, of: &SubnetsOf) -> Result<Vec<Subnet>, Problem> {
        self.describe_subnets(of)
    }

    fn image(&self, id: &str) -> Result<Image, Problem> {
        self.describe_image(id)
    }

    fn instances(&self, ids: &[String]) -> Result<Vec<Instance>, Problem> {
        self.instances_by_id(ids)
    }

    fn console(&self, instance: &str) -> Result<String, Problem> {
        self.console_output(instance)
    }

    fn zones_of_type(&self, instance_type: &str) -> Result<Vec<String>, Problem> {
        self.zones_offering(instance_type)
    }

    fn leftovers(&self, stack_name: &str) -> Result<Vec<Leftover>, Problem> {
        self.tagged(stack_name)
    }
}
