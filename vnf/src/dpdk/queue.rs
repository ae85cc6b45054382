//! The two ends a worker works on: packets in, packets out.

use std::{cell::Cell, marker::PhantomData, ptr, ptr::NonNull, slice, sync::Arc};

use dpdk_sys::rte_mbuf;

use super::{last_frames::Notebook, mbuf::Mbuf, mempool::Mempool, port::Shared};
use crate::frame::{self, BURST, Burst, Frame, TxBurst};

/// One receive queue of a running port.
///
/// It moves to a worker, and is not there for a second one:
///
/// ```
/// fn work(pair: vnf::dpdk::QueuePair) {
///     std::thread::spawn(move || drop(pair));
/// }
/// ```
///
/// ```compile_fail,E0382
/// fn work(pair: vnf::dpdk::QueuePair) {
///     std::thread::spawn(move || drop(pair));
///     std::thread::spawn(move || drop(pair));
/// }
/// ```
///
/// Nor can two threads share it, or a copy be had:
///
/// ```
/// fn may_move<T: Send>() {}
/// may_move::<vnf::dpdk::RxQueue>();
/// may_move::<vnf::dpdk::TxQueue>();
/// ```
///
/// ```compile_fail,E0277
/// fn may_be_shared<T: Sync>() {}
/// may_be_shared::<vnf::dpdk::RxQueue>();
/// ```
///
/// ```compile_fail,E0277
/// fn may_be_shared<T: Sync>() {}
/// may_be_shared::<vnf::dpdk::TxQueue>();
/// ```
///
/// ```compile_fail,E0277
/// fn may_be_copied<T: Clone>() {}
/// may_be_copied::<vnf::dpdk::RxQueue>();
/// ```
///
/// ```compile_fail,E0277
/// fn may_be_copied<T: Clone>() {}
/// may_be_copied::<vnf::dpdk::TxQueue>();
/// ```
#[derive(Debug)]
pub struct RxQueue {
    port: u16,
    queue: u16,
    unreadable: (u64, u64),
    // Before the pools, which must outlive it.
    notebook: Notebook,
    shared: Arc<Shared>,
    /// One thread at a time: it may move, but not be shared.
    _not_shared: PhantomData<Cell<()>>,
}

/// One transmit queue of a running port.
#[derive(Debug)]
pub struct TxQueue {
    port: u16,
    queue: u16,
    /// No frame longer than this may come to the driver, which would not notice.
    longest: Option<u16>,
    shared: Arc<Shared>,
    _not_shared: PhantomData<Cell<()>>,
}

/// What one worker gets of one port.
pub type QueuePair = (RxQueue, TxQueue);

/// One queue pair, for a port that has just been started: called once per queue and start.
pub(super) fn pair(shared: &Arc<Shared>, queue: u16) -> QueuePair {
    let port = shared.device.id();
    (
        RxQueue {
            port,
            queue,
            unreadable: (0, 0),
            notebook: Notebook::new(),
            shared: Arc::clone(shared),
            _not_shared: PhantomData,
        },
        TxQueue {
            port,
            queue,
            longest: shared.longest,
            shared: Arc::clone(shared),
            _not_shared: PhantomData,
        },
    )
}

impl RxQueue {
    pub(super) fn belongs_to(&self, shared: &Arc<Shared>) -> bool {
        Arc::ptr_eq(&self.shared, shared)
    }

    /// Brings the frames from `first` on into the form the relay works on. Those for which there
    /// is no buffer leave the burst.
    #[cold]
    fn repair(&mut self, mbufs: &[*mut rte_mbuf], burst: &mut Burst<Mbuf>) {
        for &mbuf in mbufs {
            // SAFETY: rte_eth_rx_burst gave it to us, and nothing else holds the pointer.
            match unsafe { readable(mbuf, &self.shared.pools.large) } {
                Ok(mbuf) => burst.push(mbuf),
                Err(bytes) => {
                    self.unreadable.0 += 1;
                    self.unreadable.1 += bytes;
                }
            }
        }
    }
}

impl frame::RxQueue for RxQueue {
    type Frame = Mbuf;

    fn receive(&mut self, burst: &mut Burst<Mbuf>) {
        let held = burst.len();
        let room = burst.remaining_capacity();
        // SAFETY: Mbuf is a transparent pointer, so the spare capacity is an array of `room`
        // pointers for DPDK to fill. The port runs (only a running port has queues), and this is
        // the only holder of the queue, on one thread at a time. What DPDK returns is ours.
        unsafe {
            let spare = burst.as_mut_ptr().add(held).cast::<*mut rte_mbuf>();
            let received = dpdk_sys::rte_eth_rx_burst(self.port, self.queue, spare, room as u16);
            let arrived = slice::from_raw_parts(spare, usize::from(received));
            self.notebook.note(arrived);
            if arrived.iter().all(|&mbuf| is_plain(mbuf)) {
                for &mbuf in arrived {
                    super::poison::on_take(mbuf);
                }
                burst.set_len(held + arrived.len());
            } else {
                let mut pointers = [ptr::null_mut(); BURST];
                pointers[..arrived.len()].copy_from_slice(arrived);
                self.repair(&pointers[..usize::from(received)], burst);
            }
        }
    }

