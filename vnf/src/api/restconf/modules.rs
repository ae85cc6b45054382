//! The YANG modules that are spoken here, for ietf-yang-library.

/// A module.
pub(super) struct Module {
    pub(super) name: &'static str,
    pub(super) revision: &'static str,
    pub(super) namespace: &'static str,
    pub(super) features: &'static [&'static str],
    /// False where only its types are used.
    pub(super) implemented: bool,
}

const fn module(name: &'static str, revision: &'static str, namespace: &'static str) -> Module {
    Module { name, revision, namespace, features: &[], implemented: true }
}

const fn types(name: &'static str, revision: &'static str, namespace: &'static str) -> Module {
    Module { implemented: false, ..module(name, revision, namespace) }
}

pub(super) const MODULES: &[Module] = &[
    Module {
        features: &["binding-mode"],
        ..module("ietf-softwire-br", "2019-11-16", "urn:ietf:params:xml:ns:yang:ietf-softwire-br")
    },
    module("lwaftr", "2026-11-27", "urn:lwaftr:yang"),
    module("ietf-interfaces", "2018-02-20", "urn:ietf:params:xml:ns:yang:ietf-interfaces"),
    module("iana-if-type", "2023-01-26", "urn:ietf:params:xml:ns:yang:iana-if-type"),
    module("ietf-yang-library", "2019-01-04", "urn:ietf:params:xml:ns:yang:ietf-yang-library"),
    module(
        "ietf-restconf-monitoring",
        "2017-01-26",
        "urn:ietf:params:xml:ns:yang:ietf-restconf-monitoring",
    ),
    types("ietf-softwire-common", "2019-11-16", "urn:ietf:params:xml:ns:yang:ietf-softwire-common"),
    types("ietf-restconf", "2017-01-26", "urn:ietf:params:xml:ns:yang:ietf-restconf"),
    types("ietf-datastores", "2018-02-14", "urn:ietf:params:xml:ns:yang:ietf-datastores"),
    types("ietf-inet-types", "2013-07-15", "urn:ietf:params:xml:ns:yang:ietf-inet-types"),
    types("ietf-yang-types", "2013-07-15", "urn:ietf:params:xml:ns:yang:ietf-yang-types"),
];
