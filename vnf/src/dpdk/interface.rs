//! What the kernel says of an interface of its own that a port is made of: the drivers that use
//! one report its link as up whatever becomes of it.

use std::os::fd::{AsRawFd as _, OwnedFd};

use rustix::net::{AddressFamily, SocketType, netdevice, socket};

/// An interface of the kernel, as it was when the port was made.
#[derive(Debug)]
pub(super) struct Interface {
    name: String,
    index: u32,
    /// To ask the kernel through; it stays in the network namespace where it was opened.
    socket: OwnedFd,
}

impl Interface {
    /// The interface of this name, when there is one.
    pub(super) fn named(name: &str) -> Option<Self> {
        let socket = socket(AddressFamily::INET, SocketType::DGRAM, None).ok()?;
        let index = netdevice::name_to_index(&socket, name).ok()?;
        Some(Self { name: name.to_owned(), index, socket })
    }

    /// It is there, and carries frames. Another that came to have its name is not it.
    pub(super) fn is_up(&self) -> bool {
        netdevice::name_to_index(&self.socket, &self.name).is_ok_and(|index| index == self.index)
            && self.runs()
    }

    fn runs(&self) -> bool {
        // SAFETY: a plain structure, of which zeros are a value.
        let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
        // One byte stays zero. The kernel takes no longer name, and it took this one.
        let room = request.ifr_name.len() - 1;
        for (to, from) in request.ifr_name[..room].iter_mut().zip(self.name.bytes()) {
            *to = from.cast_signed();
        }
        // SAFETY: an open socket, and a structure of ours, with a name that ends, as this call
        // takes it.
        let done =
            unsafe { libc::ioctl(self.socket.as_raw_fd(), libc::SIOCGIFFLAGS, &raw mut request) };
        // SAFETY: the call has filled this member; otherwise it is the zeros it was made of.
        let flags = i32::from(unsafe { request.ifr_ifru.ifru_flags });
        done == 0 && flags & libc::IFF_UP != 0 && flags & libc::IFF_RUNNING != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interface_is_up_only_while_it_is_the_same() {
        let mut lo = Interface::named("lo").unwrap();
        assert_eq!(lo.is_up(), lo.runs());
        lo.index += 1_000_000;
        assert!(!lo.is_up(), "another of that name");
        lo.name = "nowhere0".to_owned();
        assert!(!lo.runs());
        assert!(Interface::named("nowhere0").is_none());
    }
}
