//! The signer in bash against AWS's published examples and against another implementation, below.

use std::fs;
use std::process::Command;

use prefab::user_data::Surroundings;
use sha2::{Digest as _, Sha256};

use super::{ACCESS_KEY, SECRET_KEY, SESSION_TOKEN, seed};

/// Runs `commands` with the script's functions: all but its last line, which alone acts.
fn with_functions(commands: &str) -> String {
    let script = Surroundings::default().render(&seed(b""));
    let functions = script.strip_suffix("main \"$@\"\n").expect("the last line is the only one that acts");
    // From a file: the tests of the boot look for these keys in every process's command line.
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("functions.sh");
    fs::write(&file, format!("{functions}\nset -euo pipefail -f\nLC_ALL=C\n{commands}")).expect("functions");
    let output = Command::new("/bin/bash").arg(&file).output().expect("bash");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

struct Request<'a> {
    service: &'a str,
    method: &'a str,
    host: &'a str,
    path: &'a str,
    query: &'a str,
    body: &'a str,
    headers: &'a [&'a str],
    secret: &'a str,
    token: &'a str,
}

const S3_GET: Request<'_> = Request {
    service: "s3",
    method: "GET",
    host: "examplebucket.s3.amazonaws.com",
    path: "/test.txt",
    query: "",
    body: "",
    headers: &[],
    secret: SECRET_KEY,
    token: "",
};

/// The authorization header, as the script signs at 2013-05-24T00:00:00Z.
fn authorization(request: &Request<'_>) -> String {
    let quote = |text: &str| format!("'{}'", text.replace('\'', r"'\''"));
    let mut sign = String::from("sign");
    let sum = hexadecimal(&Sha256::digest(request.body));
    for argument in [request.service, request.method, request.host, request.path, request.query, &sum] {
        sign = format!("{sign} {}", quote(argument));
    }
    for header in request.headers {
        sign = format!("{sign} {}", quote(header));
    }
    let output = with_functions(&format!(
        "utc_now() {{ echo 1369353600; }}\nACCESS_KEY={ACCESS_KEY} SECRET_KEY={} SESSION_TOKEN={}\n{sign}\nprintf '%s' \"$SIGNED\"",
        quote(request.secret),
        quote(request.token)
    ));
    let header =
        output.lines().find_map(|line| line.strip_prefix("header = \"authorization: ")).expect("authorization");
    header.strip_suffix('"').expect("quoted").to_owned()
}

/// docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html, its four examples.
#[test]
fn the_published_examples_come_out() {
    let cases = [
        (
            Request { headers: &["range:bytes=0-9"], ..S3_GET },
            "host;range;x-amz-content-sha256;x-amz-date",
            "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
        ),
        (
            Request {
                method: "PUT",
                path: "/test%24file.text",
                body: "Welcome to Amazon S3.",
                headers: &["x-amz-storage-class:REDUCED_REDUNDANCY", "date:Fri, 24 May 2013 00:00:00 GMT"],
                ..S3_GET
            },
            "date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class",
            "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
        ),
        (
            Request { path: "/", query: "lifecycle=", ..S3_GET },
            "host;x-amz-content-sha256;x-amz-date",
            "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543",
        ),
        (
            Request { path: "/", query: "max-keys=2&prefix=J", ..S3_GET },
            "host;x-amz-content-sha256;x-amz-date",
            "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
        ),
    ];
    for (request, names, signature) in cases {
        let expected = format!(
            "AWS4-HMAC-SHA256 Credential={ACCESS_KEY}/20130524/us-east-1/s3/aws4_request, SignedHeaders={names}, \
             Signature={signature}"
        );
        assert_eq!(authorization(&request), expected);
    }
}

