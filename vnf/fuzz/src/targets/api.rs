//! The management API of a real control plane: whatever resource is asked for with whatever body,
//! the answer is HTTP, errors have RESTCONF's form, and the table is whole afterwards.

use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

use super::socket::{INSTANCE, RESET, converse, write_files};

const METHODS: [&str; 6] = ["GET", "PUT", "PATCH", "POST", "DELETE", "OPTIONS"];

/// Where paths begin, so that the fuzzer need not find out.
const PREFIXES: [&str; 4] = [
    "/",
    "/restconf/data/",
    "/restconf/data/lwaftr:softwires",
    "/restconf/data/ietf-softwire-br:br-instances/binding/bind-instance=lwaftr",
];

/// One byte for method and prefix, the rest of the path up to a newline, the body.
pub(crate) fn api(input: &[u8]) {
    let Some((&choice, rest)) = input.split_first() else { return };
    let choice = usize::from(choice);
    let (path, body) = match rest.iter().position(|&byte| byte == b'\n') {
        Some(newline) => (&rest[..newline], &rest[newline + 1..]),
        None => (rest, &b""[..]),
    };
    // Streams do not end, and captures not soon; what a capture is asked for, `control` asks too.
    if path.windows(7).any(|part| part == b"streams" || part == b"capture") {
        return;
    }
    let method = METHODS[choice % METHODS.len()];
    let mut target = PREFIXES[choice / METHODS.len() % PREFIXES.len()].to_owned();
    for &byte in path.iter().take(2_000) {
        // What is no URI never comes as far as to us.
        let plain = byte.is_ascii_alphanumeric() || b"-._~/:=,;?&+%!$'()*@".contains(&byte);
        if plain { target.push(byte.into()) } else { _ = write!(target, "%{byte:02x}") }
    }
    let (status, answer) = ask(method, &target, body);
    // Nothing that a client says may break anything.
    assert!((200..500).contains(&status), "{method} {target}: {status}: {answer}");
    if status >= 400 && status != 405 && target.starts_with("/restconf") && target != "/restconf" {
        let json: serde_json::Value = serde_json::from_str(&answer).unwrap();
        let error = &json["ietf-restconf:errors"]["error"][0];
        assert!(error["error-tag"].is_string() && error["error-type"].is_string(), "{answer}");
    }
    if method != "GET" && (200..300).contains(&status) {
        let (status, list) = ask("GET", PREFIXES[2], b"");
        assert_eq!(status, 200);
        let list: serde_json::Value = serde_json::from_str(&list).unwrap();
        assert!(list["lwaftr:softwires"]["softwire"].is_array());
        // The next input finds what this one found.
        write_files(&INSTANCE);
        let answer = converse(&INSTANCE, RESET);
        assert!(answer.starts_with(b"{\"ok\""), "{}", String::from_utf8_lossy(&answer));
    }
}

fn ask(method: &str, target: &str, body: &[u8]) -> (u16, String) {
    let socket: PathBuf = INSTANCE.with_file_name("api");
    let mut request = format!(
        "{method} {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
         Content-Type: application/yang-data+json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    )
    .into_bytes();
    request.extend_from_slice(body);
    let mut stream = UnixStream::connect(socket).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    // It may close before it has read all.
    let _ = stream.write_all(&request);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    let answer = String::from_utf8(answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
    let status = head.strip_prefix("HTTP/1.1 ").and_then(|head| head.get(..3)).unwrap();
    (status.parse().unwrap(), unchunked(head, body))
}

/// The body without the marks of its chunks.
fn unchunked(head: &str, mut body: &str) -> String {
    if !head.to_ascii_lowercase().contains("transfer-encoding: chunked") {
        return body.to_owned();
    }
    let mut whole = String::new();
    while let Some((length, rest)) = body.split_once("\r\n") {
        let length = usize::from_str_radix(length, 16).unwrap();
        if length == 0 {
            break;
        }
        whole += &rest[..length];
        body = &rest[length + 2..];
    }
    whole
}
