//! Filters as machine code (Q1), made by DPDK of their translated programs. It needs no running EAL.

use std::mem::{MaybeUninit, offset_of};
use std::ptr::NonNull;
use std::sync::Arc;

use dpdk_sys::{rte_bpf, rte_mbuf};

use super::error::{Cause, DpdkError};
use crate::filter::{Filter, Layout, Native, Program, translate};

/// Machine code that decides about packets as its program does. Dropping it frees the code.
#[derive(Debug)]
pub struct MachineCode {
    bpf: NonNull<rte_bpf>,
    run: unsafe extern "C" fn(*mut std::ffi::c_void) -> u64,
    bytes: usize,
    /// For what no mbuf can describe.
    program: Arc<Program>,
}

// SAFETY: the code is never written after it was made, and keeps nothing between two calls.
unsafe impl Send for MachineCode {}
// SAFETY: as above.
unsafe impl Sync for MachineCode {}

impl MachineCode {
    /// Makes machine code of a program.
    ///
    /// # Errors
    ///
    /// When DPDK refuses, or there is no memory.
    pub fn new(program: &Arc<Program>) -> Result<Self, DpdkError> {
        let layout = Layout { length: offset_of!(rte_mbuf, pkt_len) as i16 };
        let words = translate(program, layout);
        let mut parameters = dpdk_sys::rte_bpf_prm {
            ins: words.as_ptr().cast(),
            nb_ins: words.len() as u32,
            ..Default::default()
        };
        parameters.prog_arg.type_ = dpdk_sys::RTE_BPF_ARG_PTR_MBUF;
        parameters.prog_arg.size = size_of::<rte_mbuf>();
        // SAFETY: `ins` are `nb_ins` instructions, each of which is a word of 64 bits in memory, and
        // DPDK copies them.
        let bpf = NonNull::new(unsafe { dpdk_sys::rte_bpf_load(&raw const parameters) });
        let bpf = bpf.ok_or_else(|| DpdkError::Filter { cause: Cause::thread() })?;
        let mut jit = dpdk_sys::rte_bpf_jit::default();
        // SAFETY: `bpf` was just loaded, and `jit` is ours to fill.
        let found = unsafe { dpdk_sys::rte_bpf_get_jit(bpf.as_ptr(), &raw mut jit) };
        match jit.func {
            Some(run) if found == 0 => {
                Ok(Self { bpf, run, bytes: jit.sz, program: Arc::clone(program) })
            }
            _ => {
                let cause = Cause::returned(found);
                // SAFETY: it was loaded, and nobody else knows of it.
                unsafe { dpdk_sys::rte_bpf_destroy(bpf.as_ptr()) };
                Err(DpdkError::Filter { cause })
            }
        }
    }

    /// How long it is.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

impl Native for MachineCode {
    #[inline]
    fn matches(&self, packet: &[u8]) -> bool {
        let Ok(len) = u16::try_from(packet.len()) else { return self.program.matches(packet) };
        let mut view = MaybeUninit::<rte_mbuf>::uninit();
        let mbuf = view.as_mut_ptr();
        // SAFETY: the code reads packets through an mbuf, and of an mbuf of one segment these
        // fields only (and `__rte_pktmbuf_read`, which it calls at a packet's end, the same); raw
        // writes make no reference to the rest. It writes nothing, and reads only within
        // `data_len` bytes of `packet`, which is borrowed until it returns.
        unsafe {
            (*mbuf).buf_addr = packet.as_ptr().cast_mut().cast();
            (*mbuf).data_off = 0;
            (*mbuf).data_len = len;
            (*mbuf).pkt_len = u32::from(len);
            (*mbuf).next = std::ptr::null_mut();
            (self.run)(mbuf.cast()) != 0
        }
    }
}

impl Drop for MachineCode {
    fn drop(&mut self) {
        // SAFETY: nobody runs the code any more: running it borrows us.
        unsafe { dpdk_sys::rte_bpf_destroy(self.bpf.as_ptr()) };
    }
}

/// Lets a filter run as machine code.
///
/// # Errors
///
/// When DPDK cannot make any; the filter is then interpreted, as before.
pub fn accelerate(filter: &mut Filter) -> Result<usize, DpdkError> {
    let code = MachineCode::new(filter.program())?;
    let bytes = code.bytes();
    filter.accelerate(Arc::new(code));
    Ok(bytes)
}
