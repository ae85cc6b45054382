//! What subscribers do: who may look, and what is shown.

use crate::lab::{Instance, TABLE};

#[test]
fn who_owns_what_is_told_to_those_who_may_inspect() {
    let instance = Instance::start(TABLE);
    let ask = |who, what: &str| instance.tcp(who, "GET", &format!("/api/lookup?what={what}"), &[]);
    assert_eq!(ask(None, "203.0.113.8:80").status, 401);
    assert_eq!(ask(Some("rob"), "203.0.113.8:80").status, 403);
    let found = ask(Some("ivy"), "203.0.113.8%3A80").expect(200).json();
    assert_eq!(
        (&found["found"], &found["softwires"][0]["b4-ipv6"]),
        (&1.into(), &"2001:db8:b4::3".into())
    );
    let found = ask(Some("ivy"), "2001:db8:b4::4").expect(200).json();
    assert_eq!(found["found"], 2);
    assert_eq!(found["softwires"][1]["ports"][0], "8192\u{2013}12287");
    assert_eq!(ask(Some("ivy"), "203.0.113.99").expect(200).json()["found"], 0);
    assert_eq!(ask(Some("ivy"), "rubbish").status, 400);
}

#[test]
fn frames_that_were_dropped_are_shown_to_those_who_may_inspect() {
    let instance = Instance::start(TABLE);
    let ask = |who| instance.tcp(who, "GET", "/api/stats/examples", &[]);
    assert_eq!((ask(None).status, ask(Some("rob")).status), (401, 403));
    let stats = ask(Some("ivy")).expect(200).json();
    let drop = &stats["interfaces"]["external"]["drops"]["no-softwire"];
    assert!(drop["example"]["frame"].as_str().unwrap().starts_with("ababab"), "{drop}");
    let command: serde_json::Value =
        serde_json::from_str(&instance.lwaftr(&["stats", "--json"])).unwrap();
    assert_eq!(&command["interfaces"]["external"]["drops"]["no-softwire"], drop);
}

/// (What a capture has in it, tests/operator shows.)
#[test]
fn captures_take_the_role_their_type_and_sense() {
    let instance = Instance::start(TABLE);
    let ask = |who, kind: &str, body: &str| {
        let mut headers = vec![format!("Content-Type: {kind}")];
        headers.extend(crate::lab::token_header(who));
        let headers: Vec<&str> = headers.iter().map(String::as_str).collect();
        instance.curl(None, "POST", "/api/capture", &headers, Some(body.as_bytes()))
    };
    let json = "application/json";
    assert_eq!(ask(None, json, "{}").status, 401);
    assert_eq!(ask(Some("rob"), json, "{}").status, 403);
    assert_eq!(ask(Some("ivy"), "text/plain", "{}").status, 415);
    for (body, words) in [
        ("{", "the body: EOF"),
        ("{\"dorps\": true}", "unknown field `dorps`"),
        ("{\"seconds\": 0}", "seconds = 0: must be from 1 to 86400"),
        ("{\"snap-length\": 5}", "snap-length = 5: must be from 14 to 65535"),
        ("{\"reasons\": [\"no-softwires\"]}", "did you mean `no-softwire`?"),
        ("{\"softwire\": {\"b4\": \"2001:db8::77\"}}", "there is no such softwire"),
        ("{}", "there are no workers"),
    ] {
        let refused = ask(Some("ivy"), json, body).expect(400);
        assert!(refused.body.contains(words), "{body}: {}", refused.body);
    }
    let audit = instance.lwaftr(&["audit"]);
    assert!(audit.contains("capture by ivy, API") && audit.contains("REFUSED"), "{audit}");
}
