//! The control socket of a real control plane: whatever is written to it, each line has an answer,
//! and the next client is served as if nothing had been.

use std::io::{Read as _, Write as _};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};
use std::thread;
use std::time::Duration;

use vnf::api::Api;
use vnf::config::{self, Config};
use vnf::control::protocol::Reply;
use vnf::control::{Control, Editor, Instruments, Service, Socket};
use vnf::memory::Generations;
use vnf::softwire::TableWriter;
use vnf::telemetry::{LatencyRecorder, PortStats, WorkerCounters};
use vnf::wire::MacAddr;

/// Makes the instance as its files say it.
pub(super) const RESET: &[u8] =
    b"{\"version\":1,\"request\":\"reload\",\"force\":true,\"discard-edits\":true}\n";

/// The control socket of the instance. Its API's is beside it, `api`.
pub(super) static INSTANCE: LazyLock<PathBuf> = LazyLock::new(start);

/// Bytes of one connection.
pub(crate) fn control(input: &[u8]) {
    let answers = converse(&INSTANCE, input);
    let replies = parse(&answers);
    let lines = input.iter().filter(|&&byte| byte == b'\n').count();
    assert_eq!(replies, lines, "{}", String::from_utf8_lossy(&answers));
    // Edits and reloads must not make the next input come out otherwise.
    let changed = [&b"\"added\""[..], b"\"edits-dropped\""];
    if changed.iter().any(|word| answers.windows(word.len()).any(|found| found == *word)) {
        let answer = converse(&INSTANCE, RESET);
        assert!(answer.starts_with(b"{\"ok\""), "{}", String::from_utf8_lossy(&answer));
    }
}

/// Writes all and reads until the instance has closed the connection.
pub(super) fn converse(path: &Path, bytes: &[u8]) -> Vec<u8> {
    let mut stream = UnixStream::connect(path).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let mut writer = stream.try_clone().unwrap();
    let mut answers = Vec::new();
    thread::scope(|scope| {
        scope.spawn(move || {
            // It may close before it has read all.
            let _ = writer.write_all(bytes);
            let _ = writer.shutdown(Shutdown::Write);
        });
        if let Err(error) = stream.read_to_end(&mut answers) {
            panic!("no end of answers: {error}: {}", String::from_utf8_lossy(&answers));
        }
    });
    answers
}

/// How many requests are answered here; what is read is what a client can read.
fn parse(answers: &[u8]) -> usize {
    let replies = answers.split_inclusive(|&byte| byte == b'\n').map(|line| {
        Reply::parse(line).unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(line)))
    });
    replies.filter(|reply| !matches!(reply, Reply::Part(_))).count()
}

/// Starts a control plane on a thread that nobody ends; its socket.
fn start() -> PathBuf {
    let directory = tempfile::tempdir().unwrap().keep();
    let path = directory.join("lwaftr.toml");
    let socket = directory.join("sock");
    write_files(&socket);
    let listening = Socket::bind(&socket).unwrap();
    let loaded = config::load_with_table(&path).unwrap_or_else(|errors| panic!("{errors}"));
    let api = Api::open(&loaded.0).unwrap();
    thread::spawn(move || serve(loaded, &directory.join("journal"), &listening, api));
    socket
}

/// Writes the files of the instance with this socket, as they are at first.
pub(super) fn write_files(socket: &Path) {
    let text = format!(
        r#"[instance]
control-socket = "{0}"
[api]
listen = []
socket = "{1}"
[external]
port = "net_null0"
address = "192.0.2.2/24"
next-hop = "192.0.2.1"
[internal]
port = "net_null1"
address = "2001:db8:0:1::2/64"
next-hop = "2001:db8:0:1::1"
[softwires]
br-addresses = "2001:db8:ffff::1"
file = "table.csv"
"#,
        socket.display(),
        socket.with_file_name("api").display()
    );
    std::fs::write(socket.with_file_name("lwaftr.toml"), text).unwrap();
    let table = "203.0.113.7,6,6,0,2001:db8:0:200::1\n";
    std::fs::write(socket.with_file_name("table.csv"), table).unwrap();
}

fn serve(loaded: (Config, TableWriter), journal: &Path, socket: &Socket, api: Api) {
    let (generations, _) = Generations::new(0);
    let macs = [MacAddr([2, 0, 0, 0, 0, 1]), MacAddr([2, 0, 0, 0, 0, 2])];
    let editor = Editor::start(loaded, macs, generations, journal, false).unwrap();
    let (mut recorder, latency) = LatencyRecorder::new();
    thread::spawn(move || {
        loop {
            recorder.exchange();
            thread::sleep(Duration::from_millis(1));
        }
    });
    let instruments = Instruments {
        counters: vec![Arc::new(WorkerCounters::default())],
        latency: vec![latency],
        ports: Box::new(|| [PortStats::default(); 2]),
        ..Instruments::default()
    };
    let control = Arc::new(Control::new(editor, instruments));
    let served = api.serve(Arc::clone(&control));
    let serve = async { served.await.unwrap() };
    Service::new().unwrap().run(control, socket, false, serve).unwrap();
}
