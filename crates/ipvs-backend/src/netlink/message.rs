//! Messages: the frame around every request and reply
//! (`struct nlmsghdr` and `struct nlmsgerr` of `include/uapi/linux/netlink.h`).

use super::attribute::Attributes;

/// Set on every request.
pub(super) const NLM_F_REQUEST: u16 = 0x1;
/// Asks for an answer even if all is well.
pub(super) const NLM_F_ACK: u16 = 0x4;
/// On a reply: the kernel's table changed during the dump.
pub(super) const NLM_F_DUMP_INTR: u16 = 0x10;
/// Asks for everything that matches.
pub(super) const NLM_F_DUMP: u16 = 0x300;
/// On a new-object request: replace what is there.
pub(super) const NLM_F_REPLACE: u16 = 0x100;
/// On a new-object request: refuse if it is there.
pub(super) const NLM_F_EXCL: u16 = 0x200;
/// On a new-object request: create it if it is missing.
pub(super) const NLM_F_CREATE: u16 = 0x400;
/// On a new-object request: behind what is there.
pub(super) const NLM_F_APPEND: u16 = 0x800;
/// On an error: the request's payload is left out of the echo.
const NLM_F_CAPPED: u16 = 0x100;
/// On an error: attributes follow the echo.
const NLM_F_ACK_TLVS: u16 = 0x200;

const NLMSG_NOOP: u16 = 1;
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const NLMSG_OVERRUN: u16 = 4;
/// `NLMSGERR_ATTR_MSG`: the kernel's explanation as text.
const NLMSGERR_ATTR_MSG: u16 = 1;

/// Length of `struct nlmsghdr`.
pub(super) const HEADER: usize = 16;

/// Appends a message; `body` appends what follows the header. The sequence number is left 0.
pub(super) fn append(bytes: &mut Vec<u8>, kind: u16, flags: u16, body: impl FnOnce(&mut Vec<u8>)) {
    let start = bytes.len();
    bytes.extend_from_slice(&[0; HEADER]);
    body(bytes);
    let length = u32::try_from(bytes.len() - start).unwrap_or(u32::MAX);
    bytes[start..start + 4].copy_from_slice(&length.to_ne_bytes());
    bytes[start + 4..start + 6].copy_from_slice(&kind.to_ne_bytes());
    bytes[start + 6..start + 8].copy_from_slice(&flags.to_ne_bytes());
    bytes.resize(bytes.len().next_multiple_of(4), 0);
}

/// Writes the sequence number into the header of the message at the start of `message`, and
/// sets or clears the wish for an acknowledgement.
pub(super) fn address(message: &mut [u8], sequence: u32, acknowledge: bool) {
    let flags = u16::from_ne_bytes([message[6], message[7]]);
    let flags = if acknowledge { flags | NLM_F_ACK } else { flags & !NLM_F_ACK };
    message[6..8].copy_from_slice(&flags.to_ne_bytes());
    message[8..12].copy_from_slice(&sequence.to_ne_bytes());
}

/// A message the kernel sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Reply<'a> {
    pub(super) sequence: u32,
    pub(super) flags: u16,
    pub(super) content: Content<'a>,
}

/// What a message says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Content<'a> {
    /// A family's own message.
    Data { kind: u16, payload: &'a [u8] },
    /// The request is done: `code` 0 for success, else the positive error number.
    Answer { code: i32, echo: &'a [u8], explanation: Option<&'a str> },
    /// A dump is complete, or broke off with an error number.
    Done { code: i32 },
    /// Replies were lost.
    Overrun,
    /// Nothing.
    Noop,
}

/// The messages of a datagram. A frame that does not fit into it gives one `None` and the end.
pub(super) fn replies(mut datagram: &[u8]) -> impl Iterator<Item = Option<Reply<'_>>> {
    std::iter::from_fn(move || {
        if datagram.is_empty() {
            return None;
        }
        let reply = split(&mut datagram);
        if reply.is_none() {
            datagram = &[];
        }
        Some(reply)
    })
}

fn split<'a>(datagram: &mut &'a [u8]) -> Option<Reply<'a>> {
    let bytes = *datagram;
    let header: &[u8; HEADER] = bytes.first_chunk()?;
    let length = usize::try_from(u32_at(header, 0)).ok()?;
    let payload = bytes.get(HEADER..length)?;
    *datagram = bytes.get(length.checked_next_multiple_of(4)?..).unwrap_or_default();
    let kind = u16::from_ne_bytes([header[4], header[5]]);
    let flags = u16::from_ne_bytes([header[6], header[7]]);
    let content = match kind {
        NLMSG_NOOP => Content::Noop,
        NLMSG_OVERRUN => Content::Overrun,
        NLMSG_ERROR => answer(flags, payload)?,
        // A dump without a final status word is complete.
        NLMSG_DONE => Content::Done { code: code(payload).unwrap_or(0) },
        kind => Content::Data { kind, payload },
    };
    Some(Reply { sequence: u32_at(header, 8), flags, content })
}

