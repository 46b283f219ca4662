//! Reading numbers and texts from bytes that may end anywhere.

/// A place in some bytes, from which on is read. Nothing is read past the end.
pub(super) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// One that begins at a place, if that is in the bytes.
    pub(super) fn at(bytes: &'a [u8], at: u64) -> Option<Self> {
        let at = usize::try_from(at).ok().filter(|&at| at <= bytes.len())?;
        Some(Self { bytes, at })
    }

    /// How many bytes have been read, from the first.
    pub(super) fn position(&self) -> usize {
        self.at
    }

    /// So many bytes.
    pub(super) fn take(&mut self, count: u64) -> Option<&'a [u8]> {
        let end = self.at.checked_add(usize::try_from(count).ok()?)?;
        let taken = self.bytes.get(self.at..end)?;
        self.at = end;
        Some(taken)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (array, _) = self.bytes.get(self.at..)?.split_first_chunk()?;
        self.at += N;
        Some(*array)
    }

    pub(super) fn u8(&mut self) -> Option<u8> {
        self.array().map(u8::from_le_bytes)
    }

    pub(super) fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_le_bytes)
    }

    pub(super) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    pub(super) fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    /// Text up to the end of a line, which is left out.
    pub(super) fn line(&mut self) -> Option<&'a str> {
        let rest = self.bytes.get(self.at..)?;
        let length = rest.iter().position(|&byte| byte == b'\n')?;
        self.at += length + 1;
        str::from_utf8(&rest[..length]).ok()
    }
}
