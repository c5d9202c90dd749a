use std::fs;
use std::path::Path;

use super::*;

struct Harness {
    directory: tempfile::TempDir,
    images: Images,
}

/// Images in `DIR/images`, local ones allowed from `DIR/allowed`.
fn harness() -> Harness {
    let directory = tempfile::tempdir().unwrap();
    let allowed = directory.path().join("allowed");
    fs::create_dir(&allowed).unwrap();
    let config =
        Config { directory: directory.path().join("images"), allowed_directories: vec![allowed] };
    Harness { directory, images: Images::new(config) }
}

impl Harness {
    fn write(&self, path: &str, content: &str) -> String {
        let path = self.directory.path().join(path);
        fs::write(&path, content).unwrap();
        url(&path)
    }

    async fn error(&self, reference: &str) -> String {
        self.images
            .resolve(reference)
            .await
            .map_or_else(|err| format!("{err}"), |_| "none".to_owned())
    }
}

fn url(path: &Path) -> String {
    format!("file://{}", path.display())
}

#[tokio::test]
async fn busybox_is_laid_out_with_its_programs() {
    let harness = harness();
    let image = harness.images.resolve("busybox:1.36").await.unwrap();
    assert_eq!(image.reference, "docker.io/library/busybox:1.36");
    assert_eq!(image.cmd, ["sh"]);
    assert_eq!(
        image.stand_in.as_deref(),
        Some(
            "docker.io/library/busybox:1.36 is a Linux image; sampan's built-in WebAssembly busybox stands in for it"
        )
    );
    for program in ["bin/sh", "bin/ash", "bin/cat", "bin/busybox"] {
        assert!(image.layers[0].dir().read(program).unwrap().starts_with(b"\0asm"), "{program}");
    }
    assert!(image.layers[0].dir().read_to_string("etc/passwd").unwrap().starts_with("root:x:0:0:"));
    assert!(image.layers[0].dir().is_dir("tmp") && image.layers[0].dir().is_dir("root"));
}

#[tokio::test]
async fn the_second_resolve_is_answered_from_memory() {
    let harness = harness();
    let first = harness.images.resolve("busybox").await.unwrap();
    let second = harness.images.resolve("docker.io/library/busybox:latest").await.unwrap();
    assert!(Arc::ptr_eq(&first, &second));
    let other = harness.images.resolve("alpine").await.unwrap();
    assert_eq!(other.digest, first.digest);
}

#[tokio::test]
async fn nginx_lies_on_top_of_busybox() {
    let harness = harness();
    let image = harness.images.resolve("nginx:1.14.2").await.unwrap();
    assert_eq!(image.cmd, ["nginx", "-g", "daemon off;"]);
    assert_eq!(image.exposed_ports, [80]);
    assert_eq!(
        image.stand_in.as_deref(),
        Some(
            "docker.io/library/nginx:1.14.2 is a Linux image; sampan's built-in WebAssembly nginx stands in for it"
        )
    );
    let [own, base] = &image.layers[..] else { panic!("{:?}", image.layers) };
    let (own, base_layer) = (own.dir(), base);
    let base = base.dir();
    assert!(own.read("usr/sbin/nginx").unwrap().starts_with(b"\0asm"));
    let page = own.read_to_string("usr/share/nginx/html/index.html").unwrap();
    assert!(page.contains("<title>Welcome to nginx!</title>"));
    assert!(!own.exists("bin") && base.exists("bin/sh"));
    let busybox = harness.images.resolve("busybox").await.unwrap();
    assert_ne!(busybox.digest, image.digest);
    assert!(Arc::ptr_eq(&busybox.layers[0], base_layer), "what is known of it is known once");
    // Two directories, and no busybox in the one of nginx.
    assert_eq!(fs::read_dir(harness.directory.path().join("images")).unwrap().count(), 2);
}

