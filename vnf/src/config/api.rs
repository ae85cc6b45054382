//! `[api]`: where the management API listens, and who may use it.
//!
//! Certificates and credentials are read with the configuration: a reload takes up new ones, or is
//! refused with everything else as it was.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;

use super::credentials::{self, Credentials, Role};
use super::key::{Key, Table, keys};
use super::reader::Reader;
use super::value::{Integer, List, Maybe, OneOf, Parsed, Words};
use super::{Config, source, tls};

/// Where the API listens unless the configuration says so.
pub const DEFAULT_LISTEN: SocketAddr =
    SocketAddr::new(IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 8676);

/// `[api]`: the management API.
#[derive(Debug, Clone, Default)]
pub struct ApiConfig {
    /// The addresses; `None` for [`DEFAULT_LISTEN`], if that is free.
    pub listen: Option<Vec<SocketAddr>>,
    /// The Unix socket; after the checks never empty.
    pub socket: PathBuf,
    /// PEM: our certificate, and those between it and the root.
    pub tls_certificate: Option<PathBuf>,
    /// PEM: its private key.
    pub tls_key: Option<PathBuf>,
    /// PEM: who issues the certificates of clients.
    pub client_ca: Option<PathBuf>,
    /// Tokens and certificates of clients, with their roles.
    pub credentials: Option<PathBuf>,
    /// Names by which clients may call this host.
    pub host_names: Vec<String>,
    /// What a client on this host may without credentials.
    pub loopback_role: LoopbackRole,
    /// `softwire-path-mru` of RFC 8676, which nothing here depends on; `None` for the internal MTU.
    pub softwire_path_mru: Option<u16>,
    /// The version of the table that an orchestrator has set; `None` for our own.
    pub table_version: Option<String>,
    /// When that was activated.
    pub table_date: Option<Timestamp>,
    /// What the files say.
    pub files: ApiFiles,
}

/// What the files of `[api]` say.
#[derive(Debug, Clone, Default)]
pub struct ApiFiles {
    /// For TLS; `None` without certificate.
    pub tls: Option<Arc<rustls::ServerConfig>>,
    /// Who may do what.
    pub credentials: Arc<Credentials>,
}

/// What a client on this host may without credentials: never write.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum LoopbackRole {
    /// Nothing.
    None,
    /// [`Role::Read`].
    #[default]
    Read,
    /// [`Role::Inspect`].
    Inspect,
}

impl LoopbackRole {
    /// As a role.
    #[must_use]
    pub fn role(self) -> Option<Role> {
        match self {
            Self::None => None,
            Self::Read => Some(Role::Read),
            Self::Inspect => Some(Role::Inspect),
        }
    }
}

impl ApiConfig {
    /// Where it listens, in the end.
    #[must_use]
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.listen.clone().unwrap_or_else(|| vec![DEFAULT_LISTEN])
    }

    /// The files whose change is a change of the configuration.
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        let paths = [&self.tls_certificate, &self.tls_key, &self.client_ca, &self.credentials];
        paths.into_iter().filter_map(|path| path.as_deref())
    }
}

impl Table for ApiConfig {
    const NAME: &str = "api";

    fn keys() -> Vec<Key<Self>> {
        keys![Self;
            "listen" FIXED listen = Maybe(List(Parsed));
            "socket" FIXED socket = Words("the path of a Unix socket, like \"/run/lwaftr/lwaftr-api.sock\"");
            "tls-certificate" OPTIONAL tls_certificate = Maybe(Words("the path of a PEM file"));
            "tls-key" OPTIONAL tls_key = Maybe(Words("the path of a PEM file"));
            "client-ca" OPTIONAL client_ca = Maybe(Words("the path of a PEM file"));
            "credentials" OPTIONAL credentials = Maybe(Words("the path of a file of credentials"));
            "host-names" OPTIONAL host_names = List(Words("a host name, like \"relay.example.net\""));
            "loopback-role" OPTIONAL loopback_role = OneOf(&[
                ("none", LoopbackRole::None),
                ("read", LoopbackRole::Read),
                ("inspect", LoopbackRole::Inspect),
            ]);
            "softwire-path-mru" OPTIONAL softwire_path_mru = Maybe(Integer(0, 65535));
            "table-version" OPTIONAL table_version = Maybe(Words("a number up to 2^64 - 1, in quotes"));
            "table-date" OPTIONAL table_date = Maybe(Parsed);
        ]
    }
}

