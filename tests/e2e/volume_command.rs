//! `sampan volume`: what its user sees and gets.

use std::fs;
use std::process::Command;

use crate::support::{Answer, Cluster, Home, run, tutorial};

/// `sampan volume …` about the test's own cluster.
fn volume(home: &Home, words: &[&str]) -> Answer {
    let data = home.path().join("data");
    let mut command: Command = home.sampan(&["volume", words[0], "--data-dir"]);
    command.arg(data).args(&words[1..]);
    run(command)
}

#[track_caller]
fn done(home: &Home, words: &[&str]) -> String {
    let answer = volume(home, words);
    assert_eq!(answer.code, 0, "{words:?}: {}", answer.all());
    answer.stdout
}

#[track_caller]
fn refused(home: &Home, words: &[&str]) -> String {
    let answer = volume(home, words);
    assert!(answer.code == 1 && answer.stdout.is_empty(), "{words:?}: {}", answer.all());
    answer.stderr
}

/// The tutorial's claim, bound, and its volume's name.
fn claim(cluster: &Cluster<'_>) -> String {
    cluster.kubectl(&format!("apply -f {}", tutorial("pvc.yaml")));
    cluster.wait_for("jsonpath={.status.phase}=Bound", "pvc/myclaim");
    cluster.kubectl("get pvc myclaim -o jsonpath={.spec.volumeName}")
}

#[track_caller]
fn row_of<'a>(table: &'a str, word: &str) -> Vec<&'a str> {
    let row = table.lines().find(|line| line.contains(word));
    row.unwrap_or_else(|| panic!("no {word} in {table}")).split_whitespace().collect()
}

#[test]
fn files_go_into_a_volume_and_come_out_as_they_were() {
    let home = Home::new();
    let cluster = home.up();
    let name = claim(&cluster);
    let site = home.path().join("site");
    fs::create_dir_all(site.join("sub/deeper")).unwrap();
    fs::write(site.join("index.html"), "hello").unwrap();
    fs::write(site.join("sub/deeper/data"), vec![7; 300_000]).unwrap();
    #[cfg(unix)]
    std::os::unix::fs::symlink("deeper/data", site.join("sub/link")).unwrap();

    // Into the top, by another name, and what is in a directory.
    done(&home, &["cp", "site", "myclaim:"]);
    done(&home, &["cp", "site/index.html", "default/myclaim:/site/copy.html"]);
    done(&home, &["cp", "site/.", "myclaim:site/sub"]);
    cluster.kubectl(&format!("apply -f {}", tutorial("pod-pvc.yaml")));
    cluster.wait_for("condition=Ready", "pod/mypod");
    let found = cluster.run_words(&[
        "exec",
        "mypod",
        "--",
        "sh",
        "-c",
        "cd /var/www/html; find . -type f | sort; cat site/copy.html; wc -c < site/sub/link",
    ]);
    let expect = "./site/copy.html\n./site/index.html\n./site/sub/deeper/data\n\
                  ./site/sub/index.html\n./site/sub/sub/deeper/data\nhello300000\n";
    assert_eq!(found.stdout, expect, "{}", found.all());

    // Out again, while the Pod runs: to a new name, into a directory, and all of it.
    done(&home, &["cp", "myclaim:site", "back"]);
    done(&home, &["cp", "myclaim:/site/index.html", "back"]);
    done(&home, &["cp", "myclaim:", "all"]);
    let read = |path: &str| fs::read(home.path().join(path)).unwrap();
    assert_eq!(read("back/sub/link"), vec![7; 300_000]);
    assert_eq!(read("back/index.html"), b"hello");
    assert_eq!(read("all/site/copy.html"), b"hello");

    let list = done(&home, &["ls"]);
    let row = row_of(&list, "myclaim");
    assert_eq!(row[..5], ["default", "myclaim", "Bound", &name, "10Mi"], "{list}");
    // Two of 300,000 bytes and some.
    assert_eq!(row[5..], ["586Ki", "ReadWriteMany", "mypod"], "{list}");
    let du = done(&home, &["du", "myclaim"]);
    assert_eq!(row_of(&du, "site"), ["586Ki", "site"], "{du}");
    let all = done(&home, &["du"]);
    assert_eq!(row_of(&all, "default/myclaim")[2..4], [&name, "default/myclaim"], "{all}");
    // The Pod that carried the files is gone.
    assert_eq!(cluster.kubectl("get pod --no-headers -o name"), "pod/mypod\n");
}

