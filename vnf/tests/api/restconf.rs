//! RESTCONF: what the data tree says, how it is asked, and how the binding table is changed.

use serde_json::{Value, json};

use crate::lab::{Answer, Instance, TABLE};

const INSTANCE: &str = "/restconf/data/ietf-softwire-br:br-instances/binding/bind-instance=test";
const OWN: &str = "/restconf/data/lwaftr:softwires";

fn entry(number: u32, ipv4: &str) -> Value {
    json!({
        "binding-ipv6info": format!("2001:db8:b4:1::{number:x}"),
        "binding-ipv4-addr": ipv4,
        "port-set": {"psid-offset": 0, "psid-len": 0, "psid": 0},
        "br-ipv6-addr": "2001:db8:ffff::1",
    })
}

fn table() -> String {
    format!("{INSTANCE}/binding-table")
}

fn of_b4(b4: &str) -> String {
    format!("{}/binding-entry={}", table(), b4.replace(':', "%3A"))
}

fn entries(instance: &Instance, query: &str) -> Vec<Value> {
    let answer = instance.unix("GET", &format!("{}/binding-entry{query}", table())).expect(200);
    answer.json()["ietf-softwire-br:binding-entry"].as_array().unwrap().clone()
}

fn keys(entries: &[Value]) -> Vec<&str> {
    entries.iter().map(|entry| entry["binding-ipv6info"].as_str().unwrap()).collect()
}

