//! One signal, one effect.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use prefab_rest::cloudformation::{Signal, Signalled, Status, signal};
use prefab_rest::error::Error;

use crate::node::{Node, node, patient};
use crate::server::{Reply, Server, ok, status, with_header};

const ARN: &str = "arn:aws:cloudformation:us-east-1:1:stack/a/0f1e";

pub fn ready(node: &Node) -> Result<Signalled, Error> {
    let signal_ =
        Signal { stack_id: ARN, logical_id: "Prefill0", instance_id: "i-0123456789abcdef0", status: Status::Success };
    signal(&node.signed, signal_)
}

pub const ACCEPTED: &str = "<SignalResourceResponse xmlns=\"http://x/\"><ResponseMetadata/></SignalResourceResponse>";

fn validation(message: &str) -> Reply {
    status(
        400,
        &format!(
            "<ErrorResponse><Error><Code>ValidationError</Code><Message>{message}</Message></Error></ErrorResponse>"
        ),
    )
}

#[test]
fn the_signal_names_stack_node_and_instance() {
    let server = Server::start(|_| ok(ACCEPTED));
    let node = node(&server);
    assert_eq!(ready(&node).unwrap(), Signalled::Accepted);
    let body = server.received()[0].text();
    assert_eq!(
        body,
        "Action=SignalResource&LogicalResourceId=Prefill0&StackName=arn%3Aaws%3Acloudformation%3Aus-east-1%3A1%3Astack%2Fa%2F0f1e&Status=SUCCESS&UniqueId=i-0123456789abcdef0&Version=2010-05-15"
    );
    assert_eq!(server.received().len(), 1);
}

#[test]
fn a_signal_whose_answer_was_lost_has_one_effect() {
    // The server takes the first signal and loses the answer in five ways.
    for lost in [
        (|| Reply::Reset) as fn() -> Reply,
        || Reply::Raw(Vec::new()),
        || Reply::Stall(Duration::from_secs(9)),
        || status(503, "busy"),
        || with_header(500, ("Content-Type", "text/html"), "<html>"),
    ] {
        for (again, expected) in [
            (
                "Signal with ID i-0 for resource Prefill0 already exists. Signals may only be updated with a FAILURE status.",
                Signalled::AlreadySignalled,
            ),
            (
                "Resource Prefill0 is in CREATE_COMPLETE state and cannot be signaled",
                Signalled::NotWaiting(
                    "Resource Prefill0 is in CREATE_COMPLETE state and cannot be signaled".to_owned(),
                ),
            ),
        ] {
            let effects = Arc::new(Mutex::new(0));
            let counted = Arc::clone(&effects);
            let server = Server::start(move |_| {
                let mut effects = counted.lock().unwrap();
                if *effects > 0 {
                    return validation(again);
                }
                *effects += 1;
                lost()
            });
            assert_eq!(ready(&patient(&server)).unwrap(), expected);
            assert_eq!((*effects.lock().unwrap(), server.received().len()), (1, 2));
        }
    }
}

#[test]
fn a_signal_is_not_taken_for_sent_where_it_was_not() {
    for reply in [
        (|| ok("<html>log in</html>")) as fn() -> Reply,
        || ok(""),
        || ok("<OtherResponse/>"),
        || validation("Stack a does not exist"),
        || status(403, "<ErrorResponse><Error><Code>AccessDenied</Code></Error></ErrorResponse>"),
        || Reply::Reset,
    ] {
        let server = Server::start(move |_| reply());
        assert!(ready(&node(&server)).is_err());
    }
}

#[test]
fn throttling_is_waited_out_and_said() {
    let server = Server::start(|request| match request.number {
        1 => status(
            400,
            "<ErrorResponse><Error><Code>Throttling</Code><Message>Rate exceeded</Message></Error></ErrorResponse>",
        ),
        2 => status(429, ""),
        3 => status(503, "<Error><Code>SlowDown</Code></Error>"),
        _ => ok(ACCEPTED),
    });
    let node = patient(&server);
    assert_eq!(ready(&node).unwrap(), Signalled::Accepted);
    let said = node.said.lock().unwrap().clone();
    assert_eq!(said.len(), 3);
    assert!(said[0].contains("400 Throttling: Rate exceeded; next attempt in 0.0 s"), "{said:?}");
}

#[test]
fn permissions_that_are_late_are_waited_for_only_where_the_policy_says() {
    let server = || {
        Server::start(|request| {
            if request.number < 3 { status(403, "<Error><Code>AccessDenied</Code></Error>") } else { ok(ACCEPTED) }
        })
    };
    assert!(ready(&node(&server())).is_err());
    let late = server();
    let mut node = node(&late);
    node.signed.policy.denied = Duration::from_secs(10);
    assert_eq!(ready(&node).unwrap(), Signalled::Accepted);
}
