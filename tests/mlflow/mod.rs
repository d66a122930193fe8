//! Results in a real MLflow server: what a real benchmark measured is there, field by field, and stays whole and single
//! whatever breaks on the way. The server knows no SigV4: an account of botocore's opinion stands before it.

mod account;
mod bed;
mod by_arn;
mod compared;
mod connectivity;
mod faults;
mod leftovers;
mod power;
mod read_back;
mod spooled;
