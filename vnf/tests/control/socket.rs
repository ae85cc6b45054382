//! The socket: one instance behind it, and clients that send garbage, nothing, or too much.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::net::UnixStream;

use crate::lab::{Files, table};

#[test]
fn one_name_one_instance() {
    let instance = Files::new("", &table(1)).start();
    let mut second = instance.files.spawn();
    assert_eq!(second.0.wait().unwrap().code(), Some(1));
    assert!(instance.files.log().contains("another instance is running there"));
    instance.ok(&["status"]);

    // The same name behind another socket meets at the journal.
    instance.files.replace_in_config("test.sock", "other.sock");
    let mut third = instance.files.spawn();
    assert_eq!(third.0.wait().unwrap().code(), Some(1));
    assert!(instance.files.log().contains("in use by another instance of the same name"));
}

#[test]
fn garbage_gets_an_answer_and_harms_nobody() {
    let instance = Files::new("", &table(128)).start();
    let mut stream = instance.connect();
    let mut answers = BufReader::new(stream.try_clone().unwrap());
    let mut answer = String::new();
    for garbage in [
        &b"rubbish\n"[..],
        b"\n",
        b"\x00\xff\xfe\n",
        b"{\"version\":1}\n",
        b"{\"version\":9,\"request\":\"ping\"}\n",
        b"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\n",
        b"{\"version\":1,\"request\":\"softwire-add\",\"csv\":\"x,y\"}\n",
        b"{\"version\":1,\"request\":\"softwire-add\",\"softwires\":[{\"ipv4\":\"1.2.3.4\",\"psid-len\":17,\"b4-ipv6\":\"::\"}]}\n",
    ] {
        stream.write_all(garbage).unwrap();
        answer.clear();
        answers.read_line(&mut answer).unwrap();
        assert!(answer.contains("\"error\""), "{answer}");
    }
    // The connection is as good as before.
    stream.write_all(b"{\"version\":1,\"request\":\"ping\"}\n").unwrap();
    answer.clear();
    answers.read_line(&mut answer).unwrap();
    assert_eq!(answer, "{\"ok\":{},\"version\":1}\n");

    // Deeply nested, and endless.
    stream.write_all(b"{\"version\":1,\"request\":\"softwire-add\",\"softwires\":").unwrap();
    stream.write_all(&[b'['; 100_000]).unwrap();
    stream.write_all(b"\n").unwrap();
    answer.clear();
    answers.read_line(&mut answer).unwrap();
    assert!(answer.contains("\"error\""), "{answer}");
    let piece = vec![b' '; 1 << 20];
    let refused = (0..80).find_map(|_| stream.write_all(&piece).err());
    answer.clear();
    let ended = answers.read_line(&mut answer);
    assert!(refused.is_some() || answer.contains("longer than"), "{answer} {ended:?}");

    // Half a request, then silence; and many at once.
    let _silent: Vec<UnixStream> = (0..40).map(|_| instance.connect()).collect();
    instance.connect().write_all(b"{\"version\":1,\"requ").unwrap();
    assert_eq!(instance.softwires(), 128);
}

#[test]
fn silent_clients_lock_nobody_out() {
    let instance = Files::new("", &table(128)).start();
    let mut first = instance.connect();
    let others: Vec<UnixStream> = (0..80).map(|_| instance.connect()).collect();
    assert_eq!(instance.softwires(), 128);
    assert_eq!(first.read(&mut [0]).unwrap(), 0, "it was silent longest, and made room");
    // The last ones still have their places.
    let mut last = others.last().unwrap();
    last.write_all(b"{\"version\":1,\"request\":\"ping\"}\n").unwrap();
    let mut answer = String::new();
    BufReader::new(last).read_line(&mut answer).unwrap();
    assert_eq!(answer, "{\"ok\":{},\"version\":1}\n");
}