    fn take_unreadable(&mut self) -> (u64, u64) {
        std::mem::take(&mut self.unreadable)
    }
}

impl TxQueue {
    pub(super) fn belongs_to(&self, shared: &Arc<Shared>) -> bool {
        Arc::ptr_eq(&self.shared, shared)
    }
}

impl frame::TxQueue for TxQueue {
    type Frame = Mbuf;

    fn longest(&self) -> Option<u16> {
        self.longest
    }

    /// Calls the driver even when there is nothing to send: a bonding port needs that for LACP.
    fn transmit(&mut self, frames: &mut TxBurst<Mbuf>) -> usize {
        let offered = frames.len();
        let mut left = offered;
        if let Some(longest) = self.longest {
            // The relay has taken these out before.
            let fits = |frame: &Mbuf| frame.bytes().len() <= usize::from(longest);
            left = frames.iter().position(|frame| !fits(frame)).unwrap_or(offered);
        }
        let mut sent_so_far = 0;
        loop {
            let there = offered - sent_so_far;
            // SAFETY: Mbuf is a transparent pointer, so `frames` is an array of `there` pointers, of
            // which the first `left` are to be sent.
            // The port runs, and this is the only holder of the queue. DPDK takes ownership of
            // the first `sent` of them: the length is zero while it does, so that no panic can
            // drop them, and the others are moved to the front afterwards.
            let sent = unsafe {
                frames.set_len(0);
                let first = frames.as_mut_ptr();
                let sent = usize::from(dpdk_sys::rte_eth_tx_burst(
                    self.port,
                    self.queue,
                    first.cast::<*mut rte_mbuf>(),
                    left as u16,
                ));
                ptr::copy(first.add(sent), first, there - sent);
                frames.set_len(there - sent);
                sent
            };
            left -= sent;
            sent_so_far += sent;
            // Some drivers take a few at a time: the ring is full when they take none.
            if left == 0 || sent == 0 {
                return sent_so_far;
            }
        }
    }
}

/// One segment, one owner, its tag in its bytes: what nearly every packet is.
///
/// # Safety
///
/// `mbuf` is valid.
#[inline]
unsafe fn is_plain(mbuf: *const rte_mbuf) -> bool {
    // SAFETY: the caller's promise.
    unsafe {
        (*mbuf).nb_segs == 1
            && (*mbuf).refcnt == 1
            && (*mbuf).ol_flags & u64::from(dpdk_sys::RTE_MBUF_F_RX_VLAN_STRIPPED) == 0
    }
}

/// Makes one contiguous frame of our own out of a received one, with the VLAN tag that a port
/// took off put back. The number of its bytes when there is no buffer for that.
///
/// A port may say `RX_VLAN` and yet leave the tag where it was; only `RX_VLAN_STRIPPED` counts.
///
/// # Safety
///
/// `mbuf` is a valid chain that the caller gives up.
unsafe fn readable(mbuf: *mut rte_mbuf, large: &Mempool) -> Result<Mbuf, u64> {
    // SAFETY: the caller's promise.
    let (flags, tag, len) =
        unsafe { ((*mbuf).ol_flags, (*mbuf).vlan_tci, u64::from((*mbuf).pkt_len)) };
    // SAFETY: as above.
    let copied = unsafe {
        if (*mbuf).nb_segs == 1 && (*mbuf).refcnt == 1 {
            NonNull::new(mbuf).map(|raw| Mbuf::own(raw))
        } else {
            let copy = copy_chain(mbuf, large);
            dpdk_sys::rte_pktmbuf_free(mbuf);
            copy
        }
    };
    let mut frame = copied.ok_or(len)?;
    if flags & u64::from(dpdk_sys::RTE_MBUF_F_RX_VLAN_STRIPPED) != 0 && !put_tag(&mut frame, tag) {
        return Err(len);
    }
    Ok(frame)
}

/// A copy of all segments in one buffer.
///
/// # Safety
///
/// `mbuf` is a valid chain that nobody writes to.
unsafe fn copy_chain(mbuf: *const rte_mbuf, pool: &Mempool) -> Option<Mbuf> {
    // SAFETY: the caller's promise.
    let len = unsafe { (*mbuf).pkt_len } as usize;
    let mut copy = pool.frame(len)?;
    let mut rest = copy.bytes_mut();
    let mut segment = mbuf;
    while !segment.is_null() {
        // SAFETY: each segment has `data_len` initialised bytes at `data_off` of its buffer.
        let bytes = unsafe {
            let start = (*segment).buf_addr.cast::<u8>().add(usize::from((*segment).data_off));
            slice::from_raw_parts(start, usize::from((*segment).data_len))
        };
        // None when a driver announced fewer bytes than it delivered.
        let (to, after) = rest.split_at_mut_checked(bytes.len())?;
        to.copy_from_slice(bytes);
        rest = after;
        // SAFETY: the chain is valid.
        segment = unsafe { (*segment).next };
    }
    rest.is_empty().then_some(copy)
}

