//! Programs that try to get out: nothing outside of what a root was given is read or changed.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::SystemTime;

use super::model_test::{Step, apply, on_disk, open};
use super::volume::later;
use super::{Error, Follow, Kind, Mount, OpenOptions, Opened, Place, Quota, Root, Volume};

const SECRET: &str = "what nobody inside may know";

/// `outside/secret` beside the directories of roots.
fn house() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    fs::create_dir(directory.path().join("outside")).unwrap();
    fs::write(directory.path().join("outside/secret"), SECRET).unwrap();
    directory
}

fn is_untouched(directory: &Path) {
    assert_eq!(on_disk(&directory.join("outside")), [format!("/secret: {SECRET}")]);
}

fn write(path: &str) -> Step {
    Step::Write { path: path.to_owned(), text: 0, truncate: true, exclusive: false }
}

#[test]
fn no_path_leads_out() {
    let directory = house();
    let root = Root::new(None, open(directory.path(), "upper"));
    let host = directory.path().join("outside").display().to_string();
    let mut paths = vec![host.clone(), format!("{host}/secret")];
    for up in ["..", "../..", "/..", "./../", "..//..", "a/../../.."] {
        paths.extend(["outside/secret", "upper/../outside/secret"].map(|to| format!("{up}/{to}")));
    }
    apply(&root, &Step::CreateDirectory("a".to_owned())).unwrap();
    let texts: Vec<_> = paths.iter().cloned().chain(["..".to_owned(), "/".to_owned()]).collect();
    for (number, text) in texts.iter().enumerate() {
        let link = format!("a/link{number}");
        apply(&root, &Step::Symlink(text.clone(), link.clone())).unwrap();
        paths.extend([link.clone(), format!("{link}/secret"), format!("{link}/../outside/secret")]);
        paths.push(format!("{link}/../../../outside/secret"));
    }
    for path in &paths {
        for step in [
            Step::Read(path.clone()),
            write(path),
            Step::Append { path: path.clone(), text: 0 },
            Step::List(path.clone()),
            Step::Link(path.clone(), "/stolen".to_owned(), true),
            Step::Rename(path.clone(), "/stolen".to_owned()),
            Step::Rename("/a".to_owned(), path.clone()),
            Step::Unlink(path.clone()),
            Step::RemoveDirectory(path.clone()),
            Step::CreateDirectory(path.clone()),
        ] {
            let answer = apply(&root, &step);
            assert!(answer.is_err() || !answer.unwrap().contains("nobody"), "{step:?}");
        }
        // Times of what is outside would show it, too.
        let now = Some(SystemTime::UNIX_EPOCH);
        let _ = root.set_times(&Place::root(), path, Follow::Yes, now, now);
    }
    is_untouched(directory.path());
    let modified = fs::metadata(directory.path().join("outside/secret")).unwrap().modified();
    assert_ne!(modified.unwrap(), SystemTime::UNIX_EPOCH);
}

#[test]
fn any_name_is_just_a_name() {
    let directory = house();
    let root = Root::new(None, later(open(directory.path(), "upper")));
    let long = "é".repeat(127);
    let names = [
        "...",
        "..a",
        " ",
        "a\nb",
        "\u{202e}txt",
        "-rf",
        "~",
        "*",
        "a:b",
        "\u{1}",
        "\u{7f}",
        &long,
    ];
    for name in names {
        apply(&root, &write(name)).unwrap();
        assert_eq!(apply(&root, &Step::Read(name.to_owned())).as_deref(), Ok("\0aaa"), "{name:?}");
    }
    let listed = root.list(&Place::root()).unwrap();
    for name in names {
        assert!(listed.iter().any(|entry| entry.name == name), "{name:?}");
        apply(&root, &Step::Unlink(name.to_owned())).unwrap();
    }
    assert_eq!(apply(&root, &write("a\0b")), Err(Error::Invalid));
    assert_eq!(apply(&root, &write("")), Err(Error::NotFound));
    assert_eq!(apply(&root, &write(&"x".repeat(256))), Err(Error::NameTooLong));
    assert!(fs::read_dir(directory.path().join("upper")).unwrap().next().is_none());
}

#[test]
fn forty_symlinks_are_followed_and_no_more() {
    let directory = house();
    let root = Root::new(None, open(directory.path(), "upper"));
    apply(&root, &write("/0")).unwrap();
    for number in 0..41 {
        let link = Step::Symlink(number.to_string(), format!("/{}", number + 1));
        apply(&root, &link).unwrap();
    }
    assert!(apply(&root, &Step::Read("/40".to_owned())).is_ok());
    assert_eq!(apply(&root, &Step::Read("/41".to_owned())), Err(Error::Loop));
    // Each doubles the one before it: a bound on symlinks bounds the work.
    apply(&root, &Step::CreateDirectory("/d0".to_owned())).unwrap();
    for number in 0..30 {
        let text = format!("../d{number}/../d{number}");
        apply(&root, &Step::Symlink(text, format!("/d{}", number + 1))).unwrap();
    }
    assert_eq!(apply(&root, &Step::Read("/d30/x".to_owned())), Err(Error::Loop));
}

