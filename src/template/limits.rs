//! Limits of CloudFormation and EC2 that a template can pass.

use super::TemplateError;

/// Resources of one stack.
pub const MOST_RESOURCES: usize = 500;
/// Parameters of one stack.
pub const MOST_PARAMETERS: usize = 200;
/// Outputs of one stack; ours is lower than CloudFormation's 200, because a review reads them.
pub const MOST_OUTPUTS: usize = 12;
/// Bytes of a template in an API call; a larger one goes through S3.
pub const INLINE_TEMPLATE_BYTES: usize = 51_200;
/// Bytes of a template in S3.
pub const MOST_TEMPLATE_BYTES: usize = 1_000_000;

pub(super) fn check(resources: usize, parameters: usize, outputs: usize) -> Result<(), TemplateError> {
    let rows = [
        ("resources", resources, MOST_RESOURCES),
        ("parameters", parameters, MOST_PARAMETERS),
        ("outputs", outputs, MOST_OUTPUTS),
    ];
    match rows.into_iter().find(|(_, found, allowed)| found > allowed) {
        Some((what, found, allowed)) => Err(TemplateError::Limit { what, found, allowed }),
        None => Ok(()),
    }
}
