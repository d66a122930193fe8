//! `prefab report` and `prefab compare`, from files to what a person sees.

mod browser;
mod comparison;
mod fixture;
mod pages;
