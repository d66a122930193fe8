//! The summary as a reviewer reads it on a terminal.

use std::fmt;

use super::{Size, Summary};

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", self.found, self.limit)
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} in {} ({})", self.name, self.region, self.availability_zone)?;
        for stack in &self.stacks {
            let size = stack.template_bytes;
            let beyond = if size.found > size.limit { "; goes through S3" } else { "" };
            writeln!(f, "\n  {}: {} resources, {size} bytes inline{beyond}", stack.name, stack.resource_count)?;
            for (kind, count) in &stack.resources {
                writeln!(f, "    {count:>3} {kind}")?;
            }
        }
        writeln!(f, "\n  nodes")?;
        for (role, nodes) in &self.nodes {
            let plural = if nodes.subnet_addresses == 1 { "address" } else { "addresses" };
            writeln!(
                f,
                "    {role}: {} x {}, {} subnet {plural} each",
                nodes.count, nodes.instance_type, nodes.subnet_addresses
            )?;
            writeln!(f, "      interfaces {}", nodes.interfaces.join(" "))?;
        }
        writeln!(f, "\n  roles")?;
        for (role, actions) in &self.iam_actions {
            writeln!(f, "    {role}")?;
            for action in actions {
                writeln!(f, "      {action}")?;
            }
        }
        writeln!(f, "\n  security group")?;
        for rule in &self.open_ports {
            writeln!(f, "    {rule}")?;
        }
        writeln!(f, "\n  node script: {} bytes after substitution", self.user_data)?;
        writeln!(f, "\n  chosen at apply")?;
        for (parameter, from) in &self.chosen_at_apply {
            writeln!(f, "    {parameter}: {from}")?;
        }
        Ok(())
    }
}
