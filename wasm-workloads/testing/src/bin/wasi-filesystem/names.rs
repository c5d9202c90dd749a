//! Directories, links, renames, listings.

use wasip2::filesystem::types::{DescriptorType, ErrorCode, OpenFlags};

use crate::answers::{Answers, FOLLOW, READ, as_is, directory, file, names, open, root, text};

pub(crate) fn walk(answers: &mut Answers) {
    directory("names");
    directories(answers);
    removals(answers);
    symlinks(answers);
    hard_links(answers);
    renames(answers);
    listings(answers);
    read_only(answers);
}

fn directories(answers: &mut Answers) {
    let root = root();
    answers.done("create-directory-at", root.create_directory_at("names/a"));
    answers.done("with a slash", root.create_directory_at("names/b/"));
    for there in ["names/a", "names/b/", ".", "names/a/.."] {
        let again = root.create_directory_at(there);
        answers.refused(&format!("create-directory-at {there}"), again, ErrorCode::Exist);
    }
    file("names/file", b"text");
    let over = root.create_directory_at("names/file");
    answers.refused("create-directory-at over a file", over, ErrorCode::Exist);
    let below = root.create_directory_at("names/file/x");
    answers.refused("below a file", below, ErrorCode::NotDirectory);
    let deep = root.create_directory_at("names/none/x");
    answers.refused("below nothing", deep, ErrorCode::NoEntry);
    let long = root.create_directory_at(&"n".repeat(256));
    answers.refused("with a long name", long, ErrorCode::NameTooLong);
}

fn removals(answers: &mut Answers) {
    let root = root();
    file("names/a/file", b"");
    let full = root.remove_directory_at("names/a");
    answers.refused("remove-directory-at, not empty", full, ErrorCode::NotEmpty);
    let a_file = root.remove_directory_at("names/file");
    answers.refused("remove-directory-at of a file", a_file, ErrorCode::NotDirectory);
    let missing = root.remove_directory_at("names/none");
    answers.refused("remove-directory-at of nothing", missing, ErrorCode::NoEntry);
    let dot = root.remove_directory_at("names/a/.");
    answers.refused("remove-directory-at of .", dot, ErrorCode::Invalid);
    let mounted = root.remove_directory_at("data");
    answers.refused("remove-directory-at of a mount", mounted, ErrorCode::Busy);
    let a_directory = root.unlink_file_at("names/a");
    answers.refused("unlink-file-at of a directory", a_directory, ErrorCode::IsDirectory);
    let slash = root.unlink_file_at("names/file/");
    answers.refused("unlink-file-at with a slash", slash, ErrorCode::NotDirectory);
    answers.refused("of nothing", root.unlink_file_at("names/none"), ErrorCode::NoEntry);
    answers.done("unlink-file-at", root.unlink_file_at("names/a/file"));
    answers.done("remove-directory-at", root.remove_directory_at("names/a/"));
    answers.is("what is left", names("names"), vec!["b".to_owned(), "file".to_owned()]);
}

fn symlinks(answers: &mut Answers) {
    let root = root();
    answers.done("symlink-at", root.symlink_at("file", "names/link"));
    answers.is("readlink-at", root.readlink_at("names/link").ok(), Some("file".to_owned()));
    let stat = |flags| root.stat_at(flags, "names/link").map(|stat| (stat.type_, stat.size)).ok();
    answers.is("stat-at of it", stat(as_is()), Some((DescriptorType::SymbolicLink, 4)));
    answers.is("stat-at of its target", stat(FOLLOW), Some((DescriptorType::RegularFile, 4)));
    let again = root.symlink_at("x", "names/link");
    answers.refused("symlink-at over one", again, ErrorCode::Exist);
    let empty = root.symlink_at("", "names/empty");
    answers.refused("symlink-at to nothing", empty, ErrorCode::NoEntry);
    let a_file = root.readlink_at("names/file");
    answers.refused("readlink-at of a file", a_file, ErrorCode::Invalid);
    answers.refused("of nothing", root.readlink_at("names/none"), ErrorCode::NoEntry);
    answers.done("a symlink to a directory", root.symlink_at("b", "names/to-b"));
    let as_directory = root.remove_directory_at("names/to-b");
    answers.refused("remove-directory-at of it", as_directory, ErrorCode::NotDirectory);
    answers.done("an absolute symlink", root.symlink_at("/names/file", "names/absolute"));
    answers.is("starts at the root", text("names/absolute"), "text".to_owned());
    answers.done("one that climbs", root.symlink_at("../../../../names/file", "names/climbs"));
    answers.is("stops at the root", text("names/climbs"), "text".to_owned());
    for name in ["link", "to-b", "absolute", "climbs"] {
        let path = format!("names/{name}");
        answers.done(&format!("unlink-file-at {name}"), root.unlink_file_at(&path));
    }
    answers.is("its target stays", text("names/file"), "text".to_owned());
}

