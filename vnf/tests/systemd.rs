//! The relay as a service: what systemd is told, by a socket that stands for systemd's, and the
//! files that come along, by systemd's own tools.

#![allow(missing_docs)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn images() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("images/systemd")
}

#[test]
fn the_unit_and_its_companions_are_right() {
    let directory = tempfile::tempdir().unwrap();
    let unit = fs::read_to_string(images().join("lwaftr.service")).unwrap();
    // The program is where it was built, not where a package puts it.
    let unit = unit.replace("/usr/bin/lwaftr", env!("CARGO_BIN_EXE_lwaftr"));
    let path = directory.path().join("lwaftr.service");
    fs::write(&path, unit).unwrap();
    let output = Command::new("systemd-analyze")
        .args(["verify", "--man=no"])
        .arg(&path)
        .output()
        .expect("systemd-analyze, of the package systemd");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && !said.contains("lwaftr.service"), "{said}");

    // A root of its own, with nothing but what these files need.
    let root = directory.path().join("root");
    for (place, file) in
        [("sysusers.d", "lwaftr.sysusers.conf"), ("tmpfiles.d", "lwaftr.tmpfiles.conf")]
    {
        let place = root.join("usr/lib").join(place);
        fs::create_dir_all(&place).unwrap();
        fs::copy(images().join(file), place.join("lwaftr.conf")).unwrap();
    }
    fs::create_dir_all(root.join("etc")).unwrap();
    fs::write(root.join("etc/passwd"), "root:x:0:0:root:/root:/bin/sh\n").unwrap();
    let run = |tool: &str, arguments: &[&str]| {
        let root = format!("--root={}", root.display());
        let output = Command::new(tool).arg(root).args(arguments).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{tool}: {said}");
    };
    run("systemd-sysusers", &[]);
    let groups = fs::read_to_string(root.join("etc/group")).unwrap();
    assert!(groups.lines().any(|line| line.starts_with("lwaftr:")), "{groups}");
    // Only root may give directories to others.
    if rustix::process::geteuid().is_root() {
        run("systemd-tmpfiles", &["--create"]);
        for made in ["etc/lwaftr", "run/lwaftr", "var/lib/lwaftr"] {
            assert!(root.join(made).is_dir(), "{made}");
        }
    }
}

#[cfg(feature = "dpdk")]
mod told {
    use std::fs::File;
    use std::os::unix::net::UnixDatagram;
    use std::path::Path;
    use std::process::{Child, Command, Stdio};
    use std::time::{Duration, Instant};

    use tempfile::TempDir;

    /// `lwaftr run` with this test in systemd's place.
    struct Service {
        files: TempDir,
        process: Child,
        notify: UnixDatagram,
    }

    impl Drop for Service {
        fn drop(&mut self) {
            self.signal("-CONT");
            _ = self.process.kill();
            _ = self.process.wait();
        }
    }

    impl Service {
        fn start() -> Self {
            let files = tempfile::tempdir().unwrap();
            let path = |name: &str| files.path().join(name);
            let notify = UnixDatagram::bind(path("notify")).unwrap();
            let toml = format!(
                "[instance]\nname = \"systemd-{}\"\ncontrol-socket = \"{}\"\n\
                 shutdown-grace = 1\n\
                 [external]\nport = \"net_ring0\"\naddress = \"192.0.2.1/24\"\n\
                 next-hop = \"192.0.2.254\"\n\
                 [internal]\nport = \"net_ring1\"\naddress = \"2001:db8:1::1/64\"\n\
                 next-hop = \"2001:db8:1::fe\"\n\
                 [softwires]\nbr-addresses = \"2001:db8:ff::1\"\n\
                 [[softwire]]\nipv4 = \"198.51.100.1\"\nb4-ipv6 = \"2001:db8:b4::1\"\n\
                 [api]\nlisten = []\nsocket = \"{}\"\n",
                std::process::id(),
                path("sock").display(),
                path("api.sock").display(),
            );
            std::fs::write(path("lwaftr.toml"), toml).unwrap();
            let process = Command::new(env!("CARGO_BIN_EXE_lwaftr"))
                .args(["run", "lwaftr.toml"])
                .current_dir(files.path())
                .env("STATE_DIRECTORY", path("state"))
                .env("NOTIFY_SOCKET", path("notify"))
                .env("WATCHDOG_USEC", "1000000")
                .env_remove("WATCHDOG_PID")
                .stderr(File::create(path("log")).unwrap())
                .stdout(Stdio::null())
                .spawn()
                .unwrap();
            Self { files, process, notify }
        }

