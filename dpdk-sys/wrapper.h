/* What lwaftr uses of DPDK. build.rs names the items that bindings are made for. */

#define _GNU_SOURCE
#include <stdio.h> /* fopencookie, for EAL's log */

#include <rte_config.h>

#include <rte_bus.h>
#include <rte_cycles.h>
#include <rte_dev.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_lcore.h>
#include <rte_log.h>
#include <rte_mbuf.h>
#include <rte_mempool.h>
#include <rte_version.h>

/* rte_errno is a thread-local variable behind a macro: bindings reach it through a function. */
static inline int lwaftr_errno(void)
{
	return rte_errno;
}
