//! Metrics, alarms, health and drain, and who may ask for them.

use crate::lab::{Instance, TABLE};

#[test]
fn monitoring_may_read_and_only_writers_may_drain() {
    let instance = Instance::start(TABLE);
    let anonymous = |path| instance.tcp(None, "GET", path, &[]);
    // Nobody answers for the next hops here, and there are no workers that could stall.
    assert_eq!((anonymous("/readyz").status, anonymous("/livez").status), (503, 200));
    assert_eq!(anonymous("/readyz").body, "not ready\n");
    let metrics = anonymous("/metrics");
    assert_eq!(metrics.status, 200);
    assert!(metrics.head.contains("content-type: text/plain; version=0.0.4"), "{}", metrics.head);
    let dropped =
        "lwaftr_dropped_packets_total{interface=\"external\",reason=\"no-softwire\"} 10\n";
    assert!(metrics.body.contains(dropped));
    assert_eq!(anonymous("/api/alarms").json()["alarms"].as_array().unwrap().len(), 0);
    assert_eq!(anonymous("/api/health").json()["draining"], false);

    for who in [None, Some("rob"), Some("ivy")] {
        assert!([401, 403].contains(&instance.tcp(who, "POST", "/api/drain", &[]).status));
    }
    assert_eq!(instance.tcp(Some("ann"), "POST", "/api/drain", &[]).status, 200);
    assert_eq!(anonymous("/api/health").json()["draining"], true);
    assert!(anonymous("/metrics").body.contains("\nlwaftr_draining 1\n"));
    assert_eq!(instance.tcp(Some("ann"), "POST", "/api/undrain", &[]).status, 200);
    assert_eq!(instance.tcp(Some("ann"), "POST", "/api/undrain", &[]).status, 400);
    assert!(instance.log().contains("drain by ann, API"), "{}", instance.log());
}

/// The page shows alarms of the past, too, after those that are raised.
#[test]
fn the_page_has_alarms_that_are_over() {
    let instance = Instance::start(TABLE);
    let alarms = || instance.tcp(None, "GET", "/api/page", &[]).json()["alarms"].clone();
    assert_eq!(alarms(), serde_json::json!([]));
    let file = instance.directory.path().join("lwaftr.toml");
    let good = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, "nonsense").unwrap();
    assert!(instance.reload().is_err());
    let raised = instance.eventually(|| alarms().as_array().filter(|all| !all.is_empty()).cloned());
    assert_eq!((&raised[0]["name"], raised.len()), (&"reload-failed".into(), 1));
    assert!(raised[0]["until"].is_null() && raised[0]["side"].is_null(), "{raised:?}");
    std::fs::write(&file, good).unwrap();
    instance.reload().unwrap();
    let over = instance.eventually(|| alarms()[0]["until"].is_u64().then(alarms));
    assert_eq!(over[0]["name"], "reload-failed");
}

#[test]
fn only_the_health_is_told_to_strangers() {
    let api = "listen = \"127.0.0.1:0\"\ncredentials = \"credentials\"\nloopback-role = \"none\"";
    let instance = Instance::start_with(api, "", TABLE);
    let status = |path| instance.tcp(None, "GET", path, &[]).status;
    assert_eq!((status("/readyz"), status("/livez")), (503, 200));
    for path in ["/metrics", "/api/alarms", "/api/health"] {
        assert_eq!(status(path), 401, "{path}");
        assert_eq!(instance.tcp(Some("rob"), "GET", path, &[]).status, 200, "{path}");
    }
}
