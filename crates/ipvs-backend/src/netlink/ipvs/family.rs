//! Finds the number the kernel gave to a generic netlink family, in neli's message types.

use std::io::{self, Cursor};

use neli::consts::genl::{CtrlAttr, CtrlCmd};
use neli::genl::{AttrTypeBuilder, Genlmsghdr, GenlmsghdrBuilder, NlattrBuilder, NoUserHeader};
use neli::types::{Buffer, GenlBuffer};
use neli::{FromBytesWithInput, ToBytes};

use crate::netlink::Connection;

/// `GENL_ID_CTRL`: the family that knows all others.
const CONTROLLER: u16 = 16;
/// The version every kernel so far takes.
const VERSION: u8 = 2;

/// The message type of the generic netlink family `name`, `None` if there is no such family.
/// The kernel loads the module that provides it, if it can.
pub(super) fn resolve(connection: &mut Connection, name: &str) -> io::Result<Option<u16>> {
    let request = request(name).map_err(io::Error::other)?;
    let answer = connection.query(
        CONTROLLER,
        |bytes| bytes.extend_from_slice(&request),
        |_, payload| parse(payload),
    )?;
    match answer {
        Ok(ids) => Ok(ids.first().copied()),
        Err(refusal) if refusal.code == crate::netlink::Errno::NOENT.raw() => Ok(None),
        Err(refusal) => Err(refusal.into()),
    }
}

fn request(name: &str) -> Result<Vec<u8>, Box<dyn std::error::Error + Send + Sync>> {
    let attribute = NlattrBuilder::default()
        .nla_type(AttrTypeBuilder::default().nla_type(CtrlAttr::FamilyName).build()?)
        .nla_payload(name)
        .build()?;
    let message: Genlmsghdr<CtrlCmd, CtrlAttr> = GenlmsghdrBuilder::<_, _, NoUserHeader>::default()
        .cmd(CtrlCmd::Getfamily)
        .version(VERSION)
        .attrs([attribute].into_iter().collect::<GenlBuffer<CtrlAttr, Buffer>>())
        .build()?;
    let mut bytes = Cursor::new(Vec::new());
    message.to_bytes(&mut bytes)?;
    Ok(bytes.into_inner())
}

fn parse(payload: &[u8]) -> Option<u16> {
    let message = Genlmsghdr::<CtrlCmd, CtrlAttr>::from_bytes_with_input(
        &mut Cursor::new(payload),
        payload.len(),
    )
    .ok()?;
    message.attrs().get_attr_handle().get_attr_payload_as(CtrlAttr::FamilyId).ok()
}