#[test]
fn a_copy_keeps_to_the_volume_and_to_its_size() {
    let home = Home::new();
    let cluster = home.up();
    claim(&cluster);
    fs::write(home.path().join("big"), vec![1; 11 << 20]).unwrap();
    let full = refused(&home, &["cp", "big", "myclaim:"]);
    assert!(full.contains("No space left on device"), "{full}");
    fs::write(home.path().join("small"), "x").unwrap();
    let missing = refused(&home, &["cp", "small", "myclaim:no/such/file"]);
    assert!(missing.contains("No such file or directory"), "{missing}");
    let missing = refused(&home, &["cp", "myclaim:nothing", "here"]);
    assert!(missing.contains("there is no such file or directory in the volume"), "{missing}");
    let up = refused(&home, &["cp", "myclaim:../../etc/passwd", "here"]);
    assert!(up.contains("must not contain '..'"), "{up}");

    // What a guest leaves there to lead others astray.
    cluster.kubectl(&format!("apply -f {}", tutorial("pod-pvc.yaml")));
    cluster.wait_for("condition=Ready", "pod/mypod");
    let script = "cd /var/www/html; rm big; ln -s /etc etc; ln -s ../../../../etc/passwd up; echo fine > fine";
    cluster.run_words(&["exec", "mypod", "--", "sh", "-c", script]);
    let out = refused(&home, &["cp", "myclaim:etc", "here"]);
    assert!(out.contains("leads out of the volume"), "{out}");
    let out = refused(&home, &["cp", "small", "myclaim:etc/small"]);
    assert!(out.contains("leads out of the volume"), "{out}");
    let all = volume(&home, &["cp", "myclaim:", "all"]);
    assert_eq!(all.code, 0, "{}", all.all());
    for link in ["a symlink to /etc", "a symlink to ../../../../etc/passwd"] {
        assert!(all.stderr.contains(link), "{link}: {}", all.all());
    }
    assert_eq!(fs::read_to_string(home.path().join("all/fine")).unwrap(), "fine\n");
    assert_eq!(fs::read_dir(home.path().join("all")).unwrap().count(), 1);
}

#[test]
fn what_cannot_be_copied_is_said_with_the_way_out() {
    let home = Home::new();
    let cluster = home.up();
    let none = refused(&home, &["cp", "nowhere:", "here"]);
    assert!(none.contains("find the claim default/nowhere; see: sampan volume ls"), "{none}");
    let both = refused(&home, &["cp", "a:", "b:"]);
    assert!(both.contains("both are in volumes"), "{both}");
    let manifest = "apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: {name: NAME}\nspec: \
                    {accessModes: [MODE], storageClassName: CLASS, resources: {requests: {storage: 1Mi}}}\n";
    let apply = |name: &str, mode: &str, class: &str| {
        let claim = manifest.replace("NAME", name).replace("MODE", mode).replace("CLASS", class);
        cluster.kubectl(&format!("apply -f {}", home.file("claim.yaml", claim)));
    };
    apply("lazy", "ReadWriteOnce", "local-path");
    let lazy = refused(&home, &["cp", "lazy:", "here"]);
    assert!(lazy.contains("find the volume of default/lazy: the claim is Pending"), "{lazy}");

    apply("single", "ReadWriteOncePod", "standard");
    let pod = fs::read_to_string(tutorial("pod-pvc.yaml")).unwrap().replace("myclaim", "single");
    cluster.kubectl(&format!("apply -f {}", home.file("pod.yaml", pod)));
    cluster.wait_for("condition=Ready", "pod/mypod");
    let taken = refused(&home, &["cp", "single:", "here"]);
    assert!(taken.contains("the Pod mypod has default/single for itself"), "{taken}");
    assert!(taken.contains("hint: kubectl cp"), "{taken}");

    drop(cluster);
    let stopped = refused(&home, &["ls"]);
    assert!(stopped.contains("it does not run; start it: sampan up"), "{stopped}");
}