/// Inserts an 802.1Q tag behind the MAC addresses.
fn put_tag(frame: &mut Mbuf, tag: u16) -> bool {
    if frame.bytes().len() < 14 || !frame.grow_front(4) {
        return false;
    }
    let bytes = frame.bytes_mut();
    bytes.copy_within(4..16, 0);
    bytes[12..14].copy_from_slice(&0x8100_u16.to_be_bytes());
    bytes[14..16].copy_from_slice(&tag.to_be_bytes());
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dpdk::{Eal, EalConfig, Hugepages};

    fn raw(pool: &Mempool, bytes: &[u8]) -> *mut rte_mbuf {
        let mut frame = pool.frame(bytes.len()).unwrap();
        frame.bytes_mut().copy_from_slice(bytes);
        let raw = frame.raw();
        std::mem::forget(frame);
        raw
    }

    /// The only unit test that starts EAL, which a process can do once.
    #[test]
    fn what_is_not_plain_is_made_plain() {
        let eal = Eal::init(&EalConfig {
            name: format!("lwaftr-unit-{}", std::process::id()),
            control_cpus: vec![0],
            megabytes: 64,
            hugepages: Hugepages::Never,
        })
        .unwrap();
        let small = Mempool::new(&eal, "small", 64, 0, 2048, None).unwrap();
        let large = Mempool::new(&eal, "large", 4, 0, 9728, None).unwrap();

        // a chain
        let (first, second) = (raw(&small, &[1; 2000]), raw(&small, &[2; 1000]));
        // SAFETY: two mbufs of our own become one chain, which we then give up.
        let frame = unsafe {
            (*first).next = second;
            (*first).nb_segs = 2;
            (*first).pkt_len = 3000;
            assert!(!is_plain(first));
            readable(first, &large).unwrap()
        };
        assert_eq!(frame.bytes(), [vec![1; 2000], vec![2; 1000]].concat());
        assert_eq!((small.in_use(), large.in_use()), (0, 1));
        drop(frame);

        // a buffer with two holders, both of them us
        let shared = raw(&small, &[3; 100]);
        // SAFETY: we give each of the two references up once.
        let (mut copy, original) = unsafe {
            (*shared).refcnt = 2;
            assert!(!is_plain(shared));
            let copy = readable(shared, &large).unwrap();
            assert!(is_plain(shared));
            (copy, readable(shared, &large).unwrap())
        };
        copy.bytes_mut().fill(0);
        assert_eq!(original.bytes(), [3; 100]);
        drop((copy, original));

        // a tag that the port took off, and one it only told us about
        let mut untagged: Vec<u8> = (0..60).collect();
        for (flags, tagged) in [
            (dpdk_sys::RTE_MBUF_F_RX_VLAN | dpdk_sys::RTE_MBUF_F_RX_VLAN_STRIPPED, true),
            (dpdk_sys::RTE_MBUF_F_RX_VLAN, false),
        ] {
            let mbuf = raw(&small, &untagged);
            // SAFETY: an mbuf of our own, which we give up.
            let frame = unsafe {
                (*mbuf).ol_flags |= u64::from(flags);
                (*mbuf).vlan_tci = 0x2064;
                assert_eq!(is_plain(mbuf), !tagged);
                readable(mbuf, &large).unwrap()
            };
            if tagged {
                assert_eq!(frame.bytes()[..12], untagged[..12]);
                assert_eq!(frame.bytes()[12..16], [0x81, 0, 0x20, 0x64]);
                assert_eq!(frame.bytes()[16..], untagged[12..]);
            } else {
                assert_eq!(frame.bytes(), &untagged[..]);
            }
            untagged.reverse();
        }

        // no large buffer left
        let held: Vec<_> = (0..4).map(|_| large.frame(9728).unwrap()).collect();
        assert!(large.frame(1).is_none());
        let shared = raw(&small, &[3; 100]);
        // SAFETY: we give each of the two references up once.
        unsafe {
            (*shared).refcnt = 2;
            assert_eq!(readable(shared, &large).unwrap_err(), 100);
            drop(readable(shared, &large).unwrap());
        }
        drop(held);
        assert_eq!((small.in_use(), large.in_use()), (0, 0));

        // freeing twice, which only unsafe code can do
        if cfg!(debug_assertions) {
            let frame = small.frame(60).unwrap();
            // SAFETY: the second owner is what the check is to catch, before anything is freed.
            let second = unsafe { ptr::read(&raw const frame) };
            drop(frame);
            let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| drop(second)));
            assert!(caught.is_err(), "a double free went unnoticed");
            assert_eq!(small.in_use(), 0);
        }
    }
}
