//! `prefab-bootstrap tasks` as a process, with real bash. Every fault of the reference's runner is a test here by name.

mod bed;

mod crashes;
mod faults;
mod fuzz;
mod outputs;
mod resume;
mod secrets;
mod shipped;
mod signals;
mod surroundings;
mod trust;
