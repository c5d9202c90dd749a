//! Preopens, open-at, what a descriptor says of itself.

use wasip2::filesystem::preopens::get_directories;
use wasip2::filesystem::types::{DescriptorFlags, DescriptorType, ErrorCode, OpenFlags};

use crate::answers::{
    Answers, FOLLOW, READ, WRITE, as_is, directory, file, none, open, root, text,
};

pub(crate) fn walk(answers: &mut Answers) {
    preopens(answers);
    paths(answers);
    flags(answers);
    read_only(answers);
    themselves(answers);
}

fn preopens(answers: &mut Answers) {
    let mut preopened: Vec<_> = get_directories().into_iter().map(|(_, name)| name).collect();
    preopened.sort();
    answers.is("get-directories", preopened, vec![".".to_owned(), "/".to_owned()]);
    let types: Vec<_> = get_directories().iter().map(|(it, _)| it.get_type().ok()).collect();
    answers.is("their types", types, vec![Some(DescriptorType::Directory); 2]);
}

/// Every call that takes a path reads it alike.
fn paths(answers: &mut Answers) {
    directory("opening");
    file("opening/file", b"text");
    let long = "n".repeat(256);
    let longer = "opening/../".repeat(400) + "opening/file";
    let refusals = [
        ("", ErrorCode::NoEntry),
        ("opening/none", ErrorCode::NoEntry),
        ("opening/none/file", ErrorCode::NoEntry),
        ("opening/file/below", ErrorCode::NotDirectory),
        ("opening/file/", ErrorCode::NotDirectory),
        ("opening/file/.", ErrorCode::NotDirectory),
        ("opening/file/..", ErrorCode::NotDirectory),
        ("/opening/file", ErrorCode::NotPermitted),
        ("opening/fi\0le", ErrorCode::Invalid),
        (&long, ErrorCode::NameTooLong),
        (&longer, ErrorCode::NameTooLong),
    ];
    for (path, error) in refusals {
        let shown: String = path.chars().take(20).collect();
        answers.refused(&format!("open-at {shown:?}"), open(path, none(), READ), error);
        answers.refused(&format!("stat-at {shown:?}"), root().stat_at(FOLLOW, path), error);
        let hash = root().metadata_hash_at(FOLLOW, path);
        answers.refused(&format!("metadata-hash-at {shown:?}"), hash.map(drop), error);
    }
    for path in ["opening/file", "./opening/./file", "opening//file", "../../opening/file"] {
        answers.is(&format!("open-at {path:?}"), text(path), "text".to_owned());
    }
    let below = open("opening", OpenFlags::DIRECTORY, READ).expect("a directory");
    let beside = below.open_at(FOLLOW, "../opening/file", none(), READ);
    answers.done("open-at by a directory's ..", beside);
    let of_file = file("opening/file", b"text");
    let through = of_file.open_at(FOLLOW, "x", none(), READ);
    answers.refused("open-at of a file's descriptor", through, ErrorCode::NotDirectory);
}