#[test]
fn the_deepest_directory_ends_at_the_longest_path() {
    let directory = house();
    let root = Root::new(None, open(directory.path(), "upper"));
    let name = "n".repeat(200);
    let (mut place, mut depth) = (Place::root(), 0);
    let refused = loop {
        match root.create_directory(&place, &name) {
            Ok(()) => depth += 1,
            Err(error) => break error,
        }
        place = root.locate(&place, &name, Follow::No).unwrap().0;
    };
    assert!((15..25).contains(&depth), "{depth}");
    assert_eq!(refused, Error::NameTooLong);
    let long = "a/../".repeat(1000);
    assert_eq!(apply(&root, &Step::Read(long)), Err(Error::NameTooLong));
    for _ in 0..depth {
        let parent = place.parent();
        root.remove_directory(&parent, &name).unwrap();
        place = parent;
    }
}

/// One turns directories of a volume into symlinks to the outside and back, as fast as it can; the
/// others go through them in every way there is.
#[test]
fn no_race_leads_out() {
    const TURNS: usize = 1500;
    let directory = house();
    let directory = directory.path();
    let volume = Volume::with_quota(open(directory, "volume"), Quota::new(1 << 20).into());
    let pod = |name: &str| {
        let mut root = Root::new(None, later(open(directory, name)));
        let source = volume.whole();
        root.mount(Mount { path: "/v".to_owned(), source, read_only: false }).unwrap();
        root
    };
    let host = directory.join("outside").display().to_string();
    let texts = ["../outside", "../../outside", "/outside", "..", &host, "/v/../../outside"];
    let done = AtomicBool::new(false);
    let swaps = AtomicUsize::new(0);
    std::thread::scope(|threads| {
        let attacker = pod("attacker");
        let (done, swaps) = (&done, &swaps);
        threads.spawn(move || {
            let step = |step: Step| apply(&attacker, &step).is_ok();
            let text = |path: &str| path.to_owned();
            for turn in 0.. {
                if done.load(Ordering::Relaxed) {
                    break;
                }
                step(Step::CreateDirectory(text("/v/real")));
                step(write("/v/real/secret"));
                let out = texts[turn % texts.len()].to_owned();
                step(Step::Symlink(out, text("/v/link")));
                step(Step::Rename(text("/v/real"), text("/v/d")));
                step(Step::Rename(text("/v/d"), text("/v/real")));
                swaps.fetch_add(
                    usize::from(step(Step::Rename(text("/v/link"), text("/v/d")))),
                    Ordering::Relaxed,
                );
                step(Step::Unlink(text("/v/d")));
            }
        });
        let victims: Vec<_> = (0..2)
            .map(|number| {
                let root = pod(&format!("victim{number}"));
                threads.spawn(move || {
                    for _ in 0..TURNS {
                        let content = apply(&root, &Step::Read("/v/d/secret".to_owned()));
                        assert!(content.is_err() || !content.unwrap().contains("nobody"));
                        if let Ok(stat) = root.stat(&Place::root(), "/v/d/secret", Follow::No) {
                            assert!(stat.kind != Kind::File || stat.size != SECRET.len() as u64);
                        }
                        for step in [
                            write("/v/d/new"),
                            Step::Append { path: "/v/d/secret".to_owned(), text: 1 },
                            Step::CreateDirectory("/v/d/made".to_owned()),
                            Step::Link("/v/d/secret".to_owned(), "/v/d/other".to_owned(), false),
                            Step::Rename("/v/d/secret".to_owned(), "/v/d/moved".to_owned()),
                            Step::Unlink("/v/d/secret".to_owned()),
                            Step::Unlink("/v/d/new".to_owned()),
                            Step::RemoveDirectory("/v/d/made".to_owned()),
                        ] {
                            // Most fail, for the directory is gone again.
                            let _ = apply(&root, &step);
                        }
                        let read = OpenOptions { read: true, ..OpenOptions::default() };
                        if let Ok(Opened::Directory(place)) =
                            root.open(&Place::root(), "/v/d", read)
                        {
                            let listed = root.list(&place).unwrap_or_default();
                            assert!(
                                !listed.iter().any(|entry| entry.name == "outside"),
                                "{listed:?}"
                            );
                        }
                    }
                })
            })
            .collect();
        let ended: Vec<_> = victims.into_iter().map(|victim| victim.join()).collect();
        done.store(true, Ordering::Relaxed);
        assert!(ended.iter().all(Result::is_ok));
    });
    is_untouched(directory);
    assert!(swaps.into_inner() > 10);
}
