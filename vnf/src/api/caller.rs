//! Who is at the other end of a connection, and who makes a request.

use std::net::SocketAddr;
use std::sync::Arc;

use crate::config::{ApiConfig, Role};
use crate::control::Actor;

/// The other end of a connection.
#[derive(Debug, Clone)]
pub enum Peer {
    /// A process on this host that the Unix socket's rules trust, or not.
    Local {
        /// Its user.
        uid: u32,
        /// The process.
        pid: Option<i32>,
        /// Root, our own user, or a member of the group `lwaftr`.
        trusted: bool,
    },
    /// A host.
    Remote {
        /// Its address.
        address: SocketAddr,
        /// It came to a loopback address of ours, so it is this host.
        local: bool,
        /// The certificate (DER) that it showed and that `client-ca` has issued.
        certificate: Option<Arc<[u8]>>,
    },
}

/// Who makes a request, and what they may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// A name of the credentials, a user, or `anonymous`; and the way the request came.
    pub actor: Actor,
    /// What they may do, if anything.
    pub role: Option<Role>,
}

/// Who gave no name.
pub(super) const ANONYMOUS: &str = "anonymous";

impl Caller {
    /// Who it is, by the connection and the bearer token of a request. A token that nobody has
    /// makes its owner nobody, also where others need none.
    pub(super) fn of(peer: &Peer, token: Option<&str>, api: &ApiConfig) -> Self {
        let credentials = &api.files.credentials;
        let client = match (peer, token) {
            (_, Some(token)) => credentials.of_token(token),
            (Peer::Remote { certificate: Some(certificate), .. }, None) => {
                credentials.of_certificate(certificate)
            }
            _ => None,
        };
        let mut actor = match peer {
            Peer::Local { uid, pid, .. } => Actor::process(*uid, *pid, "API socket"),
            Peer::Remote { address, .. } => Actor::new(ANONYMOUS, format!("API, {address}")),
        };
        if let Some(client) = client {
            actor.who.clone_from(&client.name);
            return Self { actor, role: Some(client.role) };
        }
        let role = match peer {
            _ if token.is_some() => {
                "unknown token".clone_into(&mut actor.who);
                None
            }
            Peer::Local { trusted, .. } => trusted.then_some(Role::Write),
            Peer::Remote { certificate: Some(_), .. } => {
                "unknown certificate".clone_into(&mut actor.who);
                None
            }
            Peer::Remote { local: true, .. } => api.loopback_role.role(),
            Peer::Remote { .. } => None,
        };
        Self { actor, role }
    }

    /// True when they may do what needs this role.
    #[must_use]
    pub fn may(&self, needed: Role) -> bool {
        self.role.is_some_and(|role| role >= needed)
    }
}