fn hard_links(answers: &mut Answers) {
    let root = root();
    answers.done("link-at", root.link_at(as_is(), "names/file", &root, "names/second"));
    let links = root.stat_at(as_is(), "names/second").map(|stat| stat.link_count).ok();
    answers.is("its link-count", links, Some(2));
    let over = root.link_at(as_is(), "names/file", &root, "names/second");
    answers.refused("link-at over one", over, ErrorCode::Exist);
    let a_directory = root.link_at(as_is(), "names/b", &root, "names/c");
    answers.refused("link-at of a directory", a_directory, ErrorCode::NotPermitted);
    let missing = root.link_at(as_is(), "names/none", &root, "names/c");
    answers.refused("link-at of nothing", missing, ErrorCode::NoEntry);
    let across = root.link_at(as_is(), "names/file", &root, "data/file");
    answers.refused("link-at into a volume", across, ErrorCode::CrossDevice);
    answers.done("unlink one name", root.unlink_file_at("names/file"));
    answers.is("the other stays", text("names/second"), "text".to_owned());
    answers.done("and back", root.rename_at("names/second", &root, "names/file"));
}

fn renames(answers: &mut Answers) {
    let root = root();
    let rename = |old: &str, new: &str| root.rename_at(old, &root, new);
    file("names/one", b"1");
    file("names/two", b"2");
    directory("names/d");
    directory("names/d/e");
    directory("names/empty");
    answers.done("rename-at over a file", rename("names/one", "names/two"));
    answers.is("it is the one", text("names/two"), "1".to_owned());
    answers.done("rename-at to itself", rename("names/two", "names/two"));
    answers.refused("of nothing", rename("names/one", "names/x"), ErrorCode::NoEntry);
    answers.refused("below nothing", rename("names/two", "names/none/x"), ErrorCode::NoEntry);
    answers.refused(
        "a file over a directory",
        rename("names/two", "names/empty"),
        ErrorCode::IsDirectory,
    );
    answers.refused(
        "a directory over a file",
        rename("names/d", "names/two"),
        ErrorCode::NotDirectory,
    );
    answers.refused("over a full directory", rename("names/empty", "names/d"), ErrorCode::NotEmpty);
    answers.refused("into itself", rename("names/d", "names/d/e/f"), ErrorCode::Invalid);
    answers.refused("over what it is in", rename("names/d/e", "names/d"), ErrorCode::NotEmpty);
    answers.done("over an empty directory", rename("names/d", "names/empty"));
    answers.is("with what is in it", names("names/empty"), vec!["e".to_owned()]);
    answers.refused(
        "a file to a slash",
        rename("names/two", "names/three/"),
        ErrorCode::NotDirectory,
    );
    answers.done("a directory to a slash", rename("names/empty", "names/d/"));
    answers.refused("into a volume", rename("names/two", "data/two"), ErrorCode::CrossDevice);
    answers.refused("a mount", rename("data", "names/data"), ErrorCode::Busy);
    answers.refused("over a mount", rename("names/d", "data"), ErrorCode::Busy);
    answers.refused("of the root", rename(".", "names/x"), ErrorCode::Busy);
    let below = open("names/d", OpenFlags::DIRECTORY, READ).expect("it opens");
    answers.done("between descriptors", root.rename_at("names/two", &below, "two"));
    answers.is("it is there", text("names/d/two"), "1".to_owned());
}

fn listings(answers: &mut Answers) {
    directory("names/list");
    file("names/list/file", b"");
    directory("names/list/directory");
    root().symlink_at("file", "names/list/link").expect("a symlink");
    let listing = open("names/list", OpenFlags::DIRECTORY, READ).and_then(|it| it.read_directory());
    let Some(listing) = answers.done("read-directory", listing) else { return };
    let mut seen = Vec::new();
    while let Ok(Some(entry)) = listing.read_directory_entry() {
        seen.push((entry.name, entry.type_));
        // What is removed meanwhile harms nothing.
        let _ = root().unlink_file_at("names/list/link");
    }
    seen.sort_by(|a, b| a.0.cmp(&b.0));
    let wanted = [
        ("directory", DescriptorType::Directory),
        ("file", DescriptorType::RegularFile),
        ("link", DescriptorType::SymbolicLink),
    ];
    answers.is("its entries", seen, wanted.map(|(name, type_)| (name.to_owned(), type_)).into());
    let end = listing.read_directory_entry().map(|entry| entry.is_none()).ok();
    answers.is("after the last", end, Some(true));
    let mounts = names(".").iter().filter(|name| *name == "data" || *name == "ro").count();
    answers.is("mounts are listed", mounts, 2);
    for number in 0..500 {
        file(&format!("names/list/many-{number}"), b"");
    }
    answers.is("a long listing", names("names/list").len(), 502);
}

fn read_only(answers: &mut Answers) {
    let root = root();
    let bound = ErrorCode::ReadOnly;
    answers.refused("create-directory-at", root.create_directory_at("ro/new"), bound);
    answers.refused("over what is there", root.create_directory_at("ro/dir"), ErrorCode::Exist);
    answers.refused("unlink-file-at", root.unlink_file_at("ro/file"), bound);
    answers.refused("remove-directory-at", root.remove_directory_at("ro/dir"), bound);
    answers.refused("symlink-at", root.symlink_at("x", "ro/link"), bound);
    answers.refused("rename-at", root.rename_at("ro/file", &root, "ro/other"), bound);
    answers.refused("link-at", root.link_at(as_is(), "ro/file", &root, "ro/other"), bound);
    answers.is("all is there", names("ro"), vec!["dir".to_owned(), "file".to_owned()]);
}
