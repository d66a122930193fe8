//! Results in a real MLflow server: what a real benchmark measured is there, field by field, and stays whole and single
//! whatever breaks on the way. The server knows no SigV4; botocore verifies the signatures instead.

mod bed;
mod faults;
mod read_back;
mod signed;
