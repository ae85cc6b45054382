//! Who may do what, and how nobody else does.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use vnf::config;

use crate::lab::{Instance, TABLE, token, write_config};

#[test]
fn nobody_reads_from_this_host_and_the_rest_takes_a_token_or_the_socket() {
    let instance = Instance::start(TABLE);
    let status = instance.tcp(None, "GET", "/api/status", &[]).expect(200);
    assert_eq!(status.json()["name"], "test");
    assert_eq!(status.header("content-type"), Some("application/json"));
    assert_eq!(status.header("x-content-type-options"), Some("nosniff"));
    assert_eq!(status.header("access-control-allow-origin"), None);
    assert!(status.header("content-security-policy").unwrap().starts_with("default-src 'none'"));

    let wrong = instance.tcp(None, "GET", "/api/status", &["Authorization: Bearer nonsense"]);
    assert_eq!(wrong.status, 401, "a wrong token is worse than none");
    assert_eq!(wrong.header("www-authenticate"), Some("Bearer"));
    assert_eq!(wrong.error()["error-tag"], "access-denied");
    let basic = instance.tcp(None, "GET", "/api/status", &["Authorization: Basic YTpi"]);
    assert_eq!(basic.status, 401);
    instance.tcp(Some("rob"), "GET", "/api/status", &[]).expect(200);
    instance.tcp(None, "GET", "/nowhere", &[]).expect(404);
    let stats = instance.tcp(None, "GET", "/api/stats", &[]).expect(200).json();
    let drop = &stats["interfaces"]["external"]["drops"]["no-softwire"];
    assert_eq!(drop["packets"], 10);
    assert!(drop.get("example").is_none(), "bytes of subscribers' packets need another role");
}

#[test]
fn no_page_of_another_site_gets_through() {
    let instance = Instance::start(TABLE);
    let get = |headers: &[&str]| instance.tcp(Some("ann"), "GET", "/api/status", headers).status;
    let port = instance.addresses[0].rsplit(':').next().unwrap();
    assert_eq!(get(&["Host: evil.example"]), 421, "a name of theirs that leads here");
    assert_eq!(get(&["Host: evil.example", "Host: localhost"]), 421, "two Host headers");
    assert_eq!(get(&[&format!("Host: localhost:{port}")]), 200);
    assert_eq!(get(&["Host: [::1]"]), 200);
    assert_eq!(get(&["Origin: http://evil.example"]), 403);
    assert_eq!(get(&["Origin: null"]), 403);
    assert_eq!(get(&[&format!("Origin: http://127.0.0.1:{port}")]), 200);
    assert_eq!(get(&["Sec-Fetch-Site: cross-site"]), 403);
    assert_eq!(get(&["Sec-Fetch-Site: same-origin"]), 200);
    let link =
        ["Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document"];
    assert_eq!(get(&link), 200, "a link to it may be followed");
    let preflight = ["Origin: http://evil.example", "Access-Control-Request-Method: PUT"];
    let answer = instance.tcp(None, "OPTIONS", "/api/status", &preflight);
    assert!(answer.status >= 400 && answer.header("access-control-allow-origin").is_none());
}

#[test]
fn other_addresses_need_tls_and_somebody_who_may() {
    let directory = tempfile::tempdir().unwrap();
    let refused = |api: &str, words: &str| {
        let path = write_config(directory.path(), api, "", TABLE);
        let error = config::load(&path).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    };
    refused("listen = \"0.0.0.0:8676\"", "api.listen: 0.0.0.0:8676 can be reached");
    refused("listen = \"[2001:db8::1]:1\"\ncredentials = \"credentials\"", "no tls-certificate");
    refused("tls-key = \"key.pem\"", "api.tls-key: needs tls-certificate");
    refused("client-ca = \"ca.pem\"", "api.client-ca: needs TLS");
    refused("credentials = \"nowhere\"", "nowhere: cannot be read (No such file");
    refused("credentials = \"nowhere\"", "the path of a file that this user may read");
    refused("host-names = \"a/b\"", "api.host-names: \"a/b\" is not accepted");
    refused("listen = [\"[::1]:1\", \"[::1]:1\"]", "names [::1]:1 twice");
}