fn flags(answers: &mut Answers) {
    let (create, exclusive) = (OpenFlags::CREATE, OpenFlags::CREATE | OpenFlags::EXCLUSIVE);
    let both = READ | WRITE;
    let opened = open("opening/new", exclusive, both);
    answers.done("open-at, create and exclusive", opened);
    answers.refused("the same again", open("opening/new", exclusive, both), ErrorCode::Exist);
    answers.refused("exclusive, a directory", open("opening", exclusive, READ), ErrorCode::Exist);
    answers.done("open-at, create what is there", open("opening/new", create, both));
    answers.refused("create below none", open("none/new", create, both), ErrorCode::NoEntry);
    let slash = open("opening/slash/", create, both);
    answers.refused("create with a slash", slash, ErrorCode::IsDirectory);
    let as_directory = open("opening/file", OpenFlags::DIRECTORY, READ);
    answers.refused("a file as directory", as_directory, ErrorCode::NotDirectory);
    answers.refused("a directory to write", open("opening", none(), both), ErrorCode::IsDirectory);
    let truncated = open("opening", OpenFlags::TRUNCATE, both);
    answers.refused("truncate a directory", truncated, ErrorCode::IsDirectory);
    file("opening/full", b"text");
    answers.done("open-at, truncate", open("opening/full", OpenFlags::TRUNCATE, WRITE));
    answers.is("what it leaves", text("opening/full"), String::new());

    root().symlink_at("file", "opening/link").expect("a symlink");
    root().symlink_at("circle", "opening/circle").expect("a symlink");
    root().symlink_at("none", "opening/dangling").expect("a symlink");
    answers.is("open-at through a symlink", text("opening/link"), "text".to_owned());
    let itself = root().open_at(as_is(), "opening/link", none(), READ);
    answers.refused("open-at of a symlink itself", itself, ErrorCode::Loop);
    answers.refused("open-at of a circle", open("opening/circle", none(), READ), ErrorCode::Loop);
    answers.refused("a dangling one", open("opening/dangling", none(), READ), ErrorCode::NoEntry);
    let exclusively = open("opening/dangling", exclusive, both);
    answers.refused("a dangling one, exclusive", exclusively, ErrorCode::Exist);
    answers.done("create through a dangling one", open("opening/dangling", create, both));
    answers.is("where it is", text("opening/none"), String::new());
}

fn read_only(answers: &mut Answers) {
    answers.is("read-only file", text("ro/file"), "there".to_owned());
    answers.refused("to write", open("ro/file", none(), READ | WRITE), ErrorCode::ReadOnly);
    answers.refused(
        "to truncate",
        open("ro/file", OpenFlags::TRUNCATE, WRITE),
        ErrorCode::ReadOnly,
    );
    answers.refused("to create", open("ro/new", OpenFlags::CREATE, WRITE), ErrorCode::ReadOnly);
    let exclusive = OpenFlags::CREATE | OpenFlags::EXCLUSIVE;
    answers.refused("create what is there", open("ro/file", exclusive, WRITE), ErrorCode::Exist);
}

fn themselves(answers: &mut Answers) {
    let types = [
        ("opening", DescriptorType::Directory),
        ("opening/file", DescriptorType::RegularFile),
        ("dev/null", DescriptorType::CharacterDevice),
        ("data", DescriptorType::Directory),
    ];
    for (path, wanted) in types {
        let opened = open(path, none(), READ).expect("it opens");
        answers.is(&format!("get-type {path}"), opened.get_type().ok(), Some(wanted));
        let stat = opened.stat().map(|stat| stat.type_).ok();
        answers.is(&format!("stat {path}"), stat, Some(wanted));
    }
    for flags in [READ, WRITE, READ | WRITE] {
        let opened = open("opening/file", none(), flags).expect("it opens");
        answers.is("get-flags", opened.get_flags().ok(), Some(flags));
    }
    let directory = open("opening", OpenFlags::DIRECTORY, READ | DescriptorFlags::MUTATE_DIRECTORY);
    let flags = directory.and_then(|directory| directory.get_flags()).ok();
    let wanted = READ | DescriptorFlags::MUTATE_DIRECTORY;
    answers.is("get-flags of a directory", flags, Some(wanted));

    let one = open("opening/file", none(), READ).expect("it opens");
    let same = open("opening/link", none(), WRITE).expect("it opens");
    let other = open("opening/new", none(), READ).expect("it opens");
    answers.is("is-same-object", one.is_same_object(&same), true);
    answers.is("is-same-object of others", one.is_same_object(&other), false);
    let hash = |it: &wasip2::filesystem::types::Descriptor| {
        it.metadata_hash().map(|hash| (hash.upper, hash.lower)).ok()
    };
    answers.is("metadata-hash", hash(&one), hash(&same));
    answers.is("metadata-hash of others", hash(&one) == hash(&other), false);
    let at = root().metadata_hash_at(FOLLOW, "opening/link").map(|hash| (hash.upper, hash.lower));
    answers.is("metadata-hash-at", at.ok(), hash(&one));
}
