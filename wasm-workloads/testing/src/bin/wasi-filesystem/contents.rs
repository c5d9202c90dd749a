//! Bytes: read, write, streams, sizes, times, room.

use wasip2::clocks::wall_clock::Datetime;
use wasip2::filesystem::types::{
    Advice, Descriptor, ErrorCode, NewTimestamp, OpenFlags, filesystem_error_code,
};
use wasip2::io::streams::StreamError;

use crate::answers::{
    Answers, FOLLOW, READ, WRITE, as_is, directory, file, none, open, root, text,
};

const KIB: u64 = 1024;

pub(crate) fn walk(answers: &mut Answers) {
    directory("contents");
    positions(answers);
    wrong_kinds(answers);
    streams(answers);
    sizes(answers);
    times(answers);
    room(answers);
    devices(answers);
    removed(answers);
}

fn positions(answers: &mut Answers) {
    let it = file("contents/positions", b"0123456789");
    let read = |len, offset| {
        it.read(len, offset).map(|(bytes, end)| (String::from_utf8_lossy(&bytes).into_owned(), end))
    };
    answers.is("read", read(4, 3).ok(), Some(("3456".to_owned(), false)));
    let (short, _) = read(100, 8).unwrap_or_default();
    answers.is("read over the end", short, "89".to_owned());
    answers.is("read at the end", read(4, 10).ok(), Some((String::new(), true)));
    answers.is("read far behind the end", read(4, 1 << 40).ok(), Some((String::new(), true)));
    answers.is("write", it.write(b"abc", 2).ok(), Some(3));
    answers.is("write behind the end", it.write(b"z", 12).ok(), Some(1));
    let holes = it.read(100, 0).map(|(bytes, _)| bytes).ok();
    answers.is("the hole", holes, Some(b"01abc56789\0\0z".to_vec()));
    answers.is("write of nothing", it.write(b"", 5).ok(), Some(0));
    let big = vec![7; 200_000];
    let mut written = 0;
    while written < big.len() {
        let Ok(some @ 1..) = it.write(&big[written..], written as u64) else { break };
        written += usize::try_from(some).unwrap_or(usize::MAX);
    }
    answers.is("write of much", written, big.len());
    answers.is("its size", it.stat().map(|stat| stat.size).ok(), Some(200_000));
    answers.refused("write at the last offset", it.write(b"x", u64::MAX), ErrorCode::Invalid);
    answers.done("advise", it.advise(0, 10, Advice::Sequential));
    answers.done("sync-data", it.sync_data());
    answers.done("sync", it.sync());
}

fn wrong_kinds(answers: &mut Answers) {
    file("contents/kinds", b"text");
    let reader = open("contents/kinds", none(), READ).expect("it opens");
    let writer = open("contents/kinds", none(), WRITE).expect("it opens");
    let bad = ErrorCode::BadDescriptor;
    answers.refused("write to a reader", reader.write(b"x", 0), bad);
    answers.refused("read from a writer", writer.read(1, 0), bad);
    answers.refused("write-via-stream of a reader", reader.write_via_stream(0), bad);
    answers.refused("append-via-stream of a reader", reader.append_via_stream(), bad);
    answers.refused("read-via-stream of a writer", writer.read_via_stream(0), bad);
    answers.refused("set-size of a reader", reader.set_size(0), bad);
    answers.is("nothing came of it", text("contents/kinds"), "text".to_owned());

    let it = open("contents", OpenFlags::DIRECTORY, READ).expect("it opens");
    let directory = ErrorCode::IsDirectory;
    answers.refused("read of a directory", it.read(1, 0), directory);
    answers.refused("write of a directory", it.write(b"x", 0), directory);
    answers.refused("read-via-stream of a directory", it.read_via_stream(0), directory);
    answers.refused("write-via-stream of a directory", it.write_via_stream(0), directory);
    answers.refused("append-via-stream of a directory", it.append_via_stream(), directory);
    answers.refused("set-size of a directory", it.set_size(0), directory);
    answers.done("sync of a directory", it.sync());
    answers.done("sync-data of a directory", it.sync_data());
    let nowhere = ErrorCode::NotDirectory;
    answers.refused("read-directory of a file", reader.read_directory(), nowhere);
    answers.refused("create-directory-at of a file", reader.create_directory_at("x"), nowhere);
    answers.refused("stat-at of a file", reader.stat_at(FOLLOW, "x"), nowhere);
    answers.refused("unlink-file-at of a file", reader.unlink_file_at("x"), nowhere);
}

