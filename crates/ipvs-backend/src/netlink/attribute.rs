//! Attributes: the type-length-value records every netlink family is made of
//! (`struct nlattr` of `include/uapi/linux/netlink.h`).

/// Set in an attribute's type when its payload is attributes again.
const NLA_F_NESTED: u16 = 0x8000;
/// Set in an attribute's type when its payload is a big-endian number.
const NLA_F_NET_BYTEORDER: u16 = 0x4000;
const HEADER: usize = 4;

/// Appends attributes to a message, each padded to four bytes.
///
/// The message must start at a multiple of four in the buffer. An attribute of 64 KiB or more
/// cannot be expressed; its length is written as the maximum, which a kernel refuses.
#[derive(Debug)]
pub struct AttributeWriter<'a>(&'a mut Vec<u8>);

impl<'a> AttributeWriter<'a> {
    /// A writer that appends to `message`.
    pub const fn new(message: &'a mut Vec<u8>) -> Self {
        Self(message)
    }

    /// Appends bytes as they are: a family's fixed header, a multiple of four long.
    pub fn raw(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    /// Appends an attribute with this payload.
    pub fn bytes(&mut self, kind: u16, payload: &[u8]) {
        let start = self.begin(kind);
        self.0.extend_from_slice(payload);
        self.end(start);
    }

    /// Appends a byte.
    pub fn u8(&mut self, kind: u16, value: u8) {
        self.bytes(kind, &[value]);
    }

    /// Appends a number in the machine's byte order.
    pub fn u16(&mut self, kind: u16, value: u16) {
        self.bytes(kind, &value.to_ne_bytes());
    }

    /// Appends a number in the machine's byte order.
    pub fn u32(&mut self, kind: u16, value: u32) {
        self.bytes(kind, &value.to_ne_bytes());
    }

    /// Appends a big-endian number and marks it as such.
    pub fn u16_be(&mut self, kind: u16, value: u16) {
        self.bytes(kind | NLA_F_NET_BYTEORDER, &value.to_be_bytes());
    }

    /// Appends a big-endian number and marks it as such.
    pub fn u32_be(&mut self, kind: u16, value: u32) {
        self.bytes(kind | NLA_F_NET_BYTEORDER, &value.to_be_bytes());
    }

    /// Appends a big-endian number and marks it as such.
    pub fn u64_be(&mut self, kind: u16, value: u64) {
        self.bytes(kind | NLA_F_NET_BYTEORDER, &value.to_be_bytes());
    }

    /// Appends big-endian bytes, an address say, and marks them as such.
    pub fn bytes_be(&mut self, kind: u16, payload: &[u8]) {
        self.bytes(kind | NLA_F_NET_BYTEORDER, payload);
    }

    /// Appends text with a NUL behind it.
    pub fn text(&mut self, kind: u16, text: &str) {
        let start = self.begin(kind);
        self.0.extend_from_slice(text.as_bytes());
        self.0.push(0);
        self.end(start);
    }

    /// Appends an attribute that holds what `inside` writes.
    pub fn nest(&mut self, kind: u16, inside: impl FnOnce(&mut AttributeWriter<'_>)) {
        let start = self.begin(kind | NLA_F_NESTED);
        inside(&mut AttributeWriter(self.0));
        self.end(start);
    }

    fn begin(&mut self, kind: u16) -> usize {
        let start = self.0.len();
        self.0.extend_from_slice(&[0, 0]);
        self.0.extend_from_slice(&kind.to_ne_bytes());
        start
    }

    fn end(&mut self, start: usize) {
        let length = u16::try_from(self.0.len() - start).unwrap_or(u16::MAX);
        self.0[start..start + 2].copy_from_slice(&length.to_ne_bytes());
        self.0.resize(self.0.len().next_multiple_of(4), 0);
    }
}

/// The attributes in a piece of a message, in order.
///
/// Ends at the first record whose length makes no sense; what came before it is still good.
#[derive(Clone, Debug)]
pub struct Attributes<'a>(&'a [u8]);

impl<'a> Attributes<'a> {
    /// The attributes in `bytes`, which begin with the first one's header.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// The first attribute of this kind.
    #[must_use]
    pub fn find(&self, kind: u16) -> Option<Attribute<'a>> {
        Iterator::find(&mut self.clone(), |attribute| attribute.kind == kind)
    }
}

