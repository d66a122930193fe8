//! What was measured, for people: benchmark reports and check reports become one [`ReportModel`], and three renderers
//! write it as a web page, as Markdown and for a terminal. [`compare`] holds two or more runs against each other.
//!
//! Pure: documents go in as bytes, text comes out. Equal input gives equal bytes.

pub mod compare;
pub mod input;
pub mod model;

mod label;
mod number;
mod plain;
mod sections;
pub mod statistics;

pub mod html;
pub mod markdown;
pub mod terminal;

use self::input::Inputs;
use self::model::ReportModel;
use crate::instance_types::InstanceType;

/// What a person may set.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Settings {
    /// The time to first token of which a transfer's share is told, in milliseconds.
    pub ttft_budget_ms: f64,
    /// The type of the nodes, for reports that do not tell what their link carries.
    pub instance_type: Option<&'static InstanceType>,
}

impl Default for Settings {
    /// One second: a round figure, no standard.
    fn default() -> Self {
        Self { ttft_budget_ms: 1_000.0, instance_type: None }
    }
}

/// Everything that a report says.
pub fn model(inputs: &Inputs, settings: Settings) -> ReportModel {
    sections::report(inputs, settings)
}