#[test]
fn the_tree_says_what_runs() {
    let instance = Instance::start(TABLE);
    let meta = instance.unix("GET", "/.well-known/host-meta").expect(200);
    assert!(meta.body.contains(r#"<Link rel="restconf" href="/restconf"/>"#));
    let api = instance.unix("GET", "/restconf").expect(200).json();
    assert_eq!(api["ietf-restconf:restconf"]["yang-library-version"], "2019-01-04");

    let all = instance.unix("GET", INSTANCE).expect(200);
    assert_eq!(all.header("content-type"), Some("application/yang-data+json"));
    let all = &all.json()["ietf-softwire-br:bind-instance"][0];
    assert_eq!(all["name"], "test");
    assert_eq!(all["softwire-payload-mtu"], 1500);
    assert_eq!(all["enable-hairpinning"], true);
    // 2001:db8:b4::4 has two softwires: they are in our own list.
    let list = all["binding-table"]["binding-entry"].as_array().unwrap();
    assert_eq!(keys(list), ["2001:db8:b4::1", "2001:db8:b4::2", "2001:db8:b4::3"]);
    assert_eq!(list[0]["port-set"], json!({"psid-offset": 6, "psid-len": 6, "psid": 1}));
    let counted = &all["traffic-stat"];
    assert_eq!(counted["dropped-ipv4-packets"], "10");
    assert_eq!(counted["sent-ipv4-bytes"], "5000");
    assert_eq!(counted["active-softwire-num"], 5);

    let own = instance.unix("GET", OWN).expect(200).json();
    let own = own["lwaftr:softwires"]["softwire"].as_array().unwrap().clone();
    assert_eq!(own.len(), 5);
    assert_eq!(own[4]["b4-ipv6"], "2001:db8:b4::4");
    let one = instance.unix("GET", &format!("{OWN}/softwire=203.0.113.9,2")).expect(200).json();
    assert_eq!(one["lwaftr:softwire"][0]["psid"], 2);
    let leaf = instance.unix("GET", &format!("{OWN}/softwire=203.0.113.9,2/b4-ipv6")).expect(200);
    assert_eq!(leaf.json(), json!({"lwaftr:b4-ipv6": "2001:db8:b4::4"}));
    let mtu = instance.unix("GET", &format!("{INSTANCE}/softwire-payload-mtu")).expect(200);
    assert_eq!(mtu.json(), json!({"ietf-softwire-br:softwire-payload-mtu": 1500}));
    let ports =
        instance.unix("GET", "/restconf/data/ietf-interfaces:interfaces").expect(200).json();
    let external = &ports["ietf-interfaces:interfaces"]["interface"][0];
    assert_eq!(
        (&external["name"], &external["description"]),
        (&json!("external"), &json!("net_null0"))
    );
    assert_eq!(external["statistics"]["in-octets"], "11000");
}

#[test]
fn depth_content_and_pages() {
    let instance = Instance::start(TABLE);
    let get = |path: &str| instance.unix("GET", &format!("{INSTANCE}{path}")).expect(200).json();
    let shallow = get("?depth=2");
    let shallow = &shallow["ietf-softwire-br:bind-instance"][0];
    assert_eq!((&shallow["binding-table"], &shallow["icmp-policy"]), (&json!({}), &json!({})));
    assert_eq!(get("?depth=1"), json!({"ietf-softwire-br:bind-instance": [{}]}));
    assert_eq!(
        get("?depth=3")["ietf-softwire-br:bind-instance"][0]["binding-table"],
        json!({"binding-entry": []})
    );
    let config = get("?content=config");
    let config = &config["ietf-softwire-br:bind-instance"][0];
    assert!(
        config.get("traffic-stat").is_none()
            && config["binding-table"]["binding-entry"][0].is_object()
    );
    let state = get("?content=nonconfig");
    let state = state["ietf-softwire-br:bind-instance"][0].as_object().unwrap();
    assert_eq!(state.keys().map(String::as_str).collect::<Vec<_>>(), ["name", "traffic-stat"]);

    assert_eq!(keys(&entries(&instance, "?limit=2")), ["2001:db8:b4::1", "2001:db8:b4::2"]);
    assert_eq!(keys(&entries(&instance, "?limit=2&offset=2")), ["2001:db8:b4::3"]);
    assert!(entries(&instance, "?offset=3").is_empty());
    let first = &entries(&instance, "?limit=1")[0];
    let (address, psid) = (&first["binding-ipv4-addr"], &first["port-set"]["psid"]);
    let after = format!("?after={},{psid}", address.as_str().unwrap());
    assert_eq!(keys(&entries(&instance, &after)), ["2001:db8:b4::2", "2001:db8:b4::3"]);
    assert_eq!(keys(&entries(&instance, &format!("{after}&limit=1"))), ["2001:db8:b4::2"]);
    assert_eq!(keys(&entries(&instance, &format!("{after}&offset=1"))), ["2001:db8:b4::3"]);
    assert!(entries(&instance, "?after=255.255.255.255,65535").is_empty());
    for wrong in ["203.0.113.7", "203.0.113.7,65536", "2001:db8::1,0", ""] {
        let path = format!("{}/binding-entry?after={wrong}", table());
        assert_eq!(instance.unix("GET", &path).status, 400, "{wrong}");
    }
    let all = instance.unix("GET", "/restconf/data?content=config").expect(200).json();
    let all = &all["ietf-restconf:data"];
    assert_eq!(all["lwaftr:softwires"]["softwire"].as_array().unwrap().len(), 5);
    assert!(all.get("ietf-yang-library:yang-library").is_none());
    for bad in
        ["?depth=0", "?depth=x", "?content=some", "?limit=0", "?depth=1&depth=2", "?fields=name"]
    {
        let answer = instance.unix("GET", &format!("{INSTANCE}{bad}")).expect(400);
        assert_eq!(answer.error()["error-tag"], "invalid-value", "{bad}");
    }
}

#[test]
fn entries_come_change_and_go() {
    let instance = Instance::start(TABLE);
    let path = of_b4("2001:db8:b4:1::1");
    let body = json!({"ietf-softwire-br:binding-entry": [entry(1, "203.0.113.21")]});
    instance.send("PUT", &path, &body).expect(201);
    instance.send("PUT", &path, &body).expect(204);
    let found = instance.unix("GET", &path).expect(200).json();
    assert_eq!(found, body);
    assert_eq!(
        instance
            .lwaftr(&["softwire", "lookup", "203.0.113.21"])
            .matches("2001:db8:b4:1::1")
            .count(),
        1
    );

    // Another address, the same B4.
    let moved = json!({"ietf-softwire-br:binding-entry": [{
        "binding-ipv6info": "2001:db8:b4:1::1", "binding-ipv4-addr": "203.0.113.22"}]});
    instance.send("PATCH", &path, &moved).expect(204);
    assert_eq!(
        instance.unix("GET", &path).json()["ietf-softwire-br:binding-entry"][0]["binding-ipv4-addr"],
        "203.0.113.22"
    );
    let own = instance.unix("GET", &format!("{OWN}/softwire=203.0.113.21,0"));
    assert_eq!(own.status, 404);

    let new = json!({"ietf-softwire-br:binding-entry": [entry(2, "203.0.113.23")]});
    let created = instance.send("POST", &table(), &new).expect(201);
    let location = created.header("location").unwrap().to_owned();
    assert_eq!(location, of_b4("2001:db8:b4:1::2"));
    instance.unix("GET", &location).expect(200);
    let again = instance.send("POST", &table(), &new).expect(409);
    assert_eq!(again.error()["error-tag"], "data-exists");

    instance.unix("DELETE", &path).expect(204);
    instance.unix("DELETE", &path).expect(404);
    instance.unix("GET", &path).expect(404);
    // A restart finds what the API has changed, in the journal that the command's edits go to.
    let status = instance.unix("GET", "/api/status").json();
    assert_eq!(status["edits"], 1);
    let audit = instance.lwaftr(&["audit"]);
    assert!(audit.contains("api-create") && audit.contains("API socket"), "{audit}");
}

#[test]
fn thousands_of_entries_are_one_transaction() {
    let instance = Instance::start(TABLE);
    let address = |n: u32| std::net::Ipv4Addr::from(0xcb00_0000 + n).to_string();
    let many: Vec<Value> = (0..5_000).map(|n| entry(n + 1, &address(n))).collect();
    let patch = json!({"ietf-softwire-br:binding-table": {"binding-entry": many}});
    instance.send("PATCH", &table(), &patch).expect(204);
    assert_eq!(entries(&instance, "").len(), 5_003);
    assert_eq!(entries(&instance, "?limit=10&offset=4999").len(), 4);

    // One bad entry, and nothing happens.
    let mut bad: Vec<Value> = (6_000..7_000).map(|n| entry(n + 1, &address(n))).collect();
    bad[500]["binding-ipv4-addr"] = json!(address(5));
    let patch = json!({"ietf-softwire-br:binding-table": {"binding-entry": bad}});
    let refused = instance.send("PATCH", &table(), &patch).expect(400);
    assert!(
        refused.error()["error-message"].as_str().unwrap().contains("entry 501"),
        "{}",
        refused.body
    );
    assert_eq!(entries(&instance, "").len(), 5_003);

    // A table that is too short is taken for a mistake.
    let few = json!({"ietf-softwire-br:binding-table": {"binding-entry": [entry(1, &address(0))]}});
    let refused = instance.send("PUT", &table(), &few).expect(400);
    assert!(refused.body.contains("max-removal"), "{}", refused.body);
    instance.send("PUT", &format!("{}?force=true", table()), &few).expect(204);
    assert_eq!(keys(&entries(&instance, "")), ["2001:db8:b4:1::1"]);
    let own = instance.unix("GET", OWN).json();
    assert_eq!(
        own["lwaftr:softwires"]["softwire"].as_array().unwrap().len(),
        3,
        "not of this list"
    );
    instance.unix("DELETE", &table()).expect(405);
}

#[test]
fn what_the_model_cannot_hold_has_a_list_of_its_own() {
    let instance = Instance::start(TABLE);
    let path = of_b4("2001:db8:b4::4");
    instance.unix("GET", &path).expect(404);
    let body = json!({"ietf-softwire-br:binding-entry": [{
        "binding-ipv6info": "2001:db8:b4::4", "binding-ipv4-addr": "203.0.113.9"}]});
    let refused = instance.send("PUT", &path, &body).expect(412);
    assert_eq!(refused.error()["error-tag"], "operation-failed");
    let delete = instance.unix("DELETE", &path).expect(412);
    assert_eq!(delete.error()["error-tag"], "operation-failed");

    // k = 16: one port.
    let one = json!({"lwaftr:softwire": [{"ipv4": "203.0.113.40", "psid": 4711, "psid-len": 16,
        "b4-ipv6": "2001:db8:b4:5::1", "br-ipv6": "2001:db8:ffff::1"}]});
    let own = format!("{OWN}/softwire=203.0.113.40,4711");
    instance.send("PUT", &own, &one).expect(201);
    assert_eq!(instance.unix("GET", &own).json()["lwaftr:softwire"][0]["psid-len"], 16);
    let b4 = of_b4("2001:db8:b4:5::1");
    instance.unix("GET", &b4).expect(404);
    assert!(!keys(&entries(&instance, "")).contains(&"2001:db8:b4:5::1"));
    let refused = instance.unix("DELETE", &b4).expect(412);
    assert!(refused.body.contains("psid-len 16"), "{}", refused.body);
    instance.unix("DELETE", &own).expect(204);
    let gone = instance.unix("DELETE", &format!("{OWN}/softwire=203.0.113.9,1"));
    gone.expect(204);
    // One is left, and the model can say it.
    instance.unix("GET", &path).expect(200);
}

#[test]
fn bad_requests_are_told_what_is_wrong_and_where() {
    let instance = Instance::start(TABLE);
    let put = |entry: Value| {
        let b4 = of_b4("2001:db8:b4:1::1");
        instance.send("PUT", &b4, &json!({"ietf-softwire-br:binding-entry": [entry]}))
    };
    let with = |name: &str, value: Value| {
        let mut changed = entry(1, "203.0.113.21");
        changed[name] = value;
        put(changed)
    };
    let tag = |answer: Answer, tag: &str, path: &str| {
        let error = answer.error();
        assert_eq!(error["error-tag"], tag, "{}", answer.body);
        assert!(
            error["error-path"].as_str().unwrap_or_default().ends_with(path),
            "{}",
            answer.body
        );
        assert_eq!(answer.status, 400);
    };
    tag(with("color", json!("red")), "unknown-element", "/color");
    tag(with("binding-ipv4-addr", json!("1.2.3")), "invalid-value", "/binding-ipv4-addr");
    tag(
        with("port-set", json!({"psid-len": 16, "psid": 0})),
        "invalid-value",
        "/port-set/psid-len",
    );
    tag(with("port-set", json!({"psid-len": 2, "psid": 4})), "invalid-value", "");
    tag(with("binding-ipv6info", json!("2001:db8::/56")), "invalid-value", "/binding-ipv6info");
    tag(with("binding-ipv6info", json!("2001:db8::9")), "invalid-value", "");
    tag(put(json!({"binding-ipv6info": "2001:db8:b4:1::1"})), "missing-element", "");
    let prefix = with("binding-ipv6info", json!("2001:db8:b4:1::1/128"));
    assert_eq!(prefix.status, 201, "a /128 is an address: {}", prefix.body);

    let send = |content: &str, body: &str| {
        let headers = [format!("Content-Type: {content}")];
        let headers: Vec<&str> = headers.iter().map(String::as_str).collect();
        instance.curl(Some("unix"), "PATCH", &table(), &headers, Some(body.as_bytes()))
    };
    assert_eq!(send("text/plain", "{}").status, 415);
    assert_eq!(send("application/x-www-form-urlencoded", "{}").status, 415);
    assert_eq!(send("application/yang-data+json", "{").status, 400);
    assert_eq!(send("application/yang-data+json", "[]").status, 400);
    let huge = "x".repeat((16 << 20) + 1);
    assert_eq!(send("application/yang-data+json", &huge).status, 413);

    for path in [
        "/restconf/data/nothing",
        "/restconf/data/ietf-softwire-br:br-instances/algorithm",
        "/restconf/data/ietf-softwire-br:br-instances/binding/bind-instance=other",
        "/restconf/data/lwaftr:softwires/softwire=203.0.113.200,0",
    ] {
        let error = instance.unix("GET", path).expect(404).error();
        assert_eq!(error["error-tag"], "invalid-value");
    }
    for path in [
        "/restconf/data/lwaftr:softwires/softwire=1.2.3.4",
        "/restconf/data/lwaftr:softwires/softwire=a,b",
        "/restconf/data/lwaftr:softwires=1",
        "/restconf/data/%ff",
    ] {
        let status = instance.unix("GET", path).status;
        assert!(status == 400 || status == 404, "{path}: {status}");
    }
    let state = format!("{INSTANCE}/traffic-stat");
    assert_eq!(
        instance.unix("DELETE", &state).expect(405).error()["error-tag"],
        "operation-not-supported"
    );
}

#[test]
fn writing_takes_the_role() {
    let instance = Instance::start(TABLE);
    let path = of_b4("2001:db8:b4::1");
    for (who, status) in [(None, 401), (Some("rob"), 403), (Some("ivy"), 403)] {
        assert_eq!(instance.tcp(who, "DELETE", &path, &[]).status, status, "{who:?}");
        instance.tcp(who, "GET", &path, &[]).expect(200);
    }
    instance.tcp(Some("ann"), "DELETE", &path, &[]).expect(204);
    let audit = instance.lwaftr(&["audit"]);
    assert!(audit.contains("ann"), "{audit}");
    assert!(instance.log().contains("needs the role write"));
}

#[test]
fn edits_can_be_made_conditional() {
    let instance = Instance::start(TABLE);
    let path = of_b4("2001:db8:b4::1");
    let read = instance.unix("GET", &path).expect(200);
    let etag = read.header("etag").unwrap().to_owned();
    let modified = read.header("last-modified").unwrap().to_owned();
    assert!(modified.ends_with(" GMT"), "{modified}");
    let with =
        |method: &str, header: &str| instance.curl(Some("unix"), method, &path, &[header], None);
    assert_eq!(with("GET", &format!("If-None-Match: {etag}")).status, 304);
    assert_eq!(with("GET", "If-None-Match: \"other\"").status, 200);
    assert_eq!(with("DELETE", "If-Match: \"other\"").status, 412);
    assert_eq!(with("DELETE", "If-Unmodified-Since: Mon, 01 Jan 2024 00:00:00 GMT").status, 412);
    // Another entry's change does not matter.
    instance.unix("DELETE", &of_b4("2001:db8:b4::2")).expect(204);
    assert_eq!(with("DELETE", &format!("If-Match: {etag}")).status, 204);
    let body = json!({"ietf-softwire-br:binding-entry": [{
        "binding-ipv6info": "2001:db8:b4::1", "binding-ipv4-addr": "203.0.113.77"}]})
    .to_string();
    let put = |header: &str| {
        let headers = ["Content-Type: application/yang-data+json", header];
        instance.curl(Some("unix"), "PUT", &path, &headers, Some(body.as_bytes())).status
    };
    assert_eq!(put("If-Match: *"), 412, "it is gone");
    assert_eq!(put("If-None-Match: *"), 201);
    assert_eq!(put("If-None-Match: *"), 412);
    // The datastore's tag changes with anything.
    let list = instance.unix("GET", &format!("{}/binding-entry", table())).expect(200);
    let old = list.header("etag").unwrap().to_owned();
    instance.unix("DELETE", &path).expect(204);
    let new = instance.unix("GET", &format!("{}/binding-entry", table())).expect(200);
    assert_ne!(new.header("etag").unwrap(), old);
}
