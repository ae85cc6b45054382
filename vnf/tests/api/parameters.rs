//! Parameters of the bind-instance: they are keys of the configuration file.

use serde_json::json;

use crate::lab::{Instance, TABLE};

const INSTANCE: &str = "/restconf/data/ietf-softwire-br:br-instances/binding/bind-instance=test";

#[test]
fn parameters_are_keys_of_the_file() {
    let instance =
        Instance::start_with("listen = []", "[policy] # rules\nicmpv6-rate = 50 # few", TABLE);
    let file = || std::fs::read_to_string(instance.directory.path().join("lwaftr.toml")).unwrap();
    let leaf = |name: &str| {
        let path = format!("{INSTANCE}/{name}");
        let answer = instance.unix("GET", &path).json();
        answer.as_object().and_then(|object| object.values().next().cloned()).unwrap_or_default()
    };
    let off = json!({"ietf-softwire-br:enable-hairpinning": false});
    instance.send("PUT", &format!("{INSTANCE}/enable-hairpinning"), &off).expect(204);
    assert_eq!(leaf("enable-hairpinning"), false);
    assert!(file().contains("hairpinning = \"external\""), "{}", file());
    assert!(file().contains("[policy] # rules") && file().contains("# few"), "comments stay");

    let patch = json!({"ietf-softwire-br:bind-instance": [{"name": "test", "softwire-payload-mtu": 1460,
        "icmp-policy": {"icmpv6-errors": {"icmpv6-rate": 70}, "icmpv4-errors": {"icmpv4-rate": 9}}}]});
    instance.send("PATCH", INSTANCE, &patch).expect(204);
    assert_eq!(leaf("softwire-payload-mtu"), 1460);
    assert_eq!(leaf("icmp-policy/icmpv6-errors/icmpv6-rate"), 70);
    assert_eq!(leaf("icmp-policy/icmpv4-errors/icmpv4-rate"), 9);
    assert!(
        file().contains("mtu = 1500") && file().contains("icmpv6-rate = 70 # few"),
        "{}",
        file()
    );

    let own = leaf("binding-table-versioning/version");
    let versioning = format!("{INSTANCE}/binding-table-versioning");
    let set = json!({"ietf-softwire-br:binding-table-versioning": {
        "version": "18446744073709551615", "date": "2026-01-31T12:00:00Z"}});
    instance.send("PUT", &versioning, &set).expect(204);
    assert_eq!(instance.unix("GET", &versioning).json(), set);
    instance
        .send(
            "PUT",
            &format!("{INSTANCE}/softwire-path-mru"),
            &json!({"ietf-softwire-br:softwire-path-mru": 1600}),
        )
        .expect(204);
    assert_eq!(leaf("softwire-path-mru"), 1600);
    instance.unix("DELETE", &versioning).expect(204);
    assert!(leaf("binding-table-versioning/version").as_str() >= own.as_str());
    let bad = json!({"ietf-softwire-br:version": "many"});
    instance.send("PUT", &format!("{versioning}/version"), &bad).expect(400);

    // Deleted, the default counts; the model says no limit by saying nothing.
    instance.unix("DELETE", &format!("{INSTANCE}/icmp-policy/icmpv4-errors")).expect(204);
    instance.unix("GET", &format!("{INSTANCE}/icmp-policy/icmpv4-errors/icmpv4-rate")).expect(404);

    // What is refused leaves the file as it is.
    let before = file();
    for (name, value, status) in [
        ("softwire-payload-mtu", json!(100), 400),
        ("softwire-payload-mtu", json!("1500"), 400),
        ("enable-hairpinning", json!("no"), 400),
        ("softwire-num-max", json!(0), 400),
        // There are five already.
        ("softwire-num-max", json!(4), 400),
    ] {
        let body = json!({format!("ietf-softwire-br:{name}"): value});
        let answer = instance.send("PUT", &format!("{INSTANCE}/{name}"), &body);
        assert_eq!(answer.status, status, "{name}: {}", answer.body);
    }
    assert_eq!(file(), before);
    // A file that somebody is editing is not taken up by the way.
    std::fs::write(instance.directory.path().join("lwaftr.toml"), before.clone() + "# more\n")
        .unwrap();
    let refused = instance.send("PUT", &format!("{INSTANCE}/enable-hairpinning"), &off);
    assert!(refused.status == 400 && refused.body.contains("config diff"), "{}", refused.body);
    instance.reload().unwrap();
    let on = json!({"ietf-softwire-br:enable-hairpinning": true});
    instance.send("PUT", &format!("{INSTANCE}/enable-hairpinning"), &on).expect(204);
}
