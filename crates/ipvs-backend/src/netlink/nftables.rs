//! Tables of `nf_tables` over netfilter netlink, subsystem 10
//! (`include/uapi/linux/netfilter/nf_tables.h`).
//!
//! Our own rules go through iptables, whichever part of the kernel that speaks to. Here is only
//! what iptables cannot do: to remove a table that is none of its own, and to tell without a look
//! at them that no rule has changed.

use std::io;
use std::sync::Arc;

use netlink_sys::protocols::NETLINK_NETFILTER;
use proxy_core::Family;

use super::transport::Options;
use super::{AttributeWriter, Attributes, Batch, Connection, Errno, Traffic};

/// `NFNL_SUBSYS_NFTABLES` of `include/uapi/linux/netfilter/nfnetlink.h`.
const SUBSYSTEM: u8 = 10;
/// `NFNL_MSG_BATCH_BEGIN` and `NFNL_MSG_BATCH_END`, likewise.
const BATCH_BEGIN: u16 = 0x10;
const BATCH_END: u16 = 0x11;
/// `NFT_MSG_GETTABLE` and `NFT_MSG_DELTABLE`.
const GET_TABLE: u16 = (SUBSYSTEM as u16) << 8 | 1;
const DEL_TABLE: u16 = (SUBSYSTEM as u16) << 8 | 2;
/// `NFT_MSG_GETGEN`.
const GET_GENERATION: u16 = (SUBSYSTEM as u16) << 8 | 16;
/// `NFTA_TABLE_NAME`.
const TABLE_NAME: u16 = 1;
/// `NFTA_GEN_ID`, big-endian.
const GENERATION: u16 = 1;
/// Length of `struct nfgenmsg`.
const HEADER: usize = 4;

/// A connection to `nf_tables` in one network namespace.
#[derive(Debug)]
pub struct Nftables {
    connection: Connection,
}

impl Nftables {
    /// Connects to the packet filter of the calling thread's network namespace. Whether it is
    /// there shows with the first request.
    ///
    /// # Errors
    /// The socket failed; `EPROTONOSUPPORT` if the kernel has no netfilter netlink.
    pub fn open(traffic: Arc<Traffic>) -> io::Result<Self> {
        let options = Options { protocol: NETLINK_NETFILTER, cap_ack: true, strict: false };
        Ok(Self { connection: Connection::with_options(options, traffic)? })
    }

    /// Whether there is such a table; a kernel without `nf_tables` has none.
    ///
    /// # Errors
    /// The kernel refused, or the socket failed.
    pub fn has_table(&mut self, family: Family, name: &str) -> io::Result<bool> {
        let body = |bytes: &mut Vec<u8>| emit_table(bytes, family, name);
        let found = self.connection.query(GET_TABLE, body, |_, _| Some(()))?;
        is_there(found.map_err(|refusal| Errno::from_raw(refusal.code)))
    }

    /// The number of the present rules of all tables and families: every change of any makes it
    /// another. `None` on a kernel without `nf_tables`.
    ///
    /// # Errors
    /// The kernel refused, or the socket failed.
    pub fn generation(&mut self) -> io::Result<Option<u32>> {
        let body = |bytes: &mut Vec<u8>| bytes.extend_from_slice(&[0; HEADER]);
        let parse = |_, payload: &[u8]| parse_generation(payload);
        match self.connection.query(GET_GENERATION, body, parse)? {
            Ok(found) => Ok(found.first().copied()),
            Err(refusal) => is_there::<()>(Err(Errno::from_raw(refusal.code))).map(|_| None),
        }
    }

    /// Removes a table with everything in it. One that is not there is fine.
    ///
    /// # Errors
    /// The kernel refused, or the socket failed.
    pub fn remove_table(&mut self, family: Family, name: &str) -> io::Result<()> {
        let mut batch = Batch::new();
        batch.push(BATCH_BEGIN, 0, emit_frame);
        batch.push(DEL_TABLE, 0, |bytes| emit_table(bytes, family, name));
        batch.push(BATCH_END, 0, emit_frame);
        let removed = self.connection.transact(&mut batch)?;
        is_there(removed.map_err(|refusal| Errno::from_raw(refusal.code))).map(drop)
    }
}

/// Whether a table was there to be asked for, or removed.
fn is_there<T>(answer: Result<T, Errno>) -> io::Result<bool> {
    /// `EAFNOSUPPORT`, which older kernels say of a family that has no table.
    const AFNOSUPPORT: Errno = Errno::from_raw(97);
    match answer {
        Ok(_) => Ok(true),
        // The second and third are what netfilter netlink says to messages of a part that is not
        // there.
        Err(Errno::NOENT | Errno::INVAL | Errno::OPNOTSUPP | AFNOSUPPORT) => Ok(false),
        Err(errno) => Err(errno.into()),
    }
}

fn parse_generation(payload: &[u8]) -> Option<u32> {
    let number = Attributes::new(payload.get(HEADER..)?).find(GENERATION)?;
    Some(u32::from_be_bytes(*number.payload.first_chunk()?))
}

/// A request about a table: `struct nfgenmsg` with the family, and the table's name.
fn emit_table(bytes: &mut Vec<u8>, family: Family, name: &str) {
    // `NFPROTO_IPV4` and `NFPROTO_IPV6`.
    let family = match family {
        Family::Ipv4 => 2,
        Family::Ipv6 => 10,
    };
    let mut writer = AttributeWriter::new(bytes);
    writer.raw(&[family, 0, 0, 0]);
    writer.text(TABLE_NAME, name);
}

/// What begins and ends a transaction: `struct nfgenmsg` with the subsystem, big-endian.
fn emit_frame(bytes: &mut Vec<u8>) {
    bytes.extend_from_slice(&[0, 0, 0, SUBSYSTEM]);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What follows the netlink header in what `nft delete table ip6 kube-proxy` sends.
    #[test]
    fn a_table_is_named_with_its_family() {
        let mut bytes = Vec::new();
        emit_table(&mut bytes, Family::Ipv6, "kube-proxy");
        let mut expected = vec![10, 0, 0, 0];
        expected.extend_from_slice(&15_u16.to_ne_bytes());
        expected.extend_from_slice(&1_u16.to_ne_bytes());
        expected.extend_from_slice(b"kube-proxy\0\0");
        assert_eq!(bytes, expected);
    }

    /// What follows the netlink header in an answer of Linux 6.1: generation 3, by process 149, which
    /// is `iptables`.
    #[test]
    fn a_generation_is_a_big_endian_number() {
        let mut payload = vec![0, 0, 0, 3];
        for (kind, value) in [(1_u16, 3_u32), (2, 149)] {
            payload.extend_from_slice(&8_u16.to_ne_bytes());
            payload.extend_from_slice(&kind.to_ne_bytes());
            payload.extend_from_slice(&value.to_be_bytes());
        }
        assert_eq!(parse_generation(&payload), Some(3));
        assert_eq!(parse_generation(&payload[..8]), None);
        assert_eq!(parse_generation(&[]), None);
    }

    #[test]
    fn no_table_and_no_nf_tables_are_no_errors_but_a_refusal_is() {
        assert!(is_there(Ok(())).unwrap());
        for number in [2, 22, 95, 97] {
            assert!(!is_there::<()>(Err(Errno::from_raw(number))).unwrap());
        }
        assert!(is_there::<()>(Err(Errno::PERM)).is_err());
    }
}
