//! A machine made of files: what a well-prepared one shows in `/proc` and `/sys`.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use vnf::config;
use vnf::doctor::{Machine, Report, Scene, Setup, examine};

const FLAGS: &str = "flags\t\t: hypervisor constant_tsc nonstop_tsc cx16 lahf_lm popcnt ssse3 \
                     sse4_1 sse4_2 avx avx2 bmi1 bmi2 f16c fma abm movbe";

/// What it is asked to be: a relay on two cards, its worker on CPU 2.
const CONFIG: &str = r#"
[workers]
cpus = [2]
[external]
port = "0000:01:00.0"
address = "192.0.2.2/24"
next-hop = "192.0.2.1"
[internal]
port = "0000:02:00.0"
address = "2001:db8:0:1::2/64"
next-hop = "2001:db8:0:1::1"
mtu = 1540
[softwires]
br-addresses = "2001:db8:ffff::1"
[[softwire]]
ipv4 = "203.0.113.7"
b4-ipv6 = "2001:db8:0:201::1"
"#;

/// The machine.
pub(crate) struct Tree {
    directory: TempDir,
    config: String,
}

impl Tree {
    /// Two nodes of two CPUs, two cards at node 1, everything as it should be.
    pub(crate) fn good() -> Self {
        let tree = Self { directory: TempDir::new().unwrap(), config: CONFIG.to_owned() };
        tree.write("/proc/cpuinfo", &format!("model name\t: A CPU\n{FLAGS}\n"));
        let options = "isolcpus=managed_irq,domain,2-N nohz_full=2 rcu_nocbs=2-N";
        tree.write("/proc/cmdline", options);
        tree.write(
            "/proc/self/status",
            "Name:\tlwaftr\nCapEff:\t000001ffffffffff\nCpus_allowed_list:\t0-3\n",
        );
        tree.write(
            "/proc/self/limits",
            "Max open files            1024     4096     files\n\
             Max locked memory         unlimited            unlimited            bytes\n",
        );
        tree.write("/proc/self/mounts", "nodev /dev/hugepages hugetlbfs rw 0 0\n");
        tree.write("/proc/interrupts", "    CPU0 CPU1 CPU2 CPU3\n 24: 9 0 0 0  MSI 1-edge  eth0\n");
        tree.write("/proc/irq/24/smp_affinity_list", "0-3");
        tree.write("/proc/irq/24/effective_affinity_list", "0");
        tree.task(7, "0-1,3", "/usr/bin/cron");
        tree.task(8, "2", "/usr/bin/lwaftr");
        let clock = "/sys/devices/system/clocksource/clocksource0/current_clocksource";
        tree.write(clock, "kvm-clock");
        let cpus = "/sys/devices/system/cpu";
        tree.write(&format!("{cpus}/online"), "0-3");
        tree.write(&format!("{cpus}/possible"), "0-3");
        for cpu in 0..4 {
            let cpu_directory = format!("{cpus}/cpu{cpu}");
            tree.write(&format!("{cpu_directory}/topology/thread_siblings_list"), &cpu.to_string());
            tree.write(&format!("{cpu_directory}/cpufreq/scaling_governor"), "performance");
        }
        tree.pages("/sys/kernel/mm/hugepages", 1024, 1024);
        for (node, list) in [(0, "0-1"), (1, "2-3")] {
            let node = format!("/sys/devices/system/node/node{node}");
            tree.write(&format!("{node}/cpulist"), list);
            tree.pages(&format!("{node}/hugepages"), 512, 512);
        }
        for address in ["0000:01:00.0", "0000:02:00.0"] {
            tree.write(&format!("/sys/bus/pci/devices/{address}/numa_node"), "1");
            tree.bind(address, "vfio-pci");
            tree.link(&format!("/sys/bus/pci/devices/{address}/iommu_group"), "/groups/11");
            tree.write(&format!("/sys/kernel/iommu_groups/11/devices/{address}/x"), "");
        }
        tree.write("/sys/bus/pci/drivers/vfio-pci/bind", "");
        tree
    }