fn streams(answers: &mut Answers) {
    let it = file("contents/stream", b"0123456789");
    let input = it.read_via_stream(4).expect("a stream");
    answers.is("a stream's read", input.blocking_read(3).ok(), Some(b"456".to_vec()));
    answers.is("its skip", input.blocking_skip(2).ok(), Some(2));
    answers.is("the rest", input.blocking_read(10).ok(), Some(b"9".to_vec()));
    let end = matches!(input.blocking_read(10), Err(StreamError::Closed));
    answers.is("the end", end, true);
    let output = it.write_via_stream(8).expect("a stream");
    answers.is("a stream's write", output.blocking_write_and_flush(b"xyz").is_ok(), true);
    answers.is("its zeroes", output.blocking_write_zeroes_and_flush(2).is_ok(), true);
    let append = it.append_via_stream().expect("a stream");
    answers.is("append", append.blocking_write_and_flush(b"end").is_ok(), true);
    answers.is("what it made", text("contents/stream"), "01234567xyz\0\0end".to_owned());
    let two = (it.append_via_stream(), it.append_via_stream());
    if let (Ok(one), Ok(other)) = two {
        let both = [one.blocking_write_and_flush(b"1"), other.blocking_write_and_flush(b"2")];
        answers.is("two appending", both.iter().all(Result::is_ok), true);
    }
    answers.is("both are there", text("contents/stream"), "01234567xyz\0\0end12".to_owned());
    let behind = it.read_via_stream(1 << 40).expect("a stream");
    let end = matches!(behind.blocking_read(1), Err(StreamError::Closed));
    answers.is("a stream behind the end", end, true);
}

fn sizes(answers: &mut Answers) {
    let it = file("contents/size", b"0123456789");
    answers.done("set-size down", it.set_size(3));
    answers.is("what is left", text("contents/size"), "012".to_owned());
    answers.done("set-size up", it.set_size(5));
    answers.is("with zeroes", text("contents/size"), "012\0\0".to_owned());
    answers.refused("set-size beyond all", it.set_size(u64::MAX), ErrorCode::Invalid);
}

fn times(answers: &mut Answers) {
    let it = file("contents/times", b"");
    let at = |seconds, nanoseconds| NewTimestamp::Timestamp(Datetime { seconds, nanoseconds });
    let of = |stat: wasip2::filesystem::types::DescriptorStat| {
        let pair = |time: Datetime| (time.seconds, time.nanoseconds);
        (stat.data_access_timestamp.map(pair), stat.data_modification_timestamp.map(pair))
    };
    answers.done("set-times", it.set_times(at(1_000, 5_000), at(2_000, 6_000)));
    answers.is(
        "they are",
        it.stat().map(of).ok(),
        Some((Some((1_000, 5_000)), Some((2_000, 6_000)))),
    );
    answers.done("one of them", it.set_times(NewTimestamp::NoChange, at(3_000, 0)));
    answers.is("they are", it.stat().map(of).ok(), Some((Some((1_000, 5_000)), Some((3_000, 0)))));
    answers.done("now", it.set_times(NewTimestamp::NoChange, NewTimestamp::Now));
    let now = it.stat().ok().and_then(|stat| stat.data_modification_timestamp);
    answers.is("it is", now.is_some_and(|now| now.seconds > 1_700_000_000), true);
    root().symlink_at("times", "contents/times-link").expect("a symlink");
    let set = root().set_times_at(FOLLOW, "contents/times-link", at(4_000, 0), at(5_000, 0));
    answers.done("set-times-at through a symlink", set);
    answers.is("its target's", it.stat().map(of).ok(), Some((Some((4_000, 0)), Some((5_000, 0)))));
    let set = root().set_times_at(as_is(), "contents/times-link", at(6_000, 0), at(7_000, 0));
    answers.done("set-times-at of a symlink", set);
    answers.is(
        "not its target's",
        it.stat().map(of).ok(),
        Some((Some((4_000, 0)), Some((5_000, 0)))),
    );
    let none = root().set_times_at(FOLLOW, "contents/none", at(1, 0), at(1, 0));
    answers.refused("set-times-at of nothing", none, ErrorCode::NoEntry);
    let bound = root().set_times_at(FOLLOW, "ro/file", at(1, 0), at(1, 0));
    answers.refused("set-times-at, read-only", bound, ErrorCode::ReadOnly);
}

