//! The file of credentials: who may use the management API, as what.
//!
//! ```text
//! # name   role     kind         SHA-256 of it
//! ann      write    token        sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
//! monitor  read     certificate  sha256:60303ae22b998861bce3b28f33eec1be758a213c86c93c076dbe9f558c11c752
//! ```
//!
//! It holds no secret: of a token, which must be as long as a key, only its digest is there.

use std::collections::HashMap;
use std::fmt;

use sha2::{Digest as _, Sha256};

/// More credentials than this are a mistake.
const MOST: usize = 10_000;

/// What somebody may do; each role includes those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// See state, counters and configuration.
    Read,
    /// See what subscribers do: lookups, captures, examples of dropped packets.
    Inspect,
    /// Change things.
    Write,
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Read => "read",
            Self::Inspect => "inspect",
            Self::Write => "write",
        })
    }
}

/// By what somebody is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Kind {
    Token,
    Certificate,
}

/// Somebody, and what they may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Client {
    /// As the audit log calls them.
    pub name: String,
    /// What they may do.
    pub role: Role,
}

/// Who may do what.
#[derive(Debug, Clone, Default)]
pub struct Credentials(HashMap<(Kind, [u8; 32]), Client>);

impl Credentials {
    /// Whose bearer token this is. Digests are compared, so the time it takes tells nothing.
    #[must_use]
    pub fn of_token(&self, token: &str) -> Option<&Client> {
        self.0.get(&(Kind::Token, Sha256::digest(token).into()))
    }

    /// Whose certificate (DER) this is.
    #[must_use]
    pub fn of_certificate(&self, certificate: &[u8]) -> Option<&Client> {
        self.0.get(&(Kind::Certificate, Sha256::digest(certificate).into()))
    }
}

/// Reads such a file; or which line is wrong, and how.
pub(super) fn parse(bytes: &[u8]) -> Result<Credentials, (usize, String)> {
    let mut all = HashMap::new();
    for (number, line) in (1..).zip(bytes.split(|&byte| byte == b'\n')) {
        let wrong = |problem: &str| (number, problem.to_owned());
        let line = std::str::from_utf8(line).map_err(|_| wrong("bytes that are not UTF-8"))?;
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (key, client) = parse_line(line).map_err(|problem| wrong(&problem))?;
        if all.insert(key, client).is_some() {
            return Err(wrong("the same token or certificate as above: one line for each"));
        }
        if all.len() > MOST {
            return Err(wrong("too many credentials: 10000 at most"));
        }
    }
    Ok(Credentials(all))
}

fn parse_line(line: &str) -> Result<((Kind, [u8; 32]), Client), String> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let [name, role, kind, digest] = fields[..] else {
        let found = fields.len();
        return Err(format!("{found} fields: NAME ROLE token|certificate sha256:DIGEST"));
    };
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.@".contains(&byte);
    if name.len() > 64 || !name.bytes().all(plain) {
        return Err("a name has at most 64 letters, digits, \"-\", \"_\", \".\" and \"@\"".into());
    }
    let role = match role {
        "read" => Role::Read,
        "inspect" => Role::Inspect,
        "write" => Role::Write,
        _ => return Err("the role must be read, inspect or write".into()),
    };
    let kind = match kind {
        "token" => Kind::Token,
        "certificate" => Kind::Certificate,
        _ => return Err("the kind must be token or certificate".into()),
    };
    let digest = digest.strip_prefix("sha256:").and_then(parse_digest).ok_or(
        "the digest must be sha256: and 64 hexadecimal digits, with colons between bytes or \
         without",
    )?;
    Ok(((kind, digest), Client { name: name.to_owned(), role }))
}

fn parse_digest(text: &str) -> Option<[u8; 32]> {
    let digits: Vec<u8> = text
        .bytes()
        .filter(|&byte| byte != b':')
        .map(|byte| (byte as char).to_digit(16))
        .map(|digit| digit.and_then(|digit| u8::try_from(digit).ok()))
        .collect::<Option<_>>()?;
    let bytes: Vec<u8> =
        digits.chunks(2).map(|pair| pair[0] << 4 | pair.get(1).copied().unwrap_or(0)).collect();
    (digits.len() == 64).then(|| bytes.try_into().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// SHA-256 of "test".
    const DIGEST: &str = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";

    #[test]
    fn who_has_what() {
        let text = format!(
            "# people\n\nann write token sha256:{DIGEST}\n bob\tread certificate sha256:{}\n",
            DIGEST.to_uppercase()
        );
        let credentials = parse(text.as_bytes()).unwrap();
        let client = |name: &str, role| Some(Client { name: name.to_owned(), role });
        assert_eq!(credentials.of_token("test"), client("ann", Role::Write).as_ref());
        assert_eq!(credentials.of_certificate(b"test"), client("bob", Role::Read).as_ref());
        assert_eq!(credentials.of_token("tes"), None);
        assert!(Role::Read < Role::Inspect && Role::Inspect < Role::Write);
    }

    #[test]
    fn what_is_wrong_is_said_with_its_line() {
        let good = format!("ann write token sha256:{DIGEST}");
        for (line, problem) in [
            ("ann write token", "3 fields"),
            (&*good.replace("ann", "a/b"), "a name has"),
            (&*good.replace("write", "admin"), "the role"),
            (&*good.replace("token", "password"), "the kind"),
            (&*good.replace("sha256:", "md5:"), "the digest"),
            (&good[..good.len() - 1], "the digest"),
            (&*good.replace("9f", "9é"), "the digest"),
            (&*good, "the same token"),
        ] {
            let (number, words) = parse(format!("{good}\n{line}\n").as_bytes()).unwrap_err();
            assert_eq!(number, 2);
            assert!(words.contains(problem), "{words}");
        }
    }
}