    pub(crate) fn write(&self, path: &str, text: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    pub(crate) fn remove(&self, path: &str) {
        let path = self.path(path);
        if path.is_dir() {
            fs::remove_dir_all(path).unwrap();
        } else {
            fs::remove_file(path).unwrap();
        }
    }

    pub(crate) fn link(&self, path: &str, target: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        _ = fs::remove_file(&path);
        symlink(target, path).unwrap();
    }

    pub(crate) fn bind(&self, address: &str, driver: &str) {
        self.link(&format!("/sys/bus/pci/devices/{address}/driver"), &format!("/drivers/{driver}"));
    }

    pub(crate) fn pages(&self, directory: &str, total: u64, free: u64) {
        self.write(&format!("{directory}/hugepages-2048kB/nr_hugepages"), &total.to_string());
        self.write(&format!("{directory}/hugepages-2048kB/free_hugepages"), &free.to_string());
    }

    /// A process that may run on these CPUs.
    pub(crate) fn task(&self, number: u32, cpus: &str, program: &str) {
        let directory = format!("/proc/{number}/task/{number}");
        let status = format!("PPid:\t1\nCpus_allowed_list:\t{cpus}\n");
        self.write(&format!("{directory}/status"), &status);
        let name = program.rsplit('/').next().unwrap();
        let stat = format!("{number} (a {name}) S 1 7 7 0 -1 4 1 0 0 0 {number} 5 0 0 20 0");
        self.write(&format!("{directory}/stat"), &stat);
        self.link(&format!("{directory}/exe"), program);
    }

    /// The ports are these interfaces of the kernel instead, each as it should be.
    pub(crate) fn on_interfaces(&mut self, driver: &str) {
        for (card, interface) in [("0000:01:00.0", "ext0"), ("0000:02:00.0", "int0")] {
            self.config = self.config.replace(card, &format!("{driver},iface={interface}"));
            self.write(&format!("/sys/class/net/{interface}/operstate"), "up");
            self.write(&format!("/sys/class/net/{interface}/mtu"), "1540");
            self.write(&format!("/proc/sys/net/ipv6/conf/{interface}/disable_ipv6"), "1");
            self.write(&format!("/ethtool/{interface}"), "rx-checksumming: on\nudp-x: off\n");
        }
    }

    /// The configuration says this instead.
    pub(crate) fn replace(&mut self, old: &str, new: &str) {
        self.config = self.config.replace(old, new);
    }

    /// The external port is this device instead.
    pub(crate) fn on_device(&mut self, argument: &str) {
        self.replace("0000:01:00.0", argument);
    }

    /// An instance runs, and answers its one question with these counters.
    pub(crate) fn runs(&self, stats: &str) {
        let path = self.path("/run/lwaftr/lwaftr.sock");
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let listener = UnixListener::bind(path).unwrap();
        let answer = format!("{{\"version\":1,\"ok\":{}}}\n", stats.replace('\n', " "));
        std::thread::spawn(move || {
            let (stream, _) = listener.accept().unwrap();
            let mut request = String::new();
            BufReader::new(&stream).read_line(&mut request).unwrap();
            assert!(request.contains("\"stats\""), "{request}");
            (&stream).write_all(answer.as_bytes()).unwrap();
        });
    }

    pub(crate) fn config(&self) -> PathBuf {
        let path = self.directory.path().join("lwaftr.toml");
        fs::write(&path, &self.config).unwrap();
        path
    }

    pub(crate) fn root(&self) -> &Path {
        self.directory.path()
    }

    /// Has the doctor look at it.
    pub(crate) fn examine(&self) -> Report {
        let machine = Machine::at(self.root());
        let config = config::load(&self.config()).unwrap_or_else(|errors| panic!("{errors}"));
        let setup = Setup::new(&machine, Some(&config));
        examine(&Scene { machine, setup })
    }

    fn path(&self, path: &str) -> PathBuf {
        self.root().join(path.trim_start_matches('/'))
    }
}
