//! A block of names and values, and the zlib streams in which all blocks of one direction travel.

use bytes::{Buf, BufMut};
use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

use super::dictionary::dictionary;
use super::frame::FrameError;

/// Bound: a block when decompressed. client-go sends some 100 bytes; a server of the draft must
/// take 8 KiB. Without it, 16 KiB of zlib could become 16 MiB.
pub(super) const HEADERS_BYTES_MAX: usize = 64 * 1024;

/// Bound: names in a block, each of which is compared with all before it.
const NAMES_MAX: usize = 128;

/// What a first guess at a block's size is, and by how much it grows.
const BLOCK_STEP: usize = 4 * 1024;

/// Names (lower case) and values, in the order they came.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Headers(Vec<(String, String)>);

impl Headers {
    /// `name` in lower case.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }

    /// Upstream: Draft 3, section 2.6.10: names are not empty, have no capitals and come once.
    fn read(mut block: &[u8]) -> Result<Self, FrameError> {
        const SHORT: FrameError = FrameError::Malformed("headers: cut short");
        let count = block.try_get_u32().map_err(|_| SHORT)?;
        let mut headers = Self::default();
        for _ in 0..count {
            if headers.0.len() == NAMES_MAX {
                return Err(FrameError::HeadersTooLong);
            }
            let name = text(&mut block)?;
            let value = text(&mut block)?;
            if name.is_empty() || name.contains(|c: char| c.is_ascii_uppercase()) {
                return Err(FrameError::Malformed("headers: a name is empty or has capitals"));
            }
            if headers.get(&name).is_some() {
                return Err(FrameError::Malformed("headers: a name comes twice"));
            }
            headers.0.push((name, value));
        }
        match block.is_empty() {
            true => Ok(headers),
            false => Err(FrameError::Malformed("headers: bytes after the last")),
        }
    }

    fn write(&self) -> Vec<u8> {
        let mut block = Vec::new();
        block.put_u32(length(self.0.len()));
        for text in self.0.iter().flat_map(|(name, value)| [name, value]) {
            block.put_u32(length(text.len()));
            block.put_slice(text.as_bytes());
        }
        block
    }
}

impl FromIterator<(String, String)> for Headers {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(pairs: I) -> Self {
        Self(pairs.into_iter().collect())
    }
}

fn text(block: &mut &[u8]) -> Result<String, FrameError> {
    let cut_short = || FrameError::Malformed("headers: cut short");
    let length = block.try_get_u32().map_err(|_| cut_short())?;
    let length = usize::try_from(length).map_err(|_| cut_short())?;
    let (text, rest) = block.split_at_checked(length).ok_or_else(cut_short)?;
    *block = rest;
    let text = std::str::from_utf8(text);
    Ok(text.map_err(|_| FrameError::Malformed("headers: not UTF-8"))?.to_owned())
}

