//! The nodes of the data tree that this server has, as the YANG modules order them.

/// A node.
#[derive(Debug, Clone, Copy)]
pub(super) struct Node {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    /// It says how things are, and cannot be changed.
    pub(super) state: bool,
    pub(super) children: &'static [Node],
}

/// What kind of node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Container,
    /// A short list, with the names of its keys.
    List(&'static [&'static str]),
    /// A list as long as the binding table, which never is in memory as a whole.
    Entries(Listed, &'static [&'static str]),
    Leaf,
}

/// What such a list has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Listed {
    /// What ietf-softwire-br can say: B4s with one softwire, k up to 15.
    BindingEntries,
    /// All softwires.
    Softwires,
}

/// A node at the top, and the module that all below it belongs to.
#[derive(Debug)]
pub(super) struct Top {
    pub(super) module: &'static str,
    pub(super) node: Node,
}

const fn leaf(name: &'static str) -> Node {
    Node { name, kind: Kind::Leaf, state: false, children: &[] }
}

const fn container(name: &'static str, children: &'static [Node]) -> Node {
    Node { name, kind: Kind::Container, state: false, children }
}

const fn list(
    name: &'static str,
    keys: &'static [&'static str],
    children: &'static [Node],
) -> Node {
    Node { name, kind: Kind::List(keys), state: false, children }
}

const fn state(node: Node) -> Node {
    Node { state: true, ..node }
}

/// The module of RFC 8676.
pub(super) const SOFTWIRE_BR: &str = "ietf-softwire-br";

/// Our own module, `vnf/yang/lwaftr.yang`.
pub(super) const LWAFTR: &str = "lwaftr";

const BINDING_ENTRY: &[Node] = &[
    leaf("binding-ipv6info"),
    leaf("binding-ipv4-addr"),
    container("port-set", &[leaf("psid-offset"), leaf("psid-len"), leaf("psid")]),
    leaf("br-ipv6-addr"),
];

const BIND_INSTANCE: &[Node] = &[
    leaf("name"),
    container("binding-table-versioning", &[leaf("version"), leaf("date")]),
    leaf("softwire-num-max"),
    leaf("softwire-payload-mtu"),
    leaf("softwire-path-mru"),
    leaf("enable-hairpinning"),
    container(
        "binding-table",
        &[Node {
            name: "binding-entry",
            kind: Kind::Entries(Listed::BindingEntries, &["binding-ipv6info"]),
            state: false,
            children: BINDING_ENTRY,
        }],
    ),
    container(
        "icmp-policy",
        &[
            container(
                "icmpv4-errors",
                &[
                    leaf("allow-incoming-icmpv4"),
                    leaf("icmpv4-rate"),
                    leaf("generate-icmpv4-errors"),
                ],
            ),
            container("icmpv6-errors", &[leaf("generate-icmpv6-errors"), leaf("icmpv6-rate")]),
        ],
    ),
    state(container("traffic-stat", TRAFFIC_STAT)),
];

const TRAFFIC_STAT: &[Node] = &[
    leaf("discontinuity-time"),
    leaf("sent-ipv4-packets"),
    leaf("sent-ipv4-bytes"),
    leaf("sent-ipv6-packets"),
    leaf("sent-ipv6-bytes"),
    leaf("rcvd-ipv4-packets"),
    leaf("rcvd-ipv4-bytes"),
    leaf("rcvd-ipv6-packets"),
    leaf("rcvd-ipv6-bytes"),
    leaf("dropped-ipv4-packets"),
    leaf("dropped-ipv4-bytes"),
    leaf("dropped-ipv6-packets"),
    leaf("dropped-ipv6-bytes"),
    leaf("dropped-ipv4-fragments"),
    leaf("dropped-ipv4-fragment-bytes"),
    leaf("ipv6-fragments-reassembled"),
    leaf("ipv6-fragments-bytes-reassembled"),
    leaf("out-icmpv4-error-packets"),
    leaf("out-icmpv4-error-bytes"),
    leaf("out-icmpv6-error-packets"),
    leaf("out-icmpv6-error-bytes"),
    leaf("dropped-icmpv4-packets"),
    leaf("dropped-icmpv4-bytes"),
    leaf("hairpin-ipv4-packets"),
    leaf("hairpin-ipv4-bytes"),
    leaf("active-softwire-num"),
];

const SOFTWIRE: &[Node] = &[
    leaf("ipv4"),
    leaf("psid"),
    leaf("psid-offset"),
    leaf("psid-len"),
    leaf("b4-ipv6"),
    leaf("br-ipv6"),
    state(container(
        "counters",
        &[
            leaf("to-b4-packets"),
            leaf("to-b4-bytes"),
            leaf("from-b4-packets"),
            leaf("from-b4-bytes"),
        ],
    )),
];

const INTERFACE: &[Node] = &[
    leaf("name"),
    leaf("description"),
    leaf("type"),
    leaf("enabled"),
    state(leaf("oper-status")),
    state(leaf("phys-address")),
    state(container(
        "statistics",
        &[
            leaf("discontinuity-time"),
            leaf("in-octets"),
            leaf("in-discards"),
            leaf("in-errors"),
            leaf("out-octets"),
            leaf("out-errors"),
        ],
    )),
];

const MODULE: &[Node] = &[leaf("name"), leaf("revision"), leaf("namespace"), leaf("feature")];

/// What stands below the datastore.
pub(super) static TOP: &[Top] = &[
    Top {
        module: SOFTWIRE_BR,
        node: container(
            "br-instances",
            &[container("binding", &[list("bind-instance", &["name"], BIND_INSTANCE)])],
        ),
    },
    Top {
        module: LWAFTR,
        node: container(
            "softwires",
            &[Node {
                name: "softwire",
                kind: Kind::Entries(Listed::Softwires, &["ipv4", "psid"]),
                state: false,
                children: SOFTWIRE,
            }],
        ),
    },
    Top {
        module: "ietf-interfaces",
        node: container("interfaces", &[list("interface", &["name"], INTERFACE)]),
    },
    Top {
        module: "ietf-yang-library",
        node: state(container(
            "yang-library",
            &[
                list(
                    "module-set",
                    &["name"],
                    &[
                        leaf("name"),
                        list("module", &["name"], MODULE),
                        list("import-only-module", &["name", "revision"], MODULE),
                    ],
                ),
                list("schema", &["name"], &[leaf("name"), leaf("module-set")]),
                list("datastore", &["name"], &[leaf("name"), leaf("schema")]),
                leaf("content-id"),
            ],
        )),
    },
    Top {
        module: "ietf-yang-library",
        node: state(container(
            "modules-state",
            &[
                leaf("module-set-id"),
                list(
                    "module",
                    &["name", "revision"],
                    &[
                        leaf("name"),
                        leaf("revision"),
                        leaf("namespace"),
                        leaf("feature"),
                        leaf("conformance-type"),
                    ],
                ),
            ],
        )),
    },
    Top {
        module: "ietf-restconf-monitoring",
        node: state(container(
            "restconf-state",
            &[
                container("capabilities", &[leaf("capability")]),
                container(
                    "streams",
                    &[list(
                        "stream",
                        &["name"],
                        &[
                            leaf("name"),
                            leaf("description"),
                            leaf("replay-support"),
                            list("access", &["encoding"], &[leaf("encoding"), leaf("location")]),
                        ],
                    )],
                ),
            ],
        )),
    },
];

/// The counters of the model.
#[cfg(test)]
pub(super) fn traffic_stat_leaves() -> impl Iterator<Item = &'static str> {
    TRAFFIC_STAT.iter().map(|leaf| leaf.name)
}
