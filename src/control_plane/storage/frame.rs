//! How a record lies on disk. A frame is, little-endian:
//!
//! | bytes | |
//! |---|---|
//! | 4 | [`MAGIC`] |
//! | 4 | length of the payload |
//! | 4 | CRC-32 of the 8 bytes that follow and of the payload |
//! | 8 | how many bytes of this file were synced when the frame was written |
//! | … | payload: kind 1, revision 8, expiry 8 (ms since 1970, [`NEVER`]), `revision_at` 4, key length 4, key, JSON |
//!
//! The synced length tells a torn tail from damage: what was never synced may be missing after a
//! power cut, but a bad frame that a later frame counts as synced has been damaged since.

use jiff::Timestamp;

use super::Revision;

const MAGIC: [u8; 4] = *b"SPN\x01";
const HEAD: usize = 20;
const NEVER: i64 = i64::MIN;

const PUT: u8 = 1;
const DELETE: u8 = 2;
const END: u8 = 3;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Record<'a> {
    pub(super) revision: Revision,
    pub(super) action: Action<'a>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action<'a> {
    Put {
        key: &'a str,
        bytes: &'a [u8],
        revision_at: u32,
        expires: Option<Timestamp>,
    },
    Delete {
        key: &'a str,
    },
    /// The last record of a snapshot: the state at the revision is complete.
    End,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Frame<'a> {
    pub(super) record: Record<'a>,
    pub(super) synced: u64,
    /// Of the whole frame, in bytes.
    pub(super) len: usize,
}

/// Appends the record's frame. The caller has checked that the object is far smaller than 4 GiB.
pub(super) fn encode(record: &Record<'_>, synced: u64, out: &mut Vec<u8>) {
    let (kind, key, bytes, revision_at, expires) = match record.action {
        Action::Put { key, bytes, revision_at, expires } => {
            (PUT, key, bytes, revision_at, expires.map_or(NEVER, Timestamp::as_millisecond))
        }
        Action::Delete { key } => (DELETE, key, [].as_slice(), 0, NEVER),
        Action::End => (END, "", [].as_slice(), 0, NEVER),
    };
    let start = out.len();
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&[0; 8]);
    out.extend_from_slice(&synced.to_le_bytes());
    out.push(kind);
    out.extend_from_slice(&record.revision.0.to_le_bytes());
    out.extend_from_slice(&expires.to_le_bytes());
    out.extend_from_slice(&revision_at.to_le_bytes());
    out.extend_from_slice(&length(key.len()).to_le_bytes());
    out.extend_from_slice(key.as_bytes());
    out.extend_from_slice(bytes);
    let payload = length(out.len() - start - HEAD);
    let crc = crc32fast::hash(&out[start + 12..]);
    out[start + 4..start + 8].copy_from_slice(&payload.to_le_bytes());
    out[start + 8..start + 12].copy_from_slice(&crc.to_le_bytes());
}

fn length(len: usize) -> u32 {
    u32::try_from(len).expect("objects are bounded far below 4 GiB, see OBJECT_BYTES_MAX")
}

/// The frame that `bytes` begins with; `None` if none does, or not a whole one.
pub(super) fn decode(bytes: &[u8]) -> Option<Frame<'_>> {
    let rest = bytes.strip_prefix(&MAGIC)?;
    let (payload_len, rest) = rest.split_first_chunk()?;
    let (crc, rest) = rest.split_first_chunk()?;
    let payload_len = usize::try_from(u32::from_le_bytes(*payload_len)).ok()?;
    let checked = rest.get(..payload_len.checked_add(8)?)?;
    if crc32fast::hash(checked) != u32::from_le_bytes(*crc) {
        return None;
    }
    let (synced, payload) = checked.split_first_chunk()?;
    let synced = u64::from_le_bytes(*synced);
    Some(Frame { record: decode_payload(payload)?, synced, len: HEAD + payload_len })
}

fn decode_payload(payload: &[u8]) -> Option<Record<'_>> {
    let (&kind, rest) = payload.split_first()?;
    let (revision, rest) = rest.split_first_chunk()?;
    let (expires, rest) = rest.split_first_chunk()?;
    let (revision_at, rest) = rest.split_first_chunk()?;
    let (key_len, rest) = rest.split_first_chunk()?;
    let (key, bytes) = rest.split_at_checked(u32::from_le_bytes(*key_len) as usize)?;
    let key = std::str::from_utf8(key).ok()?;
    let action = match kind {
        PUT => {
            let expires = match i64::from_le_bytes(*expires) {
                NEVER => None,
                at => Some(Timestamp::from_millisecond(at).ok()?),
            };
            Action::Put { key, bytes, revision_at: u32::from_le_bytes(*revision_at), expires }
        }
        DELETE => Action::Delete { key },
        END => Action::End,
        _ => return None,
    };
    Some(Record { revision: Revision(u64::from_le_bytes(*revision)), action })
}

/// Whether a whole frame after `bad_at` says that this place had been synced: then what is there now
/// was damaged, not torn.
pub(super) fn was_synced(file: &[u8], bad_at: usize) -> bool {
    let later = (bad_at + 1..file.len()).filter(|at| file[*at..].starts_with(&MAGIC));
    later.filter_map(|at| decode(&file[at..])).any(|frame| frame.synced > bad_at as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PUT_RECORD: Record<'_> = Record {
        revision: Revision(7),
        action: Action::Put {
            key: "/core/pods/a/x",
            bytes: b"{\"metadata\":{}}",
            revision_at: 3,
            expires: Some(Timestamp::UNIX_EPOCH),
        },
    };

    fn frames(records: &[(Record<'_>, u64)]) -> Vec<u8> {
        let mut out = Vec::new();
        records.iter().for_each(|(record, synced)| encode(record, *synced, &mut out));
        out
    }

    #[test]
    fn every_record_is_read_back() {
        let delete = Record { revision: Revision(8), action: Action::Delete { key: "/a" } };
        let end = Record { revision: Revision(u64::MAX), action: Action::End };
        for record in [PUT_RECORD, delete, end] {
            let bytes = frames(&[(record, 99)]);
            let frame = decode(&bytes).unwrap();
            assert_eq!(frame, Frame { record, synced: 99, len: bytes.len() });
        }
    }

    #[test]
    fn no_part_and_no_flipped_bit_of_a_frame_is_a_frame() {
        let whole = frames(&[(PUT_RECORD, 99)]);
        for len in 0..whole.len() {
            assert_eq!(decode(&whole[..len]), None, "{len}");
        }
        for bit in 0..whole.len() * 8 {
            let mut flipped = whole.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(decode(&flipped), None, "{bit}");
        }
    }

    #[test]
    fn a_later_frame_tells_damage_from_a_torn_tail() {
        let one = frames(&[(PUT_RECORD, 0)]).len();
        let check = |synced: u64, expect: bool| {
            let mut file = frames(&[(PUT_RECORD, 0), (PUT_RECORD, 0), (PUT_RECORD, synced)]);
            file[one + HEAD] ^= 1;
            assert_eq!(was_synced(&file, one), expect, "{synced}");
        };
        check(0, false);
        check(one as u64, false);
        check(2 * one as u64, true);
    }
}