        /// The next thing that is told within some time.
        fn told_within(&self, time: Duration) -> Option<String> {
            self.notify.set_read_timeout(Some(time)).unwrap();
            let mut bytes = [0; 4096];
            let length = self.notify.recv(&mut bytes).ok()?;
            Some(String::from_utf8(bytes[..length].to_vec()).unwrap().trim_end().to_owned())
        }

        /// Waits until something is told; what comes before is left out.
        fn wait_for(&self, word: &str) -> String {
            let deadline = Instant::now() + Duration::from_secs(60);
            while Instant::now() < deadline {
                let told = self.told_within(Duration::from_secs(10));
                if let Some(told) = told.filter(|told| told.lines().any(|line| line == word)) {
                    return told;
                }
            }
            panic!("{word} was not told: {}", self.log());
        }

        /// How often the watchdog is fed within some time.
        fn meals(&self, time: Duration) -> usize {
            let deadline = Instant::now() + time;
            let mut meals = 0;
            while let Some(left) =
                deadline.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())
            {
                meals += usize::from(self.told_within(left).as_deref() == Some("WATCHDOG=1"));
            }
            meals
        }

        fn log(&self) -> String {
            std::fs::read_to_string(self.files.path().join("log")).unwrap_or_default()
        }

        fn signal(&self, signal: &str) {
            let pid = self.process.id().to_string();
            _ = Command::new("kill").args([signal, &pid]).status();
        }

        /// The thread of a worker.
        fn worker(&self) -> String {
            let tasks = format!("/proc/{}/task", self.process.id());
            let is_worker = |task: &Path| {
                std::fs::read_to_string(task.join("comm")).is_ok_and(|name| name == "worker-0\n")
            };
            let mut tasks = std::fs::read_dir(tasks).unwrap().map(|task| task.unwrap().path());
            let task = tasks.find(|task| is_worker(task)).expect("a worker");
            task.file_name().unwrap().to_str().unwrap().to_owned()
        }

        fn lwaftr(&self, arguments: &[&str]) -> bool {
            let mut command = Command::new(env!("CARGO_BIN_EXE_lwaftr"));
            command.args(arguments).arg("--socket").arg(self.files.path().join("sock"));
            command.stdout(Stdio::null()).status().unwrap().success()
        }
    }

    /// Stops one thread, and lets it go when the child is gone.
    const HOLD: &str = "
import ctypes, os, sys, time
libc, tid = ctypes.CDLL(None, use_errno=True), int(sys.argv[1])
SEIZE, INTERRUPT = 0x4206, 0x4207
assert libc.ptrace(SEIZE, tid, None, None) == 0, os.strerror(ctypes.get_errno())
assert libc.ptrace(INTERRUPT, tid, None, None) == 0
print(flush=True)
time.sleep(60)
";

    #[test]
    fn systemd_hears_of_start_reload_progress_and_end() {
        if !rustix::process::geteuid().is_root() {
            println!("skipped: ports need root");
            return;
        }
        let mut service = Service::start();
        let ready = service.wait_for("READY=1");
        assert!(ready.contains("STATUS=1 softwires, 1 worker"), "{ready}");
        let fed = Duration::from_secs(3);
        assert!(service.meals(fed) >= 6, "{}", service.log());

        // A process that stands still, and one with a worker that does.
        service.signal("-STOP");
        while service.told_within(Duration::from_millis(400)).is_some() {}
        assert_eq!(service.meals(Duration::from_secs(2)), 0);
        service.signal("-CONT");
        assert!(service.meals(fed) >= 6, "{}", service.log());
        let mut hold = Command::new("/usr/bin/python3")
            .args(["-c", HOLD, &service.worker()])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut held = [0];
        std::io::Read::read_exact(hold.stdout.as_mut().unwrap(), &mut held).unwrap();
        while service.told_within(Duration::from_millis(600)).is_some() {}
        assert_eq!(service.meals(Duration::from_secs(2)), 0);
        assert!(service.log().contains("worker 0 stands still"), "{}", service.log());
        hold.kill().unwrap();
        hold.wait().unwrap();
        assert!(service.meals(fed) >= 4, "{}", service.log());

        assert!(service.lwaftr(&["reload"]));
        let reloading = service.wait_for("RELOADING=1");
        assert!(reloading.lines().any(|line| line.starts_with("MONOTONIC_USEC=")), "{reloading}");
        service.wait_for("READY=1");

        // Told to stop, it goes on for the second that shutdown-grace says.
        let told = Instant::now();
        service.signal("-TERM");
        service.wait_for("STOPPING=1");
        assert!(service.lwaftr(&["status"]), "it still answers");
        assert!(service.process.wait().unwrap().success(), "{}", service.log());
        assert!(service.log().contains("drained: not ready from now on"), "{}", service.log());
        let took = told.elapsed();
        assert!(took >= Duration::from_secs(1) && took < Duration::from_secs(20), "{took:?}");
    }
}
