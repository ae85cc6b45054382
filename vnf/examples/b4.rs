//! A small B4: the customer end of one softwire, on a TUN device.
//!
//! Kernels without `ip6tnl` (containers, small virtual machines) can still play the subscriber
//! with it: what the host routes into the TUN device leaves as IPv4-in-IPv6 towards the border
//! relay, and what the relay sends back appears on the device. Port translation into the
//! softwire's port set is the host's business, as it is with the kernel's own tunnel.
//!
//! The outer IPv6 header is the kernel's: a raw socket bound to the B4 address and connected to
//! the relay adds it, fragments when it must, reassembles, and lets in only what the relay sent.
//! Its traffic class is 0, which is the compatibility mode of RFC 6040.

use std::error::Error;
use std::fmt::Display;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddrV6};
use std::num::NonZero;
use std::os::fd::OwnedFd;
use std::thread;

use clap::Parser;
use rustix::io::Errno;
use rustix::net::sockopt::set_socket_recv_buffer_size_force;
use rustix::net::{
    AddressFamily, Protocol, RecvFlags, SendFlags, SocketType, bind, connect, ipproto, recv, send,
    socket,
};
use tappers::{Interface, Tun};

/// Who speaks when the B4 itself has something to say: its address on the link to the relay
/// that only the two of them see (RFC 6333, section 5.7).
const B4_ELEMENT: Ipv4Addr = Ipv4Addr::new(192, 0, 0, 2);

const IPV6_HEADER: usize = 40;
/// A destination-options header holding the tunnel encapsulation limit and padding.
const LIMIT_HEADER: usize = 8;
const RECEIVE_BUFFER: usize = 8 << 20;
const LARGEST_PACKET: usize = 65_535;
const DESTINATION_OPTIONS: Protocol = Protocol::from_raw(NonZero::new(60).unwrap());

/// The customer end of one softwire, on a TUN device.
#[derive(Parser)]
struct Arguments {
    /// TUN device to create; give it an address and routes afterwards.
    #[arg(long, default_value = "b4")]
    tun: String,
    /// IPv6 address of this end of the softwire; must be configured on this host.
    #[arg(long)]
    local: Ipv6Addr,
    /// IPv6 address of the border relay.
    #[arg(long)]
    relay: Ipv6Addr,
    /// Largest IPv6 packet the way to the relay carries, in bytes.
    #[arg(long, default_value_t = 1500, value_parser = clap::value_parser!(u16).range(1280..))]
    path_mtu: u16,
    /// Put a tunnel encapsulation limit (RFC 2473) into every packet, as Linux tunnels do.
    #[arg(long)]
    encap_limit: Option<u8>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse();
    let from_relay = tunnel_socket(&arguments, ipproto::IPIP)?;
    let to_relay = match arguments.encap_limit {
        Some(_) => tunnel_socket(&arguments, DESTINATION_OPTIONS)?,
        None => tunnel_socket(&arguments, ipproto::IPIP)?,
    };
    let tun = Tun::new_named(Interface::new(&arguments.tun)?)
        .map_err(|error| format!("cannot create the TUN device {}: {error}", arguments.tun))?;
    println!("{}: softwire from {} to {}", arguments.tun, arguments.local, arguments.relay);

    thread::scope(|scope| {
        scope.spawn(|| decapsulate(&from_relay, &tun));
        let error = encapsulate(&tun, &to_relay, &arguments);
        // The device is gone, and with it the reason to run: the other thread must not linger.
        eprintln!("{}: {error}", arguments.tun);
        std::process::exit(1)
    })
}

/// A raw socket whose packets carry `protocol` between the two ends of the softwire.
fn tunnel_socket(arguments: &Arguments, protocol: Protocol) -> Result<OwnedFd, String> {
    let at = |address| SocketAddrV6::new(address, 0, 0, 0);
    let raw = socket(AddressFamily::INET6, SocketType::RAW, Some(protocol))
        .map_err(|error| format!("cannot open a raw IPv6 socket (it needs root): {error}"))?;
    bind(&raw, &at(arguments.local))
        .map_err(|error| format!("--local {}: {error}; is it configured?", arguments.local))?;
    // A burst of TCP is larger than the usual buffer; past `rmem_max` needs root, as does the socket.
    set_socket_recv_buffer_size_force(&raw, RECEIVE_BUFFER)
        .map_err(|error| format!("cannot set the size of the receive buffer: {error}"))?;
    connect(&raw, &at(arguments.relay))
        .map_err(|error| format!("--relay {}: {error}; is there a route?", arguments.relay))?;
    Ok(raw)
}

