//! Finds DPDK, makes bindings for the items named here and nothing else, compiles shims for those
//! that are inline functions in C, and says which libraries to link.

use std::{
    env,
    path::{Path, PathBuf},
    process::exit,
};

/// The oldest DPDK whose names and structures this crate knows.
const OLDEST: &str = "22.11";

/// The same level that `.cargo/config.toml` gives to Rust. DPDK's headers need SSE4.2 at least,
/// and the layout of some structures depends on the level.
const MARCH: &str = "-march=x86-64-v3";

const FUNCTIONS: &[&str] = &[
    // environment
    "rte_eal_init",
    "rte_eal_cleanup",
    "rte_eal_get_runtime_dir",
    "rte_strerror",
    "rte_openlog_stream",
    "fopencookie",
    "setvbuf",
    "lwaftr_errno",
    "rte_get_tsc_hz",
    "rte_thread_register",
    "rte_thread_unregister",
    // memory
    "rte_pktmbuf_pool_create",
    "rte_pktmbuf_alloc",
    "rte_pktmbuf_alloc_bulk",
    "rte_pktmbuf_free",
    "rte_pktmbuf_free_bulk",
    "rte_mempool_free",
    "rte_mempool_avail_count",
    // devices
    "rte_dev_probe",
    "rte_dev_remove",
    "rte_dev_bus",
    "rte_bus_name",
    "rte_eth_dev_get_port_by_name",
    "rte_eth_dev_info_get",
    "rte_eth_dev_configure",
    "rte_eth_dev_adjust_nb_rx_tx_desc",
    "rte_eth_rx_queue_setup",
    "rte_eth_tx_queue_setup",
    "rte_eth_dev_start",
    "rte_eth_dev_stop",
    "rte_eth_dev_close",
    "rte_eth_dev_socket_id",
    "rte_eth_macaddr_get",
    "rte_eth_dev_default_mac_addr_set",
    "rte_eth_promiscuous_enable",
    "rte_eth_promiscuous_disable",
    "rte_eth_promiscuous_get",
    "rte_eth_allmulticast_enable",
    "rte_eth_link_get_nowait",
    "rte_eth_stats_get",
    "rte_eth_rx_queue_count",
    // packets
    "rte_eth_rx_burst",
    "rte_eth_tx_burst",
];

const TYPES: &[&str] = &[
    "rte_mbuf",
    "rte_mempool",
    "rte_eth_conf",
    "rte_eth_dev_info",
    "rte_eth_stats",
    "rte_eth_link",
    "rte_ether_addr",
    "cookie_io_functions_t",
];

const CONSTANTS: &[&str] = &[
    "RTE_ETH_MQ_RX_NONE",
    "RTE_ETH_MQ_RX_RSS",
    "RTE_ETH_RSS_IPV4",
    "RTE_ETH_RSS_IPV6",
    "RTE_ETH_RX_OFFLOAD_SCATTER",
    "RTE_ETH_RX_OFFLOAD_IPV4_CKSUM",
    "RTE_ETH_RX_OFFLOAD_VLAN_STRIP",
    "RTE_ETH_TX_OFFLOAD_IPV4_CKSUM",
    "RTE_ETH_TX_OFFLOAD_VLAN_INSERT",
    "RTE_ETH_LINK_UP",
    "RTE_ETH_SPEED_NUM_UNKNOWN",
    "RTE_MBUF_F_RX_VLAN",
    "RTE_MBUF_F_RX_VLAN_STRIPPED",
    "RTE_MBUF_F_RX_IP_CKSUM_MASK",
    "RTE_MBUF_F_RX_IP_CKSUM_GOOD",
    "RTE_MBUF_F_RX_OUTER_IP_CKSUM_BAD",
    "RTE_MBUF_F_INDIRECT",
    "RTE_MBUF_F_EXTERNAL",
    "RTE_PKTMBUF_HEADROOM",
    "RTE_VER_YEAR",
    "RTE_VER_MONTH",
    "SOCKET_ID_ANY",
];

/// Types behind pointers that nobody looks into, and packed headers with aligned members, which
/// Rust cannot lay out.
const OPAQUE: &[&str] = &[
    "rte_mempool",
    "rte_device",
    "rte_bus",
    "_IO_FILE",
    "rte_arp_.*",
    "rte_gtp_psc_generic_hdr",
    "rte_l2tpv2_.*",
];

/// What a dynamic link needs. Drivers are plugins that EAL loads by itself.
const SHARED: &[&str] = &["rte_ethdev", "rte_mbuf", "rte_mempool", "rte_eal"];