#[test]
fn the_requests_of_a_boot_are_signed_as_another_implementation_signs_them() {
    let form = "Action=SignalResource&Version=2010-05-15&StackName=arn%3Aaws%3Acloudformation&Status=FAILURE";
    let signal = Request {
        service: "cloudformation",
        method: "POST",
        host: "cloudformation.us-east-1.amazonaws.com",
        path: "/",
        body: form,
        headers: &["content-type:application/x-www-form-urlencoded"],
        token: SESSION_TOKEN,
        ..S3_GET
    };
    let reason = Request {
        method: "PUT",
        path: "/boot/51af3dc0-da77-11e4-872e-1234567db123/Prefill0.json",
        body: r#"{"reason":"it's a \"test\" \\ %s \x41"}"#,
        headers: &["content-type:application/json"],
        ..S3_GET
    };
    let long_token = SESSION_TOKEN.repeat(30);
    let secrets =
        ["0000000000000000", "666666666666666666666666666666666666666666666666666666666666", "/+=/+=/+=/+=/+=/+="];
    let mut requests = vec![signal, reason, Request { token: &long_token, ..S3_GET }];
    // 0x36 and 0x5c are the paddings of HMAC: there, bytes become NUL.
    requests.extend(secrets.map(|secret| Request { secret, token: SESSION_TOKEN, ..S3_GET }));
    for request in &requests {
        assert_eq!(authorization(request), reference(request), "{} {}", request.service, request.secret);
    }
}

#[test]
fn a_node_asks_the_partitions_own_endpoints_and_nothing_in_clear_but_its_metadata() {
    let text = with_functions(r#"printf '%s\n' "$IMDS" "$S3" "$CLOUDFORMATION" "$PROTOCOL""#);
    let expected = [
        "http://169.254.169.254",
        "https://nixl-dev-artifacts-programs-1a2b3c4d.s3.us-east-1.amazonaws.com",
        "https://cloudformation.us-east-1.amazonaws.com",
        "=https",
    ];
    assert_eq!(text.lines().collect::<Vec<_>>(), expected);
}

/// RFC 4231, cases 1 and 2, with either tool for the hash.
#[test]
fn hmac_agrees_with_its_own_vectors() {
    for tools in ["", "type() { return 1; }; "] {
        let text = with_functions(&format!(
            "{tools}hmac 0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b 'Hi There'; echo; hmac 4a656665 'what do ya want for nothing?'"
        ));
        let expected = [
            "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
        ];
        assert_eq!(text.lines().collect::<Vec<_>>(), expected);
    }
}

#[test]
fn only_unreserved_characters_stay_as_they_are() {
    let text = with_functions("uri_encode 'aZ09-._~ /:+%&=?#$*!@'; printf '%s' \"$ENCODED\"");
    assert_eq!(text, "aZ09-._~%20%2F%3A%2B%25%26%3D%3F%23%24%2A%21%40");
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn hmac(key: &[u8], text: &[u8]) -> Vec<u8> {
    let mut block = [0_u8; 64];
    block[..key.len()].copy_from_slice(key);
    let inner = Sha256::new().chain_update(block.map(|byte| byte ^ 0x36)).chain_update(text).finalize();
    Sha256::new().chain_update(block.map(|byte| byte ^ 0x5c)).chain_update(inner).finalize().to_vec()
}

fn reference(request: &Request<'_>) -> String {
    let (day, stamp) = ("20130524", "20130524T000000Z");
    let sum = hexadecimal(&Sha256::digest(request.body));
    let mut headers =
        vec![format!("host:{}", request.host), format!("x-amz-content-sha256:{sum}"), format!("x-amz-date:{stamp}")];
    headers.extend(request.headers.iter().map(ToString::to_string));
    if !request.token.is_empty() {
        headers.push(format!("x-amz-security-token:{}", request.token));
    }
    headers.sort();
    let names = headers.iter().filter_map(|header| header.split(':').next()).collect::<Vec<_>>().join(";");
    let headers: String = headers.iter().map(|header| format!("{header}\n")).collect();
    let canonical = [request.method, request.path, request.query, &headers, &names, &sum].join("\n");
    let scope = format!("{day}/us-east-1/{}/aws4_request", request.service);
    let to_sign = format!("AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{}", hexadecimal(&Sha256::digest(canonical)));
    let key = format!("AWS4{}", request.secret).into_bytes();
    let key =
        [day, "us-east-1", request.service, "aws4_request"].iter().fold(key, |key, part| hmac(&key, part.as_bytes()));
    let signature = hexadecimal(&hmac(&key, to_sign.as_bytes()));
    format!("AWS4-HMAC-SHA256 Credential={ACCESS_KEY}/{scope}, SignedHeaders={names}, Signature={signature}")
}
