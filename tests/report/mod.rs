//! `prefab report` and `prefab compare`, from files to what a person sees.

mod browser;
mod comparison;
pub mod fixture;
mod pages;