fn answer(flags: u16, payload: &[u8]) -> Option<Content<'_>> {
    let code = code(payload)?;
    let request = payload.get(4..)?;
    let header: &[u8; HEADER] = request.first_chunk()?;
    let length =
        if flags & NLM_F_CAPPED != 0 { HEADER } else { usize::try_from(u32_at(header, 0)).ok()? };
    let explanation = (flags & NLM_F_ACK_TLVS != 0)
        .then(|| request.get(length.checked_next_multiple_of(4)?..))
        .flatten()
        .and_then(|bytes| Attributes::new(bytes).find(NLMSGERR_ATTR_MSG))
        .and_then(|attribute| attribute.text());
    Some(Content::Answer {
        code,
        echo: request.get(HEADER..length).unwrap_or_default(),
        explanation,
    })
}

/// The status word, made positive.
fn code(payload: &[u8]) -> Option<i32> {
    payload.first_chunk().map(|bytes| i32::from_ne_bytes(*bytes).saturating_neg())
}

fn u32_at(header: &[u8; HEADER], at: usize) -> u32 {
    u32::from_ne_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]])
}

#[cfg(all(test, target_endian = "little"))]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::netlink::test_support::hex;

    fn only(datagram: &[u8]) -> Reply<'_> {
        let mut list: Vec<_> = replies(datagram).collect();
        assert_eq!(list.len(), 1);
        list.remove(0).expect("well formed")
    }

    #[test]
    fn a_request_is_framed_and_addressed() {
        let mut bytes = Vec::new();
        append(&mut bytes, 0x1c, NLM_F_REQUEST, |body| body.extend_from_slice(&[15, 1, 0, 0, 9]));
        address(&mut bytes, 7, true);
        assert_eq!(bytes, hex("15000000 1c00 0500 07000000 00000000 0f010000 09000000"));
        address(&mut bytes, 8, false);
        assert_eq!(bytes[..12], hex("15000000 1c00 0100 08000000"));
    }

    /// ip route add local 10.96.0.1 dev lo table local src 192.168.10.99 proto 200
    #[test]
    fn a_refusal_is_explained() {
        let bytes = hex(
            "640000000200000259cc056b0c040000eaffffff340000001800050659cc056b0000000002200000ffc8fe02\
             00000000080001000a60000108000700c0a80a6308000400010000001c000100496e76616c69642070726566\
             737263206164647265737300",
        );
        let Reply { sequence, content, .. } = only(&bytes);
        assert_eq!(sequence, 0x6b05_cc59);
        let Content::Answer { code, echo, explanation } = content else { panic!("{content:?}") };
        assert_eq!((code, explanation), (22, Some("Invalid prefsrc address")));
        assert_eq!(echo.len(), 0x34 - HEADER);
    }

    #[test]
    fn a_capped_acknowledgement_and_the_end_of_a_dump() {
        let answer =
            hex("240000000200000157cc056b0204000000000000340000001800050457cc056b00000000");
        let expected = Content::Answer { code: 0, echo: &[], explanation: None };
        assert_eq!(only(&answer).content, expected);
        let done = hex("140000000300020057cc056bf503000000000000");
        assert_eq!(only(&done).content, Content::Done { code: 0 });
        let failed = hex("140000000300020057cc056bf5030000f4ffffff");
        assert_eq!(only(&failed).content, Content::Done { code: 12 });
    }

    #[test]
    fn a_frame_that_does_not_fit_is_reported() {
        let mut bytes = hex("140000000300020057cc056bf503000000000000");
        bytes.extend(hex("ff0000000300020057cc056bf503000000000000"));
        let list: Vec<_> = replies(&bytes).map(|reply| reply.is_some()).collect();
        assert_eq!(list, [true, false]);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_to_an_end(bytes: Vec<u8>) {
            let _ = replies(&bytes).count();
        }

        #[test]
        fn any_payload_is_read_to_an_end(kind in 0_u16..6, flags: u16, body: Vec<u8>) {
            let mut bytes = Vec::new();
            append(&mut bytes, kind, flags, |end| end.extend_from_slice(&body));
            prop_assert_eq!(replies(&bytes).count(), 1);
        }
    }
}
