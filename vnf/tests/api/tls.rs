//! TLS on an address that other hosts can reach: tokens and client certificates, made by openssl,
//! checked by curl.

use std::path::Path;
use std::process::Command;

use crate::lab::{Answer, Instance, TABLE, run, token, write_config};

/// Makes a CA, a certificate of the relay, one of a client, and one of a client of somebody else.
fn certificates(directory: &Path) {
    let openssl = |arguments: &str| {
        let output = Command::new("openssl")
            .args(arguments.split(' '))
            .current_dir(directory)
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{arguments}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    };
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";
    for ca in ["ca", "other"] {
        openssl(&format!("req -x509 {key} -subj /CN={ca} -days 2 -keyout {ca}.key -out {ca}.pem"));
    }
    std::fs::write(directory.join("server.ext"), "subjectAltName=IP:127.0.0.1,IP:0.0.0.0").unwrap();
    std::fs::write(directory.join("client.ext"), "extendedKeyUsage=clientAuth").unwrap();
    for (name, ca, ext) in
        [("relay", "ca", "server"), ("client", "ca", "client"), ("stranger", "other", "client")]
    {
        openssl(&format!("req {key} -subj /CN={name} -keyout {name}.key -out {name}.csr"));
        openssl(&format!(
            "x509 -req -in {name}.csr -CA {ca}.pem -CAkey {ca}.key -CAcreateserial -days 2 \
             -extfile {ext}.ext -out {name}.pem"
        ));
    }
}

fn fingerprint(certificate: &Path) -> String {
    let output = Command::new("openssl")
        .args(["x509", "-noout", "-fingerprint", "-sha256", "-in"])
        .arg(certificate)
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap().trim().rsplit('=').next().unwrap().to_owned()
}

#[test]
fn a_token_or_a_certificate_is_needed_and_the_certificate_is_ours() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().to_owned();
    certificates(&path);
    let api = "listen = \"0.0.0.0:0\"\ncredentials = \"credentials\"\n\
               tls-certificate = \"relay.pem\"\ntls-key = \"relay.key\"\nclient-ca = \"ca.pem\"";
    let instance = Instance::start_in(directory, api, "", TABLE);
    let credentials = path.join("credentials");
    let mut text = std::fs::read_to_string(&credentials).unwrap();
    text += &format!("prom inspect certificate sha256:{}\n", fingerprint(&path.join("client.pem")));
    std::fs::write(&credentials, text).unwrap();
    instance.reload().unwrap();

    let port = instance.addresses[0].rsplit(':').next().unwrap().to_owned();
    let curl = |arguments: &[&str], path_: &str| -> Answer {
        let mut command = Command::new("curl");
        command.args(["-sS", "-i", "--max-time", "20", "--cacert"]).arg(path.join("ca.pem"));
        for argument in arguments {
            let file = path.join(argument);
            if argument.contains('.') {
                command.arg(file)
            } else {
                command.arg(argument)
            };
        }
        command.arg(format!("https://127.0.0.1:{port}{path_}"));
        run(command, b"")
    };
    let status = "/api/status";
    curl(&[], status).expect(401);
    let bearer = |who: &str| format!("Authorization: Bearer {}", token(who));
    curl(&["-H", &bearer("rob")], status).expect(200);
    let client = ["--cert", "client.pem", "--key", "client.key"];
    curl(&client, status).expect(200);
    let softwire = "/restconf/data/lwaftr:softwires/softwire=203.0.113.8,0";
    let mut delete = client.to_vec();
    delete.extend(["-X", "DELETE"]);
    curl(&delete, softwire).expect(403);
    let stranger = curl(&["--cert", "stranger.pem", "--key", "stranger.key"], status);
    assert_eq!(stranger.status, 0, "the handshake fails: {}", stranger.problem);

    // HTTP without TLS, and an old TLS.
    let mut plain = Command::new("curl");
    plain.args(["-sS", "-i", "--max-time", "20", &format!("http://127.0.0.1:{port}{status}")]);
    assert_eq!(run(plain, b"").status, 0);
    let old = curl(&["--tls-max", "1-1"], status);
    assert_eq!(old.status, 0);

    // Another certificate, without a restart.
    std::fs::copy(path.join("other.key"), path.join("relay.key")).unwrap();
    let words = instance.reload().unwrap_err();
    assert!(words.contains("api.tls-certificate"), "{words}");
    curl(&client, status).expect(200);
    std::fs::copy(path.join("other.pem"), path.join("relay.pem")).unwrap();
    instance.reload().unwrap();
    assert_eq!(curl(&client, status).status, 0, "nobody trusts that one");
}

#[test]
fn a_key_that_everybody_can_read_is_refused() {
    use std::os::unix::fs::PermissionsExt as _;
    let directory = tempfile::tempdir().unwrap();
    certificates(directory.path());
    let api = "tls-certificate = \"relay.pem\"\ntls-key = \"relay.key\"";
    let config = write_config(directory.path(), api, "", TABLE);
    vnf::config::load(&config).unwrap();
    let key = directory.path().join("relay.key");
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).unwrap();
    let error = vnf::config::load(&config).unwrap_err().to_string();
    assert!(error.contains("api.tls-key") && error.contains("chmod o-rwx"), "{error}");
}