#[tokio::test]
async fn httpd_serves_its_own_directory() {
    let harness = harness();
    let image = harness.images.resolve("httpd:2.4").await.unwrap();
    assert_eq!(
        (&image.cmd[0][..], &image.working_dir[..]),
        ("httpd-foreground", "/usr/local/apache2")
    );
    assert!(image.env[0].1.starts_with("/usr/local/apache2/bin:"));
    let program = image.layers[0].dir().read("usr/local/apache2/bin/httpd-foreground").unwrap();
    assert!(program.starts_with(b"\0asm"));
}

#[tokio::test]
async fn pause_is_agnhost_by_another_name() {
    let harness = harness();
    let image = harness.images.resolve("registry.k8s.io/pause:3.10").await.unwrap();
    assert_eq!(image.entrypoint, ["/pause"]);
    assert!(image.cmd.is_empty());
    let agnhost = "registry.k8s.io/e2e-test-images/agnhost:2.53";
    let agnhost = harness.images.resolve(agnhost).await.unwrap();
    assert_eq!(
        (&agnhost.entrypoint[..], &agnhost.cmd[..]),
        (&["/agnhost".to_owned()][..], &["pause".to_owned()][..])
    );
    assert_eq!(agnhost.digest, image.digest);
}

#[tokio::test]
async fn other_images_say_what_to_do() {
    let harness = harness();
    assert_eq!(
        harness.error("mysql:8").await,
        "docker.io/library/mysql:8 is a Linux image, and sampan runs WebAssembly: use a built-in (busybox, alpine, debian, ubuntu, bash, nginx, nginx-slim, httpd, agnhost, pause), or build your program for wasm32-wasip2 and name it as file:///path/to/program.wasm"
    );
    let error = harness.error("ghcr.io/a/b").await;
    assert!(error.contains("does not pull from registries yet"), "{error}");
    assert_eq!(
        harness.error("a b").await,
        r#"Failed to apply default image tag "a b": couldn't parse image reference "a b": invalid reference format"#
    );
}

#[tokio::test]
async fn a_local_file_is_an_image() {
    let harness = harness();
    let reference = harness.write("allowed/my app.wasm", "one");
    for reference in [reference.clone(), reference.replace(' ', "%20")] {
        let image = harness.images.resolve(&reference).await.unwrap();
        assert_eq!(image.entrypoint, ["/my app.wasm"]);
        assert_eq!(image.layers[0].dir().read_to_string("my app.wasm").unwrap(), "one");
        assert_eq!(image.digest, digest_text(&Sha256::digest("one")));
    }
}

#[tokio::test]
async fn a_changed_local_file_is_read_again() {
    let harness = harness();
    let reference = harness.write("allowed/app.wasm", "one");
    let first = harness.images.resolve(&reference).await.unwrap();
    harness.write("allowed/app.wasm", "three");
    let second = harness.images.resolve(&reference).await.unwrap();
    assert_ne!(first.digest, second.digest);
    assert_eq!(second.layers[0].dir().read_to_string("app.wasm").unwrap(), "three");
    assert_eq!(first.layers[0].dir().read_to_string("app.wasm").unwrap(), "one");
}

#[tokio::test]
async fn files_elsewhere_are_refused() {
    let harness = harness();
    let outside = harness.write("secret.wasm", "x");
    let error = harness.error(&outside).await;
    assert!(error.contains("start sampan with --allow-images"), "{error}");
    let sneaky = outside.replace("secret.wasm", "allowed/../secret.wasm");
    assert!(harness.error(&sneaky).await.contains("--allow-images"));
    let absent = outside.replace("secret", "absent");
    assert!(harness.error(&absent).await.contains("--allow-images"));
    let absent = outside.replace("secret", "allowed/absent");
    assert!(harness.error(&absent).await.contains("No such file") || cfg!(windows));
    assert!(harness.error("file://relative.wasm").await.contains("an absolute path"));
}

#[cfg(unix)]
#[tokio::test]
async fn links_out_of_the_allowed_directory_are_refused() {
    let harness = harness();
    harness.write("secret.wasm", "x");
    let link = harness.directory.path().join("allowed/link.wasm");
    std::os::unix::fs::symlink("../secret.wasm", &link).unwrap();
    assert!(harness.error(&url(&link)).await.contains("--allow-images"));
}