/// What a static link holds whole, because drivers announce themselves by constructors that
/// nobody calls by name: the drivers `docs/` promises for images, and the libraries they use.
/// Mellanox's are not among them: they need the whole of rdma-core as shared libraries.
const STATIC: &[&str] = &[
    "rte_bus_pci",
    "rte_bus_vdev",
    "rte_common_iavf",
    "rte_mempool_ring",
    "rte_net_af_packet",
    "rte_net_af_xdp",
    "rte_net_bond",
    "rte_net_e1000",
    "rte_net_ena",
    "rte_net_i40e",
    "rte_net_iavf",
    "rte_net_ice",
    "rte_net_igc",
    "rte_net_ixgbe",
    "rte_net_memif",
    "rte_net_null",
    "rte_net_pcap",
    "rte_net_ring",
    "rte_net_tap",
    "rte_net_vhost",
    "rte_net_virtio",
    "rte_net_vmxnet3",
    "rte_cryptodev",
    "rte_dmadev",
    "rte_eal",
    "rte_ethdev",
    "rte_gso",
    "rte_hash",
    "rte_ip_frag",
    "rte_kvargs",
    "rte_mbuf",
    "rte_mempool",
    "rte_meter",
    "rte_net",
    "rte_pci",
    "rte_rcu",
    "rte_ring",
    "rte_sched",
    "rte_security",
    "rte_telemetry",
    "rte_timer",
    "rte_vhost",
];

/// System libraries that the static drivers use; these stay shared.
const SYSTEM: &[&str] = &["pcap", "xdp", "bpf", "numa", "bsd", "atomic", "m", "dl", "pthread"];

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=wrapper.h");

    let include_paths = find_dpdk();
    require_libclang();

    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    let flags: Vec<String> = include_paths
        .iter()
        .map(|path| format!("-I{}", path.display()))
        .chain([MARCH.to_owned()])
        .collect();
    make_bindings(&out, &flags);
    compile_shims(&out, &flags);
    name_libraries();
}

/// The header directories of a DPDK that is new enough.
fn find_dpdk() -> Vec<PathBuf> {
    let found = pkg_config::Config::new()
        .atleast_version(OLDEST)
        .cargo_metadata(false)
        .probe("libdpdk")
        .unwrap_or_else(|cause| {
            let cause = match cause {
                pkg_config::Error::Command { .. } => "pkg-config is not installed".to_owned(),
                _ => format!("pkg-config finds no libdpdk {OLDEST} or newer"),
            };
            refuse(&format!(
                "{cause}. On Debian: apt-get install pkg-config libdpdk-dev. \
                 Without DPDK everything but `lwaftr run` builds by --no-default-features."
            ))
        });
    for path in &found.link_paths {
        println!("cargo::rustc-link-search=native={}", path.display());
    }
    if let Ok(dir) = pkg_config::get_variable("libdpdk", "libdir") {
        println!("cargo::rustc-link-search=native={dir}");
    }
    found.include_paths
}

/// bindgen loads libclang when it runs, and panics in many words where there is none.
fn require_libclang() {
    std::panic::set_hook(Box::new(|_| {}));
    let loaded = std::panic::catch_unwind(bindgen::clang_version);
    let _ = std::panic::take_hook();
    if loaded.is_err() {
        refuse(
            "libclang, which reads DPDK's headers, is missing. \
             On Debian: apt-get install libclang-dev clang (or set LIBCLANG_PATH).",
        );
    }
}

fn make_bindings(out: &Path, flags: &[String]) {
    let mut builder = bindgen::builder()
        .header("wrapper.h")
        .clang_args(flags)
        .rust_edition(bindgen::RustEdition::Edition2024)
        .use_core()
        .layout_tests(false)
        .generate_comments(false)
        .prepend_enum_name(false)
        .derive_default(true)
        // RTE_BIT64(n) is a macro with a cast, which only a compiler can evaluate: without this
        // the RTE_ETH_RX_OFFLOAD_* constants vanish silently.
        .clang_macro_fallback()
        .clang_macro_fallback_build_dir(out)
        .wrap_static_fns(true)
        .wrap_static_fns_path(out.join("shims"));
    for name in FUNCTIONS {
        builder = builder.allowlist_function(name);
    }
    for name in TYPES {
        builder = builder.allowlist_type(name);
    }
    for name in CONSTANTS {
        builder = builder.allowlist_var(name);
    }
    for name in OPAQUE {
        builder = builder.opaque_type(name);
    }
    let bindings = builder
        .generate()
        .unwrap_or_else(|cause| refuse(&format!("DPDK's headers cannot be read: {cause}")));
    bindings
        .write_to_file(out.join("bindings.rs"))
        .unwrap_or_else(|cause| refuse(&format!("cannot write bindings.rs: {cause}")));
}

fn compile_shims(out: &Path, flags: &[String]) {
    let mut build = cc::Build::new();
    build
        .file(out.join("shims.c"))
        .include(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets CARGO_MANIFEST_DIR"))
        .warnings(false)
        .opt_level(3);
    for flag in flags {
        build.flag(flag);
    }
    if let Err(cause) = build.try_compile("dpdk_shims") {
        refuse(&format!("DPDK's inline functions cannot be compiled: {cause}"));
    }
}

fn name_libraries() {
    if env::var_os("CARGO_FEATURE_STATIC").is_some() {
        for name in STATIC {
            println!("cargo::rustc-link-lib=static:+whole-archive,-bundle={name}");
        }
        for name in SYSTEM {
            println!("cargo::rustc-link-lib=dylib={name}");
        }
    } else {
        for name in SHARED {
            println!("cargo::rustc-link-lib=dylib={name}");
        }
    }
}

/// Ends the build with a message that cargo shows as an error of its own.
fn refuse(message: &str) -> ! {
    println!("cargo::error={message}");
    exit(1)
}
