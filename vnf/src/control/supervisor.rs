//! A whole instance, from its configuration to its last closed port.
//!
//! ```text
//!  configuration, table -> socket -> CPUs -> DPDK -> ports -> editor (journal) -> workers
//!                                                                                   |
//!  exit <- ports closed <- workers joined <- SIGTERM or SIGINT <- control plane ----+
//! ```
//!
//! Whatever is missing is found before the first packet, in the order above, and said.

use std::future::Future;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind};
use tokio::sync::Notify;

use super::actor::Actor;
use super::cpus::{self, Cpus};
use super::crew::Crew;
use super::editor::Editor;
use super::error::ControlError;
use super::fallback;
use super::journal::default_path;
use super::nodes;
use super::ports::{self, Ports};
use super::service::Service;
use super::socket::Socket;
use super::state::{Control, Instruments};
use super::systemd;
use super::well_being::DRAIN_GRACE;
use crate::config::{self, Config};
use crate::dpdk::{Eal, EalConfig, Hugepages, leave_captures};
use crate::frame::plan::PoolPlan;
use crate::memory::Generations;

/// Runs an instance until it is told to stop. With `discard_edits`, softwires are what the files
/// say, whatever was edited before. `open` begins to listen for the management API, and gives what
/// serves it.
pub fn supervise<Serve, Api>(
    path: &Path,
    discard_edits: bool,
    open: impl FnOnce(&Config) -> Result<Serve, ControlError>,
) -> Result<(), ControlError>
where
    Serve: FnOnce(Arc<Control>) -> Api,
    Api: Future<Output = Result<(), ControlError>>,
{
    // Before all that takes time: a signal during the start is heard after it.
    let service = Service::new()?;
    let (terminate, interrupt) =
        (service.signal(SignalKind::terminate())?, service.signal(SignalKind::interrupt())?);
    let (config, writer) = fallback::load(path, |config| default_path(&config.instance.name))?;
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    let instance = config.instance.clone();
    let idle = config.workers.idle;
    prepare_for_crashes(&instance);
    let socket = Socket::bind(&instance.control_socket)?;
    let serve_api = open(&config)?;
    let cpus = Cpus::divide("workers.cpus", &config.workers.cpus)?;
    let eal = start_dpdk(&config, &cpus).map_err(hint_at_privileges)?;
    let ports = Ports::set_up(&config, &eal).map_err(hint_at_privileges)?;
    ports.tell_offloads();
    nodes::settle(&ports.nodes(), &cpus.workers);
    let (generations, readers) = Generations::new(cpus.workers.len());
    let journal = default_path(&instance.name);
    let macs = ports.macs();
    let mut editor = Editor::start((config, writer), macs, generations, &journal, discard_edits)?;
    editor.limit_mtus(ports.largest_mtus());
    let softwires = editor.publisher().table().len();

    let (ports, queues) = ports.start().map_err(hint_at_privileges)?;
    editor.steer_ports(ports.steering());
    let idle = ports.idling(idle);
    let mut crew = Crew::new(Arc::clone(editor.publisher().snapshots()), &eal, idle);
    let mut latency = Vec::new();
    for ((&cpu, queues), reader) in cpus.workers.iter().zip(queues).zip(readers) {
        latency.push(crew.hire(cpu, queues, reader, ports.pool(), cpus.workers.len())?);
    }
    let name = &instance.name;
    tracing::info!(
        "{name}: {softwires} softwires, workers on {}, control plane on {}, socket {}",
        cpus::named(&cpus.workers),
        cpus::named(&cpus.control),
        socket.path().display(),
    );
    let instruments = Instruments {
        counters: crew.counters(),
        latency,
        ports: ports::reader(ports.monitors()),
        workers: crew.workers(),
        pools: ports.pools(),
        captures: crew.captures(),
    };
    let control = Arc::new(Control::new(editor, instruments));
    let ended = crew.ended();
    let api = serve_api(Arc::clone(&control));
    let watchdog = systemd::feed_watchdog(crew.progress());
    systemd::ready(&control.summary());
    let is_told = told_to_stop(terminate, interrupt, ended, Arc::clone(&control));
    let stop = async {
        tokio::select! {
            () = is_told => {}
            never = watchdog => match never {},
            ended = api => if let Err(error) = ended {
                tracing::error!("stopping: {error}");
            },
        }
    };
    let outcome = service.run(control, &socket, instance.watch, stop);
    let (queues, all_well) = crew.dismiss();
    ports.stop(queues);
    tracing::info!("{name}: stopped");
    outcome.and(all_well)
}

/// An instance that cannot leave anything behind works as well.
fn prepare_for_crashes(instance: &config::Instance) {
    let usual = || default_path(&instance.name).with_file_name("crash");
    let directory = match instance.crash_directory.as_os_str().is_empty() {
        true => usual(),
        false => instance.crash_directory.clone(),
    };
    if let Err(error) = leave_captures(&directory, &instance.name) {
        tracing::warn!(
            "{}: {error}: a crash will not leave the frames received last: make the directory, or \
             name another with instance.crash-directory",
            directory.display()
        );
    }
}

/// Most often it is this, whatever the driver says.
fn hint_at_privileges(mut error: ControlError) -> ControlError {
    if !rustix::process::geteuid().is_root() {
        error.message += "; this user is not root: run as root, or with the capabilities \
                          CAP_NET_ADMIN, CAP_NET_RAW and CAP_SYS_RAWIO and permission to use the \
                          devices (/dev/vfio, /dev/net/tun, /dev/hugepages), as the ports require";
    }
    error
}

fn start_dpdk(config: &Config, cpus: &Cpus) -> Result<Eal, ControlError> {
    let eal = Eal::init(&EalConfig {
        name: config.instance.name.clone(),
        control_cpus: cpus.control.clone(),
        megabytes: PoolPlan::derive(&config.pool_needs()).megabytes,
        hugepages: Hugepages::Auto,
    })?;
    tracing::info!("{}", eal.memory());
    Ok(eal)
}

/// Waits for SIGTERM, SIGINT, or the end of a worker. After SIGTERM it is not ready any more, and
/// packets are carried for as long as the configuration says: routers may need that to turn away.
async fn told_to_stop(
    mut terminate: Signal,
    mut interrupt: Signal,
    ended: Arc<Notify>,
    control: Arc<Control>,
) {
    let grace = tokio::select! {
        _ = terminate.recv() => {
            tracing::info!("SIGTERM: stopping");
            control.config().instance.shutdown_grace
        }
        _ = interrupt.recv() => {
            tracing::info!("SIGINT: stopping");
            0
        }
        () = ended.notified() => {
            tracing::error!("a worker has ended: stopping");
            0
        }
    };
    systemd::stopping("stopping");
    if grace > 0 {
        if !control.health().draining {
            // Half of the time for routers that ask, half for those that have to miss our answers.
            let until_silence = DRAIN_GRACE.min(Duration::from_secs(grace.into()) / 2);
            // Without waiting for the disk that the audit log is on.
            let control = Arc::clone(&control);
            tokio::spawn(async move { control.drain(&Actor::signal(), until_silence).await });
        }
        tracing::info!("packets are carried for {grace} s more; another signal stops at once");
        tokio::select! {
            () = tokio::time::sleep(Duration::from_secs(grace.into())) => {}
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
            () = ended.notified() => tracing::error!("a worker has ended"),
        }
    }
}