#[test]
fn a_new_token_counts_from_the_reload_on() {
    let instance = Instance::start(TABLE);
    let credentials = instance.directory.path().join("credentials");
    let text = std::fs::read_to_string(&credentials).unwrap();
    std::fs::write(&credentials, text.replace("rob read", "rob nothing")).unwrap();
    let words = instance.reload().unwrap_err();
    assert!(words.contains("credentials:3: the role must be"), "{words}");
    instance.tcp(Some("rob"), "GET", "/api/status", &[]).expect(200);
    let without_rob: String = text.lines().take(2).map(|line| format!("{line}\n")).collect();
    std::fs::write(&credentials, without_rob).unwrap();
    instance.reload().unwrap();
    instance.tcp(Some("rob"), "GET", "/api/status", &[]).expect(401);
    instance.tcp(Some("ann"), "GET", "/api/status", &[]).expect(200);
}

#[test]
fn silent_connections_make_room_for_those_who_ask() {
    let instance = Instance::start(TABLE);
    let connect = || TcpStream::connect(&instance.addresses[0]).unwrap();
    let mut silent: Vec<TcpStream> = (0..80).map(|_| connect()).collect();
    for stream in &mut silent[40..] {
        _ = stream.write_all(b"GET /api/status HTTP/1.1\r\nHost: loc");
    }
    let started = std::time::Instant::now();
    instance.tcp(None, "GET", "/api/status", &[]).expect(200);
    instance.unix("GET", "/api/status").expect(200);
    assert!(started.elapsed() < Duration::from_secs(10));
    silent[0].set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    assert_eq!(silent[0].read(&mut [0]).unwrap_or(0), 0, "who was silent longest had to go");
}

#[test]
fn a_header_without_end_is_cut_off() {
    let instance = Instance::start(TABLE);
    let mut stream = TcpStream::connect(&instance.addresses[0]).unwrap();
    stream.write_all(b"GET /api/status HTTP/1.1\r\nHost: localhost\r\nX: ").unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let mut answer = Vec::new();
    for _ in 0..100 {
        if stream.write_all(&[b'x'; 1024]).is_err() {
            break;
        }
    }
    _ = stream.read_to_end(&mut answer);
    let answer = String::from_utf8_lossy(&answer);
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 431"), "{answer}");
    let long = token("x").repeat(2_000);
    let header = format!("Authorization: Bearer {long}");
    assert_eq!(instance.tcp(None, "GET", "/api/status", &[&header]).status, 431);
}

/// A change is gone through with and noted, also when the client does not wait for the answer.
#[test]
fn who_changes_something_and_goes_away_is_in_the_audit_log() {
    let instance = Instance::start(TABLE);
    let entries: Vec<serde_json::Value> = (0..4_000_u32)
        .map(|n| {
            let ipv4 = std::net::Ipv4Addr::from(0xcb00_8000 + n).to_string();
            let b4 = format!("2001:db8:b4:1::{:x}", n + 1);
            serde_json::json!({"binding-ipv6info": b4, "binding-ipv4-addr": ipv4})
        })
        .collect();
    let body = serde_json::json!({"ietf-softwire-br:binding-table": {"binding-entry": entries}});
    let body = body.to_string();
    let head = format!(
        "PATCH /restconf/data/ietf-softwire-br:br-instances/binding/bind-instance=test/binding-table \
         HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/yang-data+json\r\n\
         Authorization: Bearer {}\r\nContent-Length: {}\r\n\r\n",
        token("ann"),
        body.len()
    );
    let mut stream = TcpStream::connect(&instance.addresses[0]).unwrap();
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(body.as_bytes()).unwrap();
    drop(stream);
    instance.eventually(|| {
        let status = instance.unix("GET", "/api/status").json();
        (status["softwires"] == 4_005).then_some(())
    });
    instance.eventually(|| instance.lwaftr(&["audit"]).contains("4000 added").then_some(()));
}