fn length(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

/// Reads the blocks of one direction. Each needs those before it.
#[derive(Debug)]
pub(super) struct Inflater(Decompress);

impl Inflater {
    pub(super) fn new() -> Self {
        Self(Decompress::new(true))
    }

    pub(super) fn read(&mut self, compressed: &[u8]) -> Result<Headers, FrameError> {
        Headers::read(&self.inflate(compressed)?)
    }

    fn inflate(&mut self, mut compressed: &[u8]) -> Result<Vec<u8>, FrameError> {
        let mut block = Vec::new();
        loop {
            if block.len() == block.capacity() {
                if block.len() >= HEADERS_BYTES_MAX {
                    return Err(FrameError::HeadersTooLong);
                }
                block.reserve_exact(BLOCK_STEP);
            }
            let (before, had) = (self.0.total_in(), block.len());
            let done = self.0.decompress_vec(compressed, &mut block, FlushDecompress::Sync);
            let used = usize::try_from(self.0.total_in() - before);
            let used = used.ok().and_then(|used| compressed.get(used..));
            compressed = used.ok_or(FrameError::Compression)?;
            match done {
                Err(err) if err.needs_dictionary().is_some() => {
                    let told = self.0.set_dictionary(&dictionary());
                    told.map_err(|_| FrameError::Compression)?;
                }
                Ok(Status::Ok | Status::BufError) if block.len() == block.capacity() => {}
                Ok(Status::Ok | Status::BufError) if compressed.is_empty() => return Ok(block),
                // It takes no more, though there is room: the stream is over or stuck.
                Ok(Status::Ok) if block.len() > had => {}
                Ok(_) | Err(_) => return Err(FrameError::Compression),
            }
        }
    }
}

/// Writes the blocks of one direction.
#[derive(Debug)]
pub(super) struct Deflater(Compress);

impl Deflater {
    pub(super) fn new() -> Self {
        let mut zlib = Compress::new(Compression::fast(), true);
        let told = zlib.set_dictionary(&dictionary());
        debug_assert!(told.is_ok(), "a new zlib stream takes a dictionary");
        Self(zlib)
    }

    pub(super) fn write(&mut self, headers: &Headers) -> Result<Vec<u8>, FrameError> {
        let block = headers.write();
        let mut compressed = Vec::new();
        let start = self.0.total_in();
        loop {
            compressed.reserve(block.len() / 2 + 64);
            let used = usize::try_from(self.0.total_in() - start).unwrap_or(usize::MAX);
            let rest = block.get(used..).ok_or(FrameError::Compression)?;
            self.0
                .compress_vec(rest, &mut compressed, FlushCompress::Sync)
                .map_err(|_| FrameError::Compression)?;
            // A flush is complete when it leaves room.
            if compressed.len() < compressed.capacity() {
                return Ok(compressed);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&str, &str)]) -> Headers {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn blocks_share_one_context() {
        let (mut deflater, mut inflater) = (Deflater::new(), Inflater::new());
        let stdin = headers(&[("streamtype", "stdin"), ("content-length", "0")]);
        let first = deflater.write(&stdin).unwrap();
        let second = deflater.write(&stdin).unwrap();
        assert!(second.len() < first.len(), "the second refers to the first");
        assert_eq!(inflater.read(&first).unwrap(), stdin);
        assert_eq!(inflater.read(&second).unwrap(), stdin);
        assert_eq!(inflater.read(&deflater.write(&headers(&[])).unwrap()).unwrap(), headers(&[]));
    }

    #[test]
    fn large_blocks_are_whole() {
        let mut random = String::new();
        for number in 0..9000_u32 {
            random += &format!("{:x}", number.wrapping_mul(2_654_435_761));
        }
        random.truncate(HEADERS_BYTES_MAX - 100);
        let large = headers(&[("x", &random)]);
        let compressed = Deflater::new().write(&large).unwrap();
        assert_eq!(Inflater::new().read(&compressed).unwrap(), large);
    }

    #[test]
    fn a_bomb_is_refused() {
        let bomb = headers(&[("x", &"0".repeat(10_000_000))]);
        let compressed = Deflater::new().write(&bomb).unwrap();
        assert!(compressed.len() < 100_000);
        let refused = Inflater::new().read(&compressed);
        assert!(matches!(refused, Err(FrameError::HeadersTooLong)), "{refused:?}");
    }

    /// `streamtype: error`, then `streamtype: stdout`, as another zlib writes them at its best level.
    #[test]
    fn what_another_zlib_writes_is_read() {
        const ERROR: &[u8] = b"\x78\xf9\xe3\xc6\xa7\xc2\x02\xa6\x23\x46\x70\x3a\x2b\x29\x4a\x4d\
            \xcc\x85\x16\x25\xac\xa9\xa0\x80\x06\x00\x00\x00\xff\xff";
        const STDOUT: &[u8] = b"\xc2\x2a\x05\x4c\xcc\x29\xf9\xa5\x25\x00\x00\x00\x00\xff\xff";
        let mut inflater = Inflater::new();
        assert_eq!(inflater.read(ERROR).unwrap(), headers(&[("streamtype", "error")]));
        assert_eq!(inflater.read(STDOUT).unwrap(), headers(&[("streamtype", "stdout")]));
    }

    #[track_caller]
    fn check_malformed(block: &[u8], expect: &str) {
        let Err(FrameError::Malformed(text)) = Headers::read(block) else { panic!("{block:?}") };
        assert_eq!(text, expect);
    }

    #[test]
    fn malformed_blocks_are_refused() {
        check_malformed(b"", "headers: cut short");
        check_malformed(b"\xff\xff\xff\xff", "headers: cut short");
        check_malformed(b"\0\0\0\x01\xff\xff\xff\xffa", "headers: cut short");
        check_malformed(b"\0\0\0\0x", "headers: bytes after the last");
        let twice = headers(&[("a", "1"), ("a", "2")]).write();
        check_malformed(&twice, "headers: a name comes twice");
        let capitals = headers(&[("A", "1")]).write();
        check_malformed(&capitals, "headers: a name is empty or has capitals");
        check_malformed(b"\0\0\0\x01\0\0\0\x01\xff\0\0\0\0", "headers: not UTF-8");
    }

    #[test]
    fn too_many_names_are_refused() {
        let many: Headers = (0..=NAMES_MAX).map(|n| (n.to_string(), String::new())).collect();
        assert!(matches!(Headers::read(&many.write()), Err(FrameError::HeadersTooLong)));
    }

    #[test]
    fn another_dictionary_is_refused() {
        let mut zlib = Compress::new(Compression::fast(), true);
        zlib.set_dictionary(b"another").unwrap();
        let mut compressed = Vec::with_capacity(1000);
        zlib.compress_vec(b"\0\0\0\0", &mut compressed, FlushCompress::Sync).unwrap();
        let refused = Inflater::new().read(&compressed);
        assert!(matches!(refused, Err(FrameError::Compression)));
    }
}