/// Checks the table, completes what follows from other keys, and reads its files.
pub(super) fn check(config: &mut Config, reader: &mut Reader) {
    let directory = config.path.parent().unwrap_or(Path::new("")).to_owned();
    let api = &mut config.api;
    if api.socket.as_os_str().is_empty() {
        // Where the control socket is, nobody else's is.
        let control = &config.instance.control_socket;
        let mut name = control.file_stem().unwrap_or_default().to_owned();
        name.push("-api.sock");
        api.socket = control.with_file_name(name);
    }
    if !reader.is_right("instance.control-socket") {
        // What follows from it is not worth a word.
    } else if !api.socket.is_absolute() {
        let right = "a path that starts with \"/\", as other programs look for it";
        reader.wrong("api.socket", format!("is a relative path: {right}"));
    } else if api.socket.as_os_str().len() > 107 {
        reader.wrong("api.socket", "is longer than a socket may have: 107 bytes");
    } else if api.socket == config.instance.control_socket {
        reader.wrong("api.socket", "is the control socket's path: another one");
    }
    for path in
        [&mut api.tls_certificate, &mut api.tls_key, &mut api.client_ca, &mut api.credentials]
            .into_iter()
            .flatten()
    {
        *path = directory.join(&path);
    }
    read_credentials(api, reader);
    read_tls(api, reader);
    for name in &api.host_names {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.');
        if !name.bytes().all(plain) {
            let right = "a name of letters, digits, \"-\" and \".\", without port";
            reader.wrong("api.host-names", format!("{name:?} is not accepted: {right}"));
        }
    }
    if let Some(version) = &api.table_version
        && version.parse::<u64>().is_err()
    {
        let problem = format!("{version:?} is not accepted: a number up to 2^64 - 1, in quotes");
        reader.wrong("api.table-version", problem);
    }
    listen(api, reader);
}

/// Elsewhere than on this host, only with TLS and for those whom we know.
fn listen(api: &ApiConfig, reader: &mut Reader) {
    let addresses = api.addresses();
    if let Some(address) = super::rules::repeated(&addresses) {
        reader.wrong("api.listen", format!("names {address} twice: each address once"));
    }
    let Some(remote) = addresses.iter().find(|address| !address.ip().is_loopback()) else {
        return;
    };
    if api.tls_certificate.is_none() {
        reader.wrong(
            "api.listen",
            format!(
                "{remote} can be reached from other hosts, and there is no tls-certificate: a \
                 loopback address, or TLS (tls-certificate, tls-key, credentials)"
            ),
        );
    } else if api.credentials.is_none() {
        reader.wrong(
            "api.listen",
            format!(
                "{remote} can be reached from other hosts, and nobody could use it there: \
                 credentials, with the tokens or certificates of those who may"
            ),
        );
    }
}

fn read_credentials(api: &mut ApiConfig, reader: &mut Reader) {
    const KEY: &str = "api.credentials";
    let Some(path) = &api.credentials else { return };
    match read(path, 0o022, "others than its owner can write it: chmod go-w") {
        Ok(bytes) => match credentials::parse(&bytes) {
            Ok(credentials) => api.files.credentials = Arc::new(credentials),
            Err((line, problem)) => {
                reader.wrong(KEY, format!("{}:{line}: {problem}", path.display()));
            }
        },
        Err(problem) => reader.wrong(KEY, format!("{}: {problem}", path.display())),
    }
}

fn read_tls(api: &mut ApiConfig, reader: &mut Reader) {
    let (certificate, key) = match (&api.tls_certificate, &api.tls_key) {
        (Some(certificate), Some(key)) => (certificate, key),
        (None, None) => {
            if api.client_ca.is_some() {
                let problem = "needs TLS: tls-certificate and tls-key as well";
                reader.wrong("api.client-ca", problem);
            }
            return;
        }
        (Some(_), None) => return reader.wrong("api.tls-certificate", "needs tls-key as well"),
        (None, Some(_)) => return reader.wrong("api.tls-key", "needs tls-certificate as well"),
    };
    let mut load = |key: &str, path: &Path, forbidden, remedy| {
        read(path, forbidden, remedy)
            .map_err(|problem| reader.wrong(key, format!("{}: {problem}", path.display())))
            .ok()
    };
    let certificate_pem = load("api.tls-certificate", certificate, 0, "");
    let key_pem =
        load("api.tls-key", key, 0o007, "everybody can read the private key: chmod o-rwx");
    let ca_pem = match &api.client_ca {
        Some(path) => load("api.client-ca", path, 0, "").map(Some),
        None => Some(None),
    };
    let (Some(certificate_pem), Some(key_pem), Some(ca_pem)) = (certificate_pem, key_pem, ca_pem)
    else {
        return;
    };
    match tls::server(&certificate_pem, &key_pem, ca_pem.as_deref()) {
        Ok(tls) => api.files.tls = Some(Arc::new(tls)),
        Err(tls::Wrong { part, problem }) => reader.wrong(part.key(), problem),
    }
}

/// Reads a file whose mode has none of the `forbidden` bits.
fn read(path: &Path, forbidden: u32, remedy: &str) -> Result<Vec<u8>, String> {
    use std::os::unix::fs::PermissionsExt as _;
    let cannot = |error: std::io::Error| {
        format!("cannot be read ({error}): the path of a file that this user may read")
    };
    let bytes = source::read(path).map_err(cannot)?;
    let mode = std::fs::metadata(path).map_err(cannot)?.permissions().mode();
    if mode & forbidden != 0 { Err(remedy.to_owned()) } else { Ok(bytes) }
}