/// Host -> relay, until the TUN device fails.
fn encapsulate(tun: &Tun, to_relay: &OwnedFd, arguments: &Arguments) -> std::io::Error {
    // The inner packet always lands behind the room for the optional header.
    let mut buffer = vec![0; LIMIT_HEADER + LARGEST_PACKET];
    let mut start = LIMIT_HEADER;
    if let Some(limit) = arguments.encap_limit {
        // Next header 4, no further 8 bytes, option 4 of one byte, PadN of one byte.
        buffer[..LIMIT_HEADER].copy_from_slice(&[4, 0, 4, 1, limit, 1, 1, 0]);
        start = 0;
    }
    let room = usize::from(arguments.path_mtu) - IPV6_HEADER - (LIMIT_HEADER - start);
    loop {
        let length = match tun.recv(&mut buffer[LIMIT_HEADER..]) {
            Ok(length) => length,
            Err(error) => return error,
        };
        let end = LIMIT_HEADER + length;
        let Some(inner) = ipv4_packet(&buffer[LIMIT_HEADER..end]) else { continue };
        if inner.len() > room && has_dont_fragment(inner) {
            if let Some(error) = packet_too_big(inner, room) {
                report("answering a packet that is too big", tun.send(&error));
            }
        } else {
            report("sending to the relay", send(to_relay, &buffer[start..end], SendFlags::empty()));
        }
    }
}

/// Relay -> host, for ever: an ICMPv6 error about an earlier packet surfaces here as an error
/// of the socket and ends nothing.
fn decapsulate(from_relay: &OwnedFd, tun: &Tun) {
    let mut buffer = vec![0; LARGEST_PACKET];
    loop {
        match recv(from_relay, buffer.as_mut_slice(), RecvFlags::empty()) {
            Ok((length, _)) => {
                if let Some(inner) = ipv4_packet(&buffer[..length]) {
                    report("handing over to the host", tun.send(inner));
                }
            }
            Err(Errno::INTR) => {}
            Err(error) => eprintln!("receiving from the relay: {error}"),
        }
    }
}

fn report<T, E: Display>(doing: &str, result: Result<T, E>) {
    if let Err(error) = result {
        eprintln!("{doing}: {error}");
    }
}

/// The IPv4 packet at the start of `bytes`, as long as its header says; what follows is padding.
fn ipv4_packet(bytes: &[u8]) -> Option<&[u8]> {
    let first = *bytes.first()?;
    let header = usize::from(first & 0x0f) * 4;
    let total = usize::from(u16::from_be_bytes([*bytes.get(2)?, *bytes.get(3)?]));
    (first >> 4 == 4 && header >= 20 && total >= header).then(|| bytes.get(..total))?
}

fn has_dont_fragment(packet: &[u8]) -> bool {
    packet[6] & 0x40 != 0
}

/// ICMPv4 3/4 about `packet`, naming the MTU that fits; none about later fragments and ICMP
/// errors, which nobody may answer (RFC 1122, section 3.2.2).
fn packet_too_big(packet: &[u8], mtu: usize) -> Option<Vec<u8>> {
    const QUOTED: usize = 576 - 20 - 8;
    let header = usize::from(packet[0] & 0x0f) * 4;
    let later_fragment = u16::from_be_bytes([packet[6], packet[7]]) & 0x1fff != 0;
    let icmp_error = packet[9] == 1 && !matches!(packet.get(header), Some(0 | 8 | 13..=18));
    if later_fragment || icmp_error {
        return None;
    }
    let quoted = &packet[..packet.len().min(QUOTED)];

    let mut icmp = vec![3, 4, 0, 0, 0, 0];
    icmp.extend(u16::try_from(mtu).ok()?.to_be_bytes());
    icmp.extend(quoted);
    let sum = checksum(&icmp);
    icmp[2..4].copy_from_slice(&sum.to_be_bytes());

    let total = u16::try_from(20 + icmp.len()).ok()?;
    let mut error = vec![0x45, 0xc0];
    error.extend(total.to_be_bytes());
    error.extend([0, 0, 0, 0, 64, 1, 0, 0]);
    error.extend(B4_ELEMENT.octets());
    error.extend(&packet[12..16]);
    let sum = checksum(&error);
    error[10..12].copy_from_slice(&sum.to_be_bytes());
    error.extend(icmp);
    Some(error)
}

/// The Internet checksum (RFC 1071).
fn checksum(bytes: &[u8]) -> u16 {
    let word = |pair: &[u8]| u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0));
    let sum: u32 = bytes.chunks(2).map(word).sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    !u16::try_from((folded & 0xffff) + (folded >> 16)).unwrap_or(u16::MAX)
}