impl<'a> Iterator for Attributes<'a> {
    type Item = Attribute<'a>;

    fn next(&mut self) -> Option<Attribute<'a>> {
        let length = usize::from(u16::from_ne_bytes(*self.0.first_chunk()?));
        let kind = u16::from_ne_bytes(*self.0.get(2..)?.first_chunk()?);
        let payload = self.0.get(HEADER..length)?;
        self.0 = self.0.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some(Attribute { kind: kind & !(NLA_F_NESTED | NLA_F_NET_BYTEORDER), payload })
    }
}

/// One attribute. Reading it as a number it is too short for gives `None`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attribute<'a> {
    /// Its type without the flags.
    pub kind: u16,
    /// Its payload without the padding.
    pub payload: &'a [u8],
}

impl<'a> Attribute<'a> {
    /// The payload as attributes.
    #[must_use]
    pub const fn nested(&self) -> Attributes<'a> {
        Attributes(self.payload)
    }

    /// The first byte.
    #[must_use]
    pub fn u8(&self) -> Option<u8> {
        self.payload.first().copied()
    }

    /// A number in the machine's byte order.
    #[must_use]
    pub fn u16(&self) -> Option<u16> {
        self.array().map(u16::from_ne_bytes)
    }

    /// A number in the machine's byte order.
    #[must_use]
    pub fn u32(&self) -> Option<u32> {
        self.array().map(u32::from_ne_bytes)
    }

    /// A number in the machine's byte order.
    #[must_use]
    pub fn u64(&self) -> Option<u64> {
        self.array().map(u64::from_ne_bytes)
    }

    /// A big-endian number.
    #[must_use]
    pub fn u16_be(&self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }

    /// A big-endian number.
    #[must_use]
    pub fn u32_be(&self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }

    /// A big-endian number.
    #[must_use]
    pub fn u64_be(&self) -> Option<u64> {
        self.array().map(u64::from_be_bytes)
    }

    /// The first `N` bytes.
    #[must_use]
    pub fn array<const N: usize>(&self) -> Option<[u8; N]> {
        self.payload.first_chunk().copied()
    }

    /// Text up to its NUL, if it is UTF-8.
    #[must_use]
    pub fn text(&self) -> Option<&'a str> {
        let end = self.payload.iter().position(|&b| b == 0).unwrap_or(self.payload.len());
        std::str::from_utf8(&self.payload[..end]).ok()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn pads_and_nests() {
        let mut bytes = Vec::new();
        let mut writer = AttributeWriter::new(&mut bytes);
        writer.text(2, "ab");
        writer.nest(7, |inside| {
            inside.u16_be(4, 80);
            inside.u8(7, 6);
        });
        let expected: &[u8] = if cfg!(target_endian = "little") {
            &[
                7, 0, 2, 0, b'a', b'b', 0, 0, 20, 0, 7, 0x80, 6, 0, 4, 0x40, 0, 80, 0, 0, 5, 0, 7,
                0, 6, 0, 0, 0,
            ]
        } else {
            &[
                0, 7, 0, 2, b'a', b'b', 0, 0, 0, 20, 0x80, 7, 0, 6, 0x40, 4, 0, 80, 0, 0, 0, 5, 0,
                7, 6, 0, 0, 0,
            ]
        };
        assert_eq!(bytes, expected);

        let nest = Attributes::new(&bytes).find(7).expect("written");
        assert_eq!(nest.nested().find(4).and_then(|a| a.u16_be()), Some(80));
        assert_eq!(Attributes::new(&bytes).find(2).and_then(|a| a.text()), Some("ab"));
    }

    proptest! {
        #[test]
        fn reads_back_what_was_written(list in prop::collection::vec((0_u16..0x4000, prop::collection::vec(any::<u8>(), 0..40)), 0..20)) {
            let mut bytes = Vec::new();
            for (kind, payload) in &list {
                AttributeWriter::new(&mut bytes).bytes(*kind, payload);
            }
            let read: Vec<_> = Attributes::new(&bytes).map(|a| (a.kind, a.payload.to_vec())).collect();
            prop_assert_eq!(read, list);
        }

        #[test]
        fn any_bytes_are_read_to_an_end(bytes: Vec<u8>) {
            for attribute in Attributes::new(&bytes) {
                let _ = (attribute.u8(), attribute.u64_be(), attribute.text(), attribute.nested().count());
            }
        }
    }
}