/// `/data` has 64 KiB.
fn room(answers: &mut Answers) {
    let full = ErrorCode::InsufficientSpace;
    let it = file("data/full", b"");
    let chunk = vec![1; 32 << 10];
    answers.is("a half", fill(&it, &chunk, 0), Ok(32 * KIB));
    answers.refused("set-size beyond the room", it.set_size(65 * KIB), full);
    answers.refused("a hole beyond the room", it.write(b"x", 70 * KIB), full);
    let rest = fill(&it, &vec![2; 64 << 10], 32 * KIB);
    answers.is("the rest", rest, Ok(32 * KIB));
    answers.refused("one more byte", it.write(b"x", 64 * KIB), full);
    answers.refused("one more, appended", it.append_via_stream(), full);
    answers.is("what is there is changed", it.write(b"x", 0).ok(), Some(1));
    answers.is("its size", it.stat().map(|stat| stat.size).ok(), Some(64 * KIB));
    answers.done("a byte less", it.set_size(64 * KIB - 1));
    let output = it.append_via_stream().expect("a stream");
    answers.is("a stream's write", output.blocking_write_and_flush(b"y").is_ok(), true);
    let error = output.blocking_write_and_flush(b"z").err();
    let code = match &error {
        Some(StreamError::LastOperationFailed(error)) => filesystem_error_code(error),
        _ => None,
    };
    answers.is("filesystem-error-code", code.map(|code| code.name()), Some(full.name()));
    answers.done("room again", root().unlink_file_at("data/full"));
    drop((output, it));
    let it = file("data/again", b"");
    answers.is("all of it", fill(&it, &vec![3; 64 << 10], 0), Ok(64 * KIB));
    drop(it);
    answers.done("and away", root().unlink_file_at("data/again"));
}

/// Writes until all is there or no more is taken; answers how much it was.
fn fill(to: &Descriptor, bytes: &[u8], offset: u64) -> Result<u64, &'static str> {
    let mut written = 0;
    while let Some(rest) = bytes.get(written..).filter(|rest| !rest.is_empty()) {
        match to.write(rest, offset + written as u64) {
            Ok(some) => written += usize::try_from(some).unwrap_or(usize::MAX),
            Err(ErrorCode::InsufficientSpace) => break,
            Err(error) => return Err(error.name()),
        }
    }
    Ok(written as u64)
}

fn devices(answers: &mut Answers) {
    let null = open("dev/null", none(), READ | WRITE).expect("it opens");
    answers.is("/dev/null takes", null.write(b"x", 0).ok(), Some(1));
    answers.is("/dev/null gives", null.read(1, 0).ok(), Some((Vec::new(), true)));
    let zero = open("dev/zero", none(), READ).expect("it opens");
    answers.is("/dev/zero gives", zero.read(3, 0).ok(), Some((vec![0; 3], false)));
    let random = open("dev/urandom", none(), READ).expect("it opens");
    let (one, other) = (random.read(16, 0).ok(), random.read(16, 0).ok());
    answers.is("/dev/urandom gives", one.is_some() && one != other, true);
    let full = open("dev/full", none(), WRITE).expect("it opens");
    answers.refused("/dev/full takes", full.write(b"x", 0), ErrorCode::InsufficientSpace);
    let below = open("dev/null/x", none(), READ);
    answers.refused("below a device", below, ErrorCode::NotDirectory);
}

/// A file without a name is a file.
fn removed(answers: &mut Answers) {
    let it = file("contents/removed", b"text");
    answers.done("unlink an open file", root().unlink_file_at("contents/removed"));
    answers.is("read it", it.read(10, 0).map(|(bytes, _)| bytes).ok(), Some(b"text".to_vec()));
    answers.is("write it", it.write(b"more", 4).ok(), Some(4));
    answers.is("stat it", it.stat().map(|stat| (stat.size, stat.link_count)).ok(), Some((8, 0)));
    let gone = directory("contents/gone");
    answers.done("remove an open directory", root().remove_directory_at("contents/gone"));
    let below = gone.open_at(FOLLOW, "new", OpenFlags::CREATE, WRITE);
    answers.refused("create in it", below, ErrorCode::NoEntry);
}
